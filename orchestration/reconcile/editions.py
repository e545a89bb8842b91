"""Two editions of the Harmonized System in one corridor and chapter: the newer is read in the codes of the older.

Belongs here: which rows are converted, the weights of a split, how ambiguous a pair is, and the variance that follows.
Does not belong here: the links themselves (seed hs_correlations), how sides are paired (`pair`).

Conversion runs from the newer edition to the older one only. Going back, goods that were told apart are added up and
most codes have one target; going forward, they would have to be told apart by guess (UNSD's conversion tables and the
OECD's practice; Lukaszuk and Torun 2022, Harmonizing the Harmonized System, who weight by trade values). Chapters 85
and 88 are never converted: there the published table makes television cameras of drones and telephones of transistors.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.edition_links import Links, links_of
from orchestration.reconcile.product_codes import chapter
from orchestration.reconcile.schema import CORRIDOR
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import exact_sum

SPLIT_COLUMNS = ("value_usd", "cif_value_usd", "fob_value_usd", "quantity", "net_weight_kg")
# Variance of the logarithm of a report that a wholly ambiguous conversion carries; calibrated, see docs/methodology.md.
FULL_AMBIGUITY_VARIANCE = 4.4
_PARTS = ("declaration_id", "mirror_flow_id")
_DECIMALS = 6
_SUB_FLOW = (
    *("flow_code", "reporter_code", "partner_code", "product_code", "product_level", "hs_revision", "value_usd"),
)


def is_one_edition() -> pl.Expr:
    """Whether a pair may train a model: both sides in one edition, or converted without any doubt."""
    return ~pl.col("is_edition_mismatch") | (pl.col("hs_ambiguity_ratio") == 0).fill_null(False)


def hs_variance(side: str) -> pl.Expr:
    """Variance (log) that the conversion adds to the report of `side` (exporter or importer).

    Only the converted side, whose own edition is newer than the pair's, carries it. Unknown ambiguity counts as whole.
    """
    is_converted = (pl.col(f"{side}_hs_revision") > pl.col("hs_revision")).fill_null(False)
    ratio = pl.col("hs_ambiguity_ratio").fill_null(1.0)
    return pl.when(is_converted).then(FULL_AMBIGUITY_VARIANCE * ratio).otherwise(0.0)


def onto_older_edition(rows: pl.DataFrame, tables: ReconcileTables, values: pl.DataFrame | None = None) -> pl.DataFrame:
    """Read the newer side of every chapter of a corridor filed in two editions in the codes of the older one.

    Args: oriented rows (with side, exporter_code, importer_code) of one period, tables with hs_correlations; where the
    rows are a slice of the period, values declared in each code (hs_revision, product_code, value_usd) in all of it.
    Returns: the rows, a split one as several, plus share_ratio (the part of the declaration; sums to one per
    declaration_id), filed_code, and working columns: _edition (that of product_code), _ambiguity (one minus the
    largest share of the declaration, 1 where it may not be compared, NULL where nothing is known), _is_weighed
    (whether that counts for its pair: rows of the newer edition, and those that may not be compared), _is_across
    (whether it was converted or may not be), _is_split. Values, quantities and weights are split by the same share,
    and add up to what was filed. Source: reconciliation step S3.
    """
    plain = rows.with_columns(
        share_ratio=pl.lit(1.0),
        filed_code="product_code",
        _edition="hs_revision",
        _ambiguity=pl.lit(None, dtype=pl.Float64),
        _is_weighed=pl.lit(False),
        _is_across=pl.lit(False),
        _is_split=pl.lit(False),
    )
    chapters = _chapters_of_two_editions(rows)
    if chapters.is_empty():
        return plain
    inside = plain.with_columns(_chapter=chapter())
    inside = inside.join(chapters, on=[*CORRIDOR, "_chapter"], how="left", maintain_order="left")
    touched = inside.filter(pl.col("_older").is_not_null())
    converted = _convert(touched, rows, links_of(touched, tables.edition_steps), values)
    untouched = inside.filter(pl.col("_older").is_null())
    return pl.concat([untouched.select(plain.columns), converted.select(plain.columns)])


def _chapters_of_two_editions(rows: pl.DataFrame) -> pl.DataFrame:
    """Corridors and chapters whose two sides file other editions: the oldest (_older) and newest (_newest).

    By chapter, because a reporter's annual set of one chapter and months of another may stand in other editions. A side
    that files nothing of the chapter stands there in the editions of its other goods in the corridor.
    """
    known = rows.filter(pl.col("hs_revision").str.contains(r"^H\d$"))
    known = known.select(*CORRIDOR, "side", "hs_revision", _chapter=chapter())
    if known["hs_revision"].n_unique() < 2:
        return known.select(*CORRIDOR, "_chapter", _older="hs_revision", _newest="hs_revision").clear()
    span = {"_older": pl.col("hs_revision").min(), "_newest": pl.col("hs_revision").max()}
    by_corridor = known.group_by(CORRIDOR).agg(_sides=pl.col("side").n_unique(), **span)
    mixed = by_corridor.filter((pl.col("_sides") == 2) & (pl.col("_older") != pl.col("_newest")))
    inside = known.join(mixed.select(CORRIDOR), on=list(CORRIDOR), how="semi")
    own = inside.group_by(*CORRIDOR, "_chapter", "side").agg(**span)
    elsewhere = inside.group_by(*CORRIDOR, "side").agg(_older_any=span["_older"], _newest_any=span["_newest"])
    each = own.select(*CORRIDOR, "_chapter").unique().join(elsewhere, on=list(CORRIDOR))
    each = each.join(own, on=[*CORRIDOR, "_chapter", "side"], how="left").with_columns(
        pl.coalesce("_older", "_older_any"), pl.coalesce("_newest", "_newest_any")
    )
    both = each.group_by(*CORRIDOR, "_chapter").agg(pl.col("_older").min(), pl.col("_newest").max())
    return both.filter(pl.col("_older") != pl.col("_newest")).sort(*CORRIDOR, "_chapter")


def _convert(touched: pl.DataFrame, everybody: pl.DataFrame, links: Links, values: pl.DataFrame | None) -> pl.DataFrame:
    """Rows of corridors of two editions, with their target codes, shares and ambiguity."""
    own = ["hs_revision", "_older", "product_code"]
    rows = touched.join(links.codes, on=own, how="left", maintain_order="left")
    is_newer = pl.col("hs_revision") > pl.col("_older")
    stays_apart = pl.col("_is_barred").fill_null(False)
    goes_over = is_newer & pl.col("_is_changed").fill_null(False) & ~stays_apart
    rows = rows.with_columns(
        _ambiguity=pl.when(stays_apart).then(1.0).when(is_newer & pl.col("_is_changed").is_not_null()).then(0.0),
        _is_weighed=is_newer | stays_apart,
        _is_across=goes_over | stays_apart,
        _is_split=goes_over,
    )
    older = _declared_in(everybody, touched["_older"].unique())
    named = older if values is None else values.rename({"hs_revision": "_older", "product_code": "_target"})
    world = named.group_by("_older", "_target").agg(_world=exact_sum("value_usd"))
    parts = _parts(rows.filter("_is_split"), older, world, links.targets)
    return pl.concat([rows.filter(~pl.col("_is_split")).select(parts.columns), parts])


def _declared_in(rows: pl.DataFrame, editions: pl.Series) -> pl.DataFrame:
    """Value declared in these editions by corridor, side and code of six digits (_older, _target, value_usd)."""
    own = rows.filter(pl.col("hs_revision").is_in(editions.implode()) & (pl.col("product_level") == 6))
    return own.group_by(*CORRIDOR, "side", _older="hs_revision", _target="product_code").agg(exact_sum("value_usd"))


def _parts(rows: pl.DataFrame, older: pl.DataFrame, world: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """One row per declaration and target code with a share of it."""
    own = ["hs_revision", "_older", "product_code"]
    parts = _with_weights(rows.join(targets, on=own, how="inner"), older, world)
    parts = parts.sort("declaration_id", "share_ratio", "_target", descending=[False, True, False])
    # Shares and amounts have six places, and the largest part takes what rounding leaves: the parts add up to the
    # declaration to the last millionth, in whatever order.
    is_largest = pl.int_range(pl.len()).over("declaration_id") == 0
    parts = parts.with_columns(_whole("share_ratio", pl.lit(1.0), pl.col("share_ratio"), is_largest))
    # A declaration of one target keeps its figures bit by bit.
    is_alone = pl.col("share_ratio") == 1.0
    parts = parts.with_columns(
        pl.when(is_alone).then(pl.col(c)).otherwise(_whole(c, pl.col(c), pl.col(c) * pl.col("share_ratio"), is_largest))
        for c in SPLIT_COLUMNS
    )
    parts = parts.with_columns(product_code="_target", _edition="_older")
    return parts.filter(pl.col("share_ratio") > 0).select(rows.columns)


def _whole(name: str, whole: pl.Expr, part: pl.Expr, is_largest: pl.Expr) -> pl.Expr:
    """Rounded parts of `whole` per declaration; the largest is what the others leave of it."""
    rounded = part.round(_DECIMALS)
    others = exact_sum(pl.when(~is_largest).then(rounded)).over("declaration_id")
    return pl.when(is_largest).then((whole - others).round(_DECIMALS)).otherwise(rounded).alias(name)


def _with_weights(parts: pl.DataFrame, older: pl.DataFrame, world: pl.DataFrame) -> pl.DataFrame:
    """share_ratio of each target: by the mirror's values, else by those of all who file that edition, else equal."""
    opposite = pl.when(pl.col("side") == "exporter").then(pl.lit("importer")).otherwise(pl.lit("exporter"))
    mirror = older.with_columns(side=opposite).rename({"value_usd": "_mirror"})
    parts = parts.join(mirror, on=[*CORRIDOR, "side", "_older", "_target"], how="left")
    parts = parts.join(world, on=["_older", "_target"], how="left")
    shares = [pl.col(c).fill_null(0.0) / exact_sum(pl.col(c)).over("declaration_id") for c in ("_mirror", "_world")]
    known = [pl.when(share.is_finite()).then(share) for share in shares]
    return parts.with_columns(share_ratio=pl.coalesce(*known, 1.0 / pl.len().over("declaration_id")))


