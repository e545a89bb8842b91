"""Alerts and their state as lines for a terminal.

Belongs here: words and order. Does not belong here: delivery (`outbox`), printing (`defs.cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestration.alerts.outbox import Delivery, Entry


def counts_line(entries: Sequence[Entry]) -> str:
    """Where these alerts stand, per channel: `log: 2 delivered; email: 1 delivered, 1 waiting`."""
    counts = Counter((name, one.state) for entry in entries for name, one in entry.deliveries.items())
    channels = dict.fromkeys(name for name, _ in sorted(counts))
    parts = [
        f"{channel}: "
        + ", ".join(f"{count} {state}" for (name, state), count in sorted(counts.items()) if name == channel)
        for channel in channels
    ]
    return "; ".join(parts)


def entry_lines(entry: Entry) -> list[str]:
    """One alert: when, what kind, its headline, and how far it is on each channel."""
    states = "; ".join(f"{name} {_told(one)}" for name, one in entry.deliveries.items())
    return [
        f"{_time(entry.raised_at)}  {entry.alert.kind:<19} {entry.alert.headline}",
        f"    {entry.alert.alert_id}  {states}",
    ]


def has_undelivered(entries: Sequence[Entry]) -> bool:
    """Whether any delivery was given up."""
    return any(one.state == "undelivered" for entry in entries for one in entry.deliveries.values())


def _told(one: Delivery) -> str:
    if one.state == "delivered" or one.attempts == 0:
        return one.state
    when = f", next at {_time(one.next_attempt)}" if one.state == "waiting" else ""
    return f"{one.state} after {one.attempts} attempts{when} ({one.last_error or 'no answer was booked'})"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
