"""Reading one file: container, layout, types, provenance.

Belongs here: the order of the steps and the refusals that need a whole file. Does not belong here: the steps.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from orchestration.comtrade.files.containers import RawTable, read_table
from orchestration.comtrade.files.convert import convert
from orchestration.comtrade.files.folder import delivery_id_of
from orchestration.comtrade.files.layouts import API, Layout, foreign_layout_of, layout_of, nearest_layout, plain
from orchestration.comtrade.files.model import Delivery, FileRefusal, Unreadable
from orchestration.comtrade.files.version import reader_fingerprint

# Names under which pandas, R and spreadsheets store the numbers of rows.
ROW_NUMBER_NAMES = ("", "Unnamed: 0", "__index_level_0__")


def read_delivery(
    path: Path, places: pl.DataFrame, released_on: date | None, source_file: str | None = None
) -> Delivery | FileRefusal:
    """Read one file of any known format, told by its content; values in USD, rows in schema LANDED.

    `places` is the seed of places (place_code, iso3, valid_from, valid_to), needed where a format names places by
    letters. `source_file` is the name the rows carry (default: the file's own). A file that cannot be read as
    declarations gives a FileRefusal; a row that cannot be read is flagged in quarantine_field and quarantine_value.
    """
    name = source_file or path.name
    try:
        table = read_table(path)
        layout = _layout(table)
        rows = _landed(table, layout, places)
    except Unreadable as refusal:
        return FileRefusal(name, refusal.what, refusal.why_it_matters, refusal.how_to_mend)
    source_format = f"{layout.name}_{table.kind}"
    delivery_id = delivery_id_of(path)
    rows = rows.with_columns(
        source_file=pl.lit(name),
        source_format=pl.lit(source_format),
        delivery_id=pl.lit(delivery_id),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    ).select(list(LANDED))
    return Delivery(delivery_id, name, source_format, released_on, rows, reader_fingerprint(places))


def _layout(table: RawTable) -> Layout:
    columns = table.cells.columns
    if table.kind == "json" and not columns:  # An answer of no rows names no columns.
        return API
    layout = layout_of(columns)
    if layout is not None:
        return layout
    foreign = foreign_layout_of(columns)
    if foreign is not None:
        raise Unreadable(foreign.what, foreign.why_it_matters, foreign.how_to_mend)
    near, missing = nearest_layout(columns)
    shown = ", ".join(columns[:8])
    raise Unreadable(
        f"its columns ({shown}) are of no known layout; nearest is {near.title}, which also has {', '.join(missing)}",
        "without these a row cannot be attributed to a reporter, partner, product, period and value",
        "download the file again with all its columns, or take it out of the folder if it holds no declarations",
    )


def _landed(table: RawTable, layout: Layout, places: pl.DataFrame) -> pl.DataFrame:
    """Take every known column out of the file by its API name; what is left over is unknown and flags its rows."""
    known: dict[str, str] = {}
    unknown: list[str] = []
    for column in table.cells.columns:
        wanted = layout.columns.get(plain(column))
        if wanted is not None and wanted not in known:
            known[wanted] = column
        elif plain(column) not in layout.unused and not _holds_row_numbers(table.cells[column]):
            unknown.append(column)
    raw = table.cells.select(pl.col(column).alias(name) for name, column in known.items())
    raw = _with_frequency(layout.adapt(_absent_numbers(raw, layout), places))
    landed = convert(
        raw, table.cells.select(pl.col(column).alias(column or "a column without a name") for column in unknown)
    )
    return landed if "freqCode" in known else _naming_the_period(landed)


def _holds_row_numbers(cells: pl.Series) -> bool:
    """True for a column of pandas, R or a spreadsheet that only counts the rows, or is blank and without a name."""
    if cells.name not in ROW_NUMBER_NAMES:
        return False
    numbers = cells.cast(pl.Int64, strict=False)
    if cells.null_count() == cells.len():
        return True
    return numbers.null_count() == 0 and bool((numbers.diff().drop_nulls() == 1).all())


def _absent_numbers(raw: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """NULL where a layout writes a word for an absent number; text is left alone: NA is also Namibia."""
    if not layout.absent_numbers:
        return raw
    numeric = [n for n, t in raw.schema.items() if t == pl.String() and API_COLUMNS.get(n) not in (pl.String(), None)]
    words = dict.fromkeys(layout.absent_numbers)
    return raw.with_columns(pl.col(name).replace(words) for name in numeric)


def _naming_the_period(landed: pl.DataFrame) -> pl.DataFrame:
    """Where the frequency was to follow from the period and did not, it is the period that cannot be read."""
    resists = pl.col("freqCode").is_null() & pl.col("quarantine_field").is_null()
    return landed.with_columns(
        pl.when(resists).then(pl.lit("period")).otherwise("quarantine_field").alias("quarantine_field"),
        pl.when(resists).then("period").otherwise("quarantine_value").alias("quarantine_value"),
    )


def _with_frequency(raw: pl.DataFrame) -> pl.DataFrame:
    """Older layouts have no frequency: 2017 is a year and 201701 a month; anything else has none."""
    if "freqCode" in raw.columns or "period" not in raw.columns:
        return raw
    digits = pl.col("period").cast(pl.String).str.strip_chars()
    by_length = pl.when(digits.str.contains(r"^\d{4}$")).then(pl.lit("A")).when(digits.str.contains(r"^\d{6}$"))
    return raw.with_columns(by_length.then(pl.lit("M")).alias("freqCode"))
