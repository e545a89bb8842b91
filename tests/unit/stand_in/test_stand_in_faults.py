"""Faults: every kind does what it says, only to the calls and endpoints it is meant for."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from orchestration.stand_in import Fault, FaultError, Faults, Holdings, Served, StandIn
from orchestration.stand_in.faults import KINDS
from tests.unit.stand_in.asking import KEY, Get, ask, said

PATH = "/data/v1/get/C/A/HS"
ASKED = {"period": "2022", "cmdCode": "TOTAL", "flowCode": "M"}


@pytest.fixture
def good(stand_in: StandIn) -> list[dict[str, Any]]:
    """The rows without a fault."""
    rows: list[dict[str, Any]] = said(ask(stand_in, PATH, **ASKED))["data"]
    assert len(rows) > 10
    return rows


def faulty(stand_in: StandIn, fault: Fault) -> dict[str, Any]:
    """The JSON of a call that meets the fault."""
    stand_in.set_faults(Faults.scripted({1: fault}))
    answer = ask(stand_in, PATH, **ASKED)
    assert answer.status == 200
    return said(answer)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault("missing_key"), 401, "missing subscription key"),
        (Fault("invalid_key"), 401, "invalid subscription key"),
        (Fault("out_of_quota", seconds=60), 403, "replenished in 00:01:00."),
        (Fault("too_many_calls", seconds=7), 429, "Try again in 7 seconds."),
    ],
)
def test_the_call_is_refused_in_the_words_of_the_source_when_the_fault_is_a_refusal(
    stand_in: StandIn, fault: Fault, status: int, words: str
) -> None:
    stand_in.set_faults(Faults.scripted({1: fault}))
    answer = ask(stand_in, PATH, **ASKED)
    assert (answer.status, said(answer)["statusCode"]) == (status, status)
    assert words in said(answer)["message"]
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_the_server_fails_without_json_when_the_fault_is_one_of_the_server(stand_in: StandIn, status: int) -> None:
    stand_in.set_faults(Faults.scripted({1: Fault("server_error", status=status)}))
    answer = ask(stand_in, PATH, **ASKED)
    assert (answer.status, answer.content_type) == (status, "text/html")


def test_a_web_page_comes_with_200_when_the_content_type_is_wrong(stand_in: StandIn) -> None:
    stand_in.set_faults(Faults.scripted({1: Fault("web_page")}))
    answer = ask(stand_in, PATH, **ASKED)
    assert (answer.status, answer.content_type, answer.body[:5]) == (200, "text/html", b"<!DOC")


def test_rows_are_spoilt_as_the_fault_says_when_it_is_one_of_rows(
    stand_in: StandIn, good: list[dict[str, Any]]
) -> None:
    assert faulty(stand_in, Fault("duplicate_rows", rows=3))["data"] == good + good[:3]
    assert faulty(stand_in, Fault("capped", rows=5))["data"] == good[:5]
    assert faulty(stand_in, Fault("empty")) == {"elapsedTime": "0.01 secs", "count": 0, "data": [], "error": ""}
    assert faulty(stand_in, Fault("reordered"))["data"] == good[::-1]
    assert faulty(stand_in, Fault("wrong_count", rows=2))["count"] == len(good) + 2
    assert faulty(stand_in, Fault("new_column"))["data"] == [{**row, "newColumn": "new"} for row in good]
    assert "primaryValue" not in faulty(stand_in, Fault("renamed_column"))["data"][0]
    assert faulty(stand_in, Fault("renamed_column"))["data"][0]["tradeValue"] == good[0]["primaryValue"]
    mistyped = faulty(stand_in, Fault("mistyped_cell", column="netWgt"))["data"]
    assert mistyped == [{**good[0], "netWgt": "not a number"}, *good[1:]]


def test_one_data_set_is_revised_before_the_answer_when_the_fault_says_so(
    stand_in: StandIn, holdings: Holdings, good: list[dict[str, Any]]
) -> None:
    before = {one.key: one.checksum for one in holdings.data_sets()}
    rows = faulty(stand_in, Fault("revised", factor=2.0))["data"]
    changed = [one.key for one in holdings.data_sets() if one.checksum != before[one.key]]
    assert len(changed) == 1
    expected = [row["primaryValue"] * (2.0 if row["reporterCode"] == changed[0].reporter_code else 1.0) for row in good]
    assert [row["primaryValue"] for row in rows] == expected


def test_half_the_body_comes_as_a_whole_answer_when_it_is_cut_short(served: Served, get: Get) -> None:
    served.stand_in.set_faults(Faults.scripted({1: Fault("cut_short")}))
    answer = get(PATH, **ASKED)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_connection_closes_within_the_body_when_it_is_dropped(served: Served, get: Get) -> None:
    served.stand_in.set_faults(Faults.scripted({1: Fault("dropped")}))
    with pytest.raises(httpx.RemoteProtocolError):
        get(PATH, **ASKED)
    assert get(PATH, **ASKED).status_code == 200


def test_the_caller_times_out_when_the_answer_is_held(served: Served) -> None:
    served.stand_in.set_faults(Faults.scripted({1: Fault("held", seconds=30.0), 2: Fault("held", seconds=0.05)}))
    headers = {"Ocp-Apim-Subscription-Key": KEY}
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(served.address + PATH, params=ASKED, headers=headers, timeout=0.2)
    assert httpx.get(served.address + PATH, params=ASKED, headers=headers, timeout=5.0).status_code == 200


def test_only_the_named_calls_of_the_named_endpoints_fail_when_a_script_is_played(stand_in: StandIn) -> None:
    stand_in.set_faults(Faults.scripted({2: Fault("server_error")}, endpoints=["data/v1/getDA"]))
    paths = (PATH, "/data/v1/getDa/C/A/HS", PATH, "/data/v1/getDA/C/A/HS", "/data/v1/getDA/C/A/HS")
    assert [ask(stand_in, path, period="1871").status for path in paths] == [200, 200, 200, 503, 200]
    assert [call.fault for call in stand_in.calls] == [None, None, None, "server_error", None]


def test_a_mixture_is_the_same_and_of_its_share_when_the_seed_is_the_same() -> None:
    drawn = [Faults.mixed(seed, 0.3).of_call(number) for seed in (5, 5, 6) for number in range(1, 1001)]
    first, again, other = drawn[:1000], drawn[1000:2000], drawn[2000:]
    assert first == again != other
    assert 250 < sum(fault is not None for fault in first) < 350
    assert len({fault.kind for fault in first if fault is not None}) > 5


def test_a_script_reads_the_same_when_it_comes_as_json() -> None:
    script = {"endpoints": ["data/v1/get"], "script": {"3": {"kind": "too_many_calls", "seconds": 2}}}
    assert Faults.from_json(script) == Faults.scripted({3: Fault("too_many_calls", seconds=2)})
    mixed = {"mixed": {"seed": 7, "share": 0.2, "kinds": ["held"], "like": {"seconds": 3}}}
    assert Faults.from_json(mixed) == Faults.mixed(7, 0.2, ["held"], like=Fault("held", seconds=3))


@pytest.mark.parametrize(
    "script",
    [
        {"script": {"1": {"kind": "meteor"}}},
        {"script": {"1": {"kind": "held", "colour": "red"}}},
        {"mixed": {"seed": 1, "share": 1.5}},
        {"mixed": {"seed": 1, "share": 0.5, "kinds": ["meteor"]}},
        {},
    ],
)
def test_a_script_is_refused_with_a_reason_when_it_cannot_be_played(script: dict[str, Any]) -> None:
    with pytest.raises(FaultError, match="; "):
        Faults.from_json(script)


def test_every_kind_changes_the_answer_when_it_is_played(stand_in: StandIn) -> None:
    plain = ask(stand_in, PATH, **ASKED)
    for kind in KINDS:
        stand_in.set_faults(Faults.scripted({1: Fault(kind)}))
        answer = ask(stand_in, PATH, **ASKED)
        assert (answer.status, answer.body, answer.held_seconds, answer.is_dropped) != (
            plain.status,
            plain.body,
            plain.held_seconds,
            plain.is_dropped,
        ), kind
