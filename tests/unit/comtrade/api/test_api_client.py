"""The client: paths, statuses turned into errors, waiting, and a key that is told to nobody but the API."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from orchestration.comtrade.api.client import ADDRESS, KEY_HEADER, Client
from orchestration.comtrade.api.errors import (
    AccessRefused,
    AddressTooLong,
    ApiError,
    BadBody,
    KeyRefused,
    NoAnswer,
    Passing,
    QuotaSpent,
    RateExceeded,
    RequestRefused,
    ServerFailing,
)
from orchestration.comtrade.api.quota import CallBook
from tests.unit.comtrade.api.api_answers import (
    FAST,
    KEY,
    PLAIN_ROW,
    REQUEST,
    Server,
    answer_body,
    client_for,
    json_answer,
    listed,
    no_wait,
    refusal,
)

QUOTA_TEXT = "Out of call volume quota. Quota will be replenished in 02:13:05."
RATE_TEXT = "Rate limit is exceeded. Try again in {} seconds."
MISSING = "Access denied due to missing subscription key. Make sure to include subscription key when making requests."
INVALID = "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."


def records(book_file: Path) -> list[tuple[int | None, int | None, int | None]]:
    """Status, rows and cut of every call on record."""
    return [(call.status, call.row_count, call.is_cut_off) for call in CallBook(book_file, FAST, "reader").calls()]


def test_an_answer_comes_with_its_checksum_and_is_booked_when_all_goes_well(book_file: Path) -> None:
    body = answer_body(PLAIN_ROW)
    server = Server([json_answer(body)])
    with client_for(server, book_file) as client:
        found = client.data(REQUEST)
    assert (found.content, found.checksum) == (body, hashlib.sha256(body).hexdigest())
    assert str(server.asked[0].url) == f"{ADDRESS}/data/v1/get/C/A/HS?reporterCode=156&period=2022"
    assert server.asked[0].headers[KEY_HEADER] == KEY
    assert records(book_file) == [(200, 1, 0)]


def test_an_answer_is_booked_as_cut_off_when_it_has_as_many_rows_as_a_call_may_have(book_file: Path) -> None:
    server = Server([json_answer(answer_body(PLAIN_ROW, PLAIN_ROW)), json_answer(answer_body(PLAIN_ROW))])
    with client_for(server, book_file, replace(FAST, rows_a_call=2)) as client:
        client.data(REQUEST)
        client.data(REQUEST)
    assert records(book_file) == [(200, 2, 1), (200, 1, 0)]


@pytest.mark.parametrize(
    ("ask", "address"),
    [
        (lambda c: c.availability("C", "M", "HS", ("202201", "202202")), "data/v1/getDa/C/M/HS?period=202201,202202"),
        (lambda c: c.availability("C", "A", "HS"), "data/v1/getDa/C/A/HS"),
        (lambda c: c.live_updates(), "data/v1/getLiveUpdate"),
        (lambda c: c.metadata("C", "A", "HS", {"period": "2022"}), "data/v1/getMetadata/C/A/HS?period=2022"),
        (lambda c: c.bulk_list("C", "A", "HS", {"period": "2022"}), "bulk/v1/get/C/A/HS?period=2022"),
        (lambda c: c.reference("Reporters"), "files/v1/app/reference/Reporters.json"),
    ],
)
def test_each_endpoint_is_called_by_the_path_of_the_official_client_when_there_is_a_key(
    book_file: Path, ask: Callable[[Client], object], address: str
) -> None:
    server = Server([json_answer()])
    with client_for(server, book_file) as client:
        ask(client)
    assert str(server.asked[0].url) == f"{ADDRESS}/{address}"


def test_the_public_endpoints_are_called_when_there_is_no_key(book_file: Path) -> None:
    server = Server([json_answer()])
    with client_for(server, book_file, key=None) as client:
        client.data(REQUEST)
        client.availability("C", "A", "HS")
    assert [call.url.path for call in server.asked] == ["/public/v1/preview/C/A/HS", "/public/v1/getDa/C/A/HS"]
    assert all(KEY_HEADER not in call.headers for call in server.asked)


def test_versions_are_read_when_availability_is_asked_for(book_file: Path) -> None:
    with client_for(Server([json_answer(answer_body(listed(), listed(reporterCode=4)))]), book_file) as client:
        assert [one.data_set.reporter_code for one in client.availability("C", "A", "HS")] == ["004", "056"]


@pytest.mark.parametrize("text", [MISSING, INVALID])
def test_the_key_is_refused_at_once_when_the_api_answers_401(book_file: Path, text: str) -> None:
    server = Server([refusal(401, text)])
    with client_for(server, book_file) as client, pytest.raises(KeyRefused) as refused:
        client.data(REQUEST)
    assert text[:60] in refused.value.what
    assert "MIRROR_API_KEY" in refused.value.how_to_mend
    assert len(server.asked) == 1


@pytest.mark.parametrize("number", [23, 24])
def test_the_key_is_refused_when_the_recorded_401_comes(
    book_file: Path, recorded_bodies: dict[int, bytes], number: int
) -> None:
    server = Server([json_answer(recorded_bodies[number], 401)])
    with client_for(server, book_file) as client, pytest.raises(KeyRefused) as refused:
        client.data(REQUEST)
    assert json.loads(recorded_bodies[number])["message"] in refused.value.what


def test_the_quota_is_spent_for_every_later_call_of_the_day_when_the_api_says_so(book_file: Path) -> None:
    server = Server([refusal(403, QUOTA_TEXT), json_answer()])
    with client_for(server, book_file) as client:
        for _ in range(2):
            with pytest.raises(QuotaSpent, match=r"start the pull again on \d{4}-\d\d-\d\d"):
                client.data(REQUEST)
    assert len(server.asked) == 1
    assert CallBook(book_file, FAST, "another key").left_today() == FAST.calls_a_day


@pytest.mark.parametrize("status", [400, 403, 404, 302])
def test_a_request_is_refused_at_once_when_the_status_is_of_no_other_kind(book_file: Path, status: int) -> None:
    server = Server([refusal(status, "Resource not found")])
    said = f"status {status}: Resource"
    with client_for(server, book_file) as client, pytest.raises(RequestRefused, match=said) as refused:
        client.data(REQUEST)
    assert len(server.asked) == 1
    # What is not about the request is told apart: a pull need not try another one.
    assert isinstance(refused.value, AccessRefused) == (status in {302, 403})


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, RATE_TEXT.format(7)), 7.0),
        (refusal(429, RATE_TEXT.format("0.5")), 0.5),
        (refusal(429, RATE_TEXT.format(1).replace("seconds", "second")), 1.0),
        (refusal(429, "Slow down.", **{"retry-after": "9"}), 9.0),
        (refusal(429, RATE_TEXT.format(7), **{"retry-after": "9"}), 7.0),
    ],
)
def test_the_client_waits_exactly_as_long_as_told_when_it_called_too_fast(
    book_file: Path, answer: httpx.Response, seconds: float
) -> None:
    waits: list[float] = []
    server = Server([answer, json_answer()])
    with client_for(server, book_file, sleep=waits.append) as client:
        client.data(REQUEST)
    assert waits == [seconds]
    assert records(book_file) == [(429, None, 0), (200, 0, 0)]


def test_the_client_waits_longer_each_time_when_it_called_too_fast_and_was_told_no_seconds(book_file: Path) -> None:
    waits: list[float] = []
    dated = refusal(429, "Slow down.", **{"retry-after": "Fri, 17 Nov 2023 10:35:30 GMT"})
    with client_for(Server([dated]), book_file, sleep=waits.append) as client, pytest.raises(RateExceeded) as refused:
        client.data(REQUEST)
    assert refused.value.seconds is None
    assert len(waits) == FAST.attempts - 1
    assert all(2**n <= wait <= 2**n + 1 for n, wait in enumerate(waits))


def test_the_client_gives_up_at_once_when_it_is_told_to_wait_longer_than_it_may(book_file: Path) -> None:
    waits: list[float] = []
    server = Server([refusal(429, RATE_TEXT.format(121))])
    with client_for(server, book_file, sleep=waits.append) as client, pytest.raises(RateExceeded) as refused:
        client.data(REQUEST)
    assert (waits, len(server.asked), refused.value.seconds) == ([], 1, 121.0)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(500, text="<h1>500</h1>"), ServerFailing),
        (httpx.Response(502), ServerFailing),
        (refusal(503, "Service unavailable"), ServerFailing),
        (httpx.Response(408), ServerFailing),
        (httpx.ReadTimeout("slow"), NoAnswer),
        (httpx.ConnectTimeout("slow"), NoAnswer),
        (httpx.ConnectError("nobody there"), NoAnswer),
        (httpx.RemoteProtocolError("peer closed connection without sending complete message body"), NoAnswer),
    ],
)
def test_a_call_is_made_again_with_longer_waits_when_the_api_fails_in_passing(
    book_file: Path, answer: httpx.Response | Exception, kind: type[Passing]
) -> None:
    waits: list[float] = []
    limits = replace(FAST, attempts=5, longest_wait_seconds=3.0)
    server = Server([answer])
    with client_for(server, book_file, limits, sleep=waits.append) as client, pytest.raises(kind) as failed:
        client.data(REQUEST)
    assert isinstance(failed.value, Passing)
    assert len(server.asked) == len(records(book_file)) == 5
    assert [1.0 <= waits[0] <= 2.0, 2.0 <= waits[1] <= 3.0, waits[2:]] == [True, True, [3.0, 3.0]]


def test_the_answer_is_had_when_the_api_fails_only_twice(book_file: Path) -> None:
    server = Server([httpx.Response(503), httpx.ReadTimeout("slow"), json_answer(answer_body(PLAIN_ROW))])
    with client_for(server, book_file) as client:
        assert client.data(REQUEST).content == answer_body(PLAIN_ROW)
    assert records(book_file) == [(503, None, 0), (None, None, None), (200, 1, 0)]


def test_a_call_is_made_again_when_the_packed_answer_is_damaged(book_file: Path) -> None:
    """An answer cut short on its way cannot be unpacked; that once ended the pull with an error of the library."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    damaged = httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"\x1f\x8b damaged"))
    whole = httpx.Response(200, headers=headers, stream=httpx.ByteStream(gzip.compress(answer_body(PLAIN_ROW))))
    with client_for(Server([damaged, whole]), book_file) as client:
        assert client.data(REQUEST).content == answer_body(PLAIN_ROW)
    assert [status for status, _, _ in records(book_file)] == [None, 200]


