"""Pairing: the exporter's and the importer's declaration of one flow, side by side.

Belongs here: orientation, the level at which both sides meet, the five statuses, facts that travel with a pair.
Does not belong here: valuation and any judgement of the gap. Nothing is averaged away: both sides stay in the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.reconcile.schema import (
    CORRIDOR,
    DECLARATIONS,
    PAIR_KEY,
    PAIRS,
    SOURCES,
    conform,
    require,
)
from orchestration.reconcile.tables import ReconcileTables

TWO_SIDED = "two_sided"
STATUSES = (
    TWO_SIDED,
    "exporter_only_partner_nonreporting",
    "exporter_only_partner_silent",
    "importer_only_partner_nonreporting",
    "importer_only_partner_silent",
)


@dataclass(frozen=True)
class PairResult:
    """Mirror pairs of one period, and which filed row stands in which pair."""

    pairs: pl.DataFrame
    sources: pl.DataFrame


def pair(declarations: pl.DataFrame, completeness: pl.DataFrame, tables: ReconcileTables) -> PairResult:
    """Put the two declarations of every flow of one period side by side.

    Args: declarations after the source contract, of one period, optionally with is_rolled_up; completeness with
    reporter_code and is_complete (a reporter that is not complete counts as nonreporting: missing is not zero).
    Returns: pairs (schema PAIRS, one row per exporter, importer, product at the finest level both hold) and sources
    (schema SOURCES). Raises FrameError when columns are missing. Source: reconciliation steps S2, S3, S5.
    """
    require(declarations, DECLARATIONS, "the declarations frame")
    require(completeness, ("reporter_code", "is_complete"), "the completeness frame")
    rows = _meeting_level(_orient(declarations))
    sides = _sum_sides(rows)
    joined = _join_sides(sides)
    facts = with_status(joined, completeness)
    facts = _with_reexports(facts, declarations)
    facts = _with_editions(facts)
    facts = _with_memberships(facts, tables)
    return PairResult(
        pairs=conform(facts, PAIRS, PAIR_KEY),
        sources=conform(_sources(rows), SOURCES, ("declaration_id", "mirror_flow_id")),
    )


def _orient(declarations: pl.DataFrame) -> pl.DataFrame:
    """Exporter and importer of each filed row, whoever reported it."""
    if "is_rolled_up" not in declarations.columns:
        declarations = declarations.with_columns(is_rolled_up=pl.lit(False))
    is_export = pl.col("flow_code") == "X"
    return declarations.filter((pl.col("account") == "pair") & pl.col("flow_code").is_in(["X", "M"])).with_columns(
        side=pl.when(is_export).then(pl.lit("exporter")).otherwise(pl.lit("importer")),
        exporter_code=pl.when(is_export).then("reporter_code").otherwise("partner_code"),
        exporter_iso3=pl.when(is_export).then("reporter_iso3").otherwise("partner_iso3"),
        importer_code=pl.when(is_export).then("partner_code").otherwise("reporter_code"),
        importer_iso3=pl.when(is_export).then("partner_iso3").otherwise("reporter_iso3"),
    )


def _meeting_level(rows: pl.DataFrame) -> pl.DataFrame:
    """Cut product codes to the finest level that both sides of the corridor hold.

    Where one side holds only the chapter or the heading, the finer side is summed to it.
    """
    chapter, heading = pl.col("product_code").str.slice(0, 2), pl.col("product_code").str.slice(0, 4)
    rows = rows.with_columns(_chapter=chapter, _heading=heading)
    rows = rows.with_columns(
        _chapter_level=pl.col("product_level").min().over(*CORRIDOR, "_chapter"),
        _heading_level=pl.col("product_level").min().over(*CORRIDOR, "_heading"),
    )
    level = pl.when(pl.col("_chapter_level") <= 2).then(pl.col("_chapter_level")).otherwise("_heading_level")
    return rows.with_columns(_level=level.cast(pl.Int64)).with_columns(
        product_code=pl.col("product_code").str.slice(0, pl.col("_level")),
        product_level=pl.col("_level"),
        mirror_flow_id=pl.concat_str(
            "frequency",
            "period",
            "exporter_code",
            "importer_code",
            pl.col("product_code").str.slice(0, pl.col("_level")),
            separator="-",
        ),
    )


def _only_when_complete(column: str) -> pl.Expr:
    """Sum, or NULL when one part is missing: a partial sum would look like a small quantity."""
    return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).sum())


def _single(column: str, several: str | None) -> pl.Expr:
    return pl.when(pl.col(column).n_unique() == 1).then(pl.col(column).first()).otherwise(pl.lit(several))


def _sum_sides(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per side and pair."""
    # Sorted first: a floating sum depends on the order of its terms, and row order must not matter.
    ordered = rows.sort("side", *PAIR_KEY, "declaration_id")
    return ordered.group_by("side", *PAIR_KEY, maintain_order=True).agg(
        pl.col("mirror_flow_id", "frequency", "period", "period_start", "product_level").first(),
        pl.col("exporter_iso3", "importer_iso3").first(),
        pl.col("value_usd").sum(),
        _single("valuation_filed", "mixed").alias("valuation"),
        pl.col("hs_revision").min(),
        (pl.col("hs_revision").n_unique() > 1).alias("is_edition_mixed"),
        pl.when((pl.col("quantity_unit_code").n_unique() == 1) & (pl.col("quantity").null_count() == 0))
        .then(pl.col("quantity").sum())
        .alias("quantity"),
        _single("quantity_unit_code", None).alias("quantity_unit_code"),
        _only_when_complete("net_weight_kg").alias("net_weight_kg"),
        pl.col("is_net_weight_estimated").fill_null(False).any().alias("is_weight_estimated"),
        pl.len().cast(pl.Int64).alias("declaration_count"),
        pl.when(pl.len() == 1).then(pl.col("declaration_id").first()).alias("declaration_id"),
        _only_when_complete("cif_value_usd").alias("cif_value_usd"),
        _only_when_complete("fob_value_usd").alias("fob_value_usd"),
        pl.col("is_rolled_up").any(),
        pl.col("is_confidential").fill_null(False).any(),
    )


