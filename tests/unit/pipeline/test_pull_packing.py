"""Requests of a pull cover what is wanted, once, and stay near the fewest calls there can be."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import ceil

import pytest

from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.packing import cost, pack
from orchestration.comtrade.api.requests import DataSet, Version


def world(seed: int, reporters: int, years: int, share: float, median_rows: int) -> list[Version]:
    """Months and years of reporters, some missing, their sizes spread as those of real reporters are."""
    draw = random.Random(seed)
    periods = [("A", str(2010 + year)) for year in range(years)]
    periods += [("M", f"{2010 + year}{month:02d}") for year in range(years) for month in range(1, 13)]
    return [
        Version(DataSet("C", frequency, period, f"{4 * reporter + 4:03d}", "H4"), "1", rows, None, None)
        for frequency, period in periods
        for reporter in range(reporters)
        if draw.random() < share and (rows := 1 + int(median_rows * draw.lognormvariate(0.0, 1.0)))
    ]


def cells(versions: list[Version]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for version in versions:
        found[version.data_set.frequency, version.data_set.reporter_code, version.data_set.period] += version.row_count
    return found


@pytest.mark.parametrize("cap", [200, 2_000, 100_000])
@pytest.mark.parametrize("landed_share", [0.0, 0.3, 0.95])
def test_every_wanted_cell_is_asked_for_once_and_no_landed_one_when_packed(cap: int, landed_share: float) -> None:
    available = world(seed=1, reporters=30, years=3, share=0.8, median_rows=60)
    draw = random.Random(2)
    landed = [version for version in available if draw.random() < landed_share]
    wanted = [version for version in available if version not in set(landed)]
    limits = replace(Limits(), rows_a_call=cap)
    sizes = cells(available)
    asked: Counter[tuple[str, str, str]] = Counter()
    for request in pack(wanted, landed, limits):
        own = [(request.frequency, r, p) for r in request.reporters for p in request.periods]
        held = [cell for cell in own if cell in sizes]
        asked.update(held)
        assert len(request.periods) <= limits.periods_a_call
        assert sum(sizes[cell] for cell in held) < cap or len(own) == 1
    assert asked == Counter(dict.fromkeys(cells(wanted), 1))


@pytest.mark.parametrize(("cap", "most"), [(100_000, 1.0), (5_000, 1.1), (1_000, 1.1)])
def test_calls_stay_near_the_volume_of_rows_when_all_is_new(cap: int, most: float) -> None:
    wanted = world(seed=3, reporters=50, years=4, share=0.9, median_rows=50)
    limits = replace(Limits(), rows_a_call=cap)
    bound = 0
    for frequency, periods in (("A", 4), ("M", 48)):
        rows = sum(version.row_count for version in wanted if version.data_set.frequency == frequency)
        bound += max(ceil(rows / (cap - 1)), ceil(periods / limits.periods_a_call))
    assert cost(wanted, pack(wanted, [], limits), limits, 500).calls <= most * bound


def test_requests_are_the_same_whatever_the_order_of_the_versions() -> None:
    wanted = world(seed=4, reporters=20, years=2, share=0.7, median_rows=80)
    limits = replace(Limits(), rows_a_call=700)
    shuffled = wanted.copy()
    random.Random(5).shuffle(shuffled)
    assert pack(shuffled, [], limits) == pack(wanted, [], limits)


def test_no_address_is_too_long_when_addresses_are_short() -> None:
    wanted = world(seed=6, reporters=60, years=1, share=1.0, median_rows=5)
    limits = replace(Limits(), address_characters=400)
    requests = pack(wanted, [], limits)
    assert max(len(request.query) for request in requests) <= 400 - 100
    assert (
        len({cell for r in requests for cell in ((r.frequency, c, p) for c in r.reporters for p in r.periods)}) == 780
    )
