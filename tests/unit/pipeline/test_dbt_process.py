"""dbt in a process of its own: parsed, built once, ended.

Belongs here: the process and its pipe, on a project of one model. Does not belong here: the project's own models
(`tests/warehouse`).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestration.pipeline.dbt import DbtProcess, ManifestError, ensure_manifest
from tests.unit.pipeline.processes import ends_with_its_run

PROFILE = """one:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('DBT_STAGING_PATH') }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project with one model and one test."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: one\nprofile: one\nconfig-version: 2\n", encoding="utf-8")
    (folder / "profiles.yml").write_text(PROFILE, encoding="utf-8")
    (folder / "models" / "numbers.sql").write_text("select 1 as number", encoding="utf-8")
    return folder


def _environment(project: Path) -> dict[str, str]:
    return {"DBT_STAGING_PATH": str(project.parent / "staging.duckdb"), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def test_a_model_is_built_once_and_its_events_are_json_when_the_process_is_told(project: Path) -> None:
    with DbtProcess(project, _environment(project)) as dbt:
        nodes = json.loads(dbt.manifest().read_bytes())["nodes"]
        process = dbt.build(("build",), project.parent / "artifacts")
        assert process.stdout is not None
        names = [json.loads(line)["info"]["name"] for line in process.stdout if line.startswith(b"{")]
        assert process.wait() == 0
        with pytest.raises(RuntimeError, match="start another one"):
            dbt.build(("build",), project.parent / "artifacts")
    assert list(nodes) == ["model.one.numbers"]
    assert "LogModelResult" in names
    assert (project.parent / "artifacts" / "run_results.json").is_file()


def test_the_exit_status_says_so_when_a_model_fails(project: Path) -> None:
    (project / "models" / "numbers.sql").write_text("select no_such_column", encoding="utf-8")
    with DbtProcess(project, _environment(project)) as dbt:
        process = dbt.build(("build",), project.parent / "artifacts")
        assert process.stdout is not None
        assert b"no_such_column" in process.stdout.read()
        assert process.wait() == 1


def test_a_reader_keeps_the_whole_old_manifest_when_another_process_parses_anew(project: Path) -> None:
    with ensure_manifest(project).open("rb") as reader:
        (project / "models" / "numbers.sql").write_text("select 2 as other_number", encoding="utf-8")
        fresh = ensure_manifest(project).read_bytes()
        old = reader.read()
    code = [json.loads(text)["nodes"]["model.one.numbers"]["raw_code"] for text in (old, fresh)]
    assert code == ["select 1 as number", "select 2 as other_number"]
    assert [path.name for path in (project / "target").glob(".*")] == []


def test_dbts_own_words_are_told_when_the_project_does_not_parse(project: Path) -> None:
    (project / "models" / "numbers.sql").write_text("select * from {{ ref('nowhere') }}", encoding="utf-8")
    with pytest.raises(ManifestError, match="nowhere"):
        ensure_manifest(project)


def test_the_process_is_gone_when_the_run_that_started_it_is_killed(project: Path) -> None:
    code = (
        "import pathlib, sys, time; from orchestration.pipeline.dbt import DbtProcess; "
        f"dbt = DbtProcess(pathlib.Path({str(project)!r}), {_environment(project)!r}); dbt.manifest(); "
        "print(dbt._process.pid, flush=True); time.sleep(60)"
    )
    assert ends_with_its_run(code)
