"""Private models stay private: dbt refuses a model of another group that reads one.

Belongs here: the access rules of dbt_project.yml, tried on two invented models. Does not belong here: which model
has which access (`test_dbt_contracts`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestration.pipeline.dbt import dbt_environment
from orchestration.pipeline.paths import DataPaths
from tests.warehouse.building import run_dbt


def _project_with_an_intruder(project: Path, folder: Path) -> Path:
    """The settings and groups of the project with a private model and a staging model that reads it."""
    for name in ("dbt_project.yml", "profiles.yml", "models/groups.yml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / name, folder / name)
    models = {
        "intermediate/int_secret": "select 1 as a",
        "staging/stg_intruder": "select a from {{ ref('int_secret') }}",
    }
    for name, sql in models.items():
        path = folder / "models" / f"{name}.sql"
        path.parent.mkdir()
        path.write_text(sql, encoding="utf-8")
    return folder


def test_a_private_model_is_refused_when_another_group_reads_it(project_dir: Path, tmp_path: Path) -> None:
    project = _project_with_an_intruder(project_dir / "dbt_project", tmp_path / "project")
    environment = dbt_environment(DataPaths(tmp_path), "run-1", "1", threads=1)
    outcome = run_dbt(["parse"], project, tmp_path / "target", environment)
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode != 0
    assert "stg_intruder attempted to reference node model.mirror_warehouse.int_secret" in said, said
    assert "the referenced node is private to the 'warehouse' group" in said, said
