"""Control totals beside the sum of their parts.

Belongs here: World rows, TOTAL and coarser product rows, and how much of each the finer rows carry. Does not
belong here: mirroring totals between two reporters (`reconcile`).
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.accounts import is_part
from orchestration.comtrade.contract.schema import CONTROL_TOTALS, ORDER, conform
from orchestration.comtrade.contract.tables import WORLD_CODE
from orchestration.sums import exact_sum

_SET = ("frequency", "period", "reporter_code", "flow_code")
_KEY = (*_SET, "partner_code", "product_code")


def control_totals(declarations: pl.DataFrame) -> pl.DataFrame:
    """One row per control total (schema CONTROL_TOTALS, USD): its filed value, its parts and their ratio.

    Parts are the finest rows under the product code with the same partner (World: with any partner). Where a
    total was itself filed as a breakdown its rows are summed and declaration_id is NULL.
    """
    totals = declarations.filter(pl.col("account") == "total")
    summed = totals.group_by(_KEY, maintain_order=True).agg(
        pl.col("period_start", "reporter_iso3", "partner_iso3", "product_level").first(),
        _only("hs_revision"),
        exact_sum("value_usd").alias("control_value_usd"),
        _only("declaration_id"),
    )
    with_parts = summed.join(_parts(declarations), on=_KEY, how="left", maintain_order="left").with_columns(
        pl.col("parts_value_usd").fill_null(0.0)
    )
    control = pl.col("control_value_usd")
    ratio = pl.when(control != 0).then(pl.col("parts_value_usd") / control)
    frame = with_parts.with_columns(ratio.alias("coverage_ratio"))
    return conform(frame, CONTROL_TOTALS, "control totals").sort(ORDER["control_totals"])


def _only(column: str) -> pl.Expr:
    return pl.when(pl.col(column).n_unique() == 1).then(pl.col(column).first()).alias(column)


def _parts(declarations: pl.DataFrame) -> pl.DataFrame:
    """Value of the parts under every product prefix, by partner and for World."""
    parts = declarations.filter(is_part() & pl.col("product_level").is_not_null())
    value = exact_sum("value_usd").alias("parts_value_usd")
    frames = []
    for level in (0, 2, 4, 6):
        prefix = pl.lit("TOTAL") if level == 0 else pl.col("product_code").str.slice(0, level)
        under = parts.filter(pl.col("product_level") >= level).with_columns(prefix.alias("product_code"))
        frames.append(under.group_by(_KEY, maintain_order=True).agg(value))
        world = under.with_columns(pl.lit(WORLD_CODE).alias("partner_code"))
        frames.append(world.group_by(_KEY, maintain_order=True).agg(value))
    return pl.concat(frames)
