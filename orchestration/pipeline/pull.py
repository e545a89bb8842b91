"""Pulling data sets from the API: what is new or revised, asked for in few calls, landed so that a stop loses nothing.

Belongs here: comparing availability with the ledger, the loop over calls, what is believed and what is asked for
again. Does not belong here: the API itself (`orchestration.comtrade.api`), writing landed files (`landing`), keeping
the availability list and what counts by it (`availability`).

What is believed. The availability list states how many rows every data set has. An answer that holds exactly these is
landed at once. Anything else - another number of rows, a body that is cut short, a column or a cell that is not as it
should be - is a doubt: what came is kept and the data set is asked for again. A doubt that comes back the same, row by
row, is believed and noted in the ledger (the reader flags what it did not understand, and the contract books it as
quarantine with its value); an empty answer is not believed while the list states rows. What stays doubtful is reported
and asked for again by the next pull. So are data sets of which the API refuses a request, with its words. A pull stops
where whoever asks is refused (`KeyRefused`, `AccessRefused`), or three requests before anything was answered.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import Literal

import polars as pl

from orchestration.comtrade.api.bodies import read_rows
from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.errors import (
    AccessRefused,
    AddressTooLong,
    BadBody,
    Passing,
    QuotaSpent,
    RequestRefused,
    ServerFailing,
)
from orchestration.comtrade.api.limits import KNOWN_CAPS, PREVIEW_ROWS, Limits
from orchestration.comtrade.api.packing import PullCost, cost, pack
from orchestration.comtrade.api.quota import CallBook, key_name_of
from orchestration.comtrade.api.requests import DataRequest, DataSet, Version
from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from orchestration.comtrade.files import FileRefusal, read_delivery
from orchestration.comtrade.landing import land_data_sets
from orchestration.comtrade.ledger import PULLED_FORMAT, LedgerEntry, data_set_name, pulled_entries
from orchestration.pipeline.availability import read_availability, write_availability
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, world_config
from orchestration.pipeline.storage import combine, write_bytes, write_frame
from orchestration.reference import Reference
from orchestration.settings import COMTRADE_ADDRESS, STAND_IN, Settings

LOG = logging.getLogger("mirror_warehouse")
SEARCH_CODE = "HS"
TYPE_CODE = "C"
COMPLETE, RESUMABLE = "complete", "resumable"
# A data set that is too large for one call is asked for in groups of partners. How full a group is planned: nearly full
# where a neighbouring period says how many rows each partner has, with more room where nothing is known of them.
_FILL_WHEN_KNOWN, _FILL_WHEN_BLIND = 0.9, 0.6
# After a doubt the availability list is read again: a data set may have been revised while it was asked for.
_LOOKS = 3
# So many requests refused before anything was answered are no accident of one data set.
_REFUSALS_AT_MOST = 3
_DIGEST_DIGITS = 12
_KEY_COLUMNS = ("flowCode", "partnerCode", "partner2Code", "cmdCode", "customsCode", "mosCode", "motCode")
_DATA_SET_COLUMNS = ("typeCode", "freqCode", "period", "reporterCode", "classificationCode")


@dataclass(frozen=True)
class PullPlan:
    """What a pull would do: versions to land, those landed already, its requests and what they cost."""

    available: tuple[Version, ...]
    wanted: tuple[Version, ...]
    requests: tuple[DataRequest, ...]
    cost: PullCost
    calls_left: int


@dataclass(frozen=True)
class PullSummary:
    """What a pull did. `status` is `complete` or `resumable`; `why` says what stopped it. `unsettled` are data sets
    that stayed doubtful, with the reason; `landed` the versions that landed now, `calls` all calls made.
    `is_quota_spent` tells an orderly end from an API that stays silent.
    """

    status: str
    why: str
    landed: tuple[Version, ...]
    row_count: int
    calls: int
    unsettled: tuple[FileRefusal, ...]
    notes: tuple[str, ...]
    is_quota_spent: bool = False

    @property
    def period_keys(self) -> tuple[str, ...]:
        """Periods in which something landed, sorted."""
        return tuple(sorted({version.data_set.period_key for version in self.landed}))


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings name."""
    limits = Limits(
        calls_a_day=settings.api_calls_a_day,
        rows_a_call=settings.api_rows_a_call,
        calls_a_second=settings.api_calls_a_second,
        address_characters=settings.api_address_characters,
        periods_a_call=settings.api_periods_a_call,
        attempts=settings.api_attempts,
        timeout_seconds=settings.api_timeout_seconds,
        longest_wait_seconds=settings.api_longest_wait_seconds,
    )
    return limits.of_preview() if settings.source == "preview" else limits


@contextmanager
def open_client(settings: Settings, paths: DataPaths, pull_id: str) -> Iterator[tuple[Client, CallBook]]:
    """The client of these settings with its record of calls; starts the local stand-in when the address is that.

    Raises PlanError when there is no key, or the folder holds what another server or source gave.
    """
    _require_key(settings)
    _require_same_server(settings, paths)
    limits = limits_of(settings)
    with _server(settings, _key_of(settings)) as (address, key_there):
        book = CallBook(settings.api_call_book or paths.pull / "calls.sqlite", limits, key_name_of(key_there), pull_id)
        with Client(book, limits, key_there, address) as client:
            yield client, book


