"""Which changes of leads are alerted, in what words, and that each alert's query shows its facts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestration.alerts.leads import lead_alerts
from orchestration.alerts.model import Alert, AlertError
from orchestration.release import PublishedRelease
from orchestration.release.published import release_before
from tests.unit.alerts.small_releases import a_release, answer

BEFORE = {"stays": ("A", 9.0), "rises": ("C", 8.0), "falls": ("B", 7.0), "goes": ("A", 6.0), "low": ("D", 5.0)}
AFTER = {"stays": ("A", 9.5), "rises": ("A", 8.0), "falls": ("D", 7.0), "comes": ("B", 1234567.0), "low": ("C", 5.0)}


@pytest.fixture
def two(tmp_path: Path) -> tuple[PublishedRelease, PublishedRelease]:
    return a_release(tmp_path, "r-1", BEFORE), a_release(tmp_path, "r-2", AFTER)


def kinds(alerts: list[Alert]) -> dict[str, str]:
    """Kind by subject."""
    return {alert.subject: alert.kind for alert in alerts}


def test_moved_leads_of_high_grade_are_alerted_when_two_releases_differ(
    two: tuple[PublishedRelease, PublishedRelease],
) -> None:
    found = lead_alerts(*two)
    assert kinds(found) == {
        "rises": "lead_regraded", "goes": "lead_gone", "falls": "lead_regraded", "comes": "lead_new",
    }  # fmt: skip
    said = {alert.subject: alert.message for alert in found}
    assert said["comes"].startswith("New anomalous passage of grade B: comes.\nPassage (USD FOB): 1,234,567.")
    assert said["rises"].startswith("Anomalous passage regraded from C to A: rises.")
    assert said["goes"].startswith("Anomalous passage of grade A is no longer a lead: goes.")
    assert {alert.release_id for alert in found} == {"r-2"}
    assert all(alert.facts["since_release"] == "r-1" for alert in found)


def test_no_alert_accuses_when_leads_are_told(two: tuple[PublishedRelease, PublishedRelease]) -> None:
    for alert in [*lead_alerts(*two), *lead_alerts(*two, most=1), *lead_alerts(None, two[0])]:
        assert "a statistical anomaly, not a finding about anyone" in alert.message
        assert "anomalous passage" in alert.message.lower()
        assert not {"evasion", "smuggl", "guilty", "violat", "suspect"} & set(alert.message.lower().split())


def test_the_query_shows_the_facts_when_it_is_put_to_the_release(
    two: tuple[PublishedRelease, PublishedRelease],
) -> None:
    for alert in lead_alerts(*two):
        rows = answer(two[1], alert)
        assert rows == [(0,)] if alert.kind == "lead_gone" else rows[0][0] == alert.facts["grade_after"]


def test_the_query_names_only_columns_of_the_mart_when_the_model_is_read(project_dir: Path, tmp_path: Path) -> None:
    model = yaml.safe_load((project_dir / "dbt_project/models/marts/mart_passage_lead.yml").read_text(encoding="utf-8"))
    columns = {column["name"] for column in model["models"][0]["columns"]}
    alert = lead_alerts(None, a_release(tmp_path, "r-1", BEFORE))[0]
    named = alert.query.removeprefix("select ").partition(" from ")[0].split(", ")
    assert set(named) <= columns


def test_only_the_best_are_alerted_when_more_moved_than_are_wanted(
    two: tuple[PublishedRelease, PublishedRelease],
) -> None:
    found = lead_alerts(*two, most=2)
    assert [alert.subject for alert in found] == ["rises", "goes", "the rest"]
    assert found[-1].kind == "leads_summary"
    assert "2 more anomalous passages moved: 1 new, 1 regraded, 0 gone" in found[-1].message
    assert [row[1] for row in answer(two[1], found[-1])] == ["A", "A", "B"]


def test_lower_grades_are_alerted_when_the_setting_asks_for_them(
    two: tuple[PublishedRelease, PublishedRelease],
) -> None:
    assert kinds(lead_alerts(*two, lowest_grade="D"))["low"] == "lead_regraded"
    assert set(kinds(lead_alerts(*two, lowest_grade="A"))) == {"rises", "goes"}


def test_one_summary_is_alerted_when_there_is_no_earlier_release(tmp_path: Path) -> None:
    found = lead_alerts(None, a_release(tmp_path, "r-1", {f"lead {i}": ("AB"[i % 2], 1.0) for i in range(300)}))
    assert [alert.kind for alert in found] == ["leads_summary"]
    assert "150 of grade A, 150 of grade B" in found[0].message


def test_nothing_is_alerted_when_no_lead_moved(tmp_path: Path) -> None:
    first, second = a_release(tmp_path, "r-1", BEFORE), a_release(tmp_path, "r-2", BEFORE)
    assert lead_alerts(first, second) == []
    assert lead_alerts(None, a_release(tmp_path, "r-3")) == []


def test_one_summary_is_alerted_when_the_earlier_release_had_no_leads_table(
    two: tuple[PublishedRelease, PublishedRelease],
) -> None:
    (two[0].path / "parquet" / "mart_passage_lead.parquet").unlink()
    assert [alert.kind for alert in lead_alerts(*two)] == ["leads_summary"]


def test_the_reason_is_said_when_a_release_cannot_be_read(two: tuple[PublishedRelease, PublishedRelease]) -> None:
    (two[1].path / "parquet" / "mart_passage_lead.parquet").write_bytes(b"not parquet")
    with pytest.raises(AlertError, match="leads of r-1 and r-2 cannot be read"):
        lead_alerts(*two)
    with pytest.raises(AlertError, match="leads of r-2 cannot be read"):
        lead_alerts(None, two[1])


def test_the_release_before_is_of_the_same_source_and_another_run_when_it_is_looked_for(tmp_path: Path) -> None:
    first = a_release(tmp_path, "r-1")
    a_release(tmp_path, "r-2", source="files")
    a_release(tmp_path, "r-3", run_id="run-4")
    fourth = a_release(tmp_path, "r-4", run_id="run-4")
    later = a_release(tmp_path, "r-5")
    assert release_before(first) is None
    assert getattr(release_before(fourth), "release_id", None) == "r-1"
    assert getattr(release_before(later), "release_id", None) == "r-4"


def test_the_id_is_the_same_when_the_same_alert_is_made_twice(two: tuple[PublishedRelease, PublishedRelease]) -> None:
    ids = [alert.alert_id for alert in lead_alerts(*two)]
    assert ids == [alert.alert_id for alert in lead_alerts(*two)]
    assert len(set(ids)) == len(ids)
    assert Alert("lead_new", "a", "x", "r-1", "q").alert_id == Alert("lead_new", "a", "y", "r-1", "p").alert_id
    assert len({Alert(k, s, "x", r, "q").alert_id for k in ("lead_new", "lead_gone") for s in "ab" for r in "12"}) == 8  # type: ignore[arg-type]
