"""What a file is made of - JSON, text with delimiters, Parquet, any of them compressed - told by its content.

Belongs here: from bytes to a table of raw cells. Does not belong here: what the columns mean (`layouts`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from orchestration.comtrade.files.model import Unreadable

_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
_DELIMITERS = ("\t", ",", ";")
_SAMPLE_CHARACTERS = 1 << 16
_CUT_SHORT = "rows are missing and nobody could say which, so every total of the file would be wrong"
_DOWNLOAD_AGAIN = "download the file again and compare its size with what the source states"


@dataclass(frozen=True)
class RawTable:
    """Cells as the file holds them: `kind` is json, csv, tsv or parquet; text cells are String, NULL where empty."""

    kind: str
    cells: pl.DataFrame


def read_table(path: Path) -> RawTable:
    """The raw cells of a file. Raises Unreadable when it is cut short, damaged or not a table of declarations."""
    with path.open("rb") as handle:
        start = handle.read(4)
    if start == _PARQUET:
        return RawTable("parquet", _parquet(path))
    if start == _ZIP:
        raise Unreadable(
            "it is a zip archive or a spreadsheet",
            "what is inside is not read, so its declarations would be missing",
            "unpack it, or save the sheet as CSV, and put the result into the folder",
        )
    content = path.read_bytes()
    if content.startswith(_GZIP):
        content = _unpacked(content)
        if content.startswith(_PARQUET):
            return RawTable("parquet", _parquet(io.BytesIO(content)))
    return _text_table(_decoded(content))


def _parquet(source: Path | io.BytesIO) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(source)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Unreadable(
            f"it is a Parquet file that is damaged or cut short ({_first_line(error)})", _CUT_SHORT, _DOWNLOAD_AGAIN
        ) from error
    odd = [f"{name} ({dtype})" for name, dtype in frame.schema.items() if not _is_plain(dtype)]
    if odd:
        raise Unreadable(
            f"its column {odd[0]} holds something else than text, numbers, dates or yes and no",
            "a declaration has one plain value per column; picking one would be a guess",
            "write one row per declaration with plain columns",
        )
    return frame


def _is_plain(dtype: pl.DataType) -> bool:
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Null)
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Date, pl.Datetime) or isinstance(dtype, texts)


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise Unreadable(
            f"it is a gzip file that is damaged or cut short ({_first_line(error)})", _CUT_SHORT, _DOWNLOAD_AGAIN
        ) from error


def _decoded(content: bytes) -> str:
    """Text of a file: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows' or ISO's Latin-1."""
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable(
        "it is neither text nor Parquet nor gzip",
        "its declarations cannot be read",
        "save it as CSV in UTF-8, or download it again",
    )


def _text_table(text: str) -> RawTable:
    body = text.lstrip()
    if not body or "\x00" in body[:1000]:
        raise Unreadable(
            "it is empty" if not body else "it is a binary file of an unknown kind",
            "no declaration can be read from it",
            "download it again, or take it out of the folder",
        )
    if body[0] in "{[":
        return RawTable("json", _json_table(body))
    return _delimited_table(text)


def _json_table(body: str) -> pl.DataFrame:
    try:
        answer = json.loads(body, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is JSON that is damaged or cut short ({error})", _CUT_SHORT, _DOWNLOAD_AGAIN) from error
    records = _records(answer)
    if not all(isinstance(record, dict) for record in records):
        raise Unreadable(
            "its list holds something else than one object per declaration",
            "cells could not be told apart",
            "keep the answer of the API as it came",
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    return pl.DataFrame({n: [_cell(r.get(n)) for r in records] for n in names}, schema=dict.fromkeys(names, pl.String))


def _records(answer: object) -> list[dict[str, object]]:
    if isinstance(answer, list):
        return answer
    assert isinstance(answer, dict)
    if answer.get("error"):
        raise Unreadable(
            f"it is an answer of the API that reports an error: {str(answer['error'])[:200]}",
            "it holds no declaration, and absence would be read as silence",
            "repeat the request as the message says",
        )
    if not isinstance(answer.get("data"), list):
        said = str(answer.get("message") or ", ".join(answer))[:200]
        raise Unreadable(
            f"it is JSON without a list named `data` ({said})",
            "it is an error of the API or a reference table, not declarations",
            "keep answers that hold declarations; repeat the request if this was an error",
        )
    records: list[dict[str, object]] = answer["data"]
    count = answer.get("count")
    if count is not None and str(count) != str(len(records)):
        raise Unreadable(f"it says {count} rows and holds {len(records)}", _CUT_SHORT, _DOWNLOAD_AGAIN)
    return records


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _delimited_table(text: str) -> RawTable:
    text = text.lstrip()
    if "\n" not in text:  # Lines may end as on the first Macintosh.
        text = text.replace("\r", "\n")
    first, _, rest = text.partition("\n")
    rest = rest.lstrip("\r\n")
    delimiter = max(_DELIMITERS, key=first.count)
    header = [name.strip() for name in _fields(first, delimiter)]
    sample = _fields(rest, delimiter)
    # The website ends every row, but not the header, with a delimiter: one more cell, which must be empty.
    surplus = [f"column {n} has no name" for n in range(len(header) + 1, len(sample) + 1)]
    _refuse_a_broken_last_row(rest, delimiter, len(header))
    try:
        cells = pl.read_csv(
            rest.encode(),
            separator=delimiter,
            has_header=False,
            schema=dict.fromkeys(_distinct([*header, *surplus]), pl.String()),
        )
    except pl.exceptions.NoDataError:
        cells = pl.DataFrame(schema=dict.fromkeys(_distinct(header), pl.String()))
    except pl.exceptions.PolarsError as error:
        raise Unreadable(
            f"its rows do not fit its header ({_first_line(error)})",
            "cells could stand under the wrong column",
            "download it again; if it was edited, keep as many cells in each row as the header has",
        ) from error
    empty = [name for name in cells.columns if name in surplus and cells[name].null_count() == cells.height]
    # A blank line is no declaration.
    cells = cells.drop(empty).filter(~pl.all_horizontal(pl.all().is_null()))
    return RawTable("tsv" if delimiter == "\t" else "csv", cells)


def _fields(text: str, delimiter: str) -> list[str]:
    """Cells of the first row that has any."""
    try:
        return next((row for row in csv.reader(io.StringIO(text[:_SAMPLE_CHARACTERS]), delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise Unreadable(
            f"its rows cannot be cut into cells ({error})",
            "cells could stand under the wrong column",
            "save it as CSV in UTF-8, or download it again",
        ) from error


def _refuse_a_broken_last_row(rest: str, delimiter: str, width: int) -> None:
    if rest.endswith("\n"):
        return
    last = _fields(rest[rest.rfind("\n") + 1 :], delimiter)
    if 0 < len(last) < width:
        raise Unreadable(
            f"its last row ends after {len(last)} of {width} cells: the file is cut short", _CUT_SHORT, _DOWNLOAD_AGAIN
        )


def _distinct(names: list[str]) -> list[str]:
    """Names with repeated ones numbered, so that a second column of a name is unknown and not lost."""
    return [name if names.index(name) == place else f"{name} (column {place + 1})" for place, name in enumerate(names)]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]