def _require_key(settings: Settings) -> None:
    if settings.source == "api" and settings.api_key is None and settings.api_address != STAND_IN:
        raise PlanError(
            "the source is `api` but no key is set; the API answers nothing without one; set MIRROR_API_KEY to a "
            "subscription key of comtradedeveloper.un.org, or take SOURCE=preview (500 rows a call, no key)"
        )


def _require_same_server(settings: Settings, paths: DataPaths) -> None:
    """One folder holds what one server gave: a planted world or a preview's cut answers must not stand for the API."""
    server = f"{settings.source} of {settings.api_address}"
    if settings.api_address == STAND_IN:
        server += f", planted world {combine(repr(world_config(settings)))}"
    file = paths.pull / "server.txt"
    known = file.read_text(encoding="utf-8") if file.is_file() else ""
    if known == server:
        return
    # A name that was mistyped once must not bind a folder into which nothing has come.
    if known and (landed_delivery_ids(paths) or (paths.pull / "availability.json").is_file()):
        raise PlanError(
            f"{paths.root} holds what was pulled from another server ({known}; now it is {server}); a release would "
            "mix the two; name another folder with MIRROR_DATA_DIR"
        )
    write_bytes(file, server.encode())


def _key_of(settings: Settings) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key is not None and settings.source == "api" else None


@contextmanager
def _server(settings: Settings, key: str | None) -> Iterator[tuple[str, str | None]]:
    if settings.api_address != STAND_IN:
        yield settings.api_address or COMTRADE_ADDRESS, key
        return
    from orchestration.stand_in.demonstration import StandInError, demonstration

    try:
        with demonstration(settings) as (address, its_key):
            yield address, its_key if settings.source == "api" else None
    except StandInError as error:
        raise PlanError(str(error)) from error


def look(client: Client, settings: Settings, paths: DataPaths) -> list[Version]:
    """The versions that the API holds now, of what the settings ask for; one call a frequency, another one when the
    list is empty: it is believed when it comes twice and nothing of the frequency was known before. Writes nothing.

    Raises ServerFailing when a list is empty although data sets of its frequency have landed or stood on the last one.
    """
    found: list[Version] = []
    for frequency in settings.api_frequencies:
        asked = (TYPE_CODE, frequency, SEARCH_CODE)
        listed = client.availability(*asked) or client.availability(*asked)
        if not listed:
            _refuse_to_forget(paths, frequency)
        found += listed
    reporters = set(settings.api_reporters.split(",")) if settings.api_reporters else None
    first, last = settings.api_first_year or 0, settings.api_last_year or 9999
    return sorted(
        version
        for version in found
        if version.row_count > 0
        and first <= int(version.data_set.period[:4]) <= last
        and (reporters is None or version.data_set.reporter_code in reporters)
    )


def _refuse_to_forget(paths: DataPaths, frequency: str) -> None:
    """Raise ServerFailing when data sets of a frequency are known, by the ledger or the list of the last look: the API
    withdraws some of them at times, and never all.
    """
    known = {version.data_set.name for version in read_availability(paths) if version.data_set.frequency == frequency}
    known |= {name for name in landed_names(paths) if name.split("-")[1] == frequency}
    if known:
        raise ServerFailing(
            f"the availability list of frequency {frequency} came empty twice, while {len(known):,} of its data sets "
            "have landed or stood on the list before",
            "believed, it would say that nothing is new, and revisions would go unseen",
            "start the pull again later; if it goes on, look at the status of the API; if it holds none of them any "
            "more, take the frequency out of MIRROR_API_FREQUENCIES",
        )


def look_and_keep(client: Client, settings: Settings, paths: DataPaths) -> list[Version]:
    """What `look` finds, kept for `read_availability`; a doubtful list is kept whole and asked for again, as data sets
    are. Raises BadBody when it stays doubtful, and what `look` raises.
    """
    answers = 1
    while True:
        try:
            available = look(client, settings, paths)
            break
        except BadBody as error:
            LOG.warning("%s; kept as %s", error.what, _keep(paths, error).name)
            if answers >= limits_of(settings).answers_per_data_set:
                raise
            answers += 1
    write_availability(paths, available)
    return available


def versions_to_land(paths: DataPaths, available: Iterable[Version]) -> list[Version]:
    """Those of the available versions that have not landed, in their order."""
    landed_ids = landed_delivery_ids(paths)
    return [version for version in available if version.delivery_id not in landed_ids]


def landed_names(paths: DataPaths) -> set[str]:
    """Data sets of which some version has landed, such as C-A-2017-012-H5."""
    return {data_set_name(entry) for entry in pulled_entries(paths.ledger)}


