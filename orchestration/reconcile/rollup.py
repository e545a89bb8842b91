"""A year from its twelve months, only where the annual set is absent.

Belongs here: choosing what is rolled up and relabelling the months. Does not belong here: adding values, which pairing
does anyway. Monthly and annual sets overlap and are never added.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.product_codes import chapter
from orchestration.reconcile.reporting import filed_rows, flow_side
from orchestration.reconcile.schema import DECLARATIONS, FrameError, require

MONTHS_IN_A_YEAR = 12


def months_filed(months: pl.LazyFrame) -> pl.LazyFrame:
    """Which months each reporter filed on each side: (reporter_code, side, period), one row each."""
    return filed_rows(months).select("reporter_code", "period", side=flow_side()).unique()


def can_roll_up(annual: pl.LazyFrame) -> pl.Expr:
    """Rows of months that may stand in the year: their reporter, or their chapter, has no annual set."""
    filed = filed_rows(annual).select("reporter_code", "product_level", chapter_code=chapter()).unique().collect()
    chapters = filed.filter(pl.col("product_level") >= 2)["chapter_code"].unique().sort()
    reporters = filed["reporter_code"].unique().sort()
    return ~(pl.col("reporter_code").is_in(reporters.implode()) & chapter().is_in(chapters.implode()))


def complete_sides(filed_months: pl.DataFrame) -> pl.DataFrame:
    """Sides of which all twelve months were filed: (reporter_code, side), from what `months_filed` gives."""
    return (
        filed_months.group_by("reporter_code", "side")
        .agg(pl.col("period").n_unique().alias("_month_count"))
        .filter(pl.col("_month_count") == MONTHS_IN_A_YEAR)
        .select("reporter_code", "side")
    )


def as_year(months: pl.DataFrame, rollable: pl.Expr, complete: pl.DataFrame, year: int) -> pl.DataFrame:
    """Rows of months that stand in the year, relabelled as rows of it, with is_rolled_up.

    Args: months of that year, the rule of `can_roll_up`, the sides of `complete_sides`.
    """
    return (
        filed_rows(months)
        .filter(rollable)
        .with_columns(side=flow_side())
        .join(complete, on=["reporter_code", "side"], how="semi", maintain_order="left")
        .with_columns(
            frequency=pl.lit("A"),
            period=pl.lit(str(year)),
            period_start=pl.date(year, 1, 1),
            is_rolled_up=pl.lit(True),
        )
        .select(*months.columns, "is_rolled_up")
    )


def roll_up_year(
    annual: pl.DataFrame, months: pl.DataFrame, year: int, filed_months: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The declarations of one year: annual rows, and months where the annual set is absent and all twelve are there.

    Args: annual and months are declarations after the source contract (any accounts); months may be empty, and may
    hold only the rows of `can_roll_up` when `filed_months` (as `months_filed` gives it, of all rows) stands beside.
    Returns: the same columns plus is_rolled_up (Boolean). A rolled-up row keeps its declaration_id, so that the
    year leads back to the filed months; its period is the year.

    Twelve months are asked of each side (exports, imports) by itself: three absent months of imports are missing, not
    zero. The annual set is absent for a reporter that filed none, and for everyone in the chapters that nobody filed
    annually: a collection of annual wood says nothing about fish. A chapter that is collected annually never takes
    months from a reporter of annual sets. Raises FrameError when a column is missing or a month lies outside the year.
    """
    require(annual, DECLARATIONS, "the annual frame")
    require(months, DECLARATIONS, "the monthly frame")
    if months.filter(pl.col("period").str.slice(0, 4) != str(year)).height:
        raise FrameError(
            f"the monthly frame holds months outside {year}; they would be added to the wrong year; "
            "pass the months of that year only"
        )
    kept = annual.with_columns(is_rolled_up=pl.lit(False))
    if months.is_empty():
        return kept
    presence = months_filed(months.lazy()).collect() if filed_months is None else filed_months
    return pl.concat([kept, as_year(months, can_roll_up(annual.lazy()), complete_sides(presence), year)])
