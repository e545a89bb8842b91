"""The dbt project built once on a world small enough to read; every test of this folder reads what it left.

Belongs here: building. Does not belong here: any verdict on what was built. Modules that use `warehouse` carry
`pytestmark = pytest.mark.xdist_group("warehouse")`, so that one worker builds it once.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestration.pipeline.dbt import dbt_environment
from orchestration.pipeline.paths import DataPaths
from tests.warehouse.building import Warehouse, results_in, run_dbt
from tests.warehouse.small_world import write_small_world

RUN_ID = "run-1"
METHOD_VERSION = "1"


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory, project_dir: Path) -> Warehouse:
    """Seeds, models, data tests and unit tests of the whole project, built on the small world."""
    root = tmp_path_factory.mktemp("warehouse")
    paths, target = DataPaths(root / "data"), root / "target"
    write_small_world(paths, RUN_ID)
    # The small world has results of a gate; in a run they come after the build, so there these tests stay off.
    environment = dbt_environment(paths, RUN_ID, METHOD_VERSION, threads=2) | {"DBT_AUDIT_IS_FILLED": "true"}
    outcome = run_dbt(["build"], project_dir / "dbt_project", target, environment)
    assert (target / "run_results.json").is_file(), outcome.stdout + outcome.stderr
    manifest_path = target / "manifest.json"
    return Warehouse(
        manifest=json.loads(manifest_path.read_text(encoding="utf-8")),
        manifest_path=manifest_path,
        results=results_in(target),
        database=paths.staging_db(RUN_ID),
        environment=environment,
    )
