"""Files that hold no declarations, or not all of them: each is refused with what, why and how to mend it.

Belongs here: whole files. Does not belong here: single rows, which are flagged and not refused (`test_files_cells`).
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.files import FileRefusal

RefusalOf = Callable[..., FileRefusal]
HEADER = "typeCode,freqCode,period,reporterCode,flowCode,partnerCode,cmdCode,primaryValue"
ROW = "C,A,2017,398,X,643,854231,100"


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


COMEXT = pl.DataFrame(
    {
        n: ["x"]
        for n in ("reporter", "partner", "month", "value", "product", "flow", "indicator", "file", "sheet", "code")
    }
)
CASES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "it is empty"),
    "blank": (" \n \n", "it is empty"),
    "binary": (bytes(range(256)) * 8, "binary file"),
    "zip": (b"PK\x03\x04rest", "zip archive"),
    "broken_utf16": (b"\xff\xfe\x00\xd8", "neither text nor Parquet"),
    "prose": ("Dear colleague, find the figures attached.\n", "of no known layout"),
    "title_above_the_header": (f"Trade of Kazakhstan\n{HEADER}\n{ROW}\n", "of no known layout"),
    "no_value_column": ("reporterCode,partnerCode,flowCode,cmdCode,period\n1,2,X,01,2017\n", "also has primaryValue"),
    "column_map": ("comtradr_name,api_name\ntype_code,typeCode\n", "table of column names"),
    "csv_cut_short": (f"{HEADER}\n{ROW}\nC,A,2017,398,X", "ends after 5 of 8 cells"),
    "csv_cut_in_its_only_row": (f"{HEADER}\nC,A,2017", "ends after 3 of 8 cells"),
    "csv_with_a_longer_row": (f"{HEADER}\n{ROW}\n{ROW},1,2\n", "do not fit its header"),
    "csv_with_an_open_quote": (f'{HEADER}\n{ROW}\nC,A,"2017,398,X,643,854231,100\n{ROW}\n', "do not fit its header"),
    "json_cut_short": ('{"data": [{"reporterCode": 1,', "JSON that is damaged or cut short"),
    "json_with_fewer_rows_than_it_says": ('{"count": 2, "data": [{"reporterCode": 1}]}', "says 2 rows and holds 1"),
    "json_error": ('{"data": [], "count": 0, "error": "invalid period"}', "reports an error: invalid period"),
    "json_denied": ('{"statusCode": 401, "message": "Access denied"}', "without a list named `data` (Access denied)"),
    "json_of_scalars": ("[1, 2]", "something else than one object"),
    "json_reference": ('{"results": [{"id": 4}]}', "without a list named `data` (results)"),
    "json_bulk_list": (json.dumps({"data": [{"fileUrl": "x", "rowKey": "y"}]}), "list of bulk files"),
    "gzip_cut_short": (gzip.compress(f"{HEADER}\n{ROW}\n".encode() * 99)[:-20], "gzip file that is damaged or cut"),
    "gzip_of_nothing_known": (gzip.compress(b"hello"), "of no known layout"),
    "parquet_cut_short": (_parquet(COMEXT)[:-30], "Parquet file that is damaged or cut short"),
    "parquet_with_lists": (_parquet(pl.DataFrame({"reporterCode": [[1, 2]]})), "holds something else than text"),
    "parquet_with_bytes": (_parquet(pl.DataFrame({"reporterCode": [b"\xff"]})), "holds something else than text"),
    "comext": (_parquet(COMEXT), "Eurostat Comext"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_refused_with_its_reason_when_it_cannot_be_read(refusal_of: RefusalOf, case: str) -> None:
    content, what = CASES[case]
    refusal = refusal_of(content, name=f"{case}.csv")
    assert refusal.source_file == f"{case}.csv"
    assert what in refusal.what
    assert refusal.why_it_matters
    assert refusal.how_to_mend


@pytest.mark.parametrize("kept", range(10, 350, 34))
def test_a_compressed_file_is_refused_wherever_it_was_cut_when_bytes_are_missing(
    refusal_of: RefusalOf, downloads_dir: Path, kept: int
) -> None:
    whole = gzip.compress((downloads_dir / "bulk.txt").read_bytes())
    assert kept < len(whole)
    assert "cut short" in refusal_of(whole[:kept]).what
