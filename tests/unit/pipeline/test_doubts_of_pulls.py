"""From a pull to the gate: data sets that may lack rows, and those that did not land, are warnings of the release.

Belongs here: what the landing hands to the gate after a pull. Does not belong here: the API and its client.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from expectations import CheckResult, run_suite
from orchestration.comtrade.api.client import Body, Client
from orchestration.comtrade.api.quota import CallBook
from orchestration.comtrade.api.requests import DataRequest, DataSet, Version
from orchestration.comtrade.ledger import pulled_entries
from orchestration.pipeline import gates
from orchestration.pipeline.declarations import land
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import input_fingerprint
from orchestration.pipeline.pull import pull
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings
from tests.unit.expectations.files import write_world
from tests.unit.expectations.frames import make_world

CUT_OFF, TWICE, WHOLE, ABSENT = "004", "008", "012", "024"
STATED = {CUT_OFF: 700, TWICE: 3, WHOLE: 2, ABSENT: 5}
CHECKS = ("sources_are_read", "answers_are_whole")


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(source="preview", api_frequencies="A", data_dir=tmp_path / "data")


@dataclass
class Preview:
    """Four data sets: one cut off at 500 rows, one with a row twice, one whole, one that comes without its rows."""

    absent_rows: int = 0

    def availability(self, *_: str) -> list[Version]:
        """What the list states."""
        released = date(2024, 5, 1)
        sets = {reporter: DataSet("C", "A", "2020", reporter, "H5") for reporter in STATED}
        return [Version(sets[reporter], "-7", rows, released, released) for reporter, rows in STATED.items()]

    def address_fits(self, _: DataRequest) -> bool:
        """Whether the address is short enough."""
        return True

    def data(self, request: DataRequest) -> Body:
        """The rows of one data set."""
        (reporter,) = request.reporters
        numbers = {CUT_OFF: [*range(500)], TWICE: [0, 1, 2, 2], WHOLE: [0, 1], ABSENT: [*range(self.absent_rows)]}
        shared = {"typeCode": "C", "freqCode": "A", "period": "2020", "reporterCode": int(reporter), "flowCode": "X",
                  "classificationCode": "H5", "cmdCode": "854231", "primaryValue": 2.0}  # fmt: skip
        rows = [shared | {"partnerCode": number} for number in numbers[reporter]]
        content = json.dumps({"data": rows, "count": len(rows), "error": ""}).encode()
        return Body(content, hashlib.sha256(content).hexdigest())


class Book:
    """A record of calls that never ends."""

    def last_call_id(self) -> int:
        """The number of the last call."""
        return 0

    def left_today(self) -> int:
        """Calls left."""
        return 100


def pulled(
    settings: Settings, reference: Reference, preview: Preview, period_keys: tuple[str, ...] | None = None
) -> DataPaths:
    """Pull and land; returns the folders."""
    paths = DataPaths(settings.data_folder)
    pull(settings, paths, reference, cast(Client, preview), cast(CallBook, Book()), "", period_keys)
    land(settings, paths, reference, "fingerprint")
    return paths


def judged(settings: Settings, paths: DataPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """The two checks on the lists that the gate of this run reads, beside a world that is sound."""
    monkeypatch.setattr(gates, "primary_keys", lambda _: {})
    own = gates.gate_inputs(settings, paths, "run-1", needs_staging=False)
    sound = write_world(make_world(), tmp_path / "sound", with_marts=False)
    inputs = replace(sound, source=own.source, refusals_file=own.refusals_file, doubts_file=own.doubts_file)
    results = {one.check_name: one for one in run_suite("landed_declarations", inputs, only=CHECKS)}
    return [results[name] for name in CHECKS]


def sample(result: CheckResult) -> list[dict[str, Any]]:
    """The failing rows of a result."""
    return cast(list[dict[str, Any]], json.loads(result.failing_sample))


def test_the_release_warns_of_totals_when_the_preview_cut_a_data_set_off(
    settings: Settings, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pulled(settings, reference, Preview())
    noted = {entry.source_file[9:12]: entry.note for entry in pulled_entries(paths.ledger) if entry.note}
    assert sorted(noted) == [CUT_OFF, TWICE]

    read, whole = judged(settings, paths, tmp_path, monkeypatch)

    assert (whole.passed, whole.severity, whole.figure) == (False, "warning", 1.0)
    assert "no total may be taken" in whole.message
    assert sample(whole) == [
        {"source_file": f"C-A-2020-{CUT_OFF}-H5--7", "what": noted[CUT_OFF], "row_count": 500,
         "stated_row_count": 700, "value_usd": 1000.0}
    ]  # fmt: skip
    assert (read.passed, read.severity, read.figure) == (False, "warning", 1.0)
    assert [row["source_file"] for row in sample(read)] == [f"C-A-2020-{ABSENT}-H5--7"]
    assert "states 5" in sample(read)[0]["what"]


def test_nothing_is_said_when_no_list_of_the_source_holds_a_row(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path / "data", sample_rows=1_000, sample_start_year=2024, sample_frequencies="A")
    paths = DataPaths(settings.data_folder)
    # What an earlier pull left in this folder belongs to no run of this source.
    paths.root.mkdir(parents=True)
    paths.doubts.write_text(json.dumps([{"source_file": "C-A-2020-004-H5-7"}]), encoding="utf-8")
    land(settings, paths, reference, "fingerprint")
    results = judged(settings, paths, tmp_path, monkeypatch)
    assert [(one.passed, one.figure) for one in results] == [(True, 0.0)] * 2


def test_a_doubt_stands_until_its_data_set_lands_when_later_pulls_ask_for_other_periods(
    settings: Settings, reference: Reference
) -> None:
    paths = pulled(settings, reference, Preview())
    doubted = json.loads(paths.refusals.read_text(encoding="utf-8"))
    assert [row["source_file"] for row in doubted] == [f"C-A-2020-{ABSENT}-H5--7"]
    before = input_fingerprint(settings)

    pulled(settings, reference, Preview(), ("A-2021",))
    assert json.loads(paths.refusals.read_text(encoding="utf-8")) == doubted
    assert input_fingerprint(settings) == before

    pulled(settings, reference, Preview(absent_rows=STATED[ABSENT]))
    assert json.loads(paths.refusals.read_text(encoding="utf-8")) == []
    assert len(json.loads(paths.doubts.read_text(encoding="utf-8"))) == 1


def test_the_input_is_another_when_a_data_set_becomes_doubtful_and_nothing_lands(
    settings: Settings, reference: Reference
) -> None:
    # The release says what was not read, so another list of that makes another release.
    paths = pulled(settings, reference, Preview())
    before = input_fingerprint(settings)
    (paths.pull / "unsettled.json").write_text("[]", encoding="utf-8")
    assert input_fingerprint(settings) != before
