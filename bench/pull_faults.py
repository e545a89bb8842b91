"""A pull under mixed faults of every kind that the stand-in knows: what became of each, and of the rows.

Belongs here: the script of faults, the operator who starts the pull again, the comparison at the end. Does not belong
here: what a fault does (`orchestration.stand_in.faults`).

Every kind is played equally often, in an order drawn with a seed; a new column and a mistyped cell also come twice in a
row, since the pull believes what comes twice alike. The operator starts the pull again when it stops for the key (at
once) or for the quota (on the next day), and once more as long as the last one landed something: a data set that is
revised while it is asked for lands under the version that was known, and as the new version with the next pull.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from bench.pull_ground import DATA, FILED, KEY, difference, files_with_key, landed_rows, pull_once, settings_for, table
from orchestration.comtrade.api.errors import ApiError
from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.comtrade.ledger import LedgerEntry, read_ledger
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.pull import COMPLETE, read_unsettled
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.stand_in import DatasetKey, Fault, Faults, Holdings, KeyLimits, StandIn, serve
from orchestration.stand_in.faults import KINDS, Kind

# As many as may lie in a row before a data set is given up for this pull; the operator starts that again too.
_SHARE = 0.5
_TWICE: tuple[Kind, ...] = ("new_column", "mistyped_cell")
_HELD_SECONDS, _TIMEOUT_SECONDS = 2.0, 1.0
_MOST_STARTS = 400
_MISTYPED = "not a number"
_FATE: dict[Kind, str] = {
    "missing_key": "pull stopped, started again",
    "invalid_key": "pull stopped, started again",
    "out_of_quota": "pull ended resumable, started on the next day",
    "too_many_calls": "waited as told, asked again",
    "server_error": "waited, asked again",
    "held": "timed out, asked again",
    "dropped": "asked again",
    "cut_short": "body kept, asked again",
    "web_page": "body kept, asked again",
    "duplicate_rows": "rows that came twice dropped, or asked again",
    "capped": "fewer rows than stated: asked again",
    "new_column": "body kept, asked again; twice alike: landed, flagged",
    "renamed_column": "body kept, asked again",
    "mistyped_cell": "body kept, asked again; twice alike: landed, flagged",
    "empty": "no rows though some are stated: asked again",
    "revised": "landed, and once more as the new version",
    "reordered": "put in order, landed",
    "wrong_count": "body kept, asked again",
}


@dataclass
class _Operator:
    """Who starts the pull again: how often for which reason, and how many days have passed."""

    starts: int = 0
    days: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def script(count: int, seed: int) -> dict[int, Fault]:
    """So many faults by number of the data call, each kind about equally often, calls that go well between them."""
    draw = random.Random(seed)
    kinds = [KINDS[n % len(KINDS)] for n in range(count)]
    draw.shuffle(kinds)
    found: dict[int, Fault] = {}
    number = 0
    while kinds:
        number += 1
        if draw.random() >= _SHARE:
            continue
        kind = kinds.pop()
        seconds = _HELD_SECONDS if kind == "held" else 1.0
        status = draw.choice([500, 502, 503])
        found[number] = Fault(kind, seconds=seconds, status=status, rows=draw.randint(1, 5))
        if kind in _TWICE and kind in kinds and draw.random() < 0.5:
            kinds.remove(kind)
            number += 1
            found[number] = found[number - 1]
    return found


def measure_faults(folder: Path, work: Path, count: int, cap: int, seed: int) -> bool:
    """Play the faults; print what became of them; True when every promise is kept."""
    holdings = Holdings.from_folder(folder)
    faults = script(count, seed)
    stand_in = StandIn(holdings, {KEY: KeyLimits(rows=cap, calls_a_day=None)}, faults=Faults.scripted(faults))
    data_dir, said_dir = work / "data", work / "said"
    said_dir.mkdir(parents=True)
    operator = _Operator()
    with serve(stand_in) as served:
        settings = settings_for(data_dir, served.address, api_rows_a_call=cap, api_timeout_seconds=_TIMEOUT_SECONDS)
        with _captured(said_dir):
            _until_nothing_is_new(settings, operator)
        stand_in.set_faults(Faults.scripted({1: Fault("invalid_key")}, ("data/v1/getDa",)))
        ended = [_from_the_command_line(data_dir, served.address, cap, said_dir, number) for number in (1, 2)]
    played = Counter(call.fault for call in stand_in.calls if call.fault is not None and call.endpoint == DATA)
    print(table("kind of fault|scripted|played|what became of it", [
        (kind, sum(f.kind == kind for f in faults.values()), played[kind], _FATE[kind]) for kind in KINDS
    ]))  # fmt: skip
    verdict = _Verdict.of(holdings, DataPaths(settings.data_folder))
    leaks = files_with_key(work)
    print(table("what|count", [
        ("faults played", sum(played[kind] for kind in KINDS)),
        ("calls for data", sum(call.endpoint == DATA for call in stand_in.calls)),
        ("times the pull was started", operator.starts),
        *((f"... because of: {why}", often) for why, often in sorted(operator.reasons.items())),
        *verdict.lines(),
        ("data sets that stayed doubtful", len(read_unsettled(DataPaths(settings.data_folder)))),
        ("files below the data folder and captured outputs with the key", len(leaks)),
        ("exit status of `cli pull` with a refused key, and with the right one", f"{ended[0]}, {ended[1]}"),
    ]), flush=True)  # fmt: skip
    all_played = sum(played[kind] for kind in KINDS) == count
    return all_played and verdict.is_kept and not leaks and ended == [1, 0]


def _until_nothing_is_new(settings: Settings, operator: _Operator) -> None:
    while operator.starts < _MOST_STARTS:
        operator.starts += 1
        try:
            done = pull_once(settings, days_later=operator.days)
        except ApiError as error:
            logging.getLogger("operator").warning("the pull stopped: %s", error)
            operator.reasons[type(error).__name__] += 1
            continue
        if done.status != COMPLETE:
            is_quota = "quota" in done.why
            operator.days += is_quota
            operator.reasons["quota spent" if is_quota else "the API stayed silent"] += 1
        elif done.unsettled:
            operator.reasons["data sets stayed doubtful"] += 1
        elif done.landed:
            operator.reasons["something landed, so something may have been revised"] += 1
        else:
            return
    raise RuntimeError(f"the pull was not complete after {_MOST_STARTS} starts: {operator.reasons}")


@contextlib.contextmanager
def _captured(folder: Path) -> Iterator[None]:
    """Everything that any library logs, at its finest level, and everything printed goes to files."""
    handler = logging.FileHandler(folder / "log.txt")
    root = logging.getLogger()
    own = logging.getLogger("mirror_warehouse")
    before = root.level, own.propagate
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    own.propagate = True
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        own.propagate = before[1]
        handler.close()
        (folder / "printed.txt").write_text(printed.getvalue(), encoding="utf-8")


def _from_the_command_line(data_dir: Path, address: str, cap: int, said_dir: Path, number: int) -> int:
    """`cli pull` as an operator starts it, its output kept; gives the exit status."""
    given = {
        "MIRROR_SOURCE": "api", "MIRROR_API_KEY": KEY, "MIRROR_API_ADDRESS": address, "MIRROR_DATA_DIR": str(data_dir),
        "MIRROR_API_ROWS_A_CALL": str(cap), "MIRROR_API_CALLS_A_DAY": "1000000", "PYTHONPATH": str(PROJECT_DIR),
        # As on another day: the server said today that the quota is spent.
        "MIRROR_API_CALL_BOOK": str(data_dir / "pull" / "calls_of_another_day.sqlite"),
    }  # fmt: skip
    outcome = subprocess.run(
        [sys.executable, "-m", "orchestration.defs.cli", "pull"],
        cwd=PROJECT_DIR, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    (said_dir / f"command_{number}.txt").write_bytes(outcome.stdout)
    return outcome.returncode


@dataclass(frozen=True)
class _Verdict:
    """What landed beside what was declared, in data sets and rows."""

    data_sets: int
    flagged_data_sets: int
    flagged_rows: int
    superseded: int
    lost: int
    strange: int
    absent: int
    strange_superseded: int

    @classmethod
    def of(cls, holdings: Holdings, paths: DataPaths) -> _Verdict:
        """Compare the newest landed version of every data set with the declared one, older ones with any declared."""
        newest, older = _by_data_set(read_ledger(paths.ledger))
        flagged = [0, 0]
        lost = strange = absent = strange_superseded = 0
        for one in holdings.data_sets():
            entry = newest.pop(one.key, None)
            if entry is None:
                absent += 1
                continue
            got = _rows(entry, paths)
            rows = got.filter(pl.col("quarantine_field").is_not_null()).height
            flagged[0] += rows > 0
            flagged[1] += rows
            missing, more = _difference(_plain(one.rows), got)
            lost, strange = lost + missing, strange + more
        for entry in older:
            known = holdings.get(_key_of(entry)).versions
            declared = pl.concat([_plain(version.rows) for version in known])
            strange_superseded += _difference(declared, _rows(entry, paths))[1]
        strange += sum(entry.row_count for entry in newest.values())
        return cls(
            len(holdings.data_sets()), flagged[0], flagged[1], len(older), lost, strange, absent, strange_superseded
        )

    def lines(self) -> list[tuple[str, int]]:
        """For the table."""
        return [
            ("data sets declared", self.data_sets),
            ("data sets that did not land", self.absent),
            ("rows declared that did not land", self.lost),
            ("rows landed that were not declared, or twice", self.strange),
            ("superseded versions that landed", self.superseded),
            ("rows in them that were never declared", self.strange_superseded),
            ("data sets that landed with flagged rows", self.flagged_data_sets),
            ("rows flagged for quarantine, their values kept", self.flagged_rows),
        ]

    @property
    def is_kept(self) -> bool:
        """True when nothing is lost, doubled or made up."""
        return self.absent == self.lost == self.strange == self.strange_superseded == 0


def _by_data_set(entries: list[LedgerEntry]) -> tuple[dict[DatasetKey, LedgerEntry], list[LedgerEntry]]:
    """The newest version of each data set by release date, and all older ones."""
    newest: dict[DatasetKey, LedgerEntry] = {}
    older = []
    for entry in sorted(entries, key=lambda one: (str(one.released_on), one.delivery_id)):
        key = _key_of(entry)
        if key in newest:
            older.append(newest[key])
        newest[key] = entry
    return newest, older


def _key_of(entry: LedgerEntry) -> DatasetKey:
    type_code, frequency, period, reporter, edition, _ = entry.source_file.split("-")
    return DatasetKey(type_code, frequency, period, int(reporter), edition)


def _rows(entry: LedgerEntry, paths: DataPaths) -> pl.DataFrame:
    return pl.concat([landed_rows(paths.landed / file.path) for file in entry.files])


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(API_COLUMNS[name]) for name in FILED)


def _difference(declared: pl.DataFrame, got: pl.DataFrame) -> tuple[int, int]:
    """Lost and strange rows. A mistyped value counts as landed where its row is flagged with the text that came: it
    stands in for one declared row that is equal in everything else.
    """
    is_mistyped = (pl.col("quarantine_field") == "primaryValue") & (pl.col("quarantine_value") == _MISTYPED)
    mistyped = got.filter(is_mistyped.fill_null(False)).select(FILED)
    others = [name for name in FILED if name != "primaryValue"]
    declared, mistyped = _without_blanks(declared), _without_blanks(mistyped)
    stood_for = declared.join(
        mistyped.select(others), on=others, how="semi", nulls_equal=True, maintain_order="left"
    ).head(mistyped.height)
    whole = pl.concat([got.filter(~is_mistyped.fill_null(False)).select(FILED), stood_for])
    return difference(declared, _without_blanks(whole))


def _without_blanks(rows: pl.DataFrame) -> pl.DataFrame:
    """The same without blanks at the ends of texts: the source writes the mode of supply as '0 ', and the reader of
    doubtful bodies, which is that of downloads, takes such blanks away.
    """
    return rows.with_columns(pl.col(pl.String).str.strip_chars())
