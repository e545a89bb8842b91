"""Calls made, counted across processes: how many a day, how fast.

Belongs here: the record of calls in one SQLite file, the day's quota, the pace. Does not belong here: what a call
asks for, and what to do when no call is left (`client`, the pull).

Why no library: those at hand count in a sliding window and cannot be told that the server itself said the quota is
spent; the record of calls, which the design asks for, is the same table. A day is a day of UTC.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.comtrade.api.errors import QuotaSpent
from orchestration.comtrade.api.limits import Limits

_WAIT_FOR_LOCK_SECONDS = 60.0
_LONGEST_QUEUE = 100
"""More processes than will ever wait for one key."""
_TABLES = """
create table if not exists call (
    call_id integer primary key,
    key_name text not null,
    day text not null,
    at real not null,
    endpoint text not null,
    request text not null,
    status integer,
    row_count integer,
    answer_checksum text,
    is_cut_off integer,
    pull_id text
);
create index if not exists call_of_day on call (key_name, day);
create table if not exists spent (key_name text not null, day text not null, primary key (key_name, day));
create table if not exists pace (key_name text primary key, next_at real not null);
"""


@dataclass(frozen=True)
class CallRecord:
    """One call: when (UTC), what was asked (no key), what came back; `is_cut_off` is 1, 0 or None (no answer)."""

    call_id: int
    day: str
    endpoint: str
    request: str
    status: int | None
    row_count: int | None
    answer_checksum: str | None
    is_cut_off: int | None


def key_name_of(key: str | None) -> str:
    """A name for a key that does not give it away: calls of two keys are counted apart."""
    return "keyless" if not key else "key-" + hashlib.sha256(b"mirror warehouse:" + key.encode()).hexdigest()[:8]


class CallBook:
    """The record of calls of one key in `file`, shared by every process that opens it."""

    def __init__(
        self,
        file: Path,
        limits: Limits,
        key_name: str,
        pull_id: str = "",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file, self._limits, self._key_name, self._pull_id = file, limits, key_name, pull_id
        self._now, self._sleep = now, sleep
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as con:
            con.executescript(_TABLES)

    def begin(self, endpoint: str, request: str) -> int:
        """Book a call before it is made and wait for its turn; returns its number.

        Raises QuotaSpent when the day's calls are used up, or the server said so.
        """
        at = self._now()
        with self._open() as con:
            con.execute("begin immediate")
            day = _day(at)
            if self._is_spent(con, day) or self._used(con, day) >= self._limits.calls_a_day:
                raise self._spent(at)
            pause = 1.0 / self._limits.calls_a_second
            turn = max(at, self._next_turn(con))
            if turn - at > _LONGEST_QUEUE * pause + _WAIT_FOR_LOCK_SECONDS:
                # No queue is that long: the clock has been set back, and the turn would come hours from now.
                turn = at
            con.execute(
                "insert into pace values (?, ?) on conflict (key_name) do update set next_at = excluded.next_at",
                (self._key_name, turn + pause),
            )
            cursor = con.execute(
                "insert into call (key_name, day, at, endpoint, request, pull_id) values (?, ?, ?, ?, ?, ?)",
                (self._key_name, day, turn, endpoint, request, self._pull_id),
            )
            con.execute("commit")
        if turn > at:
            self._sleep(turn - at)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end(self, call_id: int, status: int | None, row_count: int | None = None, checksum: str | None = None) -> None:
        """Book what came back (`status` None: nothing); an answer with as many rows as a call may have is cut off."""
        cut_off = None if status is None else int(row_count is not None and row_count >= self._limits.rows_a_call)
        with self._open() as con:
            con.execute(
                "update call set status = ?, row_count = ?, answer_checksum = ?, is_cut_off = ? where call_id = ?",
                (status, row_count, checksum, cut_off, call_id),
            )

    def spend(self) -> QuotaSpent:
        """Book that the server said the quota of today is spent; returns the error to raise."""
        at = self._now()
        with self._open() as con:
            con.execute("insert or ignore into spent values (?, ?)", (self._key_name, _day(at)))
        return self._spent(at)

    def used_today(self) -> int:
        """Calls booked today."""
        with self._open() as con:
            return self._used(con, _day(self._now()))

    def left_today(self) -> int:
        """Calls that are left today; 0 once the server said so."""
        with self._open() as con:
            day = _day(self._now())
            return 0 if self._is_spent(con, day) else max(0, self._limits.calls_a_day - self._used(con, day))

    def last_call_id(self) -> int:
        """The number of the latest call on record, of any key; 0 before the first."""
        with self._open() as con:
            return int(con.execute("select coalesce(max(call_id), 0) from call").fetchone()[0])

    def calls(self, endpoint: str | None = None) -> list[CallRecord]:
        """Every call on record, in order; of one endpoint when named."""
        sql = "select call_id, day, endpoint, request, status, row_count, answer_checksum, is_cut_off from call"
        with self._open() as con:
            rows = con.execute(f"{sql} where ? is null or endpoint = ? order by call_id", (endpoint, endpoint))
            return [CallRecord(i, day, where, what, *came) for i, day, where, what, *came in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # Transactions are begun and committed by hand; closing one that was not committed rolls it back.
        with closing(sqlite3.connect(self._file, timeout=_WAIT_FOR_LOCK_SECONDS, isolation_level=None)) as con:
            yield con

    def _used(self, con: sqlite3.Connection, day: str) -> int:
        return int(
            con.execute("select count(*) from call where key_name = ? and day = ?", (self._key_name, day)).fetchone()[0]
        )

    def _is_spent(self, con: sqlite3.Connection, day: str) -> bool:
        return bool(
            con.execute("select count(*) from spent where key_name = ? and day = ?", (self._key_name, day)).fetchone()[
                0
            ]
        )

    def _next_turn(self, con: sqlite3.Connection) -> float:
        found = con.execute("select next_at from pace where key_name = ?", (self._key_name,)).fetchone()
        return float(found[0]) if found else 0.0

    def _spent(self, at: float) -> QuotaSpent:
        tomorrow = datetime.fromtimestamp(at, UTC).date() + timedelta(days=1)
        return QuotaSpent(
            f"the quota of {_day(at)} (UTC) is spent: {self._limits.calls_a_day} calls a day is the limit set, or the "
            "API said so",
            "what has landed is kept, and nothing of it will be asked for again",
            f"start the pull again on {tomorrow.isoformat()} or later, or use a key with a larger quota "
            "(MIRROR_API_CALLS_A_DAY)",
        )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
