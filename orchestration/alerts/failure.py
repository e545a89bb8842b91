"""How a channel says that an alert did not go out.

Belongs here: the one exception that channels raise. Does not belong here: what follows from it (`outbox`).
"""

from __future__ import annotations


class SendFailed(Exception):
    """An alert was not taken. The text holds no secret and nothing that came from outside.

    `channel_is_down`: the fault is the channel's and not this alert's, so that others need not be tried now.
    """

    def __init__(self, words: str, channel_is_down: bool) -> None:
        self.channel_is_down = channel_is_down
        super().__init__(words)
