"""The record of calls: quota and pace hold across processes, and no key stands in it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from orchestration.comtrade.api.errors import QuotaSpent
from orchestration.comtrade.api.limits import PREVIEW_ROWS, Limits
from orchestration.comtrade.api.quota import CallBook, CallRecord, key_name_of
from tests.unit.comtrade.api.api_answers import FAST, KEY, REQUEST, Server, client_for, json_answer, no_wait

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()
A_DAY = 86_400.0


class Clock:
    """A clock that only moves when somebody waits or sets it."""

    def __init__(self) -> None:
        self.now, self.waits = NOON, list[float]()

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def book_of(file: Path, clock: Clock, limits: Limits, key_name: str = "key-1") -> CallBook:
    return CallBook(file, limits, key_name, "pull-1", clock.read, clock.wait)


def test_calls_are_on_record_with_what_came_back_when_they_end(book_file: Path, clock: Clock) -> None:
    book = book_of(book_file, clock, replace(FAST, rows_a_call=100))
    first, second, third = (book.begin("data/v1/get", f"C/A/HS?period={n}") for n in range(3))
    book.end(first, 200, 100, "aa")
    book.end(second, 503)
    book.end(third, None)
    day = "2024-02-29"
    assert book.calls() == [
        CallRecord(first, day, "data/v1/get", "C/A/HS?period=0", 200, 100, "aa", 1),
        CallRecord(second, day, "data/v1/get", "C/A/HS?period=1", 503, None, None, 0),
        CallRecord(third, day, "data/v1/get", "C/A/HS?period=2", None, None, None, None),
    ]
    book.begin("data/v1/getDa", "C/A/HS")
    assert [call.endpoint for call in book.calls("data/v1/getDa")] == ["data/v1/getDa"]
    assert book.last_call_id() == book.calls()[-1].call_id


def test_a_call_is_on_record_when_it_never_ended(book_file: Path, clock: Clock) -> None:
    book_of(book_file, clock, FAST).begin("data/v1/get", "C/A/HS")
    (call,) = book_of(book_file, clock, FAST).calls()
    assert (call.status, call.row_count, call.is_cut_off) == (None, None, None)
    assert book_of(book_file, clock, FAST).used_today() == 1


def test_no_call_is_begun_when_the_calls_of_the_day_are_used(book_file: Path, clock: Clock) -> None:
    limits = replace(FAST, calls_a_day=2)
    book = book_of(book_file, clock, limits)
    assert book.left_today() == 2
    book.begin("e", "r")
    book_of(book_file, clock, limits).begin("e", "r")
    assert (book.used_today(), book.left_today()) == (2, 0)
    with pytest.raises(QuotaSpent) as spent:
        book.begin("e", "r")
    assert "2024-02-29" in spent.value.what
    assert "2024-03-01" in spent.value.how_to_mend
    assert "MIRROR_API_CALLS_A_DAY" in spent.value.how_to_mend
    assert len(book.calls()) == 2


def test_calls_may_be_made_again_when_the_day_of_utc_is_over(book_file: Path, clock: Clock) -> None:
    book = book_of(book_file, clock, replace(FAST, calls_a_day=1))
    book.begin("e", "r")
    clock.now = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()
    with pytest.raises(QuotaSpent):
        book.begin("e", "r")
    clock.now += 1.0
    assert book.left_today() == 1
    book.begin("e", "r")
    assert [call.day for call in book.calls()] == ["2024-02-29", "2024-03-01"]


def test_no_call_is_left_until_tomorrow_when_the_server_said_the_quota_is_spent(book_file: Path, clock: Clock) -> None:
    book = book_of(book_file, clock, FAST)
    book.begin("e", "r")
    assert "2024-03-01" in str(book.spend())
    book.spend()
    other = book_of(book_file, clock, FAST)
    assert (other.left_today(), other.used_today()) == (0, 1)
    with pytest.raises(QuotaSpent):
        other.begin("e", "r")
    assert book_of(book_file, clock, FAST, "key-2").left_today() == FAST.calls_a_day
    clock.now += A_DAY
    assert other.left_today() == FAST.calls_a_day


def test_keys_are_counted_apart_when_they_share_a_record(book_file: Path, clock: Clock) -> None:
    limits = Limits(calls_a_day=1)
    book_of(book_file, clock, limits).begin("e", "r")
    other = book_of(book_file, clock, limits, "key-2")
    other.begin("e", "r")
    assert clock.waits == []
    with pytest.raises(QuotaSpent):
        other.begin("e", "r")


def test_calls_are_spaced_when_they_come_faster_than_the_pace(book_file: Path, clock: Clock) -> None:
    books = [book_of(book_file, clock, replace(FAST, calls_a_second=4.0)) for _ in range(2)]
    for n in range(4):
        books[n % 2].begin("e", "r")
    assert clock.waits == [0.25] * 3
    clock.now += 10.0
    books[0].begin("e", "r")
    assert len(clock.waits) == 3


def test_two_processes_keep_one_quota_and_one_pace_when_they_share_a_record(book_file: Path, project_dir: Path) -> None:
    """Six calls wanted, five allowed; each turn is a twentieth of a second after the one before."""
    program = (
        "import sys; from pathlib import Path\n"
        "from orchestration.comtrade.api.errors import QuotaSpent\n"
        "from orchestration.comtrade.api.limits import Limits\n"
        "from orchestration.comtrade.api.quota import CallBook\n"
        "book = CallBook(Path(sys.argv[1]), Limits(calls_a_day=5, calls_a_second=20.0), 'key-1', sys.argv[2])\n"
        "for _ in range(3):\n"
        "    try: book.begin('e', sys.argv[2])\n"
        "    except QuotaSpent: print('spent')\n"
    )
    with ThreadPoolExecutor(2) as both:
        said = both.map(
            lambda name: subprocess.run(
                [sys.executable, "-c", program, str(book_file), name],
                cwd=project_dir, capture_output=True, text=True, check=True,
            ).stdout,
            ("one", "other"),
        )  # fmt: skip
        assert "".join(said) == "spent\n"
    with closing(sqlite3.connect(book_file)) as con:
        turns = [at for (at,) in con.execute("select at from call order by call_id")]
    assert len(turns) == 5
    assert all(later - earlier >= 0.05 - 1e-6 for earlier, later in pairwise(turns))


def test_every_call_is_counted_once_when_threads_begin_at_the_same_time(book_file: Path) -> None:
    def begin(_: int) -> bool:
        try:
            CallBook(book_file, replace(FAST, calls_a_day=15), "key-1", sleep=no_wait).begin("e", "r")
        except QuotaSpent:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(begin, range(20))) == 15
    assert len(CallBook(book_file, FAST, "key-1").calls()) == 15


def test_the_key_stands_nowhere_in_the_record_when_calls_are_made_with_it(book_file: Path) -> None:
    with client_for(Server([json_answer()]), book_file) as client:
        client.data(REQUEST)
    written = b"".join(path.read_bytes() for path in book_file.parent.iterdir())
    assert key_name_of(KEY).encode() in written
    assert not [n for n in range(len(KEY) - 8) if KEY[n : n + 8].encode() in written]


def test_a_key_is_named_without_being_told_when_its_calls_are_counted() -> None:
    assert key_name_of(KEY) == key_name_of(KEY)
    assert key_name_of(KEY) != key_name_of(KEY + "1")
    assert KEY[:4] not in key_name_of(KEY).removeprefix("key-")
    assert key_name_of(None) == key_name_of("") == "keyless"


def test_the_preview_gives_500_rows_when_its_limits_are_asked_for() -> None:
    limits = Limits(calls_a_day=7, rows_a_call=250_000)
    assert limits.of_preview() == replace(limits, rows_a_call=PREVIEW_ROWS)
    assert PREVIEW_ROWS == 500


def test_limits_are_those_of_a_free_key_when_nothing_is_set() -> None:
    limits = Limits()
    assert (limits.calls_a_day, limits.rows_a_call, limits.address_characters) == (500, 100_000, 4_096)


def test_a_call_waits_no_hours_when_the_clock_has_been_set_back(book_file: Path, clock: Clock) -> None:
    book = book_of(book_file, clock, replace(FAST, calls_a_second=1.0))
    clock.now += A_DAY
    book.begin("data/v1/get", "C/A/HS")
    clock.now -= A_DAY
    book.begin("data/v1/get", "C/A/HS")
    book.begin("data/v1/get", "C/A/HS")
    assert clock.waits == [1.0]
