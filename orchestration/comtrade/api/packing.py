"""Which requests a pull makes: several data sets in one call, none that has landed, none that would be cut off.

Belongs here: packing, and what a pull costs before it starts. Does not belong here: sending requests.

A request names reporters and periods, and the API answers with all their combinations. Data sets are therefore packed
into rectangles of reporters x periods: a combination that is not available costs nothing, one that has landed already
must not be in it, and the rows of all of it must stay below the most a call may have.

How: periods are cut into windows of neighbours. Within a window a reporter's data sets form a strip, and strips are put
into the fullest rectangle that takes them, the largest first. Wide windows make few rectangles of many small data sets,
narrow ones waste less room at their ends; which windows together need the fewest calls is worked out from the first
period on, among those that begin at a multiple of their width (all others would take six times as long and hardly ever
save a call). `python -m bench.pull calls` compares the outcome with a bound that nothing can beat.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import NamedTuple

from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.requests import DataRequest, Version

SEARCH_CODE = "HS"
# Room that the rest of an address takes: server, path, names of parameters.
_ADDRESS_ROOM = 200
_BYTES_A_ROW = 900
_CHARACTERS_A_REPORTER, _CHARACTERS_A_PERIOD = 4, 7
Cell = tuple[str, str]
"""(reporter, period) of one frequency."""


@dataclass(frozen=True)
class PullCost:
    """What a pull takes: data sets, rows, calls at best, days of quota, bytes to transfer (about)."""

    data_sets: int
    rows: int
    calls: int
    days: int
    bytes_about: int


class _Strip(NamedTuple):
    """Cells of one reporter that one request asks for. `asked` and `barred` are sets of periods as bits of the window:
    those it holds, and those its reporter must not be asked for in the same request (landed, or in another request).
    """

    reporter: str
    rows: int
    asked: int
    barred: int


@dataclass
class _Rectangle:
    """Strips of one request under construction: their reporters, periods and barred periods (bits), rows."""

    reporters: list[str]
    rows: int
    asked: int
    barred: int

    def takes(self, strip: _Strip) -> bool:
        """True when the larger rectangle holds no barred cell."""
        return not (self.asked | strip.asked) & (self.barred | strip.barred)

    def add(self, strip: _Strip) -> None:
        """Ask for this strip too."""
        self.reporters.append(strip.reporter)
        self.rows += strip.rows
        self.asked |= strip.asked
        self.barred |= strip.barred


def pack(wanted: Collection[Version], landed: Collection[Version], limits: Limits) -> list[DataRequest]:
    """Requests that together ask for every wanted version and for no other landed data set, in a stable order.

    A data set whose rows do not fit into one call gets a request of its own: its answer comes cut off and is narrowed.
    """
    found: list[DataRequest] = []
    for type_code, frequency in sorted({_kind(version) for version in wanted}):
        sizes: dict[Cell, int] = defaultdict(int)
        for version in wanted:
            if _kind(version) == (type_code, frequency):
                sizes[_cell(version)] += version.row_count
        standing = [version for version in landed if _kind(version) == (type_code, frequency)]
        blocked = {_cell(version) for version in standing} - set(sizes)
        # A request names no edition: what has landed in a wanted cell comes again and takes its room in the answer.
        for version in standing:
            if _cell(version) in sizes:
                sizes[_cell(version)] += version.row_count
        for periods, reporters in _rectangles(sizes, blocked, limits):
            found.append(DataRequest(type_code, frequency, SEARCH_CODE, periods, reporters))
    return sorted(found, key=lambda request: (request.type_code, request.frequency, request.periods, request.reporters))


def cost(wanted: Collection[Version], requests: Sequence[DataRequest], limits: Limits, calls_left: int) -> PullCost:
    """What these requests take at best; answers that come cut off take more calls than are counted here.

    `days` is how many days of quota are touched, with `calls_left` for today.
    """
    rows = sum(version.row_count for version in wanted)
    calls = sum(max(1, ceil(size / (limits.rows_a_call - 1))) for size in _sizes(wanted, requests))
    later = max(0, calls - calls_left)
    days = (1 if calls and calls_left else 0) + ceil(later / limits.calls_a_day)
    return PullCost(len(wanted), rows, calls, days, rows * _BYTES_A_ROW)


def _sizes(wanted: Collection[Version], requests: Sequence[DataRequest]) -> list[int]:
    sizes: dict[tuple[str, str, str], int] = defaultdict(int)
    for version in wanted:
        data_set = version.data_set
        sizes[data_set.frequency, data_set.reporter_code, data_set.period] += version.row_count
    return [
        sum(sizes.get((request.frequency, r, p), 0) for r in request.reporters for p in request.periods)
        for request in requests
    ]


def _kind(version: Version) -> tuple[str, str]:
    return version.data_set.type_code, version.data_set.frequency


def _cell(version: Version) -> Cell:
    return version.data_set.reporter_code, version.data_set.period


@dataclass(frozen=True)
class _Plan:
    """The best plan for all periods before `end`: its calls, where its last window starts, the window's rectangles."""

    calls: int
    start: int
    rectangles: list[_Rectangle]


