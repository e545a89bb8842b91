"""Codes as numbers: the place of each value among sorted names.

Belongs here: that one look-up, which needs no join. Does not belong here: what the numbers stand for.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

Column = TypeVar("Column", pl.Expr, pl.Series)


def place_among(names: pl.Series, values: Column, *, strict: bool = False) -> Column:
    """Place (Int64) of each value among sorted names without repetition; NULL for a value that is none of them.

    Raises polars.exceptions.InvalidOperationError for such a value where `strict`.
    """
    return values.cast(pl.Enum(names), strict=strict).to_physical().cast(pl.Int64)
