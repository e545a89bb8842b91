"""Sums that are the same to the last bit whatever the order of the rows.

Belongs here: adding amounts of money and quantity in Polars. Does not belong here: what is added, or the same rule in
SQL (`exact_sum` in dbt_project/macros/portable.sql).

Polars adds doubles per thread and joins the threads as they finish: the same frame summed twice may differ in the last
bit, `maintain_order` or not, and one bit is another release. Decimals with six places add exactly in any order.
"""

from __future__ import annotations

import polars as pl

# A million times the world's yearly trade in USD. Far beyond what anybody can declare, and far below what thirty-two
# digits before the point can add up.
LARGEST_AMOUNT = 1e18
_EXACT = pl.Decimal(38, 6)


def is_amount(column: str) -> pl.Expr:
    """True where a double can be money or a quantity: finite and below LARGEST_AMOUNT in size; NULL where it is."""
    return pl.col(column).is_finite() & (pl.col(column).abs() < LARGEST_AMOUNT)


def amount(column: str) -> pl.Expr:
    """The column where it can be money or a quantity, NULL elsewhere."""
    return pl.when(is_amount(column)).then(pl.col(column)).alias(column)


def exact_sum(amount: str | pl.Expr) -> pl.Expr:
    """Sum of a column of amounts, named as the column, counted to a millionth of its unit; 0 of no rows.

    Raises polars.exceptions.InvalidOperationError for NaN and infinity: `is_amount` says which rows may be added.
    """
    column = pl.col(amount) if isinstance(amount, str) else amount
    return column.cast(_EXACT).sum().cast(pl.Float64)


def exact_total(amount: str | pl.Expr) -> pl.Expr:
    """As `exact_sum`, but kept as a decimal: totals of parts add up to the total of the whole, digit for digit."""
    column = pl.col(amount) if isinstance(amount, str) else amount
    return column.cast(_EXACT).sum()


def exact_value(amount: str) -> pl.Expr:
    """The column as `exact_sum` counts a single row: to a millionth of its unit; NULL stays NULL.

    Raises polars.exceptions.InvalidOperationError for NaN and infinity.
    """
    return pl.col(amount).cast(_EXACT).cast(pl.Float64)


def count_where(condition: pl.Expr) -> pl.Expr:
    """Number of rows for which a condition holds."""
    return condition.cast(pl.Int64).sum()