@pytest.mark.parametrize("headers", [{"content-type": "text/html; charset=utf-8"}, {}])
def test_the_body_is_kept_and_not_asked_for_again_by_the_client_when_it_is_no_json(
    book_file: Path, headers: dict[str, str]
) -> None:
    page = b"<html><body>Be back soon.</body></html>"
    server = Server([httpx.Response(200, content=page, headers=headers)])
    with client_for(server, book_file) as client, pytest.raises(BadBody, match="instead of JSON") as refused:
        client.data(REQUEST)
    assert refused.value.body == page
    assert len(server.asked) == 1


def test_nothing_is_sent_or_booked_when_the_address_is_too_long(book_file: Path) -> None:
    server = Server([json_answer()])
    long = replace(REQUEST, reporters=tuple(f"{n:03d}" for n in range(100, 999)))
    with client_for(server, book_file, replace(FAST, address_characters=500)) as client:
        assert client.address_fits(REQUEST)
        assert not client.address_fits(long)
        with pytest.raises(AddressTooLong, match=r"longer than the 500 .*MIRROR_API_ADDRESS_CHARACTERS"):
            client.data(long)
    assert server.asked == []
    assert records(book_file) == []


def test_an_address_fits_to_the_last_character_when_its_length_is_the_limit(book_file: Path) -> None:
    server = Server([json_answer()])
    length = len(f"{ADDRESS}/data/v1/get/C/A/HS?reporterCode=156&period=2022")
    for limit, fits in ((length, True), (length - 1, False)):
        with client_for(server, book_file, replace(FAST, address_characters=limit)) as client:
            assert client.address_fits(REQUEST) is fits
    with client_for(server, book_file, replace(FAST, address_characters=length)) as client:
        client.data(REQUEST)
    assert len(str(server.asked[0].url)) == length


