"""Which requests a pull makes: several data sets in one call, none that has landed, none that would be cut off.

Belongs here: packing, and what a pull costs before it starts. Does not belong here: sending requests.

A request names reporters and periods, and the API answers with all their combinations. Data sets are therefore packed
into rectangles of reporters x periods: a combination that is not available costs nothing, one that has landed already
must not be in it, and the rows of all of it must stay below the most a call may have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import ceil

from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.requests import DataRequest, Version

SEARCH_CODE = "HS"
# Room that the rest of an address takes: server, path, names of parameters.
_ADDRESS_ROOM = 200
_BYTES_A_ROW = 900
_CHARACTERS_A_REPORTER = 4
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


@dataclass
class _Rectangle:
    """Reporters x periods of one request under construction, and the rows it would be answered with."""

    reporters: set[str] = field(default_factory=set)
    periods: set[str] = field(default_factory=set)
    rows: int = 0


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
        for rectangle in _rectangles(sizes, blocked, limits):
            periods, reporters = tuple(sorted(rectangle.periods)), tuple(sorted(rectangle.reporters))
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


def _rectangles(sizes: dict[Cell, int], blocked: set[Cell], limits: Limits) -> list[_Rectangle]:
    """Rectangles that cover every cell of `sizes` once and no blocked one: windows of periods first, largest
    reporters first, each into the fullest rectangle that still takes it.
    """
    room = limits.rows_a_call - 1
    done: list[_Rectangle] = []
    periods = sorted({period for _, period in sizes})
    for start in range(0, len(periods), limits.periods_a_call):
        window = periods[start : start + limits.periods_a_call]
        by_reporter: dict[str, dict[str, int]] = defaultdict(dict)
        for period in window:
            for reporter in {r for r, p in sizes if p == period}:
                by_reporter[reporter][period] = sizes[reporter, period]
        pieces = [piece for reporter in sorted(by_reporter) for piece in _pieces(reporter, by_reporter[reporter], room)]
        open_ones: list[_Rectangle] = []
        for reporter, piece in sorted(pieces, key=lambda one: (-sum(one[1].values()), one[0], sorted(one[1]))):
            rows = sum(piece.values())
            fitting = [
                one
                for one in open_ones
                if one.rows + rows <= room and _may_join(one, reporter, piece, sizes, blocked, limits)
            ]
            chosen = max(fitting, key=lambda one: one.rows, default=None)
            if chosen is None:
                chosen = _Rectangle()
                open_ones.append(chosen)
            chosen.reporters.add(reporter)
            chosen.periods |= set(piece)
            chosen.rows += rows
        done += open_ones
    return done


def _pieces(reporter: str, rows: dict[str, int], room: int) -> list[tuple[str, dict[str, int]]]:
    """A reporter's periods in pieces that fit into a call; a period that fits into none stands alone."""
    pieces: list[dict[str, int]] = [{}]
    for period in sorted(rows):
        if pieces[-1] and sum(pieces[-1].values()) + rows[period] > room:
            pieces.append({})
        pieces[-1][period] = rows[period]
    return [(reporter, piece) for piece in pieces]


def _may_join(
    one: _Rectangle, reporter: str, piece: dict[str, int], sizes: dict[Cell, int], blocked: set[Cell], limits: Limits
) -> bool:
    """True when the larger rectangle holds no blocked cell, no cell that another request asks for, and fits an
    address.
    """
    if reporter in one.reporters:
        return False
    periods = one.periods | set(piece)
    reporters = one.reporters | {reporter}
    characters = _CHARACTERS_A_REPORTER * len(reporters) + sum(len(p) + 1 for p in periods) + _ADDRESS_ROOM
    if len(periods) > limits.periods_a_call or characters > limits.address_characters:
        return False
    added = {(reporter, period) for period in periods} | {(r, p) for r in one.reporters for p in set(piece)}
    own = {(reporter, period) for period in piece} | {(r, p) for r in one.reporters for p in one.periods}
    return not any(cell in blocked or (cell in sizes and cell not in own) for cell in added)
