"""A year from its twelve months, only where the annual set is absent.

Belongs here: choosing which reporters are rolled up and relabelling their months. Does not belong here: adding
values, which pairing does anyway. Monthly and annual sets overlap and are never added.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.schema import DECLARATIONS, require

MONTHS_IN_A_YEAR = 12


def roll_up_year(annual: pl.DataFrame, months: pl.DataFrame, year: int) -> pl.DataFrame:
    """The declarations of one year: annual rows, and months of reporters that filed all twelve but no year.

    Args: annual and months are declarations after the source contract (any accounts); months may be empty.
    Returns: the same columns plus is_rolled_up (Boolean). A rolled-up row keeps its declaration_id, so that the
    year leads back to the filed months; its period is the year.
    Source: a year counts only when complete; missing is never zero.
    """
    require(annual, DECLARATIONS, "the annual frame")
    require(months, DECLARATIONS, "the monthly frame")
    filed = annual.select("reporter_code").unique()
    counted = ["pair", "total", "special"]
    complete = (
        months.filter(pl.col("account").is_in(counted))
        .group_by("reporter_code")
        .agg(pl.col("period").n_unique().alias("month_count"))
        .filter(pl.col("month_count") == MONTHS_IN_A_YEAR)
        .join(filed, on="reporter_code", how="anti")
        .select("reporter_code")
    )
    rolled = months.join(complete, on="reporter_code", how="semi").with_columns(
        frequency=pl.lit("A"),
        period=pl.lit(str(year)),
        period_start=pl.date(year, 1, 1),
        is_rolled_up=pl.lit(True),
    )
    kept = annual.with_columns(is_rolled_up=pl.lit(False))
    return pl.concat([kept, rolled.select(kept.columns)])
