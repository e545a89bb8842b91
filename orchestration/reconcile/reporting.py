"""Who reported: the difference between a partner that declared nothing and one that cannot be known.

Belongs here: which reporters speak in a period, on which side, and the five statuses that follow. Does not belong
here: which data sets are complete (the source contract says so), pairing itself.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from orchestration.reconcile.product_codes import chapter

TWO_SIDED = "two_sided"
STATUSES = (
    TWO_SIDED,
    "exporter_only_partner_nonreporting",
    "exporter_only_partner_silent",
    "importer_only_partner_nonreporting",
    "importer_only_partner_silent",
)
Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)
_FILED_ACCOUNTS = ("pair", "total", "special")
_NOT_FILED_REASONS = ("superseded_vintage", "non_hs_classification")


def flow_side() -> pl.Expr:
    """exporter or importer: the side of a flow or sub-flow (RX, DX, XIP ... are exports, RM, FM ... imports)."""
    return (
        pl.when(pl.col("flow_code").str.contains("X", literal=True))
        .then(pl.lit("exporter"))
        .otherwise(pl.lit("importer"))
    )


def filed_rows(declarations: Rows) -> Rows:
    """Declarations that stand as filed: not quarantined, not superseded, of the Harmonized System."""
    return declarations.filter(
        pl.col("account").is_in(_FILED_ACCOUNTS) & ~pl.col("account_reason").is_in(_NOT_FILED_REASONS).fill_null(False)
    )


def rolled_up_chapters(declarations: pl.DataFrame) -> pl.DataFrame:
    """Whether every row of a chapter was rolled up from months: (chapter_code, is_months_only), every chapter."""
    rows = filed_rows(declarations).filter(pl.col("product_level") >= 2)
    return (
        rows.group_by(chapter().alias("chapter_code"))
        .agg(pl.col("is_rolled_up").all().alias("is_months_only"))
        .sort("chapter_code")
    )


def months_only_chapters(declarations: pl.DataFrame) -> pl.DataFrame:
    """Chapters in which every row of the period was rolled up from months: (chapter_code, is_months_only).

    Empty where nothing was rolled up; a chapter that is absent does not rest on months.
    """
    if not declarations["is_rolled_up"].any():
        # Nothing was rolled up: no chapter rests on months, and none need be looked at.
        return pl.DataFrame(schema={"chapter_code": pl.String, "is_months_only": pl.Boolean})
    return rolled_up_chapters(declarations)


def spoken_sides(declarations: pl.DataFrame) -> pl.DataFrame:
    """What each reporter filed at all: (reporter_code, side, chapter_code), one row each."""
    rows = filed_rows(declarations.lazy()).select("reporter_code", side=flow_side(), chapter_code=chapter())
    return rows.unique().sort("reporter_code", "side", "chapter_code").collect()


def speakers(spoken: pl.DataFrame, completeness: pl.DataFrame, chapters: pl.DataFrame) -> pl.DataFrame:
    """Which reporters can be silent: (reporter_code, side, is_months_only).

    Args: spoken as `spoken_sides` returns it, of the whole period; chapters as `months_only_chapters` does. A reporter
    speaks on a side when its period is complete and it filed at least one row of that side: one that filed exports
    only may have imported anything. Chapters collected annually and chapters that rest on months alone are two
    collections; who takes part in one says nothing in the other: annual wood does not make a reporter silent about
    monthly fish.
    """
    complete = completeness.filter(pl.col("is_complete")).select("reporter_code").unique()
    scoped = spoken.join(chapters, on="chapter_code", how="left").select(
        "reporter_code", "side", pl.col("is_months_only").fill_null(False)
    )
    return scoped.unique().join(complete, on="reporter_code", how="semi").sort(scoped.columns)


def with_status(pairs: pl.DataFrame, speaking: pl.DataFrame, scope: str) -> pl.DataFrame:
    """Add the status of each pair (one of STATUSES) from who filed it and whether the partner speaks.

    Args: pairs with both codes and values and the column `scope`; speaking with reporter_code, side and `scope`: the
    partner must speak in the pair's own scope.
    """
    for side in ("exporter", "importer"):
        own = speaking.filter(pl.col("side") == side).select(
            pl.col("reporter_code").alias(f"{side}_code"), scope, pl.lit(True).alias(f"_{side}_speaks")
        )
        pairs = pairs.join(own.unique(), on=[f"{side}_code", scope], how="left")
    has_x, has_m = pl.col("exporter_value_usd").is_not_null(), pl.col("importer_value_usd").is_not_null()
    return pairs.with_columns(
        status=pl.when(has_x & has_m)
        .then(pl.lit(TWO_SIDED))
        .when(has_x & pl.col("_importer_speaks").fill_null(False))
        .then(pl.lit("exporter_only_partner_silent"))
        .when(has_x)
        .then(pl.lit("exporter_only_partner_nonreporting"))
        .when(pl.col("_exporter_speaks").fill_null(False))
        .then(pl.lit("importer_only_partner_silent"))
        .otherwise(pl.lit("importer_only_partner_nonreporting"))
    ).drop("_exporter_speaks", "_importer_speaks")
