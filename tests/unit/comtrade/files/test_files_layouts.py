"""Every layout and container on small invented downloads: the same declarations give the same landed rows.

Belongs here: what each format means. Does not belong here: odd cells (`test_files_cells`), refusals, real files.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from orchestration.comtrade.files import Delivery, FileRefusal

Read = Callable[[Path], Delivery | FileRefusal]
CORE = ("freqCode", "period", "reporterCode", "flowCode", "partnerCode", "cmdCode", "qty", "netWgt", "primaryValue")
DECLARED = [
    ("A", "2017", 398, "X", 643, "854231", 300.0, 10.25, 120001.0),
    ("A", "2017", 398, "M", 0, "01", None, None, 5000.0),
    ("A", "2017", 398, "M", 516, "010121", 2.0, 900.5, 700.0),
]
SNAKE = {name: name.replace("Code", "_code").replace("ISO", "_iso").replace("Desc", "_desc") for name in API_COLUMNS}
LEGACY_API_COLUMNS = {
    "Classification": "pfCode", "Year": "yr", "Period": "period", "Period Desc.": "periodDesc",
    "Aggregate Level": "aggrLevel", "Is Leaf Code": "IsLeaf", "Trade Flow Code": "rgCode", "Trade Flow": "rgDesc",
    "Reporter Code": "rtCode", "Reporter": "rtTitle", "Reporter ISO": "rt3ISO", "Partner Code": "ptCode",
    "Partner": "ptTitle", "Partner ISO": "pt3ISO", "2nd Partner Code": "ptCode2", "2nd Partner": "ptTitle2",
    "2nd Partner ISO": "pt3ISO2", "Customs Proc. Code": "cstCode", "Customs": "cstDesc",
    "Mode of Transport Code": "motCode", "Mode of Transport": "motDesc", "Commodity Code": "cmdCode",
    "Commodity": "cmdDescE", "Qty Unit Code": "qtCode", "Qty Unit": "qtDesc", "Alt Qty Unit Code": "qtAltCode",
    "Alt Qty Unit": "qtAltDesc", "Qty": "TradeQuantity", "Alt Qty": "AltQuantity", "Netweight (kg)": "NetWeight",
    "Gross weight (kg)": "GrossWeight", "Trade Value (US$)": "TradeValue", "CIF Trade Value (US$)": "CIFValue",
    "FOB Trade Value (US$)": "FOBValue", "Flag": "estCode",
}  # fmt: skip


def _read(read: Read, path: Path) -> Delivery:
    delivery = read(path)
    assert isinstance(delivery, Delivery), delivery
    return delivery


def _answer(downloads_dir: Path) -> pl.DataFrame:
    records = json.loads((downloads_dir / "api_answer.json").read_text())["data"]
    return pl.DataFrame(records, schema=API_COLUMNS)


def _legacy(downloads_dir: Path) -> pl.DataFrame:
    return pl.read_csv(downloads_dir / "website_legacy.csv", infer_schema=False)


@pytest.mark.parametrize(
    ("name", "source_format"),
    [
        ("api_answer.json", "api_json"),
        ("website.csv", "api_csv"),
        ("website_legacy.csv", "legacy_csv"),
        ("tidy.csv", "tidy_csv"),
        ("bulk.txt", "bulk_tsv"),
        ("wits.csv", "wits_csv"),
    ],
)
def test_the_same_declarations_are_read_when_they_come_in_any_layout(
    read: Read, downloads_dir: Path, name: str, source_format: str
) -> None:
    delivery = _read(read, downloads_dir / name)
    assert delivery.source_format == source_format
    assert delivery.rows.schema == LANDED
    assert delivery.rows.select(CORE).rows() == DECLARED
    assert delivery.rows["quarantine_field"].null_count() == 3
    assert delivery.rows["source_line"].to_list() == [1, 2, 3]
    assert set(delivery.rows.select("source_file", "source_format", "delivery_id").rows()) == {
        (name, source_format, delivery.delivery_id)
    }


@pytest.mark.parametrize("layout", ["api", "snake", "legacy_api"])
def test_the_same_declarations_are_read_when_they_come_as_parquet(
    read: Read, downloads_dir: Path, tmp_path: Path, layout: str
) -> None:
    frames = {
        "api": _answer(downloads_dir),
        "snake": _answer(downloads_dir).rename(
            SNAKE | {"primaryValue": "primary_value", "partner2Code": "partner2code"}
        ),
        "legacy_api": _legacy(downloads_dir).rename(LEGACY_API_COLUMNS).with_columns(src=pl.lit("an answer")),
    }
    path = tmp_path / "rows.dat"
    frames[layout].write_parquet(path)
    delivery = _read(read, path)
    assert delivery.source_format == f"{layout}_parquet"
    assert delivery.rows.select(CORE).rows() == DECLARED
    assert delivery.rows["quarantine_field"].null_count() == 3


@pytest.mark.parametrize(("name", "source_format"), [("bulk.txt", "bulk_tsv"), ("api_answer.json", "api_json")])
def test_a_file_is_read_by_its_content_when_it_is_compressed_and_badly_named(
    read: Read, downloads_dir: Path, tmp_path: Path, name: str, source_format: str
) -> None:
    path = tmp_path / "C_A_398_201701_H5.csv"
    path.write_bytes(gzip.compress((downloads_dir / name).read_bytes()))
    delivery = _read(read, path)
    assert (delivery.source_format, delivery.rows.select(CORE).rows()) == (source_format, DECLARED)


def test_parquet_is_read_when_it_is_compressed_once_more(read: Read, downloads_dir: Path, tmp_path: Path) -> None:
    _answer(downloads_dir).write_parquet(tmp_path / "rows.parquet")
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress((tmp_path / "rows.parquet").read_bytes()))
    assert _read(read, path).rows.select(CORE).rows() == DECLARED


def test_json_is_read_when_it_is_a_bare_list_of_records(read: Read, downloads_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_text(json.dumps(json.loads((downloads_dir / "api_answer.json").read_text())["data"]))
    assert _read(read, path).rows.select(CORE).rows() == DECLARED


def test_an_answer_without_rows_is_a_delivery_without_rows_when_the_api_found_nothing(
    read: Read, downloads_dir: Path
) -> None:
    delivery = _read(read, downloads_dir / "api_empty.json")
    assert (delivery.source_format, delivery.rows.height, delivery.rows.schema) == ("api_json", 0, LANDED)


def test_all_47_columns_survive_when_the_api_answers_them(read: Read, downloads_dir: Path) -> None:
    rows = _read(read, downloads_dir / "api_answer.json").rows
    assert rows.select(list(API_COLUMNS)).equals(_answer(downloads_dir))
    assert _read(read, downloads_dir / "website.csv").rows.select(list(API_COLUMNS)).equals(_answer(downloads_dir))


@pytest.mark.parametrize(("number", "flow"), [("1", "M"), ("2", "X"), ("3", "RX"), ("4", "RM"), ("7", "7")])
def test_flow_numbers_become_letters_when_the_layout_is_the_older_website(
    rows_of: Callable[..., pl.DataFrame], downloads_dir: Path, number: str, flow: str
) -> None:
    text = (downloads_dir / "website_legacy.csv").read_text()
    assert rows_of(text.replace(",2,Export,", f",{number},Export,"))["flowCode"][0] == flow


@pytest.mark.parametrize(
    ("period", "said", "expected"),
    [
        ("201703", "March 2017", ("M", "201703")),
        ("2017-01-01", "2017", ("A", "2017")),
        ("2017-03-01", "201703", ("M", "201703")),
        ("2017 Q1", "first quarter", (None, "2017 Q1")),
    ],
)
def test_frequency_follows_from_the_period_when_a_layout_has_none(
    rows_of: Callable[..., pl.DataFrame], downloads_dir: Path, period: str, said: str, expected: tuple[str | None, str]
) -> None:
    text = (downloads_dir / "website_legacy.csv").read_text().replace("H5,2017,2017,2017,", f"H5,2017,{period},{said},")
    assert rows_of(text).select("freqCode", "period").row(0) == expected


@pytest.mark.parametrize(
    ("letters", "year", "code"),
    [
        ("WLD", 2017, 0),
        ("ASEAN", 2017, 975),
        ("FRA", 2017, 251),
        ("ITA", 2017, 380),
        ("USA", 2017, 842),
        ("IND", 2017, 699),
        ("CHE", 2017, 757),
        ("NOR", 2017, 579),
        ("BEL", 1998, 58),
        ("BEL", 1999, 56),
        ("DEU", 1990, 280),
        ("DEU", 2017, 276),
        ("SDN", 2010, 736),
        ("SDN", 2017, 729),
        ("NAM", 2017, 516),
    ],
)
def test_letters_become_the_code_of_their_year_when_wits_names_a_partner(
    rows_of: Callable[..., pl.DataFrame], downloads_dir: Path, letters: str, year: int, code: int
) -> None:
    text = (
        (downloads_dir / "wits.csv").read_text().replace('"RUS",2017', f'"{letters}",{year}').replace('"KAZ"', '"GBR"')
    )
    row = rows_of(text).row(0, named=True)
    assert (row["partnerCode"], row["partnerISO"], row["quarantine_field"]) == (code, letters, None)


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ('"KAZ","854231"', '"QQQ","854231"', "reporterCode", "QQQ"),
        ('"RUS",2017', '"SUN",2017', "partnerCode", "SUN"),
        (",6,120.001,", ",6,much,", "primaryValue", "much"),
        ('300,"Item"', '300,"Barrels"', "qtyUnitCode", "Barrels"),
    ],
)
def test_a_wits_row_keeps_the_raw_text_when_it_cannot_be_translated(
    rows_of: Callable[..., pl.DataFrame], downloads_dir: Path, old: str, new: str, field: str, value: str
) -> None:
    rows = rows_of((downloads_dir / "wits.csv").read_text().replace(old, new))
    assert rows.select("quarantine_field", "quarantine_value").rows() == [(field, value), (None, None), (None, None)]


def test_wits_flows_units_and_totals_are_comtrades_when_read(
    rows_of: Callable[..., pl.DataFrame], downloads_dir: Path
) -> None:
    header = (downloads_dir / "wits.csv").read_text().splitlines()[0]
    lines = [
        f'"KAZ","Total","RUS",2017,{flow},0.001,"Kazakhstan","Russia","x",,,"{unit}"'
        for flow, unit in ((3, "Kg"), (4, "N.Q."), (5, "Item"), (6, ""), (2, "Item"))
    ]
    rows = rows_of("\n".join([header, *lines]) + "\n")
    assert rows["flowCode"].to_list() == ["RX", "RM", "M", "X", "2"]
    assert rows["qtyUnitCode"].to_list() == [8, -1, 5, None, 5]
    assert rows["cmdCode"].unique().to_list() == ["TOTAL"]
    assert rows["primaryValue"].to_list() == [1.0] * 5
