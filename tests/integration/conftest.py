"""A published release that a test may spoil, and the job run on it in this process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.build import build_definitions
from orchestration.defs.partitions import range_tags, sync_periods
from orchestration.pipeline.dbt import ensure_manifest
from orchestration.pipeline.plan import make_plan
from orchestration.settings import Settings
from tests.conftest import SampleRun

Refresh = Callable[[Settings], dg.ExecuteInProcessResult]


@pytest.fixture
def published(sample_run: SampleRun, tmp_path: Path) -> Path:
    """A copy of the data folder of the tiny world's run, release and all."""
    assert sample_run.exit_status == 0, sample_run.output
    folder = tmp_path / "data"
    shutil.copytree(
        sample_run.data_dir, folder, symlinks=True, ignore=shutil.ignore_patterns("orchestrator", "truth", "run.lock")
    )
    return folder


@pytest.fixture
def refresh() -> Iterator[Refresh]:
    """Run the whole job once on settings, without an unchanged input ending it early."""
    environment = dict(os.environ)

    def run(settings: Settings) -> dg.ExecuteInProcessResult:
        definitions = build_definitions(settings, ensure_manifest(settings.dbt_dir))
        plan = make_plan(settings)
        with dg.DagsterInstance.ephemeral() as instance:
            sync_periods(instance, plan.period_keys)
            return definitions.resolve_job_def("refresh").execute_in_process(
                instance=instance,
                raise_on_error=False,
                tags=range_tags(plan.period_keys),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

    yield run
    os.environ.clear()
    os.environ.update(environment)


def as_made_by_an_earlier_run(releases: Path) -> None:
    """Let the published release say that another run made it: a run is never compared with its own release."""
    manifest = releases / "latest" / "datapackage.json"
    said = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.chmod(0o644)
    manifest.write_text(json.dumps(said | {"run_id": "run-earlier"}), encoding="utf-8")


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and link below a folder with its content: equal snapshots mean byte for byte the same."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
