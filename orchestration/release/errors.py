"""What goes wrong with releases, said so that a reader can act.

Belongs here: the exceptions of this package. Does not belong here: deciding when they are raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ReleaseError(Exception):
    """Releases cannot be used or changed; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class Reason:
    """One reason against publication: what is wrong, why it matters, how to mend it (whole sentences)."""

    what: str
    why: str
    mend: str

    def __str__(self) -> str:
        return f"{self.what} Why it matters: {self.why} How to mend it: {self.mend}"


class PublicationRefused(ReleaseError):
    """A run may not be published; what analysts see is unchanged. `reasons` holds all that was found."""

    def __init__(self, run_id: str, reasons: Sequence[Reason]) -> None:
        self.run_id = run_id
        self.reasons = tuple(reasons)
        found = "\n".join(f"- {reason}" for reason in self.reasons)
        super().__init__(f"{run_id} is not published; the published release is unchanged.\n{found}")