def _rectangles(
    sizes: Mapping[Cell, int], blocked: Collection[Cell], limits: Limits
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Rectangles (periods, reporters) that cover every cell of `sizes` once and no blocked one, in the windows that
    together need the fewest calls; the first window starts as early as can be where several do.
    """
    small = {cell: rows for cell, rows in sizes.items() if rows < limits.rows_a_call}
    large = sorted(sizes.keys() - small.keys())
    found: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((period,), (reporter,)) for reporter, period in large]
    periods = sorted({period for _, period in small})
    barred = dict.fromkeys([*blocked, *large], 0)
    plans = _plans(_columns(small, periods), _columns(barred, periods), limits)
    end = len(periods)
    while end:
        plan = plans[end]
        window = periods[plan.start : end]
        for one in plan.rectangles:
            named = tuple(period for bit, period in enumerate(window) if one.asked >> bit & 1)
            found.append((named, tuple(sorted(one.reporters))))
        end = plan.start
    return found


def _plans(columns: Sequence[Mapping[str, int]], barred: Sequence[Collection[str]], limits: Limits) -> list[_Plan]:
    """The best plan for the first 0, 1, 2 ... periods, each built on a shorter one; no rows make fewer calls than fill
    them.
    """
    room = limits.rows_a_call - 1
    rows_until = list(accumulate((sum(column.values()) for column in columns), initial=0))
    plans = [_Plan(0, 0, [])]
    for end in range(1, len(columns) + 1):
        at_least = sorted(
            (plans[start].calls + ceil((rows_until[end] - rows_until[start]) / room), start)
            for start in _starts(end, len(columns), limits.periods_a_call)
        )
        best: _Plan | None = None
        for bound, start in at_least:
            if best is not None and bound >= best.calls:
                break
            strips = _strips(columns[start:end], barred[start:end], room)
            rectangles = _filled(strips, room, _reporters_a_call(limits, end - start))
            calls = plans[start].calls + len(rectangles)
            if best is None or calls < best.calls:
                best = _Plan(calls, start, rectangles)
        assert best is not None
        plans.append(best)
    return plans


def _columns(sizes: Mapping[Cell, int], periods: Sequence[str]) -> list[dict[str, int]]:
    """Rows by reporter, one mapping for each of the periods."""
    found: dict[str, dict[str, int]] = {period: {} for period in periods}
    for (reporter, period), rows in sizes.items():
        if period in found:
            found[period][reporter] = rows
    return list(found.values())


def _strips(columns: Sequence[Mapping[str, int]], barred: Sequence[Collection[str]], room: int) -> list[_Strip]:
    """The cells of a window as strips, largest first: one for each reporter, or several where a call cannot hold it."""
    asked: dict[str, int] = defaultdict(int)
    pieces: dict[str, list[list[int]]] = {}
    for bit, column in enumerate(columns):
        for reporter, rows in column.items():
            asked[reporter] |= 1 << bit
            own = pieces.get(reporter)
            if own is None:
                pieces[reporter] = [[rows, 1 << bit]]
            elif own[-1][0] + rows > room:
                own.append([rows, 1 << bit])
            else:
                own[-1][0] += rows
                own[-1][1] |= 1 << bit
    others: dict[str, int] = defaultdict(int)
    for bit, reporters in enumerate(barred):
        for reporter in reporters:
            others[reporter] |= 1 << bit
    strips = [
        _Strip(reporter, rows, bits, others.get(reporter, 0) | asked[reporter] & ~bits)
        for reporter, own in pieces.items()
        for rows, bits in own
    ]
    return sorted(strips, key=lambda strip: (-strip.rows, strip.reporter, strip.asked))


def _filled(strips: Sequence[_Strip], room: int, reporters_a_call: int) -> list[_Rectangle]:
    """The strips (largest first) in rectangles, each in the fullest one that has room for it and takes it."""
    done: list[_Rectangle] = []
    # (rows left, number) of the rectangles that can take more, fullest first.
    open_ones: list[tuple[int, int]] = []
    for strip in strips:
        first = bisect_left(open_ones, (strip.rows, 0))
        place = next((n for n in range(first, len(open_ones)) if done[open_ones[n][1]].takes(strip)), None)
        if place is None:
            number = len(done)
            done.append(_Rectangle([], 0, 0, 0))
        else:
            _, number = open_ones.pop(place)
        chosen = done[number]
        chosen.add(strip)
        if chosen.rows < room and len(chosen.reporters) < reporters_a_call:
            insort(open_ones, (room - chosen.rows, number))
    return done


def _starts(end: int, count: int, widest: int) -> list[int]:
    """Where a window that ends before period `end` may start: at a multiple of its width, so that every width is tried
    once for every period; the last one may be narrower.
    """
    return sorted({(end - 1) // width * width for width in range(1, widest + 1) if end % width == 0 or end == count})


def _reporters_a_call(limits: Limits, periods: int) -> int:
    """How many reporters an address has room for beside so many periods."""
    left = limits.address_characters - _ADDRESS_ROOM - _CHARACTERS_A_PERIOD * periods
    return max(1, left // _CHARACTERS_A_REPORTER)
