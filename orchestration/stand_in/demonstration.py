"""The stand-in as a process of its own for as long as a pull lasts: what `API=stand-in` starts.

Belongs here: starting and ending that process. Does not belong here: what it answers (`stand_in`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.settings import ENVIRONMENT_PREFIX, PROJECT_DIR, Settings

DEMONSTRATION_KEY = "stand-in-demonstration-key"
_LAST_WORDS_SECONDS = 10
_HANDED_ON = (
    "sample_world",
    "sample_seed",
    "sample_rows",
    "sample_start_year",
    "sample_end_year",
    "sample_frequencies",
)


class StandInError(Exception):
    """The stand-in did not start; the text says what is wrong, why it matters and how to mend it."""


@contextmanager
def demonstration(settings: Settings) -> Iterator[tuple[str, str]]:
    """Serve the planted world of the settings from a process of its own; gives its address and the key it takes.

    The key is no secret: it opens nothing but this process. Raises StandInError when the process ends before it
    listens.
    """
    said = {name: getattr(settings, name) for name in _HANDED_ON}
    environment = os.environ | {
        f"{ENVIRONMENT_PREFIX}{name.upper()}": str(value) for name, value in said.items() if value is not None
    }
    environment |= {"MIRROR_STAND_IN_KEY": DEMONSTRATION_KEY, "MIRROR_SOURCE": "sample"}
    command = [sys.executable, "-m", "orchestration.stand_in", "--cap", str(settings.api_rows_a_call)]
    process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield _address(process), DEMONSTRATION_KEY
    finally:
        process.terminate()
        try:
            process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:  # It holds nothing that could be lost.
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip(".,;")
    raise StandInError(
        f"the stand-in of the API ended (status {process.wait()}) before it listened; there is nothing to pull from; "
        "start it by hand to see why: python -m orchestration.stand_in"
    )
