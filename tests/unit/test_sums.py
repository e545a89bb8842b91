"""Sums do not depend on the order of the rows, nor on which thread came first.

Belongs here: the helper. Does not belong here: the sums the contract and the reconciliation make with it.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from orchestration.sums import LARGEST_AMOUNT, amount, count_where, exact_sum, is_amount


@pytest.fixture(scope="module")
def amounts() -> pl.DataFrame:
    rng = np.random.default_rng(20240101)
    return pl.DataFrame({"group": rng.integers(0, 3, 400_000), "amount": rng.lognormal(10.0, 3.0, 400_000)})


def _sums(frame: pl.DataFrame, total: pl.Expr) -> bytes:
    return frame.group_by("group").agg(total).sort("group")["amount"].to_numpy().tobytes()


def test_a_grouped_sum_is_the_same_to_the_last_bit_when_rows_come_in_other_orders_and_in_pieces(
    amounts: pl.DataFrame,
) -> None:
    orders = [amounts.sample(fraction=1.0, shuffle=True, seed=seed) for seed in range(5)]
    pieces = pl.concat([amounts.gather_every(8, start) for start in range(8)], rechunk=False)
    assert len({_sums(frame, exact_sum("amount")) for frame in (amounts, *orders, pieces)}) == 1
    # What the helper is for: the plain sum does differ.
    assert len({_sums(frame, pl.col("amount").sum()) for frame in (amounts, *orders, pieces)}) > 1


def test_a_sum_is_the_number_itself_when_one_row_is_added() -> None:
    values = [0.0, 0.01, 1.5, 12_345_678_901.23, 987_654_321_012.0, -7.25]
    frame = pl.DataFrame({"group": range(len(values)), "amount": values})
    assert frame.group_by("group", maintain_order=True).agg(exact_sum("amount"))["amount"].to_list() == values


def test_a_sum_is_nought_when_there_is_nothing_to_add() -> None:
    frame = pl.DataFrame({"amount": [None, None]}, schema={"amount": pl.Float64})
    assert frame.select(exact_sum("amount")).item() == 0.0
    assert frame.clear().select(exact_sum("amount")).item() == 0.0


def test_tenths_add_up_to_a_whole_when_doubles_would_not() -> None:
    assert pl.DataFrame({"amount": [0.1] * 10}).select(exact_sum("amount")).item() == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, LARGEST_AMOUNT, -1e33])
def test_a_number_is_no_amount_when_nothing_could_be_that_large(value: float) -> None:
    frame = pl.DataFrame({"amount": [value, 2.0, None]})
    assert frame.select(is_amount("amount")).to_series().to_list() == [False, True, None]
    assert frame.select(amount("amount")).to_series().to_list() == [None, 2.0, None]
    assert frame.select(exact_sum(amount("amount"))).item() == 2.0


def test_a_sum_is_refused_when_a_number_is_not_finite() -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError):
        pl.DataFrame({"amount": [math.nan, 1.0]}).select(exact_sum("amount"))


def test_a_count_leaves_out_what_is_unknown_when_a_condition_is_null() -> None:
    frame = pl.DataFrame({"flag": [True, None, False, True]})
    assert frame.select(count_where(pl.col("flag"))).item() == 2
