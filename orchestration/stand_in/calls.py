"""The record of the calls made.

Belongs here: one call as it is remembered. Does not belong here: remembering it (`stand_in`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One call: its number from 1, endpoint such as 'data/v1/get', path, query without the key (name -> value),
    fingerprint of the key, status answered, rows given, and the kind of fault played, if any.
    """

    number: int
    endpoint: str
    path: str
    query: dict[str, str]
    key_fingerprint: str | None
    status: int
    rows: int
    fault: str | None
