"""Data calls: filters, the cap, descriptions, limits of keys."""

from __future__ import annotations

import json

import polars as pl
import pytest

from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.reference import Reference
from orchestration.stand_in import Holdings, KeyLimits, StandIn, answers
from orchestration.stand_in.query import DESCRIBED
from tests.unit.stand_in.asking import KEY, ask, rows_of, said

GET = "/data/v1/get/C/A/HS"
YEAR = {"period": "2022"}


def test_every_declared_row_comes_back_as_filed_when_nothing_is_filtered(
    stand_in: StandIn, annual: pl.DataFrame
) -> None:
    answer = ask(stand_in, GET, **YEAR, includeDesc="TRUE")
    rows = pl.DataFrame(said(answer)["data"], schema=API_COLUMNS, orient="row")
    filed = [name for name in API_COLUMNS if not name.endswith(("Desc", "ISO", "Abbr"))]
    keys = ["reporterCode", "flowCode", "partnerCode", "cmdCode", "motCode", "customsCode", "partner2Code"]
    assert rows.select(filed).sort(keys).equals(annual.select(filed).sort(keys))
    assert answer.rows == said(answer)["count"] == annual.height


@pytest.mark.parametrize(
    ("parameter", "column", "values"),
    [
        ("flowCode", "flowCode", ["M", "RX"]),
        ("customsCode", "customsCode", ["C00"]),
        ("cmdCode", "cmdCode", ["TOTAL", "854231"]),
        ("motCode", "motCode", [0]),
        ("partner2Code", "partner2Code", [0]),
        ("partnerCode", "partnerCode", [0, 276]),
        ("reporterCode", "reporterCode", [56, 276]),
    ],
)
def test_only_fitting_rows_are_given_when_a_parameter_filters(
    stand_in: StandIn, annual: pl.DataFrame, parameter: str, column: str, values: list[str] | list[int]
) -> None:
    expected = annual.filter(pl.col(column).is_in(values)).height
    assert 0 < expected < annual.height or column in {"customsCode", "partner2Code", "motCode"}
    wanted = {parameter: ",".join(str(value) for value in values)}
    assert len(rows_of(stand_in, GET, **YEAR, **wanted)) == expected


@pytest.mark.parametrize(("level", "digits"), [("AG2", 2), ("AG4", 4), ("AG6", 6)])
def test_products_of_a_level_are_given_when_the_level_is_asked_for(
    stand_in: StandIn, annual: pl.DataFrame, level: str, digits: int
) -> None:
    expected = annual.filter(pl.col("cmdCode").str.len_chars() == digits).height
    assert len(rows_of(stand_in, GET, **YEAR, cmdCode=level)) == expected
    with_total = annual.filter((pl.col("cmdCode").str.len_chars() == digits) | (pl.col("cmdCode") == "TOTAL")).height
    assert len(rows_of(stand_in, GET, **YEAR, cmdCode=f"{level},TOTAL")) == with_total


def test_an_edition_is_one_of_the_family_when_both_are_asked_for(
    annual: pl.DataFrame, reporter: int, reference: Reference
) -> None:
    is_late = pl.col("reporterCode") == reporter
    edition = pl.when(is_late).then(pl.lit("H5")).otherwise("classificationCode").alias("classificationCode")
    stand_in = StandIn(Holdings.from_frames([annual.with_columns(edition)]), {KEY: KeyLimits()}, reference=reference)
    counts = [len(rows_of(stand_in, f"/data/v1/get/C/A/{name}", **YEAR)) for name in ("H5", "H6", "S4", "HS")]
    late = annual.filter(is_late).height
    assert counts == [late, annual.height - late, 0, annual.height]


@pytest.mark.parametrize(
    "parameters",
    [{"period": "1871"}, {"period": "abc"}, {"reporterCode": "nobody"}, {"cmdCode": "XX"}, {"flowCode": "Q"}],
)
def test_the_answer_is_empty_and_200_when_a_value_is_not_known(stand_in: StandIn, parameters: dict[str, str]) -> None:
    answer = ask(stand_in, GET, **parameters)
    assert (answer.status, said(answer)) == (200, {"elapsedTime": "0.01 secs", "count": 0, "data": [], "error": ""})


def test_rows_are_cut_silently_when_the_cap_of_the_key_is_reached(holdings: Holdings, reference: Reference) -> None:
    keys = {"free": KeyLimits(rows=100), "premium": KeyLimits(rows=250)}
    stand_in = StandIn(holdings, keys, preview_rows=10, reference=reference)
    for key, cap in (("free", 100), ("premium", 250)):
        answer = said(ask(stand_in, GET, key=key, **YEAR))
        assert (answer["count"], len(answer["data"]), answer["error"]) == (cap, cap, "")
    assert len(rows_of(stand_in, "/public/v1/preview/C/A/HS", **YEAR)) == 10
    assert len(said(ask(stand_in, GET, key="free", **YEAR, maxRecords=7))["data"]) == 7
    assert len(said(ask(stand_in, GET, key="free", **YEAR, maxRecords=500))["data"]) == 100


