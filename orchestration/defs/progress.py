"""What a run says while it works: one line when a step begins, one when it ends.

Belongs here: turning the orchestrator's events into lines a person reads. Does not belong here: the work, and the
summary at the end (`cli`).
"""

import logging
import sys
import time
from typing import TextIO

import dagster as dg

BEGIN, END, FAIL = "STEP_START", "STEP_SUCCESS", "STEP_FAILURE"


class ProgressHandler(logging.Handler):
    """Prints `[ 3] what ... 1.2 s` for the steps of a run; everything else is left to the orchestrator's own log."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(logging.DEBUG)
        # Not sys.stdout: the command line keeps what tools print there apart from what it says itself.
        self._stream = stream or sys.__stdout__ or sys.stdout
        self._began: dict[str, float] = {}
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One line per beginning and end of a step."""
        event = getattr(record, "dagster_event", None) or getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None or event.step_key is None:
            return
        name = str(event.step_key).replace("__", ": ").replace("_", " ")
        if event.event_type_value == BEGIN:
            self._began[event.step_key] = time.monotonic()
            self._count += 1
            self._say(f"  [{self._count:>2}] {name} ...")
        elif event.event_type_value in (END, FAIL):
            took = time.monotonic() - self._began.get(event.step_key, time.monotonic())
            verdict = "done" if event.event_type_value == END else "FAILED"
            self._say(f"       {verdict} in {took:.1f} s")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


@dg.logger(description="One line when a step begins and one when it ends, for people at a terminal.")
def progress_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """The logger of the command line; chosen by run configuration, so that the page's own log stays as it is."""
    logger = logging.Logger("mirror_warehouse.progress", logging.DEBUG)
    logger.addHandler(ProgressHandler())
    return logger
