"""Builds the whole graph; a test can build it with resources of its own.

Belongs here: assembling. Does not belong here: definitions of single assets.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from expectations.runner import run_suite
from orchestration.defs.declarations.assets import contracted_declarations, declaration_checks, landed_declarations
from orchestration.defs.jobs import refresh
from orchestration.defs.marts.assets import dbt_resource, mart_assets
from orchestration.defs.passages.assets import family_statistics
from orchestration.defs.progress import progress_logger
from orchestration.defs.promises import release_freshness, with_freshness
from orchestration.defs.pulls.assets import after_pulls, availability, pulled_declarations
from orchestration.defs.pulls.triggers import look_job, make_look_schedule, make_pull_sensors, pull_job, refresh_for
from orchestration.defs.reconciliation.assets import flow_checks, mirror_flows, mirror_pairs, parameters
from orchestration.defs.release.assets import (
    AUDIT_MART,
    PUBLISHED,
    audit_results,
    mart_checks,
    public_mart_keys,
    published_release,
    staged_marts,
)
from orchestration.defs.resources import warehouse_resource
from orchestration.defs.schedules import make_schedule
from orchestration.defs.sensors import make_sensors
from orchestration.pipeline.dbt import DbtProcess, ensure_manifest
from orchestration.pipeline.gates import SuiteRunner
from orchestration.settings import Settings


def build_definitions(
    settings: Settings | None = None,
    manifest: Path | None = None,
    started: DbtProcess | None = None,
    judge: SuiteRunner = run_suite,
) -> dg.Definitions:
    """Every asset, check, job, schedule and sensor; those of pulls only where the source is pulled from the API.

    Args: settings (default: the environment), manifest of the dbt project (default: parsed when it changed), a dbt
    process that waits for the one run to come (default: each run starts its own), who runs the suites of the gate
    (default: the process of the run).
    """
    chosen = settings if settings is not None else Settings()
    parsed = manifest if manifest is not None else ensure_manifest(chosen.dbt_dir)
    assets = [
        after_pulls(landed_declarations) if chosen.is_pulled else landed_declarations,
        contracted_declarations,
        mirror_pairs,
        parameters,
        mirror_flows,
        family_statistics,
        mart_assets(parsed, started),
        staged_marts(parsed),
        audit_results,
        published_release,
    ]
    if chosen.is_pulled:
        assets += [availability, pulled_declarations]
    seen_by_analysts = {*public_mart_keys(parsed), AUDIT_MART, PUBLISHED}
    return dg.Definitions(
        assets=with_freshness(assets, release_freshness(chosen), seen_by_analysts),
        asset_checks=[declaration_checks, flow_checks, mart_checks],
        jobs=[refresh, look_job, pull_job] if chosen.is_pulled else [refresh],
        # Where data are pulled the clock waits for all of them too, or it would publish half a pull.
        schedules=[make_schedule(chosen, refresh_for), make_look_schedule(chosen)]
        if chosen.is_pulled
        else [make_schedule(chosen)],
        sensors=make_sensors(chosen) + (make_pull_sensors(chosen) if chosen.is_pulled else []),
        resources={
            "warehouse": warehouse_resource(settings, judge),
            "dbt": dbt_resource(chosen.dbt_dir),
        },
        loggers={"console": dg.colored_console_logger, "progress": progress_logger},
        executor=dg.in_process_executor,
    )
