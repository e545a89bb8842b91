"""How an answer is written: envelope, rows, refusals.

Belongs here: bytes of answers and their headers. Does not belong here: which rows (`query`) and which refusal
(`keys`, `faults`).
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

JSON_TYPE, FILE_TYPE = "application/json; charset=utf-8", "application/TSV"
# The source says how long it took; a constant keeps equal questions answered by equal bytes.
ELAPSED = "0.01 secs"
# Memory that is used again stays quick; a whole answer at once would be written to fresh memory three times.
_ROWS_AT_ONCE = 8_192
_MISSING_KEY = (
    "Access denied due to missing subscription key. Make sure to include subscription key when making requests to "
    "an API."
)
_INVALID_KEY = (
    "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
)
_KEY_HEADER = {
    "WWW-Authenticate": 'AzureApiManagementKey realm="https://comtradeapi.un.org/data",'
    'name="Ocp-Apim-Subscription-Key",type="header"'
}


@dataclass(frozen=True)
class Answer:
    """One answer: `rows` is what the record of calls says; with `is_dropped` the connection closes half-way through
    the body; it is given only after `held_seconds`.
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    is_dropped: bool = False
    held_seconds: float = 0.0


def envelope(rows: pl.DataFrame, count: int | None = None) -> bytes:
    """The envelope of every list: elapsedTime, count, data, error. `count` is that of the rows unless told."""
    head = f'{{"elapsedTime":"{ELAPSED}","count":{rows.height if count is None else count},"data":['
    return b"".join((head.encode(), json_rows(rows), b'],"error":""}'))


def json_rows(rows: pl.DataFrame) -> memoryview:
    """Rows as JSON objects with commas between. Polars encodes them; its writer of CSV, told to quote nothing and to
    end lines with a comma, strings them together faster than anything that passes through Python's own text.
    """
    if not rows.height:
        return memoryview(b"")
    buffer = io.BytesIO()
    for part in rows.iter_slices(_ROWS_AT_ONCE):
        plain = part.cast({pl.Categorical: pl.String})
        encoded = plain.select(pl.struct(pl.all()).struct.json_encode())
        encoded.write_csv(buffer, include_header=False, quote_style="never", line_terminator=",")
    return buffer.getbuffer()[:-1]


def json_answer(rows: pl.DataFrame, count: int | None = None) -> Answer:
    """A list that was found."""
    return Answer(200, envelope(rows, count), rows=rows.height)


def _refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal of a key, spaced as the source's gateway spaces it."""
    body = f'{{ "statusCode": {status}, "message": {json.dumps(message)} }}'
    return Answer(status, body.encode(), "application/json", headers or {})


def missing_key() -> Answer:
    """401 without a key, byte for byte as recorded."""
    return _refusal(401, _MISSING_KEY, _KEY_HEADER)


def invalid_key() -> Answer:
    """401 with a key that is not known, byte for byte as recorded."""
    return _refusal(401, _INVALID_KEY, _KEY_HEADER)


def out_of_quota(seconds: int) -> Answer:
    """403 once the calls of the day are spent."""
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return _spaced(
        403, f"Out of call volume quota. Quota will be replenished in {hours:02d}:{minutes:02d}:{seconds % 60:02d}."
    )


def too_many_calls(seconds: int) -> Answer:
    """429 with the seconds to wait in text and header."""
    return _spaced(429, f"Rate limit is exceeded. Try again in {seconds} seconds.", {"Retry-After": str(seconds)})


def address_too_long(limit: int) -> Answer:
    """414 for an address longer than the limit."""
    return _spaced(414, f"The address is longer than {limit} characters. Ask for less at a time.")


def not_found(path: str) -> Answer:
    """404 for a path that the stand-in does not serve."""
    return _spaced(404, f"Resource not found: {path}")


def server_error(status: int) -> Answer:
    """500, 502 or 503 as a gateway gives it: no JSON."""
    body = f"<html><head><title>{status}</title></head><body><h1>{status} Service unavailable</h1></body></html>"
    return Answer(status, body.encode(), "text/html")


def compressed(answer: Answer) -> Answer:
    """The same answer, its body gzipped."""
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1, mtime=0), headers=headers)


def _spaced(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps({"statusCode": status, "message": message})
    return Answer(status, body.encode(), "application/json", headers or {})
