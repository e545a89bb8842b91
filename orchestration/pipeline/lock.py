"""One run of the command line, and one pull, at a time on a data folder.

Belongs here: the lock. Does not belong here: what a killed run left behind (`defs.session`, `storage`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.pipeline.paths import DataPaths


class BusyError(Exception):
    """Another run of this data folder is under way; the text says what to do."""


@contextmanager
def only_one_run(paths: DataPaths) -> Iterator[None]:
    """Hold the data folder for one run of the command line; the lock goes with the process, however it ends.

    Raises BusyError when another process holds it.
    """
    with _held(paths, "run.lock", "another run is at work in", "two at once would write the same staging database"):
        yield


@contextmanager
def only_one_pull(paths: DataPaths) -> Iterator[None]:
    """Hold the landed data sets for one pull, of the command line or of the orchestrator.

    Raises BusyError when another process holds it.
    """
    with _held(paths, "pull.lock", "another pull is at work in", "two at once would ask for the same data sets twice"):
        yield


@contextmanager
def _held(paths: DataPaths, name: str, what: str, why_it_matters: str) -> Iterator[None]:
    paths.root.mkdir(parents=True, exist_ok=True)
    with (paths.root / name).open("w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"{what} {paths.root}; {why_it_matters}; wait until it ends, or name another folder with "
                "MIRROR_DATA_DIR"
            ) from error
        yield
