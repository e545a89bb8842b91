"""From the body of an answer to rows, strictly: what is not exactly as the API writes it is a doubt, never a guess.

Belongs here: decoding bodies of data and of the availability list. Does not belong here: reading a doubtful body for
what can be saved of it (`files`, which flags each cell that resists), or asking again (the pull).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import polars as pl

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
_Row = msgspec.defstruct(
    "Row",
    # Fields without a default come first in a struct of msgspec; the order is brought back below.
    [(name, _PYTHON[API_COLUMNS[name]]) for name in REQUIRED]
    + [(name, _PYTHON[dtype], None) for name, dtype in API_COLUMNS.items() if name not in REQUIRED],
    forbid_unknown_fields=True,
    gc=False,
)


class _Envelope(msgspec.Struct):
    data: list[_Row]  # type: ignore[valid-type]
    count: int
    error: str | None = None


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


_DATA = msgspec.json.Decoder(_Envelope)
_AVAILABLE = msgspec.json.Decoder(_AvailableEnvelope)
_ORDER = msgspec.structs.fields(_Row)
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
    envelope = _decoded(_DATA, body)
    columns = list(zip(*map(msgspec.structs.astuple, envelope.data), strict=True))
    if not columns:
        return pl.DataFrame(schema=API_COLUMNS)
    named = {field.name: cells for field, cells in zip(_ORDER, columns, strict=True)}
    return pl.DataFrame({name: named[name] for name in API_COLUMNS}, schema=API_COLUMNS)


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