def calls_left(settings: Settings, paths: DataPaths) -> int:
    """Calls that the key of these settings has left today, by the record; makes none."""
    limits, key = limits_of(settings), _key_of(settings)
    if settings.api_address == STAND_IN and settings.source == "api":
        from orchestration.stand_in.demonstration import DEMONSTRATION_KEY

        key = DEMONSTRATION_KEY
    return CallBook(settings.api_call_book or paths.pull / "calls.sqlite", limits, key_name_of(key)).left_today()


def plan_pull(settings: Settings, paths: DataPaths, available: Sequence[Version], calls_left: int) -> PullPlan:
    """Which of the available versions have not landed, and the requests that ask for them; makes no call."""
    landed_ids = landed_delivery_ids(paths)
    wanted = [version for version in available if version.delivery_id not in landed_ids]
    limits = limits_of(settings)
    if settings.source == "preview":
        wanted = sorted(wanted, key=_newest_first)[: settings.preview_calls]
        requests = [_request_of(version.data_set) for version in wanted]
        # An answer that comes cut off is not narrowed: a data set takes one call, however large it is.
        given = [replace(version, row_count=min(version.row_count, PREVIEW_ROWS)) for version in wanted]
        costs = cost(given, requests, replace(limits, rows_a_call=PREVIEW_ROWS + 1), calls_left)
    else:
        landed = [version for version in available if version.delivery_id in landed_ids]
        requests = pack(wanted, landed, limits)
        costs = cost(wanted, requests, limits, calls_left)
    return PullPlan(tuple(available), tuple(wanted), tuple(requests), costs, calls_left)


def landed_delivery_ids(paths: DataPaths) -> set[str]:
    """Versions whose ledger row stands."""
    return {path.stem for path in paths.ledger.glob("[!.]*.json")} if paths.ledger.is_dir() else set()


def pull(
    settings: Settings,
    paths: DataPaths,
    reference: Reference,
    client: Client,
    book: CallBook,
    pull_id: str = "",
    period_keys: Iterable[str] | None = None,
) -> PullSummary:
    """Land every version that is new or revised (of some periods when named), in as few calls as can be.

    Ends with status `resumable` when the quota is spent or the API stays silent: what has landed is kept, and the next
    pull goes on from there. Raises KeyRefused and AccessRefused, and RequestRefused for a list or when the first three
    requests for rows are refused, one after the other: those need somebody.
    """
    only = set(period_keys) if period_keys is not None else None
    worker = _Pull(settings, paths, reference, client, book, pull_id)
    try:
        for number in range(_LOOKS):
            available = look_and_keep(client, settings, paths)
            chosen = [v for v in available if only is None or v.data_set.period_key in only]
            if number and settings.source == "preview":  # What landed meanwhile makes no room for others.
                doubtful = set(worker.doubtful())
                chosen = [v for v in chosen if v.data_set in doubtful]
            plan = plan_pull(settings, paths, chosen, book.left_today())
            worker.work_off(plan)
            if not worker.doubtful():
                break
    except QuotaSpent as error:
        return replace(worker.summary(RESUMABLE, str(error)), is_quota_spent=True)
    except Passing as error:
        return worker.summary(RESUMABLE, str(error))
    return worker.summary(COMPLETE, "")


@dataclass
class _Doubt:
    """What is known about something that did not come as it should: how often it was asked for, what came last."""

    answers: int = 0
    digest: str = ""
    what: str = ""
    why_it_matters: str = ""
    how_to_mend: str = ""


@dataclass
class _Division:
    """A request that takes several calls: its parts in the order they were asked for, the rows of those that are
    there, partners that no part asks for yet, and how many rows each partner is expected to have (relative).
    """

    partners_left: tuple[str, ...]
    expected: Mapping[str, float]
    fill: float
    parts: list[DataRequest] = field(default_factory=list)
    rows: dict[DataRequest, int] = field(default_factory=dict)

    def take_group(self, stated_rows: int, rows_a_call: int) -> tuple[str, ...]:
        """Take the partners to ask for next: all that are left once their rows fit into a call, since how many rows
        are missing is known exactly; before that as many as make up one of so many groups of equal weight.
        """
        rows_left = stated_rows - sum(self.rows.values())
        groups = 1 if rows_left < rows_a_call else ceil(rows_left / (self.fill * rows_a_call))
        return self._take(self.partners_left, groups)

    def take_half(self, part: DataRequest) -> tuple[str, ...]:
        """Take half (by weight) of the partners of a part that came cut off; the others are asked for with what comes
        behind them.
        """
        assert part.partners is not None
        self.parts.remove(part)
        self.partners_left = part.partners + self.partners_left
        return self._take(part.partners, 2)

    def _take(self, partners: tuple[str, ...], groups: int) -> tuple[str, ...]:
        weights = list(accumulate(self.expected[partner] for partner in partners))
        most = len(partners) if groups == 1 else max(1, len(partners) - 1)
        taken = partners[: min(most, max(1, bisect_right(weights, weights[-1] / groups)))]
        self.partners_left = self.partners_left[len(taken) :]
        return taken


