"""Packing: every wanted data set in one request, none that has landed, none that would be cut off or too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.comtrade.api.client import ADDRESS
from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.packing import PullCost, cost, pack
from orchestration.comtrade.api.requests import DataRequest, Version
from tests.unit.comtrade.api.api_answers import PLAIN_ROW, answer_body, version

REPORTERS = ("004", "056", "156", "276", "398", "643", "842")
PERIODS = ("2019", "2020", "2021", "2022", "202201", "202202", "202203", "202204")


@st.composite
def available(draw: st.DrawFn) -> list[Version]:
    """Some data sets of these reporters and periods, a few with two editions in one period."""
    cells = draw(st.lists(st.sampled_from(sorted(product(REPORTERS, PERIODS))), min_size=1, unique=True))
    found = [version(*cell, row_count=draw(st.integers(1, 120))) for cell in cells]
    twice = draw(st.lists(st.sampled_from(cells), max_size=3, unique=True))
    return found + [version(*cell, row_count=draw(st.integers(1, 40)), edition="H5") for cell in twice]


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Limits so small that every one of them is met."""
    return Limits(
        rows_a_call=draw(st.integers(2, 300)),
        periods_a_call=draw(st.integers(1, 4)),
        address_characters=draw(st.integers(240, 270)),
    )


def cells_of(request: DataRequest) -> list[tuple[str, str, str]]:
    """Frequency, reporter and period of every combination that a request asks for."""
    return [(request.frequency, r, p) for r in request.reporters for p in request.periods]


def cell_of(one: Version) -> tuple[str, str, str]:
    return one.data_set.frequency, one.data_set.reporter_code, one.data_set.period


def asked_for(requests: Sequence[DataRequest]) -> Counter[tuple[str, str, str]]:
    return Counter(cell for request in requests for cell in cells_of(request))


@given(available(), limits(), st.data())
def test_requests_keep_every_promise_when_any_part_of_what_is_available_has_landed(
    versions: list[Version], limits: Limits, data: st.DataObject
) -> None:
    landed = data.draw(st.lists(st.sampled_from(versions), unique=True))
    wanted = [one for one in versions if one not in landed]
    requests = pack(wanted, landed, limits)
    asked, wanted_cells = asked_for(requests), {cell_of(one) for one in wanted}
    assert all(asked[cell] == 1 for cell in wanted_cells)
    # A cell that holds nothing costs nothing; one that has landed must not be transferred again.
    assert not [one for one in landed if cell_of(one) in asked and cell_of(one) not in wanted_cells]
    sizes = Counter[tuple[str, str, str]]()
    for one in versions:
        sizes[cell_of(one)] += one.row_count
    for request in requests:
        cells = cells_of(request)
        assert wanted_cells & set(cells)
        assert sum(sizes[cell] for cell in cells) < limits.rows_a_call or len(cells) == 1
        assert len(request.periods) <= limits.periods_a_call
        assert len(f"{ADDRESS}/data/v1/get/{request.path}?{request.query}") <= limits.address_characters
        assert {len(period) for period in request.periods} == {4 if request.frequency == "A" else 6}
    assert requests == pack(wanted[::-1], landed[::-1], limits)


def test_one_request_asks_for_all_when_everything_fits_into_it() -> None:
    wanted = [version(r, p) for r in REPORTERS for p in ("2021", "2022")]
    (request,) = pack(wanted, [], Limits())
    assert (request.reporters, request.periods) == (REPORTERS, ("2021", "2022"))
    assert (request.path, request.products, request.partners) == ("C/A/HS", None, None)


def test_a_request_stays_one_row_below_the_cap_when_it_is_filled() -> None:
    wanted = [version(r, "2022", row_count=50) for r in REPORTERS[:2]]
    assert len(pack(wanted, [], Limits(rows_a_call=101))) == 1
    assert len(pack(wanted, [], Limits(rows_a_call=100))) == 2


