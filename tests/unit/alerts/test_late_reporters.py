"""Who is late: behind what most usual reporters filed by more than its own longest pause and the tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from orchestration.alerts.model import AlertError
from orchestration.alerts.reporters import late_query, late_reporter_alerts
from tests.unit.alerts.small_releases import a_release, answer

MONTHS = [f"{year}{month:02d}" for year in (2022, 2023, 2024) for month in range(1, 13)]
YEARS = [str(year) for year in range(2017, 2025)]
PUNCTUAL = {("M", f"00{i}"): MONTHS for i in range(1, 6)} | {("A", f"00{i}"): YEARS for i in range(1, 6)}


def late(tmp_path: Path, filed: dict[tuple[str, str], Sequence[str]], tolerance: int = 3) -> list[tuple[object, ...]]:
    """Frequency, reporter, months behind and longest pause of those alerted, as the alert's own query gives them."""
    release = a_release(tmp_path, "r-1", filed=filed)
    found = late_reporter_alerts(release, tolerance)
    assert len(found) <= 1
    return [(row[0], row[1], row[5], row[6]) for row in answer(release, found[0])] if found else []


def test_nobody_is_alerted_when_all_filed_in_time(tmp_path: Path) -> None:
    assert late(tmp_path, PUNCTUAL) == []


def test_a_reporter_is_late_when_it_is_behind_by_more_than_the_tolerance(tmp_path: Path) -> None:
    filed = PUNCTUAL | {("M", "100"): MONTHS[:-4], ("M", "101"): MONTHS[:-3], ("A", "102"): YEARS[:-1]}
    assert late(tmp_path, filed) == [("A", "102", 12, 0), ("M", "100", 4, 0)]


def test_a_reporter_is_given_its_own_longest_pause_when_it_used_to_pause(tmp_path: Path) -> None:
    with_pause = [*MONTHS[:18], *MONTHS[20:]]
    filed = PUNCTUAL | {("M", "100"): with_pause[:-5], ("M", "101"): with_pause[:-6]}
    assert late(tmp_path, filed) == [("M", "101", 6, 2)]


def test_the_front_is_what_most_filed_when_a_few_are_ahead(tmp_path: Path) -> None:
    filed = {("M", f"00{i}"): MONTHS[:-6] for i in range(1, 6)} | {("M", "100"): MONTHS, ("M", "101"): MONTHS}
    assert late(tmp_path, filed) == []
    ahead = {("M", f"10{i}"): MONTHS for i in range(6)}
    assert len(late(tmp_path / "more", {**filed, **ahead})) == 5


def test_a_reporter_is_silent_and_not_late_when_it_stopped_long_ago(tmp_path: Path) -> None:
    filed = PUNCTUAL | {("M", "100"): MONTHS[:-13], ("M", "101"): MONTHS[:-11], ("A", "102"): YEARS[:-3]}
    assert late(tmp_path, filed) == [("M", "101", 11, 0)]


def test_the_tolerance_moves_the_line_when_it_is_set(tmp_path: Path) -> None:
    filed = PUNCTUAL | {("M", "100"): MONTHS[:-4]}
    assert late(tmp_path, filed, tolerance=4) == []
    assert late(tmp_path / "strict", filed, tolerance=0) == [("M", "100", 4, 0)]


def test_all_stand_in_one_alert_with_its_release_when_several_are_late(tmp_path: Path) -> None:
    filed = PUNCTUAL | {("M", "100"): MONTHS[:-4], ("A", "100"): YEARS[:-1]}
    found = late_reporter_alerts(a_release(tmp_path, "r-1", filed=filed))
    assert [(alert.kind, alert.release_id) for alert in found] == [("reporter_late", "r-1")]
    assert found[0].headline == "2 data sets are late in release r-1."
    assert "- I100 (monthly): newest period 202408, most others have 202412; 4 months behind" in found[0].message
    assert found[0] == late_reporter_alerts(a_release(tmp_path / "again", "r-1", filed=filed))[0]


def test_the_query_names_only_columns_of_the_mart_when_the_model_is_read(project_dir: Path) -> None:
    path = project_dir / "dbt_project/models/marts/fct_reporter_coverage.yml"
    columns = {column["name"] for column in yaml.safe_load(path.read_text(encoding="utf-8"))["models"][0]["columns"]}
    assert {"frequency", "reporter_code", "reporter_iso3", "period", "period_start", "is_reporting"} <= columns
    assert "marts.fct_reporter_coverage" in late_query(3)


def test_the_reason_is_said_when_the_release_cannot_be_read(tmp_path: Path) -> None:
    release = a_release(tmp_path, "r-1")
    (release.path / "warehouse.duckdb").write_bytes(b"not a database")
    with pytest.raises(AlertError, match="coverage of release r-1 cannot be read"):
        late_reporter_alerts(release)
