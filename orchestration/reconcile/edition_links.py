"""What becomes of a code between two editions: its targets, whether it changed, whether it may be converted.

Belongs here: chains of links from a newer edition to an older one, and the chapters that are never converted. Does not
belong here: rows, values, weights (`editions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.reconcile.product_codes import at_level, chapter

# UNSD's links send drones to television cameras and transistors to telephones: product families stand for these.
NEVER_CONVERTED_CHAPTERS = ("85", "88")
# A code that leads to more older codes than this gathers crumbs of a whole chapter (fins and heads of forty kinds of
# fish): split, it would put a crumb beside every whole flow and call the rest a gap.
MOST_TARGETS = 10
_CODE = ("hs_revision", "_older", "product_code")
_COARSE_LEVELS = (2, 4)


@dataclass(frozen=True)
class Links:
    """Codes of the rows at hand, keyed by hs_revision, _older (the edition to read them in) and product_code.

    codes: _is_changed (not one and the same code in both editions), _is_barred (changed, and not to be converted: its
    chapter never is, or it leads to more than MOST_TARGETS codes); a code that is absent is one of which the tables
    say nothing. targets: _target, one row per changed code that may be converted and code of the older edition.
    """

    codes: pl.DataFrame
    targets: pl.DataFrame


@dataclass(frozen=True)
class EditionSteps:
    """What correlations say, walked once for every pair of editions; `links_of` takes from it what rows need.

    steps: one row per link of a code to the edition before it; known: pairs of editions (hs_revision, _older) of which
    every step has a table; walked: what becomes of each code that stands in some link, by pair; targets: as `Links`.
    """

    steps: pl.DataFrame
    known: pl.DataFrame
    walked: pl.DataFrame
    targets: pl.DataFrame


def edition_steps(correlations: pl.DataFrame) -> EditionSteps:
    """Walk the links between editions.

    Args: correlations (seed hs_correlations) with hs_revision, product_code, older_hs_revision, older_product_code;
    a code without a row is the same code in both editions. Where a step between the editions has no row at all,
    nothing is known of any code.
    """
    steps = correlations.select(
        "hs_revision", "product_code", "older_hs_revision", _to="older_product_code"
    ).with_columns(_is_barred=_in_chapters("product_code") | _in_chapters("_to"))
    code = ("hs_revision", "product_code")
    steps = steps.with_columns(
        pl.col("_is_barred").any().over(code), _stops=pl.col("_is_barred").any().over(code) | _is_spread()
    )
    known = _known_pairs(steps)
    # Most codes stand in no table: they are the same in every edition, and no chain need be walked for them.
    named = pl.concat([steps.select("product_code"), steps.select(product_code="_to")]).unique()
    chains = _chains(known.join(named, how="cross"), steps)
    changed = (pl.col("_to") != pl.col("product_code")).any()
    walked = chains.group_by(_CODE).agg(_is_changed=changed, _is_barred=pl.col("_is_barred").any())
    convertible = walked.filter(pl.col("_is_changed") & ~pl.col("_is_barred"))
    targets = chains.join(convertible, on=list(_CODE), how="semi").select(*_CODE, _target="_to").unique()
    return EditionSteps(steps, known, walked.sort(*_CODE), targets.sort(*_CODE, "_target"))


def links_of(rows: pl.DataFrame, found: EditionSteps) -> Links:
    """Links of the codes of `rows` (hs_revision, _older, _newest, product_code, product_level)."""
    codes = rows.select(*_CODE, "_newest", "product_level").unique().sort(*_CODE)
    newer = codes.filter(pl.col("hs_revision") > pl.col("_older"))
    newer = newer.join(found.known, on=["hs_revision", "_older"], how="semi")
    fine = (
        newer.filter(pl.col("product_level") == 6)
        .select(_CODE)
        .unique()
        .join(found.walked, on=list(_CODE), how="left")
        .with_columns(pl.col("_is_changed", "_is_barred").fill_null(False))
    )
    coarse = _coarse(newer.filter(pl.col("product_level").is_in(_COARSE_LEVELS)), found.steps)
    older = _touched_older(codes.filter(pl.col("hs_revision") == pl.col("_older")), found.steps)
    every = pl.concat([frame.select(*_CODE, "_is_changed", "_is_barred") for frame in (fine, coarse, older)])
    return Links(codes=every.sort(_CODE), targets=found.targets)


def _in_chapters(column: str) -> pl.Expr:
    return chapter(column).is_in(NEVER_CONVERTED_CHAPTERS)


def _is_spread() -> pl.Expr:
    return pl.len().over("hs_revision", "product_code") > MOST_TARGETS


def _between(newest: str) -> pl.Expr:
    """Whether a step (from _step to the edition before it) lies between _older and the edition in `newest`."""
    return (pl.col("_step") > pl.col("_older")) & (pl.col("_step") <= pl.col(newest))


def _known_pairs(steps: pl.DataFrame) -> pl.DataFrame:
    """Pairs of editions (hs_revision, _older) of which every step down to the older one has a table."""
    named = pl.concat([steps.select("hs_revision"), steps.select(hs_revision="older_hs_revision")]).unique()
    pairs = named.join(named.select(_older="hs_revision"), how="cross").filter(pl.col("hs_revision") > pl.col("_older"))
    covered = pairs.join(steps.select(_step="hs_revision").unique(), how="cross").filter(_between("hs_revision"))
    number = [pl.col(c).str.slice(1).cast(pl.Int64) for c in ("hs_revision", "_older")]
    found = covered.group_by("hs_revision", "_older").len().filter(pl.col("len") == number[0] - number[1])
    return found.select("hs_revision", "_older").sort("hs_revision", "_older")


def _chains(codes: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Every code of the older edition (_to) that each code leads to, step by step; _is_barred if a step is."""
    chains = codes.select(*_CODE, _at="hs_revision", _to="product_code", _is_barred=pl.lit(False))
    # At most one turn per edition of the nomenclature, newest first.
    for edition in sorted(steps["hs_revision"].unique(), reverse=True):
        own = steps.filter(pl.col("hs_revision") == edition)
        links = own.select("product_code", _next="_to", _bars="_stops")
        # In chapters that are not converted, a code into which others were merged is no longer the same code.
        merged = own.filter("_is_barred").select(_to="_to", _merges=pl.lit(True)).unique()
        moves = (pl.col("_at") == edition) & (pl.col("_at") > pl.col("_older"))
        moved = (
            chains.filter(moves)
            .join(links, left_on="_to", right_on="product_code", how="left")
            .join(merged, on="_to", how="left")
            .select(
                *_CODE,
                _at=pl.lit(own["older_hs_revision"].min()),
                _to=pl.coalesce("_next", "_to"),
                _is_barred=pl.col("_is_barred") | pl.col("_bars").fill_null(False) | pl.col("_merges").fill_null(False),
            )
        )
        chains = pl.concat([chains.filter(~moves), moved]).unique()
    return chains


