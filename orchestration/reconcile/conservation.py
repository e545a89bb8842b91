"""Conservation: every declared dollar that goes into pairing comes out of it.

Belongs here: the account of one period. Does not belong here: deciding whether a difference is too large.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.schema import DECLARATIONS, PAIRS, require
from orchestration.sums import exact_sum


def account_of_pairs(declarations: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Per reporter and side: value declared in account `pair` and value that stands in the pairs, both in USD.

    Returns: reporter_code, side, declared_value_usd, paired_value_usd, difference_usd; sorted. The two agree but for
    rounding of floating sums.
    """
    require(declarations, DECLARATIONS, "the declarations frame")
    require(pairs, PAIRS, "the pairs frame")
    declared = (
        declarations.filter((pl.col("account") == "pair") & pl.col("flow_code").is_in(["X", "M"]))
        .with_columns(side=pl.col("flow_code").replace_strict({"X": "exporter", "M": "importer"}))
        .group_by("reporter_code", "side")
        .agg(exact_sum("value_usd").alias("declared_value_usd"))
    )
    paired = pl.concat(
        pairs.filter(pl.col(f"{side}_value_usd").is_not_null())
        .group_by(pl.col(f"{side}_code").alias("reporter_code"))
        .agg(exact_sum(f"{side}_value_usd").alias("paired_value_usd"))
        .with_columns(side=pl.lit(side))
        for side in ("exporter", "importer")
    )
    both = declared.join(paired, on=["reporter_code", "side"], how="full", coalesce=True)
    return (
        both.with_columns(pl.col("declared_value_usd", "paired_value_usd").fill_null(0.0))
        .with_columns(difference_usd=pl.col("declared_value_usd") - pl.col("paired_value_usd"))
        .select("reporter_code", "side", "declared_value_usd", "paired_value_usd", "difference_usd")
        .sort("reporter_code", "side")
    )
