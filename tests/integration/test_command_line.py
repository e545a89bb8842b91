"""What a person at the terminal sees: a run, the same run again, a question, a rollback, a refusal.

Belongs here: the commands as processes. Does not belong here: what the stages compute.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.conftest import SampleRun, run_command
from tests.integration.conftest import snapshot


def test_run_says_where_the_release_is_and_what_to_do_next_when_it_publishes(sample_run: SampleRun) -> None:
    assert sample_run.exit_status == 0, sample_run.output
    said = sample_run.output
    release = (sample_run.data_dir / "releases" / "latest").resolve()
    assert f"Published release {release.name}" in said
    assert str(release) in said
    assert re.search(r"fct_mirror_flow +[\d,]+ rows", said)
    assert re.search(r"checks: \d+ passed, 0 warnings, 0 failed", said)
    assert "Alerts raised: 1 (log: 1 delivered)" in said
    assert said.count("make ") >= 2
    assert "duckdb" in said.splitlines()[-1]


def test_planted_world_passes_every_gate_when_it_is_run(sample_release: Path) -> None:
    with duckdb.connect(str(sample_release / "warehouse.duckdb"), read_only=True) as con:
        failed = con.execute("select check_name, message from marts.mart_audit_result where not is_passed").fetchall()
        suites = con.execute("select distinct suite from marts.mart_audit_result order by 1").fetchall()
    assert failed == []
    assert [row[0] for row in suites] == ["dbt_tests", "landed_declarations", "marts", "reconciled_flows"]


def test_nothing_is_done_when_the_input_is_unchanged(published: Path, clean_environment: dict[str, str]) -> None:
    before = snapshot(published)
    outcome = run_command("run", published, clean_environment)
    assert outcome.returncode == 0
    assert "Unchanged: release r-" in outcome.stdout
    assert snapshot(published) == before


def test_a_question_is_answered_when_its_file_is_named(published: Path, clean_environment: dict[str, str]) -> None:
    outcome = run_command("query queries/10_who_reports_what_and_when_complete.sql", published, clean_environment)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "Question:" in outcome.stdout
    assert "│" in outcome.stdout


def test_analysts_go_back_when_an_earlier_release_is_named(published: Path, clean_environment: dict[str, str]) -> None:
    releases = published / "releases"
    current = (releases / "latest").resolve().name
    unknown = run_command("rollback r-0000000000000000", published, clean_environment)
    assert unknown.returncode == 2
    assert "r-0000000000000000" in unknown.stdout
    nameless = run_command("rollback", published, clean_environment)
    assert nameless.returncode == 2
    assert f"* {current}" in nameless.stdout
    back = run_command(f"rollback {current}", published, clean_environment)
    assert back.returncode == 0, back.stdout
    assert (releases / "latest").resolve().name == current


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MIRROR_SOURCE": "files"}, "MIRROR_DECLARATIONS"),
        ({"MIRROR_SOURCE": "files", "MIRROR_DECLARATIONS": "/nowhere"}, "does not exist"),
        ({"MIRROR_KEEP_RELEASES": "none"}, "MIRROR_KEEP_RELEASES"),
    ],
)
def test_nothing_is_started_when_settings_or_input_cannot_be_used(
    settings: dict[str, str], words: str, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    outcome = run_command("run", tmp_path / "data", clean_environment, **settings)
    assert outcome.returncode == 2
    assert words in outcome.stdout
    assert "Traceback" not in outcome.stdout + outcome.stderr


def test_a_second_run_is_turned_away_when_one_is_at_work(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    import fcntl

    data = tmp_path / "data"
    data.mkdir()
    with (data / "run.lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        outcome = run_command("run", data, clean_environment)
    assert outcome.returncode == 1
    assert "another run is at work" in outcome.stdout


def test_releases_survive_when_everything_computed_is_removed(
    published: Path, clean_environment: dict[str, str]
) -> None:
    current = (published / "releases" / "latest").resolve().name
    for folder in ("landed", "ledger", "contracted", "reconciled", "runs", "sample"):
        shutil.rmtree(published / folder)
    outcome = run_command("releases", published, clean_environment)
    assert f"* {current}" in outcome.stdout
