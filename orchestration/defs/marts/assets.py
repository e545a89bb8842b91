"""Models built into the staging database of the run.

Belongs here: running dbt on a selection. Does not belong here: SQL, tests (`dbt_project`).
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource, dbt_assets
from packaging.version import Version

from expectations import write_results
from orchestration.defs.marts.translator import Translator
from orchestration.defs.resources import WRITER_POOL, Warehouse, WarehouseParameter
from orchestration.pipeline.dbt import DbtProcess, dbt_environment, keep_run_results
from orchestration.reconcile import METHOD_VERSION

BUILD = ("build", "--exclude-resource-types", "unit_test", "exposure")
"""Unit tests belong to the test suite, not to a run; exposures are documentation."""


def dbt_resource(dbt_dir: Path) -> DbtCliResource:
    """The dbt program of this very environment, whatever stands on the search path."""
    return DbtCliResource(
        project_dir=str(dbt_dir),
        profiles_dir=str(dbt_dir),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def mart_assets(manifest: Path, started: DbtProcess | None = None) -> dg.AssetsDefinition:
    """Seeds, staging, intermediate models and marts, with their tests as checks.

    Args: the manifest; a dbt process already started with the environment of the run to come, if there is one.
    """

    @dbt_assets(
        manifest=manifest,
        name="dbt_marts",
        dagster_dbt_translator=Translator(),
        pool=WRITER_POOL,
    )
    def _marts(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseParameter) -> Iterator[Any]:
        staging = warehouse.paths.staging_db(warehouse.plan.run_id)
        staging.parent.mkdir(parents=True, exist_ok=True)
        # A staging file of a killed run is never continued: its content is not known.
        for leftover in (staging, staging.with_name(staging.name + ".wal")):
            leftover.unlink(missing_ok=True)
        write_results([], warehouse.paths.audit_results(warehouse.plan.run_id))
        yield from _run(context, dbt, warehouse, manifest, started)

    return _marts


def _run(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: Warehouse,
    manifest: Path,
    started: DbtProcess | None,
) -> Iterator[Any]:
    settings, run_id = warehouse.settings, warehouse.plan.run_id
    environment = dbt_environment(warehouse.paths, run_id, METHOD_VERSION, settings.dbt_threads)
    target = warehouse.paths.run(run_id) / "dbt"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if context.is_subset:
        # A selection is the library's to translate into dbt's own words.
        os.environ.update(environment)
        yield from dbt.cli(list(BUILD), context=context, target_path=target).stream()
    else:
        usable = started is not None and not started.is_used
        with started if started is not None and usable else DbtProcess(settings.dbt_dir, environment) as process:
            yield from DbtCliInvocation(
                process=process.build(BUILD, target),
                manifest=json.loads(manifest.read_bytes()),
                dagster_dbt_translator=Translator(),
                project_dir=settings.dbt_dir,
                target_path=target,
                raise_on_error=True,
                cli_version=Version(version("dbt-core")),
                context=context,
            ).stream()
    keep_run_results(target, warehouse.paths, run_id, context.run.run_id)
