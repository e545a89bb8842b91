"""Rows that break a key out by customs procedure, transport, second partner or mode of supply.

Belongs here: which of these rows carry the key's value once. Does not belong here: product levels (`levels`).
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract import tables as codes
from orchestration.comtrade.contract.tables import ContractTables

GROUP = ("delivery_id", "frequency", "period", "reporter_code", "flow_code", "partner_code", "product_code")
# In the order in which a breakdown is preferred when several have equally many dimensions.
_DIMENSIONS = (
    ("mot_code", codes.TOTAL_TRANSPORT),
    ("customs_code", codes.TOTAL_CUSTOMS),
    ("partner2_code", codes.WORLD_CODE),
    ("mos_code", codes.TOTAL_MODE_OF_SUPPLY),
)
_ONE_MORE_DIMENSION = 1 << len(_DIMENSIONS)


def choose_breakdown(frame: pl.DataFrame, tables: ContractTables) -> pl.DataFrame:
    """Adds `_counts` (the row carries value of its key) and `_is_summed` (it does so as one part of several).

    Only understood HS rows count. A row with the total of every dimension stands for its key; without one, the
    pattern with the fewest dimensions broken out is summed. Within a pattern a mode of transport whose wider
    mode is also filed is inside it and does not count.
    """
    frame = frame.with_columns(_pattern().alias("_pattern"))
    open_row = pl.col("_reason").is_null() & pl.col("_is_hs")
    if not frame.select((open_row & (pl.col("_pattern") > 0)).any()).item():
        return frame.with_columns(open_row.alias("_counts"), pl.lit(False).alias("_is_summed"))
    simplest = pl.when(open_row).then("_pattern").min().over(GROUP)
    frame = frame.with_columns((open_row & (pl.col("_pattern") == simplest)).fill_null(False).alias("_counts"))
    inside = _inside_wider_mode(frame.filter(pl.col("_counts")), tables)
    frame = frame.with_columns((pl.col("_counts") & ~pl.col("declaration_id").is_in(inside.implode())).alias("_counts"))
    return frame.with_columns((pl.col("_counts") & (pl.col("_pattern") > 0)).alias("_is_summed"))


def _pattern() -> pl.Expr:
    """0 for the full total; else ordered by the number of dimensions broken out, then by preference."""
    broken = [(pl.col(column) != total).cast(pl.Int32) for column, total in _DIMENSIONS]
    return pl.sum_horizontal(flag * (_ONE_MORE_DIMENSION + (1 << bit)) for bit, flag in enumerate(broken))


def _inside_wider_mode(rows: pl.DataFrame, tables: ContractTables) -> pl.Series:
    cell = [*GROUP, "customs_code", "partner2_code", "mos_code"]
    children = rows.filter(pl.col("mot_code") != codes.TOTAL_TRANSPORT).join(
        tables.transport_ancestors(), on="mot_code"
    )
    present = rows.select(*cell, ancestor_code="mot_code")
    return children.join(present, on=[*cell, "ancestor_code"], how="semi")["declaration_id"].unique().sort()