@dataclass
class _Pull:
    """One pull at work: its queue of requests, its doubts, what landed."""

    settings: Settings
    paths: DataPaths
    reference: Reference
    client: Client
    book: CallBook
    pull_id: str
    landed: list[Version] = field(default_factory=list)
    rows: int = 0
    notes: list[str] = field(default_factory=list)
    _wanted: dict[DataSet, Version] = field(default_factory=dict)
    _available: set[tuple[str, str, str, int, str]] = field(default_factory=set)
    _queue: deque[DataRequest] = field(default_factory=deque)
    _again: set[Version] = field(default_factory=set)
    _doubts: dict[DataSet, _Doubt] = field(default_factory=dict)
    _bodies: dict[str, _Doubt] = field(default_factory=dict)
    _divisions: dict[DataRequest, _Division] = field(default_factory=dict)
    _cells: dict[tuple[str, str, str], list[Version]] = field(default_factory=dict)
    _refused: set[DataSet] = field(default_factory=set)
    _refusals: int = 0
    _round: int = 0
    _is_answered: bool = False

    def __post_init__(self) -> None:
        self._limits = limits_of(self.settings)
        self._calls_before = self.book.last_call_id()
        self._started = time.monotonic()
        self._partners = self.reference.places["place_code"].sort().to_list()
        self._products = self.reference.hs_codes["product_code"].sort().to_list()
        self._doubted_before = {refusal.source_file for refusal in read_unsettled(self.paths)}

    def work_off(self, plan: PullPlan) -> None:
        """Ask until every wanted version has landed or stays doubtful."""
        self._wanted = {version.data_set: version for version in plan.wanted}
        self._available = {_cells_of(version.data_set) for version in plan.available}
        self._cells = defaultdict(list)
        for version in sorted(plan.wanted):
            key = version.data_set
            self._cells[key.frequency, key.reporter_code, key.period].append(version)
        self._planned_rows = self.rows + plan.cost.rows
        self._doubts = {key: doubt for key, doubt in self._doubts.items() if key in self._wanted}
        self._queue.extend(self._in_turn(plan.requests))
        self._round += 1
        while self._queue:
            while self._queue:
                self._ask(self._queue.popleft())
            again, self._again = self._again, set()
            if self.settings.source == "preview":
                self._queue.extend(_request_of(version.data_set) for version in sorted(again))
                continue
            others = self._refused.union(v.data_set for v in plan.available if v.data_set not in self._wanted)
            standing = [v for v in plan.available if v not in again and v.data_set in others]
            self._queue.extend(pack(again, standing, self._limits))
        self._remove_parts(plan)

    def _in_turn(self, requests: Sequence[DataRequest]) -> list[DataRequest]:
        """Requests in the order in which they are made: last those of data sets that were doubtful before, so that one
        that is always refused holds up no other.

        What this pull was refused is asked for in halves in its second round, in quarters in its third: where a request
        is refused for one of its data sets, the others land. One that was asked for alone is not asked for again.
        """
        found = [one for request in requests for one in self._divided_when_refused(request)]
        return sorted(found, key=lambda request: self._was_doubted(self._versions(request)))

    def _divided_when_refused(self, request: DataRequest) -> list[DataRequest]:
        if not any(version.data_set in self._refused for version in self._versions(request)):
            return [request]
        parts = [request]
        for _ in range(self._round):
            parts = [part for one in parts for part in _cells_apart(one)]
        return [part for part in parts if self._versions(part)] if len(parts) > 1 else []

    def _was_doubted(self, versions: Iterable[Version]) -> bool:
        return any(version.source_file in self._doubted_before for version in versions)

    def _remove_parts(self, plan: PullPlan) -> None:
        """Remove parts that nobody waits for: of what this pull asked for, and of versions no longer to land. Those of
        other periods, left by a pull that was stopped, stay for the pull that goes on there.
        """
        available = read_availability(self.paths)
        waited_for = {version.delivery_id for version in versions_to_land(self.paths, available)}
        waited_for -= {version.delivery_id for version in plan.wanted}
        folder = self.paths.pull / "parts"
        for one in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not waited_for.issuperset(one.name.split("-")):
                _remove_folder(one)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def doubtful(self) -> list[DataSet]:
        """Data sets that were asked for as often as is worth it and did not land, sorted."""
        return sorted(key for key in self._doubts if key in self._wanted)

    def summary(self, status: str, why: str) -> PullSummary:
        """What the pull did so far; what stayed doubtful is written beside the ledger too."""
        # Where a pull was stopped, some were not yet asked for as often as is worth it: these are still to land.
        unsettled = tuple(
            FileRefusal(self._wanted[key].source_file, doubt.what, doubt.why_it_matters, doubt.how_to_mend)
            for key, doubt in sorted(self._doubts.items())
            if key in self._wanted and doubt.answers >= self._limits.answers_per_data_set
        )
        # An earlier doubt stands until its data set lands or is listed anew: this pull may not have asked for it.
        names = {v.source_file for v in versions_to_land(self.paths, read_availability(self.paths))}
        names -= {refusal.source_file for refusal in unsettled}
        kept = [*unsettled, *(r for r in read_unsettled(self.paths) if r.source_file in names)]
        kept.sort(key=lambda refusal: refusal.source_file)
        write_bytes(self.paths.pull / "unsettled.json", json.dumps([asdict(r) for r in kept], indent=1).encode())
        calls = self.book.last_call_id() - self._calls_before
        return PullSummary(status, why, tuple(sorted(self.landed)), self.rows, calls, unsettled, tuple(self.notes))

    def _ask(self, request: DataRequest) -> None:
        """Make one request, or see that it need not be made: its part is there, or it is known to come cut off."""
        if self._is_too_large(request):
            self._divisions[request] = self._division(request, self._partners)
            self._ask_for_next_group(request)
            return
        part = self._part(request)
        if part is not None and part.with_suffix(".cut").is_file():
            self._divide(request)
            return
        if part is not None and part.is_file():
            self._close_part(request)
            return
        if not self.client.address_fits(request):
            self._divide(request)
            return
        try:
            found = self._answer(request)
        except AddressTooLong as error:  # The API takes less than the settings say.
            LOG.warning("%s; asking for less at a time", error)
            self._divide(request)
            return
        except AccessRefused:
            raise
        except RequestRefused as error:
            self._refuse(request, error)
            return
        if found is None:
            return
        rows, checksum = found
        if self._is_cut_off(request, rows.height):
            self._cut_off(request, part, rows.height)
        elif part is not None:
            write_frame(part, rows)
            self._close_part(request)
        else:
            self._settle(request, rows, checksum)

    def _is_cut_off(self, request: DataRequest, row_count: int) -> bool:
        """An answer with as many rows as a call may have; or with fewer than there are and just as many as another key
        would get, since the settings may promise more than the key holds.
        """
        if self.settings.source == "preview":
            return False
        is_short = row_count < self._stated_rows(request)
        return row_count >= self._limits.rows_a_call or (is_short and row_count in KNOWN_CAPS)

    def _is_too_large(self, request: DataRequest) -> bool:
        is_whole = request.partners is None and request.products is None
        one_cell = len(request.reporters) == len(request.periods) == 1
        too_large = self._stated_rows(request) >= self._limits.rows_a_call
        return is_whole and one_cell and too_large and self.settings.source != "preview"

    def _versions(self, request: DataRequest) -> list[Version]:
        """Wanted versions that the request asks for, sorted."""
        cells = ((request.frequency, reporter, period) for reporter in request.reporters for period in request.periods)
        return sorted(
            version
            for cell in cells
            for version in self._cells.get(cell, ())
            if self._wanted.get(version.data_set) == version
        )

    def _stated_rows(self, request: DataRequest) -> int:
        return sum(version.row_count for version in self._versions(request))

    def _part(self, request: DataRequest) -> Path | None:
        """Where the answer to a part of a large data set is kept until all parts are there; None for whole requests.

        The versions asked for are in the name: parts of an older version are never mixed in.
        """
        if request.partners is None and request.products is None:
            return None
        return self._parts_folder(request) / f"{request.request_id}.parquet"

    def _parts_folder(self, request: DataRequest) -> Path:
        versions = "-".join(version.delivery_id for version in self._versions(request))
        return self.paths.pull / "parts" / versions

    def _divide(self, request: DataRequest) -> None:
        """Ask for less at a time: for some of the partners where there are several, else as `narrower` says."""
        whole = _whole(request)
        division = self._divisions.get(whole)
        if division is not None and request.products is None and len(request.partners or ()) > 1:
            self._ask_for(whole, division.take_half(request))
            return
        narrower = request.narrower(self._products, self._partners)
        if not narrower:
            self._doubt_all(
                request,
                "an answer is cut off, or its address too long, and the request cannot be narrowed further",
                "rows are missing and nobody could say which",
                "set MIRROR_API_ROWS_A_CALL and MIRROR_API_ADDRESS_CHARACTERS to what your key allows",
            )
            return
        if narrower[0].partners is not None:
            # More came than the availability list states, so that the number of rows says nothing about what is left.
            division = self._divisions.setdefault(whole, self._division(whole, ()))
            division.parts[:] = [one for one in division.parts if one != request] + list(narrower)
        self._queue.extendleft(reversed(narrower))

    def _division(self, whole: DataRequest, partners: Sequence[str]) -> _Division:
        """How a data set that is too large will be asked for; kept beside its parts, so that a pull that is killed and
        started again asks for the same parts.
        """
        path = self._parts_folder(whole) / "expected.json"
        if not path.is_file():
            known = rows_by_partner(self.paths.landed, whole.frequency, whole.periods[0], whole.reporters[0])
            write_bytes(path, json.dumps(known, sort_keys=True).encode())
        known = json.loads(path.read_text(encoding="utf-8"))
        # A partner that the neighbour does not have may have a few rows all the same.
        return _Division(
            partners_left=tuple(partners),
            expected={partner: known.get(partner, 0) + 1 for partner in self._partners},
            fill=_FILL_WHEN_KNOWN if known else _FILL_WHEN_BLIND,
        )

    def _ask_for_next_group(self, whole: DataRequest) -> None:
        self._ask_for(whole, self._divisions[whole].take_group(self._stated_rows(whole), self._limits.rows_a_call))

    def _ask_for(self, whole: DataRequest, partners: tuple[str, ...]) -> None:
        part = replace(whole, partners=partners)
        self._divisions[whole].parts.append(part)
        self._queue.appendleft(part)

    def _cut_off(self, request: DataRequest, part: Path | None, row_count: int) -> None:
        """An answer that is cut off is not all there is: ask for less at a time."""
        if row_count < self._limits.rows_a_call:
            LOG.warning(
                "an answer of %d rows is cut off, MIRROR_API_ROWS_A_CALL says %d; asking for less at a time",
                row_count,
                self._limits.rows_a_call,
            )
        else:
            LOG.info("an answer of %d rows is cut off; asking for less at a time", row_count)
        if part is not None:
            write_bytes(part.with_suffix(".cut"), b"")
        self._divide(request)

    def _close_part(self, request: DataRequest) -> None:
        """Book a part; with the last one the data sets are whole and can be judged.

        The parts go then: what landed needs them no more, and what is doubtful is to be asked for again and not to be
        read from them a second time, which would look like the same answer twice.
        """
        whole = _whole(request)
        division = self._divisions[whole]
        part = self._part(request)
        assert part is not None
        division.rows[request] = pl.scan_parquet(part).select(pl.len()).collect().item()
        # Not which files are there: those of an earlier pull are, before their turn in the queue has come.
        if any(one not in division.rows for one in division.parts):
            return
        if division.partners_left:
            self._ask_for_next_group(whole)
            return
        frames = [pl.read_parquet(path) for one in division.parts if (path := self._part(one)) is not None]
        checksum = hashlib.sha256("".join(one.request_id for one in division.parts).encode()).hexdigest()
        folder = self._parts_folder(whole)
        self._forget_parts(whole)
        self._settle(whole, pl.concat(frames), checksum)
        _remove_folder(folder)

    def _forget_parts(self, whole: DataRequest) -> None:
        """Take every part of a request out of the queue."""
        self._divisions.pop(whole, None)
        self._queue = deque(one for one in self._queue if one == whole or _whole(one) != whole)

    def _answer(self, request: DataRequest) -> tuple[pl.DataFrame, str] | None:
        """Rows of the answer (API columns and reader flags) and the checksum of its body; None when it is a doubt and
        the request stands in the queue again.
        """
        try:
            body = self.client.data(request)
            self._is_answered = True
            rows = read_rows(body.content).with_columns(
                quarantine_field=pl.lit(None, pl.String), quarantine_value=pl.lit(None, pl.String)
            )
            return rows, body.checksum
        except BadBody as error:
            return self._bad_body(request, error)

    def _bad_body(self, request: DataRequest, error: BadBody) -> tuple[pl.DataFrame, str] | None:
        """Keep the body whole; believe what can be read of it when it comes a second time, else ask again."""
        self._is_answered = True
        kept = _keep(self.paths, error)
        LOG.warning("%s; kept as %s", error.what, kept.name)
        doubt = self._bodies.setdefault(request.request_id, _Doubt())
        delivery = read_delivery(kept, self.reference.places, None)
        digest = "" if isinstance(delivery, FileRefusal) else _digest(_in_order(_api_part(delivery.rows)))
        is_same, doubt.digest, doubt.answers = digest == doubt.digest, digest, doubt.answers + 1
        if not isinstance(delivery, FileRefusal) and is_same:
            self.notes.append(f"{error.what}: it came twice and is believed; what was not understood is quarantined")
            return _api_part(delivery.rows), hashlib.sha256(error.body).hexdigest()
        if doubt.answers >= self._limits.answers_per_data_set:
            self._doubt_all(request, error.what, error.why_it_matters, error.how_to_mend)
        else:
            self._queue.appendleft(request)
        return None

    def _refuse(self, request: DataRequest, error: RequestRefused) -> None:
        """Go on with the others when the API refuses a request. Raises RequestRefused when it has answered none so far
        and refused several, of data sets that were not doubtful before: then it is not about one of them.
        """
        versions = self._versions(request)
        if self._round == 1 and not self._was_doubted(versions):
            self._refusals += 1
        if self._refusals >= _REFUSALS_AT_MOST and not self._is_answered:
            raise RequestRefused(
                f"the API refused the first {self._refusals} requests, one after the other; the last one: {error.what}",
                "it is not about one data set: every other request would be refused as well, and cost a call",
                "compare the requests in the record of calls with the documentation of the API, and the settings "
                "MIRROR_API_* with what the key may ask for",
            ) from error
        LOG.warning("%s; going on without its %d data sets", error.what, len(versions))
        others = f" for it and {len(versions) - 1} other data sets" if len(versions) > 1 else ""
        self._refused |= {version.data_set for version in versions}
        self._doubt_all(request, error.what + others, error.why_it_matters, error.how_to_mend)

    def _doubt_all(self, request: DataRequest, what: str, why_it_matters: str, how_to_mend: str) -> None:
        """Give up a request for this pull: every data set in it stays doubtful."""
        self._forget_parts(_whole(request))
        for version in self._versions(request):
            self._doubts[version.data_set] = _Doubt(
                self._limits.answers_per_data_set, "", what, why_it_matters, how_to_mend
            )

    def _settle(self, request: DataRequest, rows: pl.DataFrame, checksum: str) -> None:
        """Land the data sets that came whole; doubt the others; set aside what was not asked for."""
        rows = _in_order(rows)
        counts = {tuple(key): int(count) for *key, count in _counted(rows).iter_rows()}
        doubled = _with_doubled_rows(rows)
        accepted: dict[DataSet, LedgerEntry] = {}
        repaired: list[pl.DataFrame] = []
        for version in self._versions(request):
            key, note, repeated = _cells_of(version.data_set), "", 0
            if counts.pop(key, 0) != version.row_count or key in doubled:
                own = _matching(rows, [key], "semi")
                mended, note = self._judge(version, own)
                if mended is None:
                    continue
                rows = _matching(rows, [key], "anti")
                repaired.append(mended)
                repeated = mended.height - mended.n_unique()
            accepted[version.data_set] = self._entry(version, request, checksum, note, repeated)
        # An edition that landed before comes with a wanted one of the same reporter and period; it is known.
        strange = [key for key in counts if key not in self._available]
        self._set_aside(_matching(rows, strange, "semi"), checksum)
        self._land(pl.concat([rows, *repaired]), accepted)

    def _judge(self, version: Version, own: pl.DataFrame) -> tuple[pl.DataFrame | None, str]:
        """Rows to land of a data set that came with another number of rows than stated, and a note; None: not yet."""
        stated, count = version.row_count, own.height
        distinct = own.unique(maintain_order=True)
        if count > stated == distinct.height:
            return distinct, f"{count - stated} rows came twice and were dropped"
        if self.settings.source == "preview" and count == PREVIEW_ROWS:
            return own, f"cut off: {count} of {stated} rows, as the preview gives no more"
        doubt = self._doubts.setdefault(version.data_set, _Doubt())
        digest = _digest(own)
        is_same, doubt.digest, doubt.answers = digest == doubt.digest, digest, doubt.answers + 1
        said = f"{count} rows" + (f" ({count - distinct.height} of them repeated)" if distinct.height < count else "")
        doubt.what = f"{version.source_file} came with {said}, the availability list states {stated}"
        doubt.why_it_matters = "rows may be missing or doubled, and every total of the reporter would be wrong"
        doubt.how_to_mend = "it is asked for again by the next pull; if it goes on, look whether the API lists it anew"
        if count > 0 and is_same:
            return own, f"{said} came twice alike while the availability list states {stated}"
        if doubt.answers < self._limits.answers_per_data_set:
            self._again.add(version)
        return None, ""

    def _entry(
        self, version: Version, request: DataRequest, checksum: str, note: str, repeated_row_count: int
    ) -> LedgerEntry:
        """The ledger row of a version, but for what is counted when it lands."""
        if note:
            self.notes.append(f"{version.source_file}: {note}")
        self._doubts.pop(version.data_set, None)
        return LedgerEntry(
            delivery_id=version.delivery_id,
            source_file=version.source_file,
            source_format=PULLED_FORMAT,
            released_on=version.last_released,
            row_count=0,
            value_usd=0.0,
            files=(),
            request=f"{request.path}?{request.query}",
            answer_checksum=checksum,
            pull_id=self.pull_id,
            note=note,
            stated_row_count=version.row_count,
            repeated_row_count=repeated_row_count,
        )

    def _land(self, rows: pl.DataFrame, accepted: Mapping[DataSet, LedgerEntry]) -> None:
        if not accepted:
            return
        named = _keys([_cells_of(key) for key in accepted]).with_columns(
            pl.Series("delivery_id", [entry.delivery_id for entry in accepted.values()]),
            pl.Series("source_file", [entry.source_file for entry in accepted.values()]),
        )
        landing = rows.join(named, on=_DATA_SET_COLUMNS, how="inner", maintain_order="left").with_columns(
            source_format=pl.lit(PULLED_FORMAT),
            source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("delivery_id"),
        )
        entries = {entry.delivery_id: entry for entry in accepted.values()}
        land_data_sets(landing.select(list(LANDED)), entries, self.paths.landed, self.paths.ledger)
        self.landed += [self._wanted.pop(key) for key in accepted]
        self.rows += landing.height
        self._say_progress(len(accepted), landing.height)

    def _set_aside(self, strange: pl.DataFrame, checksum: str) -> None:
        """Keep rows of data sets that were not asked for or cannot be attributed: not lost, and not landed."""
        if not strange.is_empty():
            write_frame(self.paths.pull / "quarantine" / f"{checksum[:_DIGEST_DIGITS]}_unasked.parquet", strange)
            self.notes.append(f"{strange.height} rows of data sets that were not asked for stand in the quarantine")

    def _say_progress(self, data_sets: int, rows: int) -> None:
        share = self.rows / self._planned_rows if self._planned_rows else 1.0
        elapsed = time.monotonic() - self._started
        left = elapsed / share - elapsed if share else 0.0
        LOG.info(
            "landed %s rows of %d data sets (%.0f %% of the pull; %d calls left today; about %.0f s to go)",
            f"{rows:,}",
            data_sets,
            100 * share,
            self.book.left_today(),
            left,
        )


