"""One alert: what it is about, in plain words, with the query that shows it.

Belongs here: its form and its id. Does not belong here: when one is raised, and how it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from orchestration.pipeline.storage import combine

Kind = Literal[
    "lead_new",
    "lead_regraded",
    "lead_gone",
    "leads_summary",
    "reporter_late",
    "gate_refused",
    "publication_refused",
    "run_failed",
    "pull_stopped",
    "channel_test",
]
NOT_A_FINDING = "Such a passage is a statistical anomaly, not a finding about anyone."
"""Stands in every alert on leads."""
_NEWS = {"lead_new", "lead_regraded", "lead_gone", "leads_summary", "reporter_late", "channel_test"}


class AlertError(Exception):
    """Alerts could not be raised, read or booked; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class Alert:
    """What is told. The first line of `message` is its headline.

    subject: what the alert is about (a lead's id, a suite of the gate, an execution). release_id: the release, or the
    run where none was made. query: one SQL statement for the published release that shows the facts; the file to open
    where there is no release. No field may hold a secret: all of them are stored and sent.
    """

    kind: Kind
    subject: str
    message: str
    release_id: str
    query: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Names of files may hold bytes that are no text; JSON and mail cannot carry them.
        for name in ("subject", "message", "release_id", "query"):
            object.__setattr__(self, name, _sound(getattr(self, name)))
        object.__setattr__(self, "facts", {_sound(key): _sound(value) for key, value in self.facts.items()})

    @property
    def alert_id(self) -> str:
        """Hash (16 hex digits) of kind, release or run, and subject: the same alert raised twice is one."""
        return combine(self.kind, self.release_id, self.subject)

    @property
    def headline(self) -> str:
        """The first line of the message."""
        return self.message.splitlines()[0] if self.message else self.kind

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong, as against news from a release."""
        return self.kind not in _NEWS

    def as_json(self) -> dict[str, Any]:
        """The alert as it is stored and sent, in a fixed order."""
        return {
            "alert_id": self.alert_id,
            "kind": self.kind,
            "subject": self.subject,
            "message": self.message,
            "release_id": self.release_id,
            "query": self.query,
            "facts": dict(sorted(self.facts.items())),
        }

    def as_text(self) -> str:
        """The alert for people to read."""
        facts = [f"{name}: {value}" for name, value in sorted(self.facts.items())]
        parts = [self.message, f"Query:\n{self.query}", "\n".join([f"release or run: {self.release_id}", *facts])]
        return "\n\n".join([*parts, f"Alert {self.alert_id} ({self.kind})"]) + "\n"


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def alert_from(said: Mapping[str, Any]) -> Alert:
    """An alert from its stored form. Raises ValueError, TypeError or KeyError when it is none."""
    if said["kind"] not in get_args(Kind):
        raise ValueError(f"unknown kind {json.dumps(said['kind'])}")
    names = ("kind", "subject", "message", "release_id", "query")
    return Alert(**{name: said[name] for name in names}, facts=dict(said["facts"]))
