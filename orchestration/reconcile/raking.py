"""Raking: the flows of a corridor scaled to what both sides say the corridor was worth in all.

Belongs here: the target of a corridor, whether it may be used, the scaled column beside the reconciled one. Does not
belong here: control totals themselves (`totals`), the reconciled value, which raking never touches.

A total is often published where products are hidden, late or coarse, and then knows more than the sum of the products.
It is also often of another collection, another day or another valuation. So raking is an alternative column, made only
where the products cover the total well, and what the scaling closes stands beside it as the residual.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.schema import CORRIDOR, MIRROR_FLOWS, MIRROR_TOTALS, PAIR_KEY, conform, require
from orchestration.sums import exact_sum

TOTAL = "TOTAL"
# Products that cover less of a side's total are not the trade that the total counts.
LEAST_COVERAGE_RATIO = 0.9
# A scaling beyond these is no rounding of a corridor but another collection.
RATIO_BOUNDS = (0.5, 2.0)
RAKED, NO_FLOWS, COVERAGE_TOO_LOW, RATIO_OUT_OF_BOUNDS = "raked", "no_flows", "coverage_too_low", "ratio_out_of_bounds"
RAKING_STATUSES = (RAKED, NO_FLOWS, COVERAGE_TOO_LOW, RATIO_OUT_OF_BOUNDS)


def rake_totals(totals: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Add to each corridor's TOTAL what its flows add up to, the target, the residual, the ratio and the status.

    Args: totals (schema MIRROR_TOTALS), flows (schema MIRROR_FLOWS) of the same period. Returns: schema MIRROR_TOTALS.
    raking_target_fob_usd is the geometric mean of both sides' totals, or the only one there is;
    flows_mean_fob_usd the sum of reconciled_mean_fob_usd; raking_residual_fob_usd target minus sum; raking_ratio
    target over sum, NULL unless raking_status is `raked`. A side counts as covered when at least
    LEAST_COVERAGE_RATIO of its total is there in products; every side that gave a total must be. NULL on rows of
    chapters and headings. Source: reconciliation step S9; Deming and Stephan (1940) for one margin.
    """
    require(totals, tuple(name for name in MIRROR_TOTALS if name not in RAKING_COLUMNS), "the totals frame")
    require(flows, (*PAIR_KEY, "reconciled_mean_fob_usd"), "the flows frame")
    summed = flows.group_by(CORRIDOR).agg(flows_mean_fob_usd=exact_sum("reconciled_mean_fob_usd"))
    rows = totals.drop(RAKING_COLUMNS, strict=False).join(summed, on=list(CORRIDOR), how="left")
    x, m = pl.col("exporter_fob_usd"), pl.col("importer_fob_usd")
    target = pl.when((x > 0) & (m > 0)).then((x * m).sqrt()).otherwise(pl.coalesce(x, m))
    covered = pl.all_horizontal(
        pl.col(f"{side}_value_usd").is_null() | (pl.col(f"{side}_coverage_ratio") >= LEAST_COVERAGE_RATIO)
        for side in ("exporter", "importer")
    ).fill_null(False)
    total = pl.col("flows_mean_fob_usd")
    ratio = target / total
    status = (
        pl.when(total.is_null() | (total <= 0))
        .then(pl.lit(NO_FLOWS))
        .when(~covered)
        .then(pl.lit(COVERAGE_TOO_LOW))
        .when(ratio.is_between(*RATIO_BOUNDS).fill_null(False))
        .then(pl.lit(RAKED))
        .otherwise(pl.lit(RATIO_OUT_OF_BOUNDS))
    )
    rows = rows.with_columns(raking_target_fob_usd=target, raking_status=status).with_columns(
        raking_residual_fob_usd=pl.col("raking_target_fob_usd") - total.fill_null(0.0),
        raking_ratio=pl.when(pl.col("raking_status") == RAKED).then(ratio),
    )
    is_total = pl.col("product_code") == TOTAL
    rows = rows.with_columns(pl.when(is_total).then(pl.col(name)).alias(name) for name in RAKING_COLUMNS)
    return conform(rows, MIRROR_TOTALS, PAIR_KEY)


RAKING_COLUMNS = (
    "flows_mean_fob_usd",
    "raking_target_fob_usd",
    "raking_residual_fob_usd",
    "raking_ratio",
    "raking_status",
)


def rake_flows(flows: pl.DataFrame, totals: pl.DataFrame) -> pl.DataFrame:
    """Add raked_fob_usd: reconciled_mean_fob_usd times the corridor's ratio; NULL where the corridor is not raked.

    Args: flows (schema MIRROR_FLOWS), totals as `rake_totals` returns them. The raked flows of a corridor add up to
    its target.
    """
    ratios = totals.filter((pl.col("product_code") == TOTAL) & (pl.col("raking_status") == RAKED))
    rows = flows.drop("raked_fob_usd", strict=False).join(
        ratios.select(*CORRIDOR, "raking_ratio"), on=list(CORRIDOR), how="left", maintain_order="left"
    )
    raked = pl.col("reconciled_mean_fob_usd") * pl.col("raking_ratio")
    return conform(rows.with_columns(raked_fob_usd=raked), MIRROR_FLOWS, PAIR_KEY)
