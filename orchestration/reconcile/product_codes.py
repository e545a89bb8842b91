"""What a product code of the Harmonized System says by its digits: chapter, heading.

Belongs here: cutting codes. Does not belong here: links between codes of two editions (`edition_links`), which level
two sides meet at (`pair`).
"""

from __future__ import annotations

import polars as pl


def at_level(level: int, column: str = "product_code") -> pl.Expr:
    """The code cut to its first `level` digits, as text; a shorter code stays."""
    return pl.col(column).str.slice(0, level)


def chapter(column: str = "product_code") -> pl.Expr:
    """The chapter (two digits, as text) of a product code."""
    return at_level(2, column)