def test_rows_are_counted_beyond_the_cap_when_only_the_count_is_asked_for(
    holdings: Holdings, reference: Reference, annual: pl.DataFrame
) -> None:
    stand_in = StandIn(holdings, {"free": KeyLimits(rows=5)}, reference=reference)
    answer = said(ask(stand_in, GET, key="free", **YEAR, countOnly="true"))
    assert (answer["count"], answer["data"]) == (annual.height, [])


def test_descriptions_are_null_when_they_are_not_asked_for(stand_in: StandIn, reporter: int) -> None:
    plain = rows_of(stand_in, GET, **YEAR, reporterCode=reporter)
    described = rows_of(stand_in, GET, **YEAR, reporterCode=reporter, includeDesc="true")
    assert {row[name] for row in plain for name in DESCRIBED} == {None}
    assert all(row[name] is not None for row in described for name in DESCRIBED)


def test_texts_come_back_as_filed_when_they_hold_quotes_commas_and_line_breaks(
    annual: pl.DataFrame, reference: Reference
) -> None:
    odd = 'Bolts, "Ø 3\n", } and ],'
    frame = annual.head(20_000).with_columns(cmdDesc=pl.lit(odd))
    stand_in = StandIn(Holdings.from_frames([frame]), {KEY: KeyLimits()}, reference=reference)
    assert [row["cmdDesc"] for row in rows_of(stand_in, GET, includeDesc="true")] == [odd] * frame.height


def test_rows_are_whole_when_there_are_more_than_are_encoded_at_once(
    annual: pl.DataFrame, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn(Holdings.from_frames([annual]), {KEY: KeyLimits()}, reference=reference)
    at_once = ask(stand_in, GET).body
    monkeypatch.setattr(answers, "_ROWS_AT_ONCE", 7)
    assert ask(stand_in, GET).body == at_once


def test_equal_questions_get_equal_bytes_when_asked_again(stand_in: StandIn) -> None:
    assert ask(stand_in, GET, **YEAR).body == ask(stand_in, GET, **YEAR).body


def test_a_call_is_refused_without_naming_a_row_when_the_key_is_missing_or_unknown(stand_in: StandIn) -> None:
    missing, unknown = ask(stand_in, GET, key=None, **YEAR), ask(stand_in, GET, key="guess", **YEAR)
    assert (missing.status, unknown.status) == (401, 401)
    assert "missing subscription key" in said(missing)["message"]
    assert "invalid subscription key" in said(unknown)["message"]


def test_calls_are_refused_with_403_when_the_quota_of_the_day_is_spent(
    holdings: Holdings, reference: Reference
) -> None:
    limits = KeyLimits(calls_a_day=2, replenished_in_seconds=3_725)
    stand_in = StandIn(holdings, {"k": limits}, reference=reference)
    assert [ask(stand_in, GET, key="k", period="1871").status for _ in range(3)] == [200, 200, 403]
    message = "Out of call volume quota. Quota will be replenished in 01:02:05."
    assert said(ask(stand_in, GET, key="k")) == {"statusCode": 403, "message": message}
    assert ask(stand_in, "/public/v1/preview/C/A/HS", key=None, period="1871").status == 200
    stand_in.give_back_quota()
    assert ask(stand_in, GET, key="k", period="1871").status == 200


def test_calls_are_refused_with_429_when_they_come_faster_than_allowed(
    holdings: Holdings, reference: Reference
) -> None:
    now = [100.0]
    stand_in = StandIn(holdings, {"k": KeyLimits(calls_a_second=2)}, reference=reference, clock=lambda: now[0])
    answers = [ask(stand_in, GET, key="k", period="1871") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    message = "Rate limit is exceeded. Try again in 1 seconds."
    assert said(answers[-1]) == {"statusCode": 429, "message": message}
    assert answers[-1].headers["Retry-After"] == "1"
    now[0] += 1.0
    assert ask(stand_in, GET, key="k", period="1871").status == 200


def test_the_record_names_calls_without_the_key_when_they_were_made(stand_in: StandIn) -> None:
    ask(stand_in, GET, **YEAR, cmdCode="TOTAL")
    ask(stand_in, GET, key=None)
    first, second = stand_in.calls
    assert (first.number, first.endpoint, first.query) == (1, "data/v1/get", {"period": "2022", "cmdcode": "TOTAL"})
    assert (first.status, first.rows > 0, first.fault, second.status, second.rows) == (200, True, None, 401, 0)
    assert first.key_fingerprint is not None
    assert second.key_fingerprint is None
    assert "key-of-the-tests" not in json.dumps([str(call) for call in stand_in.calls])


def test_leaf_products_only_are_given_when_tariff_lines_are_asked_for(stand_in: StandIn) -> None:
    rows = rows_of(stand_in, "/data/v1/getTariffline/C/A/HS", **YEAR)
    assert rows
    assert {len(row["cmdCode"]) for row in rows} == {6}
