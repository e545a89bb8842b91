"""Requests that the API refuses: their data sets stay doubtful with its words, the others land.

Belongs here: what a pull makes of refusals. Does not belong here: which status is one (`tests/unit/comtrade/api`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.comtrade.api.errors import AccessRefused, KeyRefused, RequestRefused
from orchestration.pipeline.pull import COMPLETE, read_unsettled
from orchestration.stand_in.answers import Answer
from orchestration.stand_in.stand_in import Asked
from tests.unit.pipeline.pulling import Pulling, data_set, pulling
from tests.unit.pipeline.test_pull import assert_all_landed_once

WORDS = "Invalid value of reporterCode"
YEARS = ("2019", "2020", "2021", "2022")
WORLD = tuple(data_set(156, year) for year in YEARS)
EIGHT = tuple(data_set(reporter, year) for reporter in (56, 156) for year in YEARS)


@contextmanager
def refusing(
    folder: Path, bad: set[tuple[int, str]], *served: pl.DataFrame, status: int = 400, **settings: Any
) -> Iterator[tuple[Pulling, list[Asked]]]:
    """Pulls from a server that refuses requests which name one of the `bad` data sets (reporter, period), and the
    requests that it refused.
    """
    with pulling(folder, *served, api_frequencies="A", **settings) as found:
        answer, refused = found.stand_in.answer, list[Asked]()

        def answer_or_refuse(asked: Asked) -> Answer:
            named = dict(asked.parameters)
            cells = {
                (int(reporter), period)
                for reporter in named.get("reportercode", "").split(",")
                for period in named.get("period", "").split(",")
                if reporter and period
            }
            if not cells & bad:
                return answer(asked)
            refused.append(asked)
            return Answer(status, f'{{"statusCode": {status}, "message": "{WORDS}"}}'.encode(), "application/json")

        found.stand_in.answer = answer_or_refuse  # type: ignore[method-assign]
        yield found, refused


def of(found: Pulling) -> list[str]:
    """Data sets that stayed doubtful, by the file beside the ledger."""
    return ["-".join(one.source_file.split("-")[2:4]) for one in read_unsettled(found.paths)]


def test_the_others_land_and_the_words_of_the_api_are_kept_when_one_request_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One refused request once stopped the pull with every request behind it, on every day anew."""
    bad = {(156, "2020")}
    caplog.set_level(logging.WARNING, "mirror_warehouse")
    with refusing(tmp_path, bad, *WORLD, api_periods_a_call=1) as (found, refused):
        done = found.pull()
        assert (done.status, [one.data_set.period for one in done.landed]) == (COMPLETE, ["2019", "2021", "2022"])
        (one,) = done.unsettled
        assert one.source_file.startswith("C-A-2020-156-H6-")
        assert one.what == f"the API refused a request (status 400: {WORDS})"
        assert "record of calls" in one.how_to_mend
        assert read_unsettled(found.paths) == done.unsettled
        # What was asked for alone is not asked for again; the next pull does so.
        assert len(refused) == 1
        assert "going on without its 1 data sets" in caplog.text
        bad.clear()
        assert found.pull().unsettled == ()
        assert_all_landed_once(found, *WORLD)


def test_the_neighbours_of_a_refused_data_set_land_when_they_were_asked_for_together(tmp_path: Path) -> None:
    bad = {(156, "2020")}
    with refusing(tmp_path, bad, *EIGHT) as (found, refused):
        done = found.pull()
        # All eight, the half of two years, and half of that: what is left is asked for alone.
        assert [len(one.parameters["period"].split(",")) for one in refused] == [4, 2, 1]
        assert of(found) == ["2020-156"]
        assert len(done.landed) == 7
        refused.clear()
        assert found.pull().status == COMPLETE
        assert len(refused) == 1


