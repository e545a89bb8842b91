"""The readers on real downloads, against figures counted independently in plain SQL.

Belongs here: every file of the shared folders, its format, its rows, its dollars. Does not belong here: what the
contract makes of the rows (`contract/test_contract_real`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from orchestration.comtrade.files import Delivery, FileRefusal, name_in, read_delivery, scan_folder

# One worker reads the folder once for all of these.
pytestmark = pytest.mark.xdist_group("real_downloads")

Read = Callable[[Path], Delivery | FileRefusal]
CHIPS, FISH, WOOD, OTHER = "chips_annual_hs6", "fish_monthly_hs6", "wood_annual_hs4", "other_formats"
FORMATS = {
    f"{CHIPS}/comtrade_2021-08-16.csv": "legacy_csv",
    f"{CHIPS}/semis_union_all_history.parquet": "legacy_api_parquet",
    f"{FISH}/column_map_snake_to_api.csv": "it is a table of column names, not of declarations",
    **{f"{FISH}/comtrade_monthly_fish_{year}.parquet": "snake_parquet" for year in range(2015, 2023)},
    f"{OTHER}/armenia_vehicles_monthly_mot_breakdown.csv": "tidy_csv",
    f"{OTHER}/comext_eu27_exports_monthly_2020_2022.parquet": "it holds Eurostat Comext rows (names of countries, "
    "product codes of the Combined Nomenclature, euros)",
    f"{OTHER}/comtradeplus_website_download_thailand_8542.csv": "api_csv",
    f"{OTHER}/wits_asean_2017_2020.csv": "wits_csv",
    f"{OTHER}/wits_china_2017_2020.csv": "wits_csv",
    f"{OTHER}/wits_usa_2017_2020.csv": "wits_csv",
    f"{WOOD}/uncomtrade_4401__07eac450.parquet": "api_parquet",
    f"{WOOD}/uncomtrade_4401__d7381ce6.parquet": "api_parquet",
    f"{WOOD}/uncomtrade_4403__e67b2ef9.parquet": "api_parquet",
    f"{WOOD}/uncomtrade_4408__3fde8083.parquet": "api_parquet",
    f"{WOOD}/uncomtrade_4410__6b887359.parquet": "api_parquet",
    f"{WOOD}/uncomtrade_4411__1c58bace.parquet": "api_parquet",
}


def _letters(column: str, words: tuple[str, ...]) -> str:
    pairs = zip(words, ("M", "X", "RX", "RM"), strict=True)
    cases = " ".join(f"when '{word}' then '{letter}'" for word, letter in pairs)
    return f"case {column} {cases} end"


NAMED, NUMBERED = ("Import", "Export", "Re-Export", "Re-Import"), ("1", "2", "3", "4")
# What SQL alone counts per source format: period, flow, rows and value in USD.
COUNTED = {
    "api_parquet": "select period, flowCode, count(*), sum(primaryValue) from read_parquet($file) group by all",
    "snake_parquet": "select period, flow_code, count(*), sum(primary_value) from read_parquet($file) group by all",
    "legacy_api_parquet": f"""
        select case when regexp_full_match(period, '\\d{{6}}') then period else yr end,
               {_letters("rgCode", NUMBERED)}, count(*), sum(TradeValue)
        from read_parquet($file) group by all""",
    "legacy_csv": f"""
        select "Year", {_letters('"Trade Flow"', NAMED)}, count(*), sum("Trade Value (US$)"::double)
        from read_csv($file, all_varchar = true) group by all""",
    "tidy_csv": """
        select year || lpad(month, 2, '0'), trade_code, count(*), sum(trade_value_us::double)
        from read_csv($file, all_varchar = true) group by all""",
    # The header has 47 names and every row 48 cells: columns by number.
    "api_csv": """
        select column05, column09, count(*), sum(column43::double)
        from read_csv($file, header = false, skip = 1, all_varchar = true, encoding = 'latin-1', quote = '"')
        group by all""",
    "wits_csv": f"""
        select Year, {_letters("TradeFlowName", NAMED)}, count(*), sum("TradeValue in 1000 USD"::double) * 1000
        from read_csv($file, all_varchar = true) group by all""",
}


@pytest.fixture(scope="module")
def answers(shared_dir: Path, places: pl.DataFrame) -> dict[str, str | pl.DataFrame]:
    """Of every shared download: (period, flow, row count, value) with its format, or what it is refused for."""
    root, found = shared_dir / "declarations", dict[str, str | pl.DataFrame]()
    for path in scan_folder(root):
        answer = read_delivery(path, places, None, name_in(root, path))
        if isinstance(answer, FileRefusal):
            found[answer.source_file] = answer.what
            continue
        sums = answer.rows.group_by("period", "flowCode", "source_format", "source_file", "quarantine_field").agg(
            pl.len().alias("row_count"), pl.col("primaryValue").sum()
        )
        found[answer.source_file] = sums.sort("period", "flowCode")
    return found


def test_every_shared_download_is_read_or_refused_when_the_whole_folder_is_scanned(
    answers: dict[str, str | pl.DataFrame],
) -> None:
    shown = {n: a if isinstance(a, str) else a["source_format"].unique().item() for n, a in answers.items()}
    assert shown == FORMATS


@pytest.mark.parametrize("name", [name for name, said in FORMATS.items() if said in COUNTED])
def test_rows_and_dollars_equal_a_count_in_sql_when_a_real_file_is_read(
    answers: dict[str, str | pl.DataFrame], shared_dir: Path, name: str
) -> None:
    sums = answers[name]
    assert isinstance(sums, pl.DataFrame)
    file = str(shared_dir / "declarations" / name)
    expected = sorted(duckdb.execute(COUNTED[FORMATS[name]], {"file": file}).fetchall())
    assert sums.select("period", "flowCode", "row_count").rows() == [row[:3] for row in expected]
    assert sums["primaryValue"].to_list() == pytest.approx([row[3] for row in expected], rel=1e-12)
    assert sums["source_file"].unique().to_list() == [name]
    assert sums["quarantine_field"].unique().to_list() == [None]


def test_wits_places_equal_their_names_when_the_real_files_are_read(shared_dir: Path, read: Read) -> None:
    names = {"World": 0, "China": 156, "United States": 842, "Thailand": 764, "Viet Nam": 704, "Vietnam": 704}
    seen: set[str] = set()
    for path in sorted((shared_dir / "declarations" / OTHER).glob("wits_*.csv")):
        delivery = read(path)
        assert isinstance(delivery, Delivery)
        for side in ("reporter", "partner"):
            pairs = delivery.rows.select(pl.col(f"{side}Desc").str.strip_chars(), f"{side}Code").unique()
            assert pairs[f"{side}Code"].null_count() == 0
            for name, code in pairs.iter_rows():
                assert code == (975 if "ASEAN" in name else names.get(name, code))
                seen.add(name)
    assert {"World", "China", "United States", "Thailand"} <= seen


def test_places_written_na_stay_text_when_real_rows_name_namibia(shared_dir: Path, read: Read) -> None:
    delivery = read(shared_dir / "declarations" / WOOD / "uncomtrade_4401__07eac450.parquet")
    assert isinstance(delivery, Delivery)
    namibia = delivery.rows.filter(pl.col("partnerCode") == 516)
    assert namibia.height > 0
    assert namibia["partnerISO"].unique().to_list() == ["NAM"]


def test_recorded_answers_are_read_or_refused_when_the_whole_folder_is_scanned(shared_dir: Path, read: Read) -> None:
    said: dict[int, str] = {}
    for path in sorted((shared_dir / "api_recordings").glob("[0-9]*")):
        answer = read(path)
        number = int(path.name[:2])
        said[number] = answer.what if isinstance(answer, FileRefusal) else f"{answer.rows.height} rows"
    assert {number for number, what in said.items() if what == "4 rows"} == set(range(2, 10))
    assert {number for number, what in said.items() if what == "0 rows"} == {13, 14, 18, 19, 20, 21, 22}
    assert "gzip file that is damaged or cut short" in said[10]
    assert said[11] == said[12] == "it is a list of bulk files that could be downloaded, not the files themselves"
    assert all("without a list named `data`" in said[number] for number in (1, 15, 16, 17, 23, 24))
    assert set(said) == set(range(1, 25))


def test_a_recorded_answer_equals_its_json_when_read_by_another_engine(shared_dir: Path, read: Read) -> None:
    path = next((shared_dir / "api_recordings").glob("02_*"))
    delivery = read(path)
    assert isinstance(delivery, Delivery)
    expected = duckdb.execute(
        "select row.partnerCode::bigint, row.flowCode::varchar, row.primaryValue::double from "
        "(select unnest(data) as row from read_json($file)) order by all",
        {"file": str(path)},
    ).fetchall()
    assert sorted(delivery.rows.select("partnerCode", "flowCode", "primaryValue").rows()) == expected


def test_the_start_of_the_real_bulk_file_is_read_when_its_whole_lines_are_kept(
    shared_dir: Path, rows_of: Callable[..., pl.DataFrame]
) -> None:
    path = next((shared_dir / "api_recordings").glob("10_*"))
    text = zlib.decompressobj(31).decompress(path.read_bytes()).decode()
    lines = text.splitlines()[:-1]
    rows = rows_of("\n".join(lines) + "\n")
    assert rows["source_format"].unique().to_list() == ["bulk_tsv"]
    assert rows["quarantine_field"].null_count() == rows.height == len(lines) - 1
    assert rows.select("reporterCode", "classificationCode", "cmdCode", "cifvalue", "primaryValue").row(0) == (
        32, "S1", "42", 641488.0, 641488.0
    )  # fmt: skip
