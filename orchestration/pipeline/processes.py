"""What the processes of a run share: the run itself, dbt's, and the one beside it.

Belongs here: how such a process behaves. Does not belong here: what it does. Imports next to nothing, because each
process reads it first.
"""

from __future__ import annotations

import gc

ABANDONED = 3
"""Exit status of a process that ended because its run was gone."""


def collect_garbage_seldom() -> None:
    """The libraries are half a million objects that stay: looking for garbage in them takes a fifth of the time."""
    gc.set_threshold(100_000, 50, 50)
