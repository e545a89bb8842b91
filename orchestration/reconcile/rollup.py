"""A year from its twelve months, only where the annual set is absent.

Belongs here: choosing what is rolled up and relabelling the months. Does not belong here: adding values, which pairing
does anyway. Monthly and annual sets overlap and are never added.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.reporting import filed_rows, flow_side
from orchestration.reconcile.schema import DECLARATIONS, FrameError, require

MONTHS_IN_A_YEAR = 12


def roll_up_year(annual: pl.DataFrame, months: pl.DataFrame, year: int) -> pl.DataFrame:
    """The declarations of one year: annual rows, and months where the annual set is absent and all twelve are there.

    Args: annual and months are declarations after the source contract (any accounts); months may be empty.
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
    filed, by_month = filed_rows(annual), filed_rows(months)
    complete = (
        by_month.group_by("reporter_code", flow_side().alias("_side"))
        .agg(pl.col("period").n_unique().alias("_month_count"))
        .filter(pl.col("_month_count") == MONTHS_IN_A_YEAR)
        .select("reporter_code", "_side")
    )
    annual_chapters = filed.filter(pl.col("product_level") >= 2).select(_chapter()).unique()
    annual_reporters = filed.select("reporter_code", _files_annually=pl.lit(True)).unique()
    rolled = (
        by_month.with_columns(_chapter(), flow_side().alias("_side"))
        .join(complete, on=["reporter_code", "_side"], how="semi")
        .join(annual_chapters.with_columns(_is_annual=pl.lit(True)), on="_chapter", how="left")
        .join(annual_reporters, on="reporter_code", how="left")
        .filter(~(pl.col("_is_annual").fill_null(False) & pl.col("_files_annually").fill_null(False)))
        .with_columns(
            frequency=pl.lit("A"),
            period=pl.lit(str(year)),
            period_start=pl.date(year, 1, 1),
            is_rolled_up=pl.lit(True),
        )
    )
    kept = annual.with_columns(is_rolled_up=pl.lit(False))
    return pl.concat([kept, rolled.select(kept.columns)])


def _chapter() -> pl.Expr:
    return pl.col("product_code").str.slice(0, 2).alias("_chapter")