_SHARED = (
    "mirror_flow_id",
    "frequency",
    "period",
    "period_start",
    "product_level",
    "exporter_iso3",
    "importer_iso3",
)


def _join_sides(sides: pl.DataFrame) -> pl.DataFrame:
    own = [c for c in sides.columns if c not in ("side", *PAIR_KEY)]
    halves = {
        side: sides.filter(pl.col("side") == side).drop("side").rename({c: f"{side}_{c}" for c in own})
        for side in ("exporter", "importer")
    }
    both = halves["exporter"].join(halves["importer"], on=list(PAIR_KEY), how="full", coalesce=True)
    return both.with_columns(pl.coalesce(f"exporter_{c}", f"importer_{c}").alias(c) for c in _SHARED).with_columns(
        chapter_code=pl.col("product_code").str.slice(0, 2),
        is_rolled_up=pl.any_horizontal(pl.col(f"{s}_is_rolled_up").fill_null(False) for s in halves),
        is_confidential=pl.any_horizontal(pl.col(f"{s}_is_confidential").fill_null(False) for s in halves),
    )


def with_status(pairs: pl.DataFrame, completeness: pl.DataFrame) -> pl.DataFrame:
    """Add the status of each pair (one of STATUSES) from who filed it and whose partner is complete."""
    complete = completeness.filter(pl.col("is_complete")).select("reporter_code").unique()
    known = complete.with_columns(reports=pl.lit(True))
    pairs = pairs.join(
        known.rename({"reporter_code": "exporter_code", "reports": "_x"}), on="exporter_code", how="left"
    )
    pairs = pairs.join(
        known.rename({"reporter_code": "importer_code", "reports": "_m"}), on="importer_code", how="left"
    )
    has_x, has_m = pl.col("exporter_value_usd").is_not_null(), pl.col("importer_value_usd").is_not_null()
    return pairs.with_columns(
        status=pl.when(has_x & has_m)
        .then(pl.lit(TWO_SIDED))
        .when(has_x & pl.col("_m").fill_null(False))
        .then(pl.lit("exporter_only_partner_silent"))
        .when(has_x)
        .then(pl.lit("exporter_only_partner_nonreporting"))
        .when(pl.col("_x").fill_null(False))
        .then(pl.lit("importer_only_partner_silent"))
        .otherwise(pl.lit("importer_only_partner_nonreporting"))
    )