def test_a_data_set_stands_alone_when_it_does_not_fit_into_a_call() -> None:
    wanted = [version("156", "2021", 500), version("156", "2022", 5), version("056", "2021", 5)]
    requests = pack(wanted, [], Limits(rows_a_call=100))
    assert ("156",) in [one.reporters for one in requests if one.periods == ("2021",)]
    assert asked_for(requests) == {("A", "156", "2021"): 1, ("A", "156", "2022"): 1, ("A", "056", "2021"): 1}


def test_a_landed_data_set_is_left_out_when_it_lies_between_wanted_ones() -> None:
    wanted = [version("056", "2021"), version("156", "2022")]
    landed = [version("056", "2022"), version("156", "2021")]
    assert len(pack(wanted, landed, Limits())) == 2
    assert len(pack(wanted, [], Limits())) == 1


def test_rows_of_a_landed_edition_count_when_they_come_with_a_wanted_one() -> None:
    """A call names no edition: what has landed of the same reporter and period comes again and fills the answer."""
    wanted = [version("156", "2021", 60), version("156", "2022", 30)]
    landed = [version("156", "2022", 30, edition="H5")]
    assert len(pack(wanted, [], Limits(rows_a_call=100))) == 1
    assert len(pack(wanted, landed, Limits(rows_a_call=100))) == 2


def test_calls_come_near_the_fewest_possible_when_many_reporters_file_for_many_months() -> None:
    """250 reporters and 24 months of like size; the address holds them all."""
    months = [f"{year}{month:02d}" for year in (2021, 2022) for month in range(1, 13)]
    wanted = [version(f"{r:03d}", p, row_count=700 + (37 * r) % 600) for r in range(100, 350) for p in months]
    limits = Limits()
    requests = pack(wanted, [], limits)
    fewest = sum(one.row_count for one in wanted) / (limits.rows_a_call - 1)
    assert set(asked_for(requests).values()) == {1}
    assert fewest <= len(requests) <= 1.15 * fewest + 2


@pytest.mark.parametrize("characters", [500, 900, 4_096])
def test_every_address_fits_when_more_reporters_file_than_one_can_name(characters: int) -> None:
    wanted = [version(f"{r:03d}", "2022", row_count=1) for r in range(100, 999)]
    limits = Limits(address_characters=characters)
    requests = pack(wanted, [], limits)
    lengths = [len(f"{ADDRESS}/data/v1/get/{request.path}?{request.query}") for request in requests]
    assert max(lengths) <= characters
    assert set(asked_for(requests).values()) == {1}
    # Most of the room is used, or all reporters fit into one address.
    assert len(requests) == 1 or max(lengths) > characters - 200


def test_nothing_is_asked_for_when_all_has_landed() -> None:
    landed = [version("156", "2022")]
    assert pack([], landed, Limits()) == []
    assert cost([], [], Limits(), 500) == PullCost(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("calls_left", "days"),
    [(500, 1), (3, 1), (2, 2), (1, 2), (0, 2)],
)
def test_days_of_quota_are_counted_when_some_calls_of_today_are_left(calls_left: int, days: int) -> None:
    wanted = [version(r, "2022", row_count=60) for r in REPORTERS[:3]]
    limits = Limits(rows_a_call=100, calls_a_day=2)
    found = cost(wanted, pack(wanted, [], limits), limits, calls_left)
    assert (found.data_sets, found.rows, found.calls, found.days) == (3, 180, 3, days)


def test_a_large_data_set_costs_as_many_calls_as_its_rows_need() -> None:
    wanted = [version("156", "2022", row_count=991)]
    limits = Limits(rows_a_call=100)
    assert cost(wanted, pack(wanted, [], limits), limits, 500).calls == 11
    assert cost(wanted, pack(wanted, [], limits), replace(limits, rows_a_call=992), 500).calls == 1


def test_bytes_are_near_those_of_real_rows_when_the_transfer_is_estimated() -> None:
    wanted = [version("156", "2022", row_count=100)]
    estimated = cost(wanted, pack(wanted, [], Limits()), Limits(), 500).bytes_about
    assert 0.7 < len(answer_body(*[PLAIN_ROW] * 100)) / estimated < 1.3