def test_the_server_is_asked_a_few_times_more_and_no_more_when_it_refuses_everything_of_one_request(
    tmp_path: Path,
) -> None:
    bad = {(reporter, year) for reporter in (56, 156) for year in YEARS}
    with refusing(tmp_path, bad, *EIGHT) as (found, refused):
        done = found.pull()
        assert (done.status, len(done.unsettled), len(refused)) == (COMPLETE, 8, 1 + 2 + 4)
        assert "for it and 1 other data sets" in done.unsettled[0].what


def test_a_pull_stops_and_says_it_is_not_one_data_set_when_the_first_requests_are_all_refused(tmp_path: Path) -> None:
    bad = {(156, year) for year in YEARS}
    with refusing(tmp_path, bad, *WORLD, api_periods_a_call=1) as (found, refused):
        with pytest.raises(RequestRefused, match=rf"the first 3 requests, one after the other.*{WORDS}.*MIRROR_API_"):
            found.pull()
        assert len(refused) == 3
        # Wrong settings stop the next pull as well.
        with pytest.raises(RequestRefused, match="the first 3 requests"):
            found.pull()


def test_a_pull_goes_on_when_many_requests_are_refused_after_one_was_answered(tmp_path: Path) -> None:
    bad = {(156, year) for year in YEARS[1:]}
    with refusing(tmp_path, bad, *WORLD, api_periods_a_call=1) as (found, _):
        done = found.pull()
        assert (done.status, len(done.landed), len(done.unsettled)) == (COMPLETE, 1, 3)


def test_data_sets_refused_before_hold_up_no_others_when_something_new_is_there(tmp_path: Path) -> None:
    """They come first by year: three of them would be taken for wrong settings on every day."""
    bad = {(156, year) for year in YEARS[:3]}
    with refusing(tmp_path, bad, data_set(56, "2000"), *WORLD[:3], api_periods_a_call=1) as (found, _):
        assert len(found.pull().unsettled) == 3
    with refusing(tmp_path, bad, data_set(56, "2000"), *WORLD, api_periods_a_call=1) as (found, refused):
        settings = found.settings.model_copy(update={"api_first_year": 2019})
        found.settings = settings
        done = found.pull()
        assert [one.data_set.period for one in done.landed] == ["2022"]
        assert of(found) == ["2019-156", "2020-156", "2021-156"]
        refused.clear()
        # Nothing but them is left: that is no reason to stop what comes after a pull.
        assert found.pull().status == COMPLETE
        assert len(refused) == 3


@pytest.mark.parametrize(("status", "error"), [(401, KeyRefused), (403, AccessRefused), (302, AccessRefused)])
def test_a_pull_stops_at_once_when_the_refusal_is_not_about_the_request(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    bad = {(156, "2020")}
    with refusing(tmp_path, bad, *WORLD, api_periods_a_call=1, status=status) as (found, refused):
        with pytest.raises(error, match=WORDS):
            found.pull()
        assert len(refused) == 1
        assert [entry.period_keys for entry in found.ledger] == [("A-2019",)]


def test_a_large_data_set_stays_doubtful_when_a_part_of_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, calls = data_set(156, "2022", 100), list[str]()
    with pulling(tmp_path, large, data_set(56, "2022"), api_rows_a_call=60, api_frequencies="A") as found:
        answer = found.stand_in.answer

        def refuse_the_second_part(asked: Asked) -> Answer:
            calls.extend(asked.parameters.get("partnercode", "")[:1])
            if "partnercode" in asked.parameters and len(calls) == 2:
                return Answer(400, b'{"message": "no such partner"}', "application/json")
            return answer(asked)

        monkeypatch.setattr(found.stand_in, "answer", refuse_the_second_part)
        done = found.pull()
        assert [one.data_set.reporter_code for one in done.landed] == ["056"]
        assert ["no such partner" in one.what for one in done.unsettled] == [True]
        assert found.pull().unsettled == ()
        assert_all_landed_once(found, large, data_set(56, "2022"))