def test_it_is_said_when_the_api_finds_an_address_too_long(book_file: Path) -> None:
    server, words = Server([refusal(414, "Too long")]), "lower MIRROR_API_ADDRESS_CHARACTERS"
    with client_for(server, book_file) as client, pytest.raises(AddressTooLong, match=words):
        client.data(REQUEST)


@pytest.mark.parametrize("name", [f"{ADDRESS}/bulk/v1/file/32/b07f98ee", "32/b07f98ee"])
def test_a_bulk_file_appears_whole_under_its_name_when_it_is_downloaded(
    book_file: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(b"datasetCode\trefPeriodId\r\n")
    server = Server([httpx.Response(200, content=content, headers={"content-type": "application/TSV"})])
    target, written = tmp_path / "bulk" / "C_A_32.txt.gz", list[str]()
    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: written.append(self.name) or write_bytes(self, data))
    with client_for(server, book_file) as client:
        assert client.bulk_file(name, target) == target
    assert server.asked[0].url.path == "/bulk/v1/file/32/b07f98ee"
    assert target.read_bytes() == content
    assert written == [".C_A_32.txt.gz.tmp"]
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_no_bulk_file_is_left_when_its_download_fails(book_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "bulk" / "C_A_32.txt.gz"
    server = Server([refusal(404, "Resource not found")])
    with client_for(server, book_file) as client, pytest.raises(RequestRefused):
        client.bulk_file("32/b07f98ee", target)
    assert list(tmp_path.rglob("*.gz*")) == []


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, f"Access denied for {KEY}"),
        refusal(403, f"{QUOTA_TEXT} Key {KEY}"),
        refusal(404, f"Resource not found: {KEY}"),
        refusal(429, f"{RATE_TEXT.format(1)} {KEY}"),
        httpx.Response(503, text=f"Your key {KEY} is welcome later."),
        # Where the text is cut, half of the key must not stand either.
        httpx.Response(503, text="x" * 185 + KEY),
        httpx.Response(200, text=KEY, headers={"content-type": "text/html"}),
        json_answer(answer_body(error=f"no rows for {KEY}")),
        httpx.ConnectError(f"refused, headers {KEY}"),
    ],
)
def test_the_key_stands_in_no_message_log_or_record_when_an_answer_repeats_it(
    book_file: Path, caplog: pytest.LogCaptureFixture, answer: httpx.Response | Exception
) -> None:
    caplog.set_level(logging.DEBUG)
    with client_for(Server([answer]), book_file) as client, pytest.raises(ApiError) as failed:
        client.availability("C", "A", "HS")
    error = failed.value
    said = "\n".join((str(error), repr(error), error.what, error.why_it_matters, error.how_to_mend, caplog.text))
    assert KEY[:10] not in said
    assert KEY.encode() not in b"".join(path.read_bytes() for path in book_file.parent.iterdir())


