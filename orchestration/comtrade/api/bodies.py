"""From the body of an answer to rows, strictly: what is not exactly as the API writes it is a doubt, never a guess.

Belongs here: decoding bodies of data and of the availability list. Does not belong here: reading a doubtful body for
what can be saved of it (`files`, which flags each cell that resists), or asking again (the pull).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import polars as pl
from msgspec.structs import astuple

from orchestration.comtrade.api.errors import BadBody
from orchestration.comtrade.api.requests import DataSet, Version
from orchestration.comtrade.contract.schema import API_COLUMNS

# Without these a row cannot be attributed or has no value; every answer carries them, with descriptions or without.
REQUIRED = (
    "typeCode",
    "freqCode",
    "period",
    "reporterCode",
    "flowCode",
    "partnerCode",
    "classificationCode",
    "cmdCode",
    "primaryValue",
)
_PYTHON: dict[pl.DataType, Any] = {
    pl.String(): str | None,
    pl.Int64(): int | None,
    pl.Float64(): float | None,
    pl.Boolean(): bool | None,
}
# Empty unless descriptions are asked for, which a pull never does: places and products are named by our own tables.
DESCRIBING = (
    *(name for name in API_COLUMNS if name.endswith(("Desc", "ISO", "Abbr"))),
    "aggrLevel",
    "isLeaf",
)
# How an answer with rows is written, and how much of it is decoded at a time: what stays in the cache.
_DATA_BEGINS, _NEXT_ROW, _DATA_ENDS = b'"data":[', b"},{", b"}]"
_HEAD_BYTES, _SLICE_BYTES = 500, 2_000_000


def _row(name: str, empty: tuple[str, ...]) -> Any:
    """The type of a row: every column of the API and none but these; the `empty` ones must be null."""
    types = {column: None if column in empty else _PYTHON[dtype] for column, dtype in API_COLUMNS.items()}
    # Fields without a default come first in a struct.
    needed: list[Any] = [(column, types[column]) for column in REQUIRED]
    others: list[Any] = [(column, types[column], None) for column in API_COLUMNS if column not in REQUIRED]
    return msgspec.defstruct(name, needed + others, forbid_unknown_fields=True, gc=False)


def _decoders(row: Any) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """For a whole answer, and for some of its rows."""
    fields: list[Any] = [("data", list[row]), ("count", int), ("error", str | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields)), msgspec.json.Decoder(list[row])


class _Available(msgspec.Struct):
    typeCode: str
    freqCode: str
    period: int | str
    reporterCode: int
    classificationCode: str
    totalRecords: int
    datasetChecksum: int | str
    firstReleased: str | None
    lastReleased: str | None


class _AvailableEnvelope(msgspec.Struct):
    data: list[_Available]
    count: int
    error: str | None = None


_DESCRIBED, _DESCRIBED_ROWS = _decoders(_row("Row", ()))
_PLAIN, _PLAIN_ROWS = _decoders(_row("PlainRow", DESCRIBING))
_AVAILABLE = msgspec.json.Decoder(_AvailableEnvelope)
_MATTERS = "rows would be lost or read under the wrong name, and every total of the data set would be wrong"
_MEND = (
    "the body is kept whole in the quarantine and asked for again; if it stays so, compare it with the documentation "
    "of the API"
)


def read_rows(body: bytes) -> pl.DataFrame:
    """Rows of an answer in the columns and types of the API, in the answer's order; values in USD.

    Raises BadBody when it is cut short, states another number of rows than it holds, reports an error, misses a
    column, has one that is not known, or holds a cell of another type.
    """
    try:
        return _read(_PLAIN, _PLAIN_ROWS, body, [name for name in API_COLUMNS if name not in DESCRIBING])
    except BadBody:
        # It may only be described after all; if not, this says what is wrong.
        return _read(_DESCRIBED, _DESCRIBED_ROWS, body, list(API_COLUMNS))


def _read(
    whole: msgspec.json.Decoder[Any], some: msgspec.json.Decoder[Any], body: bytes, names: list[str]
) -> pl.DataFrame:
    schema = {name: API_COLUMNS[name] for name in names}
    try:
        frames = _in_slices(whole, some, body, schema) or [_frame(_decoded(whole, body).data, schema)]
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        # JSON knows whole numbers of any length, a column only those of 64 bits.
        raise BadBody("a number in an answer of the API is too large for its column", _MATTERS, _MEND, body) from error
    return pl.concat(frames).select(
        pl.col(name) if name in schema else pl.lit(None, dtype).alias(name) for name, dtype in API_COLUMNS.items()
    )


def _in_slices(
    whole: msgspec.json.Decoder[Any], some: msgspec.json.Decoder[Any], body: bytes, schema: dict[str, pl.DataType]
) -> list[pl.DataFrame]:
    """Frames of a long body that is decoded two thousand rows at a time: twice as fast as at once, and without the
    memory of a million cells. [] when the body is short or is not written as expected: it is then decoded at once.

    A body is cut where one row ends and the next begins. Should these three characters stand within a text, the text is
    cut too and the slice cannot be decoded, so that no row is ever misread.
    """
    begin, end = body.find(_DATA_BEGINS, 0, _HEAD_BYTES) + len(_DATA_BEGINS), body.rfind(_DATA_ENDS)
    if begin < len(_DATA_BEGINS) or end - begin < _SLICE_BYTES:
        return []
    frames, rows = [], 0
    start = begin
    try:
        while start < end:
            cut = body.find(_NEXT_ROW, min(start + _SLICE_BYTES, end), end)
            stop = end + 1 if cut < 0 else cut + 1
            found = some.decode(b"".join((b"[", memoryview(body)[start:stop], b"]")))
            frames.append(_frame(found, schema))
            rows += len(found)
            start = stop + 1
        envelope = whole.decode(body[:begin] + body[end + 1 :])
    except (msgspec.DecodeError, UnicodeDecodeError):  # The whole body says what is wrong with it.
        return []
    return frames if envelope.count == rows and not envelope.error and not envelope.data else []


def _frame(rows: list[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    if not rows:
        return pl.DataFrame(schema=schema)
    columns = zip(rows[0].__struct_fields__, zip(*map(astuple, rows), strict=True), strict=True)
    cells = {name: column for name, column in columns if name in schema}
    return pl.DataFrame({name: cells[name] for name in schema}, schema=schema)


def read_versions(body: bytes) -> list[Version]:
    """Versions of data sets that an availability list states, sorted. Raises BadBody as `read_rows` does; columns
    beyond those needed are no data and are left alone.
    """
    found = []
    for row in _decoded(_AVAILABLE, body).data:
        data_set = DataSet(
            row.typeCode, row.freqCode, str(row.period), f"{row.reporterCode:03d}", row.classificationCode
        )
        released = (_day(row.firstReleased, body), _day(row.lastReleased, body))
        found.append(Version(data_set, str(row.datasetChecksum), row.totalRecords, *released))
    return sorted(found)


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        envelope = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadBody(f"an answer of the API is not as it should be ({error})", _MATTERS, _MEND, body) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBody(
            f"an answer of the API is cut short or no JSON ({error}; {len(body)} bytes)", _MATTERS, _MEND, body
        ) from error
    if envelope.error:
        raise BadBody(f"an answer of the API reports an error ({envelope.error[:200]})", _MATTERS, _MEND, body)
    if envelope.count != len(envelope.data):
        raise BadBody(
            f"an answer of the API says {envelope.count} rows and holds {len(envelope.data)}", _MATTERS, _MEND, body
        )
    return envelope


def _day(text: str | None, body: bytes) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError as error:
        raise BadBody(
            f"the availability list has the release date {text!r}", "versions could not be ordered", _MEND, body
        ) from error
