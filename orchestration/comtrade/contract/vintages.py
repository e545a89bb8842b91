"""Which delivery of a data set is current.

Belongs here: superseding of older deliveries. Does not belong here: measuring what changed (`revisions`) or how
precedence is found (release dates, row counts: the caller's).
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.schema import PRECEDENCE, ContractError, conform

CELL = ("frequency", "period", "reporter_code", "product_code")


def rank_deliveries(frame: pl.DataFrame, precedence: pl.DataFrame) -> pl.DataFrame:
    """Adds `_rank` (Int64, higher is newer; equal precedence is settled by delivery_id).

    Raises ContractError when a delivery has no precedence or several.
    """
    ranks = conform(precedence, PRECEDENCE, "precedences of deliveries")
    if ranks["delivery_id"].is_duplicated().any():
        raise ContractError(
            "a delivery has more than one precedence; which vintage is current would be chance; "
            "hand over one row per delivery_id"
        )
    ranks = ranks.sort("precedence", "delivery_id").with_columns(pl.int_range(pl.len()).alias("_rank"))
    frame = frame.join(ranks.select("delivery_id", "_rank"), on="delivery_id", how="left", maintain_order="left")
    unranked = frame.filter(pl.col("_rank").is_null())["delivery_id"].unique().sort().to_list()
    if unranked:
        raise ContractError(
            f"delivery {', '.join(map(str, unranked))} has no precedence; two vintages would be added up; "
            "give every delivery of the period a precedence"
        )
    return frame


def mark_superseded(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `_is_superseded`: a newer delivery holds the same reporter and product in the same period.

    A delivery of which nothing could be understood does not supersede one that could.
    """
    if frame["_rank"].n_unique() <= 1:
        return frame.with_columns(pl.lit(False).alias("_is_superseded"))
    counts_first = pl.col("_counts").cast(pl.Int64)
    best = (
        frame.filter(pl.col("_is_hs"))
        .group_by(*CELL, "_rank")
        .agg(counts_first.max().alias("_usable"))
        .sort("_usable", "_rank", descending=True)
        .group_by(CELL, maintain_order=True)
        .agg(pl.col("_rank").first().alias("_best"))
    )
    frame = frame.join(best, on=CELL, how="left", maintain_order="left", nulls_equal=True)
    superseded = pl.col("_is_hs") & (pl.col("_rank") < pl.col("_best"))
    return frame.with_columns(superseded.fill_null(False).alias("_is_superseded")).drop("_best")