def gather_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per declaration and pair: parts that meet in one pair (at a heading) are one again.

    Args: rows with mirror_flow_id. Their _ambiguity becomes one minus the largest share in one pair.
    """
    if not rows["_is_split"].any():
        return rows
    parts = rows.filter("_is_split").sort(*_PARTS, "product_code")
    first = [c for c in rows.columns if c not in (*_PARTS, *SPLIT_COLUMNS, "share_ratio")]
    sums = [pl.when(pl.col(c).null_count() == 0).then(exact_sum(c)).alias(c) for c in SPLIT_COLUMNS]
    once = parts.group_by(_PARTS, maintain_order=True).agg(pl.col(first).first(), *sums, exact_sum("share_ratio"))
    largest = pl.col("share_ratio").max().over("declaration_id")
    once = once.with_columns(_ambiguity=1.0 - largest)
    return pl.concat([rows.filter(~pl.col("_is_split")), once.select(rows.columns)])


def sub_flows_like(rows: pl.DataFrame, declarations: pl.DataFrame) -> pl.DataFrame:
    """Re-exports and domestic exports (flows RX and DX) of the declarations, converted as the exports that hold them.

    Args: rows as `gather_parts` returns them. Returns: flow_code, reporter_code, partner_code, product_code,
    product_level, hs_revision, value_usd of products. A sub-flow without exports of its own code and edition stays as
    filed.
    """
    is_part = (pl.col("account_reason") == "sub_flow") & pl.col("flow_code").is_in(["RX", "DX"])
    filed = declarations.lazy().filter(is_part & (pl.col("product_level") >= 2)).select(_SUB_FLOW).collect()
    code = ["reporter_code", "partner_code", "product_code", "hs_revision"]
    ways = rows.filter(pl.col("_is_split") & (pl.col("side") == "exporter")).select(
        *("reporter_code", "partner_code", "hs_revision", "share_ratio"),
        product_code="filed_code",
        _target="product_code",
        _level="product_level",
    )
    ways = ways.unique(subset=[*code, "_target"]).sort(*code, "_target")
    parts = filed.join(ways, on=code, how="left").with_columns(
        product_code=pl.coalesce("_target", "product_code"),
        product_level=pl.coalesce("_level", "product_level"),
        value_usd=pl.col("value_usd") * pl.col("share_ratio").fill_null(1.0),
    )
    return parts.select(_SUB_FLOW)


def with_editions(pairs: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Add hs_revision, is_edition_mismatch and hs_ambiguity_ratio of each pair.

    Two sides in one edition are compared as they stand, ambiguity 0. Otherwise the older edition names the pair, and
    its ambiguity is the mean over the rows that are not of the older edition, weighted by value: NULL where that of
    one is unknown. A pair of one side is a mismatch when it was converted, or when it may not be converted: its silent
    partner may have declared the same goods in another code.
    """
    x, m = pl.col("exporter_hs_revision"), pl.col("importer_hs_revision")
    mixed = pl.any_horizontal(pl.col(f"{s}_is_edition_mixed").fill_null(False) for s in ("exporter", "importer"))
    value = pl.col("value_usd")
    mean = exact_sum(value * pl.col("_ambiguity")) / exact_sum(value)
    known = (
        rows.filter("_is_weighed")
        .group_by("mirror_flow_id")
        .agg(
            _across=pl.col("_is_across").any(),
            _named_in=pl.col("_edition").min(),
            _ratio=pl.when(pl.col("_ambiguity").null_count() == 0).then(
                pl.when(exact_sum(value) > 0).then(mean).otherwise(pl.col("_ambiguity").max())
            ),
        )
    )
    pairs = pairs.join(known, on="mirror_flow_id", how="left", maintain_order="left")
    mismatch = (x != m).fill_null(False) | mixed | pl.col("_across").fill_null(False)
    return pairs.with_columns(
        hs_revision=pl.min_horizontal("exporter_hs_revision", "importer_hs_revision", "_named_in"),
        is_edition_mismatch=mismatch,
        hs_ambiguity_ratio=pl.when(~mismatch).then(0.0).otherwise(pl.col("_ratio").clip(0.0, 1.0)),
    ).drop("_across", "_named_in", "_ratio")
