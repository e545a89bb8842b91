"""A second process beside a run of the command line: declares the planted world, reads Great Expectations, judges.

Belongs here: which work is handed over, and that the process ends with the run. Does not belong here: the work. Reading
the library takes four seconds that the run spends on its own libraries and on landing.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process

from expectations.engine import great_expectations_library
from expectations.model import CheckResult, GateInputs
from expectations.runner import run_suite
from orchestration.pipeline.declarations import declare_planted_world
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.processes import ABANDONED, collect_garbage_seldom
from orchestration.reference import load_reference
from orchestration.settings import Settings


class Beside:
    """One process that does what it is handed, in that order; it ends with `close` or with the run, however it ends."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_prepare)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def declare_planted_world(self, settings: Settings, fingerprint: str) -> Callable[[], None]:
        """Begin to write the planted world; what is returned waits until it stands and raises what went wrong."""
        return self._pool.submit(_declare, settings, fingerprint).result

    def read_the_judge(self) -> None:
        """Begin to read Great Expectations; what goes wrong is raised by the first suite, which reads it too."""
        self._pool.submit(_read_the_judge)

    def run_suite(self, name: str, inputs: GateInputs) -> list[CheckResult]:
        """`expectations.run_suite` over there; raises what it raises."""
        return self._pool.submit(run_suite, name, inputs).result()

    def close(self) -> None:
        """End the process, after the work under way; nothing of it is left with the system."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _declare(settings: Settings, fingerprint: str) -> None:
    declare_planted_world(settings, DataPaths(settings.data_folder), load_reference(settings.seeds_dir), fingerprint)


def _read_the_judge() -> None:
    # A task of its own, because the library that is returned cannot be sent back.
    great_expectations_library()


def _prepare() -> None:
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    atexit.register(os._exit, 0)  # Its answers are given by then; taking the libraries apart again takes a second.
    collect_garbage_seldom()
    os.nice(10)  # Nothing waits for it while dbt parses, and it has a core to itself when it judges.


def _end_with_the_run() -> None:
    """Nobody may write the planted world of a run that was killed: the next run writes it anew."""
    run = parent_process()
    if run is not None:
        run.join()
    os._exit(ABANDONED)
