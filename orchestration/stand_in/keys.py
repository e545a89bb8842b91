"""Keys and what each may do: rows in an answer, calls in a day and in a second.

Belongs here: counting calls per key and refusing them. Does not belong here: the texts of refusals (`answers`).
The day does not pass here: a quota is given back when somebody says so, so that a test decides when.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FREE_ROWS, PREMIUM_ROWS, PREVIEW_ROWS = 100_000, 250_000, 500
FREE_CALLS_A_DAY = 500
Admission = Literal["admitted", "missing_key", "invalid_key", "out_of_quota", "too_many_calls"]


@dataclass(frozen=True)
class KeyLimits:
    """Limits of one key; None means without limit. `replenished_in_seconds` is what a refusal for quota says."""

    rows: int = FREE_ROWS
    calls_a_day: int | None = FREE_CALLS_A_DAY
    calls_a_second: int | None = None
    replenished_in_seconds: int = 3_600

    @classmethod
    def premium(cls) -> KeyLimits:
        """250,000 rows an answer and no quota."""
        return cls(rows=PREMIUM_ROWS, calls_a_day=None)


class KeyRing:
    """The keys that are accepted, with the calls each has made."""

    def __init__(self, keys: Mapping[str, KeyLimits]) -> None:
        self.limits = dict(keys)
        self._made = dict.fromkeys(keys, 0)
        self._recent: dict[str, deque[float]] = {key: deque() for key in keys}

    def admit(self, key: str | None, now: float) -> Admission:
        """Whether a call with this key is answered at `now` (seconds of a steady clock); an answered one is counted."""
        if not key:
            return "missing_key"
        if key not in self.limits:
            return "invalid_key"
        limits, recent = self.limits[key], self._recent[key]
        if limits.calls_a_day is not None and self._made[key] >= limits.calls_a_day:
            return "out_of_quota"
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if limits.calls_a_second is not None and len(recent) >= limits.calls_a_second:
            return "too_many_calls"
        recent.append(now)
        self._made[key] += 1
        return "admitted"

    def give_back_quota(self) -> None:
        """Begin a new day for every key."""
        self._made = dict.fromkeys(self._made, 0)
        for recent in self._recent.values():
            recent.clear()


def fingerprint(key: str | None) -> str | None:
    """Eight hex digits that tell keys apart without telling them."""
    return hashlib.sha256(key.encode()).hexdigest()[:8] if key else None
