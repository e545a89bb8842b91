"""From cells as a file holds them to the types of a landed row; what cannot be read keeps its raw text.

Belongs here: reading numbers, yes and no, blanks; flagging the cells that resist. Does not belong here: which source
column is which (`layouts`), or whether a code is known (the contract).
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from orchestration.comtrade.contract.schema import API_COLUMNS, READER_FLAGS

# Codes are compared by the contract: blanks around them mean nothing, a blank code is no code.
CODE_COLUMNS = (
    "typeCode",
    "freqCode",
    "period",
    "flowCode",
    "classificationCode",
    "cmdCode",
    "customsCode",
    "mosCode",
)
_YES, _NO = ("true", "t", "1", "1.0", "yes", "y"), ("false", "f", "0", "0.0", "no", "n")
# Blanks between groups of three digits: plain, no-break and narrow no-break space.
_GROUPED = r"^[+-]?\d{1,3}([ \x{a0}\x{202f}]\d{3})+(\.\d*)?$"
_LARGEST_EXACT_INTEGER = float(2**53)


def convert(raw: pl.DataFrame, unknown_columns: pl.DataFrame) -> pl.DataFrame:
    """API columns and reader flags from `raw`, whose columns carry API names and any type; absent ones are NULL.

    A cell that cannot be read becomes NULL and its row is flagged with column and raw text, the first in the order of
    the schema. Rows without such a cell are flagged with the first of `unknown_columns`, if the file has any.
    """
    columns: list[pl.Series] = []
    failures: list[tuple[str, pl.Series, pl.Series]] = []
    for name, dtype in API_COLUMNS.items():
        if name not in raw.columns:
            columns.append(pl.repeat(None, raw.height, dtype=dtype, eager=True).alias(name))
            continue
        converted, failed = _converted(raw[name], name, dtype)
        columns.append(converted.alias(name))
        if failed is not None:
            failures.append((name, raw[name], failed))
    return pl.DataFrame(columns).hstack(_flags(raw.height, failures, unknown_columns))


def _converted(cells: pl.Series, name: str, dtype: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """The cells in the type wanted, and which of them could not be read (None: all could)."""
    if cells.dtype.is_float() and not dtype.is_float():
        cells = cells.fill_nan(None)  # pandas stores an absent code so.
    if dtype == pl.String():
        text = _as_text(cells)
        return (_blank_is_null(text.str.strip_chars()) if name in CODE_COLUMNS else text), None
    if cells.dtype == dtype:
        return cells, None
    if dtype == pl.Boolean():
        values = _as_boolean(cells)
    elif dtype == pl.Int64():
        values = _as_integer(cells)
    else:
        values = _as_number(cells)
    failed = values.is_null() & cells.is_not_null()
    if not failed.any():
        return values, None
    failed &= _blank_is_null(_as_text(cells).str.strip_chars()).is_not_null()
    return values, (failed if failed.any() else None)


def _as_text(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_float():  # 764.0 is the code 764 that some program stored as a decimal number.
        whole = cells.cast(pl.Int64, strict=False)
        frame = pl.DataFrame({"cell": cells, "whole": whole})
        is_whole = pl.col("whole") == pl.col("cell")
        return frame.select(
            pl.when(is_whole).then(pl.col("whole").cast(pl.String)).otherwise(pl.col("cell").cast(pl.String))
        ).to_series()
    return cells.cast(pl.String)


def _blank_is_null(text: pl.Series) -> pl.Series:
    return text.set(text == "", None)


def _as_number(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_numeric():
        return cells.cast(pl.Float64, strict=False)
    cells = cells.cast(pl.String)  # Also of a date, which is no number of days here.
    values = cells.cast(pl.Float64, strict=False)
    if values.null_count() == cells.null_count():
        return values
    stripped = cells.str.strip_chars()
    grouped = stripped.str.contains(_GROUPED).fill_null(False)
    cleaned = stripped.str.replace_all(r"[ \x{a0}\x{202f}]", "")
    return cleaned.zip_with(grouped, stripped).cast(pl.Float64, strict=False)


def _as_integer(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_integer():
        return cells.cast(pl.Int64, strict=False)
    values = cells.cast(pl.Int64, strict=False) if cells.dtype == pl.String() else None
    if values is not None and values.null_count() == cells.null_count():
        return values
    numbers = _as_number(cells)
    whole = (numbers == numbers.round(0)) & (numbers.abs() <= _LARGEST_EXACT_INTEGER)
    return numbers.set(~whole.fill_null(False), None).cast(pl.Int64, strict=False)


def _as_boolean(cells: pl.Series) -> pl.Series:
    text = cells.cast(pl.String).str.strip_chars().str.to_lowercase()
    words = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
    return text.replace_strict(words, default=None, return_dtype=pl.Boolean)


def _flags(
    height: int, failures: Iterable[tuple[str, pl.Series, pl.Series]], unknown_columns: pl.DataFrame
) -> pl.DataFrame:
    field = pl.repeat(None, height, dtype=pl.String, eager=True)
    value = field
    if unknown_columns.width and height:
        first = unknown_columns.to_series(0)
        field, value = pl.repeat(first.name, height, dtype=pl.String, eager=True), first.cast(pl.String)
    for name, cells, failed in reversed(list(failures)):
        field = pl.repeat(name, height, dtype=pl.String, eager=True).zip_with(failed, field)
        value = _as_text(cells).zip_with(failed, value)
    return pl.DataFrame({"quarantine_field": field, "quarantine_value": value}, schema=READER_FLAGS)
