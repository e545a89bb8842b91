"""The orchestrator's own storage for one data folder, and putting it in order before a run.

Belongs here: where the instance lives, one run at a time, clearing what a killed run left behind. Does not belong
here: the run itself (`cli`, `jobs`).
"""

from __future__ import annotations

import fcntl
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


class BusyError(Exception):
    """Another run of this data folder is under way; the text says what to do."""


def prepare_home(paths: DataPaths) -> Path:
    """The orchestrator's folder with the project's configuration in it; DAGSTER_HOME points there afterwards."""
    home = paths.orchestrator
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIGURATION, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def only_one_run(paths: DataPaths) -> Iterator[None]:
    """Hold the data folder for one run of the command line; the lock goes with the process, however it ends.

    Raises BusyError when another process holds it.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    with (paths.root / "run.lock").open("w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"another run is at work in {paths.root}; two at once would write the same staging database; "
                "wait until it ends, or name another folder with MIRROR_DATA_DIR"
            ) from error
        yield


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
