"""A long answer is decoded in slices: with the same rows and the same refusals as at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.comtrade.api import bodies
from orchestration.comtrade.api.bodies import DESCRIBING, read_rows
from orchestration.comtrade.api.errors import BadBody
from orchestration.comtrade.contract.schema import API_COLUMNS


def row(number: int, **given: object) -> dict[str, object]:
    """One row of the API, descriptions null."""
    said = {
        "typeCode": "C", "freqCode": "A", "period": "2022", "reporterCode": 56, "flowCode": "M", "partnerCode": number,
        "classificationCode": "H6", "cmdCode": "010121", "primaryValue": number / 3,
    }  # fmt: skip
    return dict.fromkeys(API_COLUMNS) | said | given


def body(rows: list[dict[str, object]], count: int | None = None, error: str = "") -> bytes:
    """An answer as the API writes it."""
    envelope = {"elapsedTime": "0.01 secs", "count": len(rows) if count is None else count, "data": rows}
    return json.dumps(envelope | {"error": error}, separators=(",", ":")).encode()


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SLICE_BYTES", 3_000)


ROWS = [row(number) for number in range(50)]
TRICKY = [row(number, cmdDesc='a "text" with },{ and }] and "data":[ in it' + "," * number) for number in range(50)]


def of_columns(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame([tuple(one[name] for name in API_COLUMNS) for one in rows], schema=API_COLUMNS, orient="row")


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [], TRICKY, ROWS[:25] + TRICKY[:25]])
def test_rows_are_the_same_when_a_body_is_cut_into_slices(rows: list[dict[str, object]]) -> None:
    assert_frame_equal(read_rows(body(rows)), of_columns(rows))


@pytest.mark.parametrize("length", [1, 2_999, 3_000, 3_001, 10**9])
def test_rows_are_the_same_whatever_the_length_of_slices(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SLICE_BYTES", length)
    assert_frame_equal(read_rows(body(ROWS)), of_columns(ROWS))


def test_rows_are_the_same_when_the_answer_is_written_with_blanks() -> None:
    assert_frame_equal(read_rows(json.dumps(json.loads(body(ROWS)), indent=1).encode()), of_columns(ROWS))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said[: len(said) // 2],
        lambda said: said[:-1],
        lambda said: said.replace(b'"count":50', b'"count":49'),
        lambda said: said.replace(b'"error":""', b'"error":"no"'),
        lambda said: said.replace(b"},{", b"},,{", 1),
        lambda said: said.replace(b"},{", b"} {", 1),
        lambda said: said.replace(b'"partnerCode":40', b'"partnerCode":"forty"'),
        lambda said: said.replace(b'"partnerCode":40', b'"partnerCode":40,"newColumn":1'),
        lambda said: said.replace(b'"cmdCode":"010121",', b"", 1),
        lambda said: said.replace(b'"partnerCode":40', b'"partnerCode":' + b"9" * 30),
        lambda said: said.replace(b"010121", b"\xff\xfe", 1),
    ],
)
def test_a_bad_body_is_refused_when_it_is_cut_into_slices(spoil: Callable[[bytes], bytes]) -> None:
    whole = body(ROWS)
    spoilt = spoil(whole)
    assert spoilt != whole
    with pytest.raises(BadBody) as refused:
        read_rows(spoilt)
    assert refused.value.body == spoilt


def test_the_columns_that_only_describe_are_there_and_empty() -> None:
    assert read_rows(body(ROWS)).select(DESCRIBING).null_count().row(0) == (50,) * len(DESCRIBING)