def _keep(paths: DataPaths, error: BadBody) -> Path:
    """Keep a doubtful body whole, with what is wrong with it beside it."""
    path = paths.pull / "quarantine" / f"{hashlib.sha256(error.body).hexdigest()[:_DIGEST_DIGITS]}.json"
    write_bytes(path, error.body)
    write_bytes(path.with_suffix(".why.txt"), f"{error}\n".encode())
    return path


def read_unsettled(paths: DataPaths) -> tuple[FileRefusal, ...]:
    """Data sets that stayed doubtful when they were last asked for and have not landed since, with the reason."""
    path = paths.pull / "unsettled.json"
    return tuple(FileRefusal(**row) for row in json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()


def _newest_first(version: Version) -> tuple[bool, int, DataSet]:
    return version.data_set.frequency != "A", -int(version.data_set.period[:4]), version.data_set


def _request_of(data_set: DataSet) -> DataRequest:
    return DataRequest(
        data_set.type_code, data_set.frequency, SEARCH_CODE, (data_set.period,), (data_set.reporter_code,)
    )


def _whole(request: DataRequest) -> DataRequest:
    """The request that a part belongs to."""
    return replace(request, products=None, partners=None)


def _cells_apart(request: DataRequest) -> tuple[DataRequest, ...]:
    """A request in two halves, by periods or else by reporters; as it is when it asks for a single one of both."""
    one_cell = len(request.periods) == len(request.reporters) == 1
    return (request,) if one_cell else request.narrower((), ())


def _api_part(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*API_COLUMNS, "quarantine_field", "quarantine_value")


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in an order that does not depend on the answer's: by data set and key, by every column where keys repeat."""
    keys = [*_DATA_SET_COLUMNS, *_KEY_COLUMNS]
    ordered = rows.sort(keys, nulls_last=True, maintain_order=True)
    return (
        rows.sort([*keys, *(name for name in rows.columns if name not in keys)], nulls_last=True)
        if _are_keys_repeated(ordered)
        else ordered
    )


def _are_keys_repeated(ordered: pl.DataFrame) -> bool:
    keys = pl.struct([*_DATA_SET_COLUMNS, *_KEY_COLUMNS])
    return bool(ordered.select(keys.rle_id().n_unique()).item() < ordered.height)


def _with_doubled_rows(ordered: pl.DataFrame) -> set[tuple[object, ...]]:
    """Data sets that hold a row twice, as their rows name them; with the right number of rows another is missing."""
    if not _are_keys_repeated(ordered):
        return set()
    return set(ordered.filter(ordered.is_duplicated()).select(_DATA_SET_COLUMNS).unique().rows())


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(_DATA_SET_COLUMNS, maintain_order=True).len()


def _cells_of(key: DataSet) -> tuple[str, str, str, int, str]:
    """A data set as its rows name it."""
    return key.type_code, key.frequency, key.period, int(key.reporter_code), key.classification_code


def _keys(cells: Sequence[Sequence[object]]) -> pl.DataFrame:
    return pl.DataFrame(cells, schema={name: API_COLUMNS[name] for name in _DATA_SET_COLUMNS}, orient="row")


def _matching(rows: pl.DataFrame, cells: Sequence[Sequence[object]], how: Literal["semi", "anti"]) -> pl.DataFrame:
    """Rows of these data sets, or all but them, in their order; a NULL matches a NULL."""
    return rows.join(_keys(cells), on=_DATA_SET_COLUMNS, how=how, nulls_equal=True, maintain_order="left")


def _digest(rows: pl.DataFrame) -> str:
    """Fingerprint of rows in their order."""
    return hashlib.sha256(rows.write_ipc(None).getvalue()).hexdigest()


def rows_by_partner(landed_dir: Path, frequency: str, period: str, reporter: str) -> dict[str, int]:
    """How many rows each partner (code in three digits) has in what landed of a reporter in the period nearest to this
    one, the earlier of two; {} when nothing of the reporter has landed, or it cannot be read.
    """
    files: dict[str, list[Path]] = defaultdict(list)
    for path in landed_dir.glob(f"{frequency}-*/{reporter}_*.parquet"):
        files[path.parent.name.removeprefix(f"{frequency}-")].append(path)
    if not files:
        return {}
    nearest = min(files, key=lambda other: (abs(_months(other) - _months(period)), other))
    try:
        frames = [pl.read_parquet(path, columns=["partnerCode"]) for path in sorted(files[nearest])]
    except pl.exceptions.PolarsError:  # Damaged by a power cut, or without any partner: it tells nothing.
        return {}
    counted = pl.concat(frames).drop_nulls().group_by("partnerCode").len().sort("partnerCode")
    return {f"{code:03d}": int(rows) for code, rows in counted.iter_rows()}


def _months(period: str) -> int:
    """A period as a number of months, so that distances can be taken."""
    return int(period[:4]) * 12 + int(period[4:6] or 0)


def _remove_folder(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
