"""Limits of the API: how often, how much at once, how long to wait.

Belongs here: the numbers, with what is known about them. Does not belong here: counting calls (`quota`) or waiting
(`client`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """What one key may ask for. The defaults are those of a free key, as users report them (500 calls a day, 100,000
    rows a call, an address of 4,096 characters; a premium key has 250,000 rows, the keyless preview 500).

    `periods_a_call` is the most periods one call names; `answers_per_data_set` how often a doubtful data set is asked
    for in one pull; waiting is in seconds.
    """

    calls_a_day: int = 500
    rows_a_call: int = 100_000
    calls_a_second: float = 1.0
    address_characters: int = 4_096
    periods_a_call: int = 12
    attempts: int = 6
    answers_per_data_set: int = 4
    timeout_seconds: float = 120.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 120.0

    def of_preview(self) -> Limits:
        """The limits of the keyless endpoint: 500 rows at most, whatever the key would allow."""
        return replace(self, rows_a_call=PREVIEW_ROWS)


PREVIEW_ROWS, FREE_ROWS, PREMIUM_ROWS = 500, 100_000, 250_000
KNOWN_CAPS = (PREVIEW_ROWS, FREE_ROWS, PREMIUM_ROWS)
"""Most rows of an answer, by kind of key: a key may be given less than the settings say."""