def _coarse(codes: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Headings and chapters that no link enters or leaves hold the same goods; of the others nothing is known.

    Of those in chapters that are never converted it is known that they may not be compared.
    """
    if codes.is_empty():
        return codes.select(*_CODE).with_columns(_is_changed=pl.lit(False), _is_barred=pl.lit(False))
    # A code of several corridors, whose newest editions may differ, is one code here.
    codes = codes.select(*_CODE).unique().sort(*_CODE)
    crossing = []
    for level in _COARSE_LEVELS:
        ends = steps.select(_step="hs_revision", a=at_level(level), b=at_level(level, "_to"))
        ends = ends.filter(pl.col("a") != pl.col("b"))
        crossing += [ends.select("_step", product_code=end) for end in ("a", "b")]
    met = codes.join(pl.concat(crossing).unique(), on="product_code", how="inner").filter(_between("hs_revision"))
    is_open = codes.join(met.select(_CODE).unique().with_columns(_open=pl.lit(True)), on=list(_CODE), how="left")
    marked = is_open.with_columns(_is_changed=pl.lit(False), _is_barred=pl.col("_open") & _in_chapters("product_code"))
    return marked.filter(pl.col("_open").is_null() | pl.col("_is_barred")).with_columns(
        pl.col("_is_barred").fill_null(False)
    )


def _touched_older(codes: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Codes filed in the older edition that hold goods which a newer one files in codes that are not converted."""
    ends = steps.filter("_is_barred").select(_step="hs_revision", product_code="_to").unique()
    met = codes.join(ends, on="product_code", how="inner").filter(_between("_newest"))
    return met.select(*_CODE).unique().with_columns(_is_changed=pl.lit(True), _is_barred=pl.lit(True))
