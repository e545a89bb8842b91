"""What each reporter filed in a period, and how much of it can be used.

Belongs here: the coverage table and the completeness of a reporter's year. Does not belong here: thresholds.
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.accounts import is_part
from orchestration.comtrade.contract.schema import COMPLETENESS, COVERAGE, ORDER, PRESENCE, conform
from orchestration.comtrade.contract.tables import TOTAL_PRODUCT, WORLD_CODE
from orchestration.sums import exact_sum

_SET = ("frequency", "period", "reporter_code", "flow_code")
_MONTHS_IN_A_YEAR = 12


def reporter_coverage(declarations: pl.DataFrame) -> pl.DataFrame:
    """One row per reporter, flow (X and M, both always) and period; schema COVERAGE, USD.

    special_value_usd is the whole account, superseded rows included; the shares are of the value filed at the
    finest level. Rows of an unknown reporter or flow stand in the account balance only. is_complete and
    months_reported_count are NULL until `with_completeness`.
    """
    known = declarations.filter(
        pl.col("reporter_iso3").is_not_null()
        & (pl.col("reporter_code") != WORLD_CODE)
        & pl.col("period_start").is_not_null()
    )
    reporters = known.group_by(_SET[:3], maintain_order=True).agg(pl.col("period_start", "reporter_iso3").first())
    grid = reporters.join(pl.DataFrame({"flow_code": ["X", "M"]}), how="cross")
    filed = known.group_by(_SET, maintain_order=True).agg(_measures())
    frame = grid.join(filed, on=_SET, how="left", maintain_order="left").with_columns(
        pl.col("declaration_count").fill_null(0),
        pl.col("is_reporting").fill_null(False),
        pl.col("^.*_value_usd$").fill_null(0.0),
        pl.col("^_.*$").fill_null(0.0),
    )
    frame = frame.with_columns(*_shares(), is_complete=None, months_reported_count=None)
    return conform(frame, COVERAGE, "coverage rows").sort(ORDER["coverage"])


def _measures() -> list[pl.Expr]:
    value, account = pl.col("value_usd"), pl.col("account")
    world_total = (pl.col("product_code") == TOTAL_PRODUCT) & (pl.col("partner_code") == WORLD_CODE)
    filed_total = value.filter((account == "total") & world_total)
    current = (account != "quarantine") & ~pl.col("account_reason").is_in(
        ["superseded_vintage", "non_hs_classification"]
    )
    return [
        pl.len().cast(pl.Int64).alias("declaration_count"),
        exact_sum(value.filter(account == "pair")).alias("pair_value_usd"),
        exact_sum(value.filter(account == "special")).alias("special_value_usd"),
        exact_sum(value.filter(account == "quarantine")).alias("quarantine_value_usd"),
        exact_sum(value.filter(is_part())).alias("_parts"),
        exact_sum(value.abs().filter(account == "quarantine")).alias("_quarantined"),
        exact_sum(value.filter(is_part() & pl.col("is_confidential"))).alias("confidential_value_usd"),
        pl.when(filed_total.len() > 0).then(exact_sum(filed_total)).alias("control_total_usd"),
        current.any().alias("is_reporting"),
    ]


def _shares() -> list[pl.Expr]:
    parts, control = pl.col("_parts"), pl.col("control_total_usd")
    filed = parts + pl.col("_quarantined")
    return [
        pl.when(control != 0).then(parts / control).alias("coverage_ratio"),
        pl.when(parts > 0).then(pl.col("confidential_value_usd") / parts).alias("confidential_share_ratio"),
        pl.when(filed > 0).then(pl.col("_quarantined") / filed).alias("quarantine_share_ratio"),
    ]


def reported_presence(coverage: pl.DataFrame) -> pl.DataFrame:
    """Who reported which period (schema PRESENCE): a month of quarantined or superseded rows alone was not reported."""
    rows = conform(coverage, COVERAGE, "coverage rows").filter(pl.col("is_reporting"))
    return conform(rows.unique(_SET[:3]), PRESENCE, "rows of presence").sort(_SET[:3])


def year_completeness(presence: pl.DataFrame) -> pl.DataFrame:
    """Which reporter-years are complete: an annual set is there, or all twelve months are (schema COMPLETENESS).

    `presence` has one row (or more) per frequency, period and reporter_code that filed. months_reported_count
    counts months of the monthly set only.
    """
    rows = conform(presence, PRESENCE, "rows of presence")
    is_month = pl.col("frequency") == "M"
    years = rows.group_by("reporter_code", pl.col("period").str.slice(0, 4).cast(pl.Int64).alias("year")).agg(
        pl.col("period").filter(is_month).n_unique().cast(pl.Int64).alias("months_reported_count"),
        (pl.col("frequency") == "A").any().alias("has_annual_set"),
    )
    complete = pl.col("has_annual_set") | (pl.col("months_reported_count") >= _MONTHS_IN_A_YEAR)
    years = years.with_columns(complete.alias("is_complete"))
    return conform(years, COMPLETENESS, "rows of completeness").sort("reporter_code", "year")


def with_completeness(coverage: pl.DataFrame, completeness: pl.DataFrame) -> pl.DataFrame:
    """`coverage` with is_complete and months_reported_count filled.

    An annual row is complete when its reporter-year is; its months are 12 when the annual set is there, else
    those of the monthly set. A monthly row is complete when the reporter filed that month at all, in either
    flow: the month is then the whole of its period; its months are those of the year.
    """
    keys = ["reporter_code", "_year"]
    years = conform(completeness, COMPLETENESS, "rows of completeness").select(
        "reporter_code",
        pl.col("year").alias("_year"),
        pl.col("months_reported_count").alias("_months"),
        pl.col("has_annual_set").alias("_annual"),
        pl.col("is_complete").alias("_complete"),
    )
    frame = conform(coverage, COVERAGE, "coverage rows")
    frame = frame.with_columns(pl.col("period").str.slice(0, 4).cast(pl.Int64).alias("_year"))
    frame = frame.join(years, on=keys, how="left", maintain_order="left")
    is_annual = pl.col("frequency") == "A"
    month_filed = pl.col("is_reporting").any().over(_SET[:3])
    months = pl.when(is_annual & pl.col("_annual")).then(pl.lit(_MONTHS_IN_A_YEAR)).otherwise(pl.col("_months"))
    frame = frame.with_columns(
        pl.when(is_annual).then(pl.col("_complete").fill_null(False)).otherwise(month_filed).alias("is_complete"),
        months.fill_null(0).alias("months_reported_count"),
    )
    return conform(frame, COVERAGE, "coverage rows").sort(ORDER["coverage"])