def test_the_key_goes_nowhere_but_into_the_header_when_a_call_is_made(book_file: Path) -> None:
    server = Server([json_answer()])
    with client_for(server, book_file) as client:
        client.data(REQUEST)
        client.bulk_list("C", "A", "HS", {"period": "2022"})
    for asked in server.asked:
        assert KEY not in str(asked.url)
        assert [name for name, value in asked.headers.items() if KEY in value] == [KEY_HEADER.lower()]
    assert KEY not in repr(vars(CallBook(book_file, FAST, "reader")))


@pytest.mark.parametrize("key", ["abcdef\n0123456789", "abcdef0123456789 x", "abcdéf0123456789", "abcdef\x00123456789"])
def test_a_key_is_refused_untold_before_any_call_when_it_could_stand_in_no_header(book_file: Path, key: str) -> None:
    """A line break in the key once came back in the library's own error, key and all."""
    server = Server([json_answer()])
    with pytest.raises(KeyRefused, match="MIRROR_API_KEY") as refused:
        client_for(server, book_file, key=key)
    told = "".join(traceback.format_exception(refused.value))
    assert "abcdef" not in told.split("KeyRefused", 1)[-1]
    assert refused.value.__context__ is None
    assert server.asked == []


def test_no_answer_is_what_a_caller_gets_when_a_real_server_hangs_up(book_file: Path) -> None:
    class HangsUp(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"count":')

        def log_message(self, *said: object) -> None:
            """Keep silent."""

    with HTTPServer(("127.0.0.1", 0), HangsUp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            limits = replace(FAST, attempts=2)
            book = CallBook(book_file, limits, "k", sleep=no_wait)
            address = f"http://127.0.0.1:{server.server_port}"
            client = Client(book, limits, KEY, address, sleep=no_wait)
            with client, pytest.raises(NoAnswer, match="RemoteProtocolError"):
                client.data(REQUEST)
        finally:
            server.shutdown()
            thread.join()
    assert len(records(book_file)) == 2
