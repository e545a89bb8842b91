"""Product levels: a coarser row beside its own finer rows is a control total.

Belongs here: finding such rows. Does not belong here: comparing them with their parts (`totals`).
"""

from __future__ import annotations

import polars as pl

CORRIDOR = ("frequency", "period", "reporter_code", "flow_code", "partner_code")


def mark_coarser(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `_is_coarser`: current rows of a finer level stand under this row's code in the same corridor.

    A set filed at HS4 only has no finer rows and stays as it is.
    """
    current = frame.filter(pl.col("_counts") & ~pl.col("_is_superseded"))
    covered = pl.concat(
        [
            current.filter(pl.col("product_level") > level)
            .select(*CORRIDOR, pl.col("product_code").str.slice(0, level))
            .unique()
            for level in (2, 4)
        ]
    )
    covered = covered.with_columns(pl.lit(True).alias("_is_coarser"))
    frame = frame.join(covered, on=[*CORRIDOR, "product_code"], how="left", maintain_order="left")
    return frame.with_columns(pl.col("_is_coarser").fill_null(False))