def _sub_flow(declarations: pl.DataFrame, flow: str, name: str) -> pl.DataFrame:
    """Value of one sub-flow per exporter, importer and product at levels 6, 4 and 2, finest rows only."""
    rows = declarations.filter(
        (pl.col("flow_code") == flow) & (pl.col("account_reason") == "sub_flow") & (pl.col("product_level") >= 2)
    ).select(
        exporter_code="reporter_code",
        importer_code="partner_code",
        product_code="product_code",
        product_level="product_level",
        value="value_usd",
    )
    finest = pl.col("product_level").max().over(*CORRIDOR, pl.col("product_code").str.slice(0, 2))
    rows = rows.filter(pl.col("product_level") == finest)
    cut = [
        rows.filter(pl.col("product_level") >= n).with_columns(pl.col("product_code").str.slice(0, n))
        for n in (2, 4, 6)
    ]
    return (
        pl.concat(cut)
        .sort(*PAIR_KEY, "value")
        .group_by(PAIR_KEY, maintain_order=True)
        .agg(pl.col("value").sum().alias(name))
    )


def _with_reexports(pairs: pl.DataFrame, declarations: pl.DataFrame) -> pl.DataFrame:
    """RX is inside X: a share of it, never added to it."""
    for flow, name in (("RX", "reexport_usd"), ("DX", "_domestic")):
        pairs = pairs.join(_sub_flow(declarations, flow, name), on=list(PAIR_KEY), how="left")
    exported, again = pl.col("exporter_value_usd"), pl.col("reexport_usd")
    return pairs.with_columns(
        reexport_usd=pl.when(exported.is_not_null()).then(again),
        reexport_share_ratio=pl.when(exported > 0).then(again / exported),
        domestic_export_usd=pl.when(exported.is_not_null()).then(
            pl.coalesce("_domestic", (exported - again.fill_null(0.0)).clip(lower_bound=0.0))
        ),
    )


def _with_editions(pairs: pl.DataFrame) -> pl.DataFrame:
    """Two sides in one edition are compared as they stand; otherwise the older edition names the pair.

    The ambiguity of a mismatch is unknown here (NULL), never zero.
    """
    x, m = pl.col("exporter_hs_revision"), pl.col("importer_hs_revision")
    mixed = pl.any_horizontal(pl.col(f"{s}_is_edition_mixed").fill_null(False) for s in ("exporter", "importer"))
    mismatch = ((x != m).fill_null(False)) | mixed
    return pairs.with_columns(
        hs_revision=pl.min_horizontal("exporter_hs_revision", "importer_hs_revision"),
        is_edition_mismatch=mismatch,
        hs_ambiguity_ratio=pl.when(~mismatch).then(pl.lit(0.0)),
    )


def _with_memberships(pairs: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """Inside the Eurasian Economic Union at the date; left out of every fit by the leave-out rule."""
    union = tables.place_roles.filter(pl.col("role") == "eaeu").select("place_code", "valid_from", "valid_to")
    for side in ("exporter", "importer"):
        named = union.rename({"valid_from": f"_{side}_from", "valid_to": f"_{side}_to"})
        pairs = pairs.join(named, left_on=f"{side}_code", right_on="place_code", how="left")
    inside = [
        (pl.col(f"_{s}_from") <= pl.col("period_start"))
        & (pl.col(f"_{s}_to").is_null() | (pl.col(f"_{s}_to") >= pl.col("period_start")))
        for s in ("exporter", "importer")
    ]
    watched = tables.watched_products().with_columns(_watched=pl.lit(True))
    return (
        pairs.join(watched, on="product_code", how="left")
        .join(_suspect_corridors(pairs, tables), on=list(CORRIDOR), how="left")
        .with_columns(
            is_intra_eaeu=pl.all_horizontal(inside).fill_null(False),
            is_left_out=pl.col("_watched").fill_null(False) | pl.col("_suspect").fill_null(False),
        )
    )


def _suspect_corridors(pairs: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """Corridors of this period that the table leaves out; an empty end means any place."""
    corridors = pairs.select(*CORRIDOR, "period_start").unique()
    rules = tables.corridors_left_out.select(
        rule_exporter="exporter_code",
        rule_importer="importer_code",
        rule_from="valid_from",
        rule_to="valid_to",
    )
    matched = corridors.join(rules, how="cross").filter(
        (pl.col("rule_exporter").is_null() | (pl.col("rule_exporter") == pl.col("exporter_code")))
        & (pl.col("rule_importer").is_null() | (pl.col("rule_importer") == pl.col("importer_code")))
        & (pl.col("rule_from") <= pl.col("period_start"))
        & (pl.col("rule_to").is_null() | (pl.col("rule_to") >= pl.col("period_start")))
    )
    return matched.select(*CORRIDOR).unique().with_columns(_suspect=pl.lit(True))


def _sources(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("declaration_id", "mirror_flow_id", "side", "is_rolled_up")
