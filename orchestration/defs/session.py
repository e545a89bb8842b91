"""The orchestrator's own storage for one data folder, and putting it in order before a run.

Belongs here: where the instance lives, clearing what a killed run left behind. Does not belong here: the run itself
(`cli`, `jobs`), and that there is only one at a time (`pipeline.lock`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from orchestration.pipeline.paths import DataPaths
from orchestration.settings import Settings

CONFIGURATION = Path(__file__).resolve().parents[1] / "dagster.yaml"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
IN_PROCESS_TAG = "mirror/started_by"


def prepare_home(paths: DataPaths) -> Path:
    """The orchestrator's folder with the project's configuration in it; DAGSTER_HOME points there afterwards."""
    home = paths.orchestrator
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIGURATION, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def instance_for_run(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance a run of the command line works on.

    In memory by default: writing some thousand events one by one to the page's storage takes a third of a small run,
    and the audit record keeps every verdict. With MIRROR_KEEP_HISTORY the run goes into the page's history, and runs
    that were killed there are closed first.
    """
    prepare_home(DataPaths(settings.data_folder))
    if not settings.keep_history:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
        return
    with dg.DagsterInstance.get() as instance:
        close_killed_runs(instance)
        yield instance


def close_killed_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs of the command line that died as failed and free the pool slots they held; returns how many.

    Call it only while holding `only_one_run`: then no such run can be alive. A run started by the daemon is watched
    by the daemon and left alone.
    """
    dead = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={IN_PROCESS_TAG: "command line"}))
    for run in dead:
        instance.report_run_failed(run, "the process of this run ended without a word (killed, or the machine stopped)")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(dead)
