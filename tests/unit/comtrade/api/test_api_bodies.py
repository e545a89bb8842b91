"""Bodies of answers become rows strictly: whatever is not as the API writes it is a doubt with the body kept."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.comtrade.api.bodies import DESCRIBING, REQUIRED, read_rows, read_versions
from orchestration.comtrade.api.errors import BadBody
from orchestration.comtrade.api.requests import DataSet
from orchestration.comtrade.contract.schema import API_COLUMNS
from tests.unit.comtrade.api.api_answers import PLAIN_ROW, answer_body, listed

DESCRIBED_ROW = PLAIN_ROW | {
    "reporterISO": "CHN", "reporterDesc": "China", "flowDesc": "Import", "partnerISO": "RUS",
    "partnerDesc": "Russian Federation", "partner2ISO": "W00", "partner2Desc": "World", "cmdDesc": "Chips",
    "aggrLevel": 6, "isLeaf": True, "customsDesc": "TOTAL CPC", "motDesc": "TOTAL MOT", "qtyUnitAbbr": "N/A",
}  # fmt: skip


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in PLAIN_ROW.items() if name not in names}


def test_every_cell_is_read_with_its_type_when_the_answer_is_as_it_should_be() -> None:
    rows = [PLAIN_ROW | {"partnerCode": n, "primaryValue": n / 8, "qty": None} for n in range(3)]
    found = read_rows(answer_body(*rows))
    assert found.schema == pl.Schema(API_COLUMNS)
    assert found.rows(named=True) == rows


def test_rows_keep_the_order_of_the_answer_when_there_are_more_than_are_read_at_once() -> None:
    order = [(7 * n) % 12_001 for n in range(12_001)]
    found = read_rows(answer_body(*({**PLAIN_ROW, "partnerCode": n} for n in order)))
    assert found["partnerCode"].to_list() == order


def test_all_columns_are_there_and_no_row_when_the_answer_is_empty() -> None:
    found = read_rows(answer_body())
    assert (found.height, found.schema) == (0, pl.Schema(API_COLUMNS))


def test_both_give_the_same_rows_when_one_answer_is_described_and_the_other_plain() -> None:
    plain, described = read_rows(answer_body(PLAIN_ROW)), read_rows(answer_body(DESCRIBED_ROW))
    kept = [name for name in API_COLUMNS if name not in DESCRIBING]
    assert_frame_equal(plain.select(kept), described.select(kept))
    assert plain.schema == described.schema
    assert described.select("reporterISO", "isLeaf").row(0) == ("CHN", True)


def test_a_column_may_be_absent_when_no_row_depends_on_it() -> None:
    found = read_rows(answer_body(without("grossWgt")))
    assert found["grossWgt"].to_list() == [None]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(answer_body(PLAIN_ROW)[:-30], "cut short or no JSON", id="cut short"),
        pytest.param(b"", r"cut short or no JSON .*0 bytes", id="nothing at all"),
        pytest.param(b"<html>Be back soon.</html>", "cut short or no JSON", id="a page"),
        pytest.param(answer_body(PLAIN_ROW).replace(b"854231", b"\xff\xfe"), "no JSON", id="not UTF-8"),
        pytest.param(answer_body(PLAIN_ROW, count=2), "says 2 rows and holds 1", id="wrong count"),
        pytest.param(answer_body(count=1), "says 1 rows and holds 0", id="empty though counted"),
        pytest.param(answer_body(error="Unknown table"), r"reports an error \(Unknown table\)", id="error reported"),
        pytest.param(answer_body(PLAIN_ROW, data=None), "Expected `array`, got `null`", id="no list of rows"),
        pytest.param(b'{"statusCode": 200, "message": "Hello."}', "missing required field `data`", id="no envelope"),
        pytest.param(answer_body(PLAIN_ROW | {"newColumn": "new"}), "unknown field `newColumn`", id="new column"),
        pytest.param(answer_body(PLAIN_ROW | {"primaryValue": "12"}), r"got `str` - at .*primaryValue", id="text"),
        pytest.param(answer_body(PLAIN_ROW | {"period": 2022}), r"got `int` - at .*period", id="number for text"),
        pytest.param(answer_body(PLAIN_ROW | {"isReported": 1}), r"got `int` - at .*isReported", id="number for flag"),
        pytest.param(answer_body(PLAIN_ROW | {"refYear": 2022.5}), r"got `float` - at .*refYear", id="half a year"),
        pytest.param(answer_body(PLAIN_ROW | {"partnerCode": 10**20}), "too large", id="a number of 21 digits"),
        pytest.param(answer_body(PLAIN_ROW, DESCRIBED_ROW | {"cmdDesc": 7}), r"at .*data\[1\]\.cmdDesc", id="2nd row"),
    ],
)
def test_a_body_is_refused_and_kept_whole_when_it_is_not_as_the_api_writes_it(body: bytes, words: str) -> None:
    with pytest.raises(BadBody, match=words) as refusal:
        read_rows(body)
    assert refusal.value.body == body
    assert refusal.value.why_it_matters
    assert "quarantine" in refusal.value.how_to_mend


@pytest.mark.parametrize("name", REQUIRED)
def test_a_body_is_refused_when_a_column_that_a_row_needs_is_missing(name: str) -> None:
    with pytest.raises(BadBody, match=f"missing required field `{name}`"):
        read_rows(answer_body(without(name)))


def test_a_row_is_refused_when_only_the_value_has_another_name() -> None:
    renamed = without("primaryValue") | {"tradeValue": 12.5}
    with pytest.raises(BadBody, match=r"tradeValue|primaryValue"):
        read_rows(answer_body(renamed))


def test_versions_are_read_sorted_and_with_codes_as_text_when_the_list_is_whole() -> None:
    body = answer_body(
        listed(reporterCode=156), listed(), listed(period="202201", freqCode="M", lastReleased=None, totalRecords=0)
    )
    first, second, monthly = read_versions(body)
    assert first.data_set == DataSet("C", "A", "2022", "056", "H6")
    assert (first.checksum, first.row_count) == ("-12345", 3)
    assert (first.first_released, first.last_released) == (date(2023, 4, 1), date(2023, 5, 1))
    assert second.data_set.reporter_code == "156"
    assert (monthly.data_set.period_key, monthly.last_released, monthly.row_count) == ("M-202201", None, 0)


def test_versions_differ_when_only_the_checksum_does() -> None:
    one, other = read_versions(answer_body(listed(datasetChecksum=1), listed(datasetChecksum=2)))
    assert one.data_set == other.data_set
    assert one.delivery_id != other.delivery_id
    assert one.source_file == "C-A-2022-056-H6-1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(answer_body(listed())[:-5], "cut short", id="cut short"),
        pytest.param(answer_body(listed(), count=500), "says 500 rows and holds 1", id="wrong count"),
        pytest.param(answer_body(error="No access"), "No access", id="error reported"),
        pytest.param(answer_body(listed(totalRecords="many")), "totalRecords", id="rows as text"),
        pytest.param(answer_body({k: v for k, v in listed().items() if k != "datasetChecksum"}), "datasetChecksum",
                     id="no checksum"),
        pytest.param(answer_body(listed(lastReleased="soon")), "release date 'soon'", id="no date"),
    ],
)  # fmt: skip
def test_the_availability_list_is_refused_when_a_version_could_not_be_told(body: bytes, words: str) -> None:
    with pytest.raises(BadBody, match=words) as refusal:
        read_versions(body)
    assert refusal.value.body == body


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6, 7, 8, 9])
def test_recorded_rows_are_read_cell_by_cell_when_the_source_described_them(
    recorded_bodies: dict[int, bytes], number: int
) -> None:
    found = read_rows(recorded_bodies[number])
    assert found.rows(named=True) == json.loads(recorded_bodies[number])["data"]


@pytest.mark.parametrize("number", [18, 19, 20, 21, 22])
def test_no_row_is_read_when_the_recorded_answer_is_empty(recorded_bodies: dict[int, bytes], number: int) -> None:
    assert read_rows(recorded_bodies[number]).is_empty()


def test_recorded_rows_are_the_same_when_their_descriptions_are_taken_away(recorded_bodies: dict[int, bytes]) -> None:
    said = json.loads(recorded_bodies[4])
    bare = [row | {name: None for name in DESCRIBING if name in row} for row in said["data"]]
    kept = [name for name in API_COLUMNS if name not in DESCRIBING]
    assert_frame_equal(read_rows(answer_body(*bare)).select(kept), read_rows(recorded_bodies[4]).select(kept))


@pytest.mark.parametrize("number", [4, 11, 16, 23, 24])
def test_a_recorded_body_is_refused_when_it_is_cut_or_no_answer_with_rows(
    recorded_bodies: dict[int, bytes], number: int
) -> None:
    body = recorded_bodies[number]
    with pytest.raises(BadBody):
        read_rows(body[: len(body) // 2] if number == 4 else body)
