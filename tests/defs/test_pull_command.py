"""The command `pull`: how it ends and what it says. What lands is tested in tests/unit/pipeline/test_pull.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from orchestration.comtrade.api.client import Body, Client
from orchestration.comtrade.api.errors import RequestRefused
from orchestration.comtrade.api.requests import DataRequest
from orchestration.defs.cli import REFUSED, RESUMABLE_STATUS, pull_now
from orchestration.stand_in import Faults
from tests.unit.pipeline.pulling import Pulling, data_set, pulling


def pulled(found: Pulling) -> int:
    """The exit status of one pull."""
    return pull_now(found.settings, argparse.Namespace())


def test_the_command_ends_resumable_and_says_why_when_a_list_that_was_not_empty_comes_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pulling(tmp_path, data_set(156, "2022")) as found:
        assert pulled(found) == 0
        found.stand_in.set_faults(Faults.mixed(1, 1.0, ["empty"], ["data/v1/getda"]))
        assert pulled(found) == RESUMABLE_STATUS
    assert "It ends here and can be resumed: the availability list of frequency A came empty" in capsys.readouterr().out


def refuse(monkeypatch: pytest.MonkeyPatch, *periods: str) -> None:
    """Let the API refuse requests that name one of these periods."""
    ask = Client.data

    def data(self: Client, request: DataRequest) -> Body:
        if set(periods) & set(request.periods):
            raise RequestRefused("the API refused a request (status 400: no such thing)", "nothing comes", "look at it")
        return ask(self, request)

    monkeypatch.setattr(Client, "data", data)


def test_the_command_ends_well_and_names_what_did_not_land_when_one_request_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "2021")
    with pulling(tmp_path, data_set(156, "2021"), data_set(156, "2022"), api_periods_a_call=1) as found:
        assert pulled(found) == 0
    said = capsys.readouterr().out
    assert "Pull complete: 1 data sets with 5 rows landed" in said
    assert "Not landed, as answers were doubtful or requests refused: 1 data sets" in said
    assert "not landed: C-A-2021-156-H6-" in said
    assert "(status 400: no such thing); look at it" in said


def test_the_command_ends_refused_when_the_first_requests_are_all_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    years = ("2020", "2021", "2022")
    refuse(monkeypatch, *years)
    with pulling(tmp_path, *(data_set(156, year) for year in years), api_periods_a_call=1) as found:
        assert pulled(found) == REFUSED
    assert "the API refused the first 3 requests" in capsys.readouterr().out
