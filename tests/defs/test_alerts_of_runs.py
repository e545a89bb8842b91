"""Publication and gates raise alerts and never wait for a channel or fail by them; the command lists and delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from expectations.model import CheckResult
from expectations.thresholds import load_thresholds
from orchestration.alerts.outbox import MOST_ATTEMPTS
from orchestration.defs import cli
from orchestration.defs.release.assets import mart_checks, published_release
from orchestration.defs.resources import Warehouse
from orchestration.pipeline.plan import RunPlan
from orchestration.release import PublicationRefused, PublishedRelease, Reason
from orchestration.settings import Settings
from tests.unit.alerts.small_releases import ALERT, a_release
from tests.unit.release.world import sound_checks

DOWN = {"notify": "log,webhook", "webhook_url": "http://127.0.0.1:9/"}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse whose webhook is down and whose run is planned."""
    made = Warehouse(Settings.model_validate({"data_dir": tmp_path / "data", **DOWN}))
    made.__dict__["plan"] = RunPlan("sample", "input", "run-1", ("A-2020",))
    return made


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> Callable[..., Any]:
    """Materialises the published release with another way to publish."""

    def materialise(way: Callable[..., PublishedRelease]) -> dg.ExecuteInProcessResult:
        monkeypatch.setattr("orchestration.defs.release.assets.publish_run", way)
        return dg.materialize([published_release], resources={"warehouse": warehouse}, raise_on_error=False)

    return materialise


def a_new_lead(warehouse: Warehouse) -> PublishedRelease:
    """Publish two releases; the second holds a new lead."""
    a_release(warehouse.paths.releases, "r-1")
    return a_release(warehouse.paths.releases, "r-2", {"x": ("A", 1.0)}, run_id="run-1")


def raised(outcome: dg.ExecuteInProcessResult) -> object:
    """How many alerts the publication says it raised."""
    return outcome.asset_materializations_for_node("release__published")[0].metadata["alerts_raised"].value


def test_new_leads_wait_in_the_outbox_and_nothing_is_sent_when_a_release_is_published(
    warehouse: Warehouse, publish: Callable[..., Any]
) -> None:
    outcome = publish(lambda *_: a_new_lead(warehouse))
    assert outcome.success
    assert raised(outcome) == 1
    assert [(e.alert.kind, e.deliveries["webhook"].attempts) for e in warehouse.alerts.entries()] == [("lead_new", 0)]


def test_the_release_is_published_when_alerts_cannot_be_raised(
    warehouse: Warehouse, publish: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.paths.root.mkdir(parents=True)
    warehouse.paths.alerts.write_text("in the way", encoding="utf-8")
    outcome = publish(lambda *_: a_new_lead(warehouse))
    assert outcome.success
    assert raised(outcome) == 0
    assert "could not all be raised" in caplog.text


def test_a_refused_publication_is_alerted_when_it_fails(warehouse: Warehouse, publish: Callable[..., Any]) -> None:
    def refuse(*_: object) -> PublishedRelease:
        raise PublicationRefused("run-1", [Reason("Nothing was audited.", "It matters.", "Start again.")])

    assert not publish(refuse).success
    alert = warehouse.alerts.entries()[0].alert
    assert (alert.kind, alert.release_id) == ("publication_refused", "run-1")
    assert "Nothing was audited." in alert.message


def test_a_refusal_of_the_gate_is_alerted_with_its_checks_when_a_suite_fails(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [one.check_name for one in load_thresholds().values() if (one.suite, one.severity) == ("marts", "error")]

    def judged(*_: object) -> list[CheckResult]:
        sound = [one for one in sound_checks() if one.suite == "marts"]
        return [replace(one, passed=False, message="Broken.") if one.check_name == errors[0] else one for one in sound]

    monkeypatch.setattr("orchestration.defs.gates.run_gate", judged)
    monkeypatch.setattr("orchestration.defs.gates.gate_inputs", lambda *_: None)
    chosen = dg.AssetSelection.checks(mart_checks)
    dg.materialize([mart_checks], selection=chosen, resources={"warehouse": warehouse}, raise_on_error=False)
    alert = warehouse.alerts.entries()[0].alert
    assert (alert.kind, alert.subject, alert.release_id) == ("gate_refused", "marts", "run-1")
    assert alert.facts["checks"] == errors[0]
    assert f"- {errors[0]}: Broken." in alert.message


@dg.op
def breaks() -> None:
    """A step that fails."""
    raise OSError("the disk is full")


@dg.job
def broken() -> None:
    """A run that breaks off."""
    breaks()


def test_a_broken_run_of_the_command_line_is_alerted_delivered_and_said_when_it_ends(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = broken.execute_in_process(raise_on_error=False)
    cli._alert_failure(outcome, warehouse.alerts, warehouse.paths, "run-1")
    cli._say_alerts(warehouse.alerts, set())
    alert = warehouse.alerts.entries()[0].alert
    assert (alert.kind, alert.subject, alert.release_id) == ("run_failed", outcome.run_id, "run-1")
    assert "Step breaks failed: OSError: the disk is full" in alert.message
    said = "Alerts raised: 1 (log: 1 delivered; webhook: 1 waiting); make alerts lists them."
    assert said in capsys.readouterr().out
    cli._say_alerts(warehouse.alerts, {alert.alert_id})
    assert "Alerts raised" not in capsys.readouterr().out


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> Callable[..., int]:
    """The command line on this data folder, without the handlers that it sets for a terminal."""
    monkeypatch.setattr(cli, "_speak", lambda: None)
    monkeypatch.setenv("MIRROR_DATA_DIR", str(warehouse.paths.root))
    for name, value in DOWN.items():
        monkeypatch.setenv(f"MIRROR_{name.upper()}", value)
    return lambda *arguments: cli.main(["alerts", *arguments])


def test_alerts_are_delivered_and_listed_when_somebody_asks(
    warehouse: Warehouse, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0
    assert "There is no alert yet." in capsys.readouterr().out
    warehouse.alerts.tell(ALERT)
    assert command() == 0
    said = capsys.readouterr().out
    assert "2 checks refused the run" in said
    assert "the webhook could not be reached (ConnectError)" in said
    assert said.splitlines()[-1] == "log: 1 delivered; webhook: 1 waiting"


def test_the_status_says_so_when_something_was_given_up_until_it_is_tried_again(
    warehouse: Warehouse,
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestration.alerts.outbox.pause_after", lambda _attempts: 0.0)
    warehouse.alerts.tell(ALERT)
    for _ in range(MOST_ATTEMPTS):
        warehouse.alerts.deliver()
    assert command() == 1
    assert "webhook: 1 undelivered" in capsys.readouterr().out
    assert command("--again") == 0
    assert "1 deliveries are due again." in capsys.readouterr().out


def test_each_channel_is_tried_when_a_test_is_asked_for(
    warehouse: Warehouse, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--test") == 1
    assert "log: the test was taken\nwebhook: the webhook could not be reached" in capsys.readouterr().out
    assert warehouse.alerts.entries() == []
