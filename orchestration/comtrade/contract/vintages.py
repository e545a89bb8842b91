"""Which delivery of a data set is current.

Belongs here: superseding of older deliveries, and withdrawal of what a newer version of a data set lacks. Does not
belong here: measuring what changed (`revisions`), or how precedence and wholeness are found (release dates, row counts:
the caller's).
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.schema import PRECEDENCE, VERSION_FACTS, ContractError, conform

CELL = ("frequency", "period", "reporter_code", "product_code")


def rank_deliveries(frame: pl.DataFrame, precedence: pl.DataFrame) -> pl.DataFrame:
    """Adds `_rank` (Int64, higher is newer; equal precedence is settled by delivery_id), `_data_set` and `_is_whole`.

    `_data_set` is NULL for a delivery that is no version of one data set. Raises ContractError when a delivery has no
    precedence or several, or is whole without a data set.
    """
    ranks = conform(precedence, PRECEDENCE, "precedences of deliveries", optional=VERSION_FACTS)
    if ranks["delivery_id"].is_duplicated().any():
        raise ContractError(
            "a delivery has more than one precedence; which vintage is current would be chance; "
            "hand over one row per delivery_id"
        )
    nameless = ranks.filter(pl.col("is_whole") & pl.col("data_set").is_null())["delivery_id"].sort().to_list()
    if nameless:
        raise ContractError(
            f"delivery {', '.join(map(str, nameless))} is called whole but no data set is named; whose rows it "
            "withdraws would be a guess; name its data_set, or leave is_whole NULL"
        )
    ranks = ranks.sort("precedence", "delivery_id").select(
        "delivery_id",
        pl.int_range(pl.len()).alias("_rank"),
        pl.col("data_set").alias("_data_set"),
        pl.col("is_whole").fill_null(False).alias("_is_whole"),
    )
    frame = frame.join(ranks, on="delivery_id", how="left", maintain_order="left")
    unranked = frame.filter(pl.col("_rank").is_null())["delivery_id"].unique().sort().to_list()
    if unranked:
        raise ContractError(
            f"delivery {', '.join(map(str, unranked))} has no precedence; two vintages would be added up; "
            "give every delivery of the period a precedence"
        )
    return frame


def mark_superseded(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `_is_superseded` and `_withdrawn_by` (Int64, the rank of the version that withdrew the row, else NULL).

    A row is superseded when a newer delivery holds the same reporter and product in the same period; one of which
    nothing could be understood does not supersede one that could. It is also superseded when it was withdrawn: a newer
    whole version of its own data set has no row of that product. A download, or a version that lacks rows it should
    have, withdraws nothing: what it lacks may have been left out on the way.
    """
    if frame["_rank"].n_unique() <= 1:
        return frame.with_columns(
            pl.lit(False).alias("_is_superseded"), pl.lit(None, dtype=pl.Int64).alias("_withdrawn_by")
        )
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
    frame = frame.join(
        _withdrawals(frame), on=[*CELL, "_rank"], how="left", maintain_order="left", nulls_equal=True
    ).with_columns(pl.when(pl.col("_is_hs")).then("_withdrawn_by"))
    is_replaced = (pl.col("_rank") < pl.col("_best")).fill_null(False)
    superseded = pl.col("_is_hs") & (is_replaced | pl.col("_withdrawn_by").is_not_null())
    return frame.with_columns(superseded.alias("_is_superseded")).drop("_best")


def _withdrawals(frame: pl.DataFrame) -> pl.DataFrame:
    """Cells of versions that a later whole version of the same data set lacks: CELL, `_rank`, `_withdrawn_by`.

    The first version that lacks a cell withdraws it; when a still later one has it again, that one's rows count.
    """
    versions = frame.select("_data_set", "_rank").unique().drop_nulls("_data_set")
    # Most data sets have one version: the cells of the others alone are worth looking at.
    several = versions.filter(pl.col("_data_set").is_duplicated()).select("_data_set").unique()
    held = frame.filter("_is_hs").join(several, on="_data_set", how="semi").group_by("_data_set", "_rank", *CELL)
    cells = held.agg(pl.col("_is_whole").first(), pl.col("_counts").any())
    judged = cells.group_by("_data_set", "_rank").agg(
        pl.col("_is_whole").first(),
        pl.col("_counts").any(),
        # A row whose product could not be read may be of any product: nothing is known to be lacking.
        pl.col("product_code").is_not_null().all().alias("_is_readable"),
    )
    withdrawing = judged.filter("_is_whole", "_counts", "_is_readable").select("_data_set", _withdrawn_by="_rank")
    candidates = cells.join(withdrawing, on="_data_set").filter(pl.col("_rank") < pl.col("_withdrawn_by"))
    lacking = candidates.join(
        cells.select("_data_set", *CELL, _withdrawn_by="_rank"),
        on=["_data_set", *CELL, "_withdrawn_by"],
        how="anti",
        nulls_equal=True,
    )
    return lacking.group_by(*CELL, "_rank").agg(pl.col("_withdrawn_by").min())
