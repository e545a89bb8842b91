"""One row per key within a delivery.

Belongs here: what to do when one delivery files a key twice. Does not belong here: two deliveries of the same
data (`vintages`), or rows that break a key out by another dimension (`breakdowns`).
"""

from __future__ import annotations

import polars as pl

from orchestration.sums import count_where

KEY = (
    "delivery_id",
    "frequency",
    "period",
    "reporter_code",
    "flow_code",
    "partner_code",
    "product_code",
    "customs_code",
    "mot_code",
    "partner2_code",
    "mos_code",
)


def set_duplicates_aside(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill `_reason` with duplicate_row or conflicting_duplicate where an understood HS row repeats a key.

    The same key with the same value counts once: the row in the original classification, else the first line,
    stays. The same key with several values: the only one in the original classification stays, the others are
    conflicting; without exactly one such row all are, since nothing says which is right.
    """
    open_rows = frame.filter(pl.col("_reason").is_null() & pl.col("_is_hs"))
    repeated = open_rows.filter(open_rows.select(KEY).is_duplicated())
    if repeated.is_empty():
        return frame
    found = _judge(repeated).filter(pl.col("_duplicate").is_not_null())
    frame = frame.join(found, on="declaration_id", how="left", maintain_order="left")
    is_new = pl.col("_duplicate").is_not_null()
    value = pl.col("primaryValue").cast(pl.String)
    return frame.with_columns(
        pl.coalesce("_reason", "_duplicate").alias("_reason"),
        pl.when(is_new).then(pl.lit("primaryValue")).otherwise("quarantine_field").alias("quarantine_field"),
        pl.when(is_new).then(value).otherwise("quarantine_value").alias("quarantine_value"),
    ).drop("_duplicate")


def _judge(repeated: pl.DataFrame) -> pl.DataFrame:
    """declaration_id and `_duplicate` (NULL: the row stays) of rows that share a key."""
    original = pl.col("isOriginalClassification").fill_null(False)
    rows = repeated.with_columns(original.alias("_original")).sort(
        "_original", "source_line", descending=[True, False], maintain_order=True
    )
    rows = rows.with_columns(pl.int_range(pl.len()).over(*KEY, "value_usd").gt(0).alias("_again"))
    first = ~pl.col("_again")
    rivals = count_where(first).over(KEY)
    originals = count_where(first & pl.col("_original")).over(KEY)
    wins = (rivals == 1) | ((originals == 1) & pl.col("_original"))
    return rows.select(
        "declaration_id",
        pl.when(pl.col("_again"))
        .then(pl.lit("duplicate_row"))
        .when(~wins)
        .then(pl.lit("conflicting_duplicate"))
        .alias("_duplicate"),
    )
