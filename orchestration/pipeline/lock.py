"""One run of the command line at a time on a data folder.

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
