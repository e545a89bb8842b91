"""Cells as people and programs leave them: encodings, numbers, blanks, columns nobody knows.

Belongs here: what one cell or column may look like. Does not belong here: layouts (`test_files_layouts`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract import ContractTables, apply_contract
from orchestration.comtrade.files import Delivery, FileRefusal
from orchestration.pipeline.declarations import contract_tables
from orchestration.reference import load_reference

RowsOf = Callable[..., pl.DataFrame]
HEADER = "typeCode,freqCode,period,reporterCode,flowCode,partnerCode,partnerISO,cmdCode,mosCode,primaryValue,isReported"
ROW = "C,A,2017,398,X,516,NA,010121,0,100.5,true"


def _with(column: str, cell: str) -> str:
    cells = dict(zip(HEADER.split(","), ROW.split(","), strict=True)) | {column: cell}
    return f"{HEADER}\n{','.join(cells.values())}\n{ROW}\n"


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}\n".encode(),
        f"{HEADER}\n{ROW}".encode(),
        f"{HEADER}\r\n{ROW}\r\n".encode(),
        f"{HEADER}\r{ROW}\r".encode(),
        f"\n{HEADER}\n\n{ROW}\n\n".encode(),
        f"\ufeff{HEADER}\n{ROW}\n".encode(),
        f"{HEADER}\n{ROW}\n".encode("utf-16"),
        f"{HEADER}\n{ROW},\n".encode(),
        f"{HEADER},\n{ROW},\n".encode(),
        f"{HEADER}\n{ROW}\n".replace(",", ";").encode(),
        f"{HEADER}\n{ROW}\n".replace(",", "\t").encode(),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in (HEADER, ROW)).encode(),
    ],
    ids=[
        "plain", "no_last_newline", "windows", "macintosh", "blank_lines", "mark", "utf16", "trailing_comma_in_rows",
        "trailing_comma_everywhere", "semicolons", "tabs", "quoted",
    ],
)  # fmt: skip
def test_text_is_read_the_same_when_it_was_saved_in_another_way(rows_of: RowsOf, content: bytes) -> None:
    rows = rows_of(content)
    assert rows.select(HEADER.split(",")).rows() == [
        ("C", "A", "2017", 398, "X", 516, "NA", "010121", "0", 100.5, True)
    ]
    assert rows["quarantine_field"].to_list() == [None]


def test_letters_survive_when_the_text_is_latin_1(rows_of: RowsOf) -> None:
    content = _with("partnerISO", "Côte").replace("partnerISO", "partnerDesc").encode("latin-1")
    assert rows_of(content)["partnerDesc"].to_list() == ["Côte", "NA"]


def test_a_cell_is_whole_when_it_holds_a_line_break_and_a_comma(rows_of: RowsOf) -> None:
    assert rows_of(_with("partnerISO", '"a,\nb"'))["partnerISO"].to_list() == ["a,\nb", "NA"]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("primaryValue", " 80627.77777777778 ", 80627.77777777778),
        ("primaryValue", "1e6", 1e6),
        ("primaryValue", "1 234 567.5", 1234567.5),
        ("primaryValue", "1\u00a0234", 1234.0),
        ("primaryValue", "", None),
        ("primaryValue", "   ", None),
        ("reporterCode", " 398 ", 398),
        ("reporterCode", "398.0", 398),
        ("reporterCode", "008", 8),
        ("isReported", "TRUE", True),
        ("isReported", "0", False),
        ("isReported", "1.0", True),
        ("isReported", "", None),
        ("cmdCode", "01", "01"),
        ("cmdCode", " 0101 ", "0101"),
        ("mosCode", "0 ", "0"),
        ("flowCode", "", None),
        ("partnerISO", "NA", "NA"),
    ],
)
def test_a_cell_has_its_value_when_it_can_be_read(rows_of: RowsOf, column: str, cell: str, value: object) -> None:
    rows = rows_of(_with(column, cell))
    assert rows[column].to_list()[0] == value
    assert rows["quarantine_field"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("primaryValue", "n/a"),
        ("primaryValue", "1,234"),
        ("primaryValue", "12 34"),
        ("primaryValue", "NA"),
        ("reporterCode", "398.5"),
        ("reporterCode", "Kazakhstan"),
        ("partnerCode", "NA"),
        ("isReported", "maybe"),
        ("isReported", "2"),
    ],
)
def test_a_row_keeps_field_and_raw_text_when_a_cell_cannot_be_read(rows_of: RowsOf, column: str, cell: str) -> None:
    rows = rows_of(_with(column, f'"{cell}"'))
    assert rows[column].to_list()[0] is None
    assert rows.select("quarantine_field", "quarantine_value").rows() == [(column, cell), (None, None)]


def test_the_first_field_of_the_schema_is_named_when_two_cells_cannot_be_read(rows_of: RowsOf) -> None:
    rows = rows_of(_with("primaryValue", "much").replace(",398,", ",here,", 1))
    assert rows.select("quarantine_field", "quarantine_value").row(0) == ("reporterCode", "here")


def test_every_row_is_flagged_when_the_file_has_a_column_nobody_knows(rows_of: RowsOf) -> None:
    rows = rows_of(f"{HEADER},carbonTax\n{ROW},7\n{ROW},\n{ROW.replace('100.5', 'much')},8\n")
    assert rows.select("quarantine_field", "quarantine_value").rows() == [
        ("carbonTax", "7"), ("carbonTax", None), ("primaryValue", "much")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (f"{HEADER},reporterCode\n{ROW},398\n", "reporterCode (column 12)"),
        (f"{HEADER}\n{ROW},stray\n", "column 12 has no name"),
        (f",{HEADER}\n7,{ROW}\n3,{ROW}\n", "a column without a name"),
    ],
)
def test_rows_are_flagged_when_a_column_repeats_or_has_no_name(rows_of: RowsOf, content: str, field: str) -> None:
    assert set(rows_of(content)["quarantine_field"]) == {field}


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_row_numbers_are_no_unknown_column_when_a_program_added_them(rows_of: RowsOf, name: str) -> None:
    assert rows_of(f"{name},{HEADER}\n0,{ROW}\n1,{ROW}\n")["quarantine_field"].to_list() == [None, None]


def test_flagged_rows_are_quarantined_with_their_value_when_the_contract_is_applied(
    rows_of: RowsOf, seeds_dir: Path
) -> None:
    rows = rows_of(f"{HEADER},carbonTax\n{ROW},7\n{ROW.replace('true', 'maybe')},8\n")
    tables: ContractTables = contract_tables(load_reference(seeds_dir))
    order = pl.DataFrame({"delivery_id": rows["delivery_id"].unique(), "precedence": [1]})
    booked = apply_contract(rows, tables, order).declarations.sort("source_line")
    assert booked.select("account", "account_reason", "quarantine_field", "quarantine_value", "value_usd").rows() == [
        ("quarantine", "unknown_column", "carbonTax", "7", 100.5),
        ("quarantine", "unparseable_field", "isReported", "maybe", 100.5),
    ]


def test_typed_cells_are_read_when_parquet_holds_codes_as_other_types(
    tmp_path: Path, read: Callable[[Path], Delivery | FileRefusal]
) -> None:
    frame = pl.DataFrame(
        {
            "freqCode": pl.Series(["A", "A", "A"], dtype=pl.Categorical),
            "period": [2017, 2017, 2017],
            "reporterCode": [398.0, float("nan"), 398.5],
            "partnerCode": pl.Series([516, 516, 516], dtype=pl.Int16),
            "flowCode": ["X", "X ", " X"],
            "cmdCode": [854231.0, 854231.0, 854231.0],
            "primaryValue": ["100", None, "1.5"],
            "isReported": [1, 0, 1],
            "refPeriodId": [date(2017, 1, 1), None, None],
        }
    )
    frame.write_parquet(tmp_path / "typed.parquet")
    delivery = read(tmp_path / "typed.parquet")
    assert isinstance(delivery, Delivery)
    shown = delivery.rows.select("period", "reporterCode", "flowCode", "cmdCode", "primaryValue", "isReported")
    assert shown.rows() == [
        ("2017", 398, "X", "854231", 100.0, True),
        ("2017", None, "X", "854231", None, False),
        ("2017", None, "X", "854231", 1.5, True),
    ]
    assert delivery.rows["quarantine_field"].to_list() == ["refPeriodId", None, "reporterCode"]
