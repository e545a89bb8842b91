"""Pairing: the exporter's and the importer's declaration of one flow, side by side.

Belongs here: orientation, the level at which both sides meet, joining the two sides. Does not belong here: who could
have reported (`reporting`), facts that travel with a pair (`pair_facts`), valuation and any judgement of the gap.
Nothing is averaged away: both sides stay in the row.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.reconcile.editions import gather_parts, onto_older_edition, sub_flows_like, with_editions
from orchestration.reconcile.pair_facts import with_memberships, with_reexports
from orchestration.reconcile.period_facts import PeriodFacts
from orchestration.reconcile.product_codes import at_level, chapter
from orchestration.reconcile.reporting import months_only_chapters, speakers, spoken_sides, with_status
from orchestration.reconcile.schema import (
    CORRIDOR,
    DECLARATIONS,
    PAIR_KEY,
    PAIRS,
    SOURCES,
    FrameError,
    conform,
    require,
)
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import exact_sum, exact_value

PAIRED_FLOWS = ("X", "M")
# Of the filed rows only this is looked at once both sides are added up; the rest is let go of.
_AFTER_SUMS = (
    *("declaration_id", "mirror_flow_id", "side", "share_ratio", "is_rolled_up", "value_usd"),
    *("reporter_code", "partner_code", "hs_revision", "filed_code", "product_code", "product_level"),
    *("_edition", "_ambiguity", "_is_weighed", "_is_across", "_is_split"),
)


@dataclass(frozen=True)
class PairResult:
    """Mirror pairs of one period, and which filed row stands in which pair."""

    pairs: pl.DataFrame
    sources: pl.DataFrame


def pair(
    declarations: pl.DataFrame,
    completeness: pl.DataFrame,
    tables: ReconcileTables,
    whole_period: PeriodFacts | None = None,
) -> PairResult:
    """Put the two declarations of every flow of one period side by side.

    Args: declarations after the source contract, of one period, optionally with is_rolled_up; completeness with
    reporter_code and is_complete (a reporter that is not complete counts as nonreporting: missing is not zero). Where
    the declarations are a slice of the period (all rows of some exporters, whoever filed them), whole_period holds
    the facts of all of it; the pairs of all slices are then those of the whole.
    Returns: pairs (schema PAIRS, one row per exporter, importer, product at the finest level both hold) and sources
    (schema SOURCES). Values in USD as filed, weights in kg. Raises FrameError when columns are missing, or when the
    rows to pair are of several periods, lack a key or value, are negative, or name one place at both ends. Source:
    reconciliation steps S2, S3, S5.
    """
    require(declarations, DECLARATIONS, "the declarations frame")
    require(completeness, ("reporter_code", "is_complete"), "the completeness frame")
    if "is_rolled_up" not in declarations.columns:
        declarations = declarations.with_columns(is_rolled_up=pl.lit(False))
    rows = declarations.filter((pl.col("account") == "pair") & pl.col("flow_code").is_in(PAIRED_FLOWS))
    _refuse_unpairable(rows)
    chapters = whole_period.chapters if whole_period else months_only_chapters(declarations)
    spoken = whole_period.spoken if whole_period else spoken_sides(declarations)
    values = whole_period.values if whole_period else None
    rows = gather_parts(_meeting_level(onto_older_edition(_orient(rows), tables, values)))
    sides = _sum_sides(rows)
    rows = rows.select(_AFTER_SUMS)
    facts = _join_sides(sides)
    del sides
    facts = facts.join(chapters, on="chapter_code", how="left").with_columns(pl.col("is_months_only").fill_null(False))
    facts = with_status(facts, speakers(spoken, completeness, chapters), "is_months_only")
    facts = with_reexports(facts, sub_flows_like(rows, declarations))
    facts = with_editions(facts, rows)
    facts = with_memberships(facts, tables)
    return PairResult(
        pairs=conform(facts, PAIRS, PAIR_KEY),
        sources=conform(
            rows.select("declaration_id", "mirror_flow_id", "side", "share_ratio", "is_rolled_up"),
            SOURCES,
            ("declaration_id", "mirror_flow_id"),
        ),
    )


def _refuse_unpairable(rows: pl.DataFrame) -> None:
    """Faults that would not fail but silently change a figure."""
    periods = rows.select("frequency", "period").unique().sort("frequency", "period")
    if periods.height > 1:
        raise FrameError(
            f"the declarations frame holds {periods.height} periods, the first two being {periods.rows()[:2]}; their "
            "values would be added to one flow; pass one period at a time"
        )
    key = ("reporter_code", "partner_code", "product_code", "product_level", "declaration_id")
    nulls = [c for c, n in rows.select(*key, "value_usd").null_count().row(0, named=True).items() if n]
    if nulls:
        raise FrameError(
            f"rows of the pair account have no {', '.join(nulls)}; a missing value would count as zero and a missing "
            "key joins nothing; quarantine such rows in the source contract"
        )
    if rows.filter(~(pl.col("value_usd") >= 0)).height:
        raise FrameError(
            "rows of the pair account have a negative value; it would cancel trade within a flow; quarantine such "
            "rows in the source contract"
        )
    if rows.filter(pl.col("reporter_code") == pl.col("partner_code")).height:
        raise FrameError(
            "rows of the pair account name one place as reporter and partner; goods that came back are no flow "
            "between two places; book them to the account special (self_trade) in the source contract"
        )


def _orient(rows: pl.DataFrame) -> pl.DataFrame:
    """Exporter and importer of each filed row, whoever reported it."""
    is_export = pl.col("flow_code") == "X"
    return rows.with_columns(
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
    if rows["product_level"].n_unique() > 1:
        rows = rows.with_columns(_level=_coarsest_level()).with_columns(
            product_code=pl.col("product_code").str.slice(0, pl.col("_level")), product_level="_level"
        )
    key = ("frequency", "period", "exporter_code", "importer_code", "product_code")
    return rows.with_columns(mirror_flow_id=pl.concat_str(*key, separator="-"))


def _coarsest_level() -> pl.Expr:
    """The level at which each row meets its mirror; where all rows are of one level it need not be asked."""
    level = pl.col("product_level")
    by_chapter = level.min().over(*CORRIDOR, chapter())
    by_heading = level.min().over(*CORRIDOR, at_level(4))
    return pl.when(by_chapter <= 2).then(by_chapter).otherwise(by_heading).cast(pl.Int64)


def _only_when_complete(column: str) -> pl.Expr:
    """Sum, or NULL when one part is missing: a partial sum would look like a small quantity."""
    return pl.when(pl.col(column).null_count() == 0).then(exact_sum(column))


def _single(column: str, several: str | None) -> pl.Expr:
    return pl.when(pl.col(column).n_unique() == 1).then(pl.col(column).first()).otherwise(pl.lit(several))


def _sum_sides(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per side and pair. Most are one row already: only the others are added up."""
    key = ["side", *PAIR_KEY]
    # By hash: two keys that met in one would only take the longer way, in which each is a group of its own.
    alone = ~pl.struct(key).hash().is_duplicated()
    rows = rows.with_columns(_alone=alone)
    one = rows.filter("_alone").select(
        *key,
        *_FIRST,
        # Taken through the same exact decimals, so that a single row and a sum of one row are the same number.
        *(exact_value(name) for name in ("value_usd", "quantity", "net_weight_kg", "cif_value_usd", "fob_value_usd")),
        pl.col("valuation_filed").alias("valuation"),
        "hs_revision",
        pl.lit(False).alias("is_edition_mixed"),
        "quantity_unit_code",
        pl.col("is_net_weight_estimated").fill_null(False).alias("is_weight_estimated"),
        pl.lit(1, dtype=pl.Int64).alias("declaration_count"),
        "declaration_id",
        "is_rolled_up",
        pl.col("is_confidential").fill_null(False),
    )
    several = rows.filter(~pl.col("_alone"))
    if several.is_empty():
        return one
    return pl.concat([one, _added(several, key).select(one.columns)])


_FIRST = ("mirror_flow_id", "frequency", "period", "period_start", "product_level", "exporter_iso3", "importer_iso3")


def _added(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Sums of several rows of one side of a pair."""
    # Sorted first: which of several rows comes first must not depend on their order.
    ordered = rows.sort(*key, "declaration_id")
    return ordered.group_by(key, maintain_order=True).agg(
        pl.col(_FIRST).first(),
        exact_sum("value_usd"),
        _single("valuation_filed", "mixed").alias("valuation"),
        pl.col("hs_revision").min(),
        (pl.col("hs_revision").n_unique() > 1).alias("is_edition_mixed"),
        pl.when((pl.col("quantity_unit_code").n_unique() == 1) & (pl.col("quantity").null_count() == 0))
        .then(exact_sum("quantity"))
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
        chapter_code=chapter(),
        is_rolled_up=pl.any_horizontal(pl.col(f"{s}_is_rolled_up").fill_null(False) for s in halves),
        is_confidential=pl.any_horizontal(pl.col(f"{s}_is_confidential").fill_null(False) for s in halves),
    )
