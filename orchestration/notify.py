"""Telling people when a run fails or the gate refuses.

Belongs here: the hook and its two ways out (log, webhook). Does not belong here: deciding what is a failure.
The address of a webhook is a secret: it appears in no log, no error and no message.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from orchestration.settings import Settings

LOG = logging.getLogger("mirror_warehouse.notify")
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Notice:
    """What happened: kind (`run_failed`, `gate_refused`), a sentence, and facts that help to mend it."""

    kind: str
    message: str
    facts: Mapping[str, str]


class Notifier(Protocol):
    """Anything that can pass a notice on."""

    def send(self, notice: Notice) -> bool:
        """Pass the notice on; True when it was delivered."""


class LogNotifier:
    """Writes the notice to the log: the default, needs nothing."""

    def send(self, notice: Notice) -> bool:
        """Log the notice as an error."""
        LOG.error("%s: %s %s", notice.kind, notice.message, json.dumps(dict(notice.facts), sort_keys=True))
        return True


class WebhookNotifier:
    """Posts the notice as JSON; a webhook that fails is logged (without its address) and never stops a run."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, notice: Notice) -> bool:
        """Post the notice; False when the webhook did not take it."""
        body = json.dumps(asdict(notice) | {"facts": dict(notice.facts)}, sort_keys=True).encode()
        try:
            request = urllib.request.Request(
                self._url, data=body, headers={"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                delivered = 200 <= answer.status < 300
        except (urllib.error.URLError, OSError, ValueError) as error:
            LOG.error(
                "the webhook could not be reached (%s); the notice was: %s",
                type(error).__name__,
                notice.message,
            )
            return False
        if not delivered:
            LOG.error("the webhook refused the notice; it was: %s", notice.message)
        return delivered


def make_notifier(settings: Settings) -> Notifier:
    """The notifier that the settings name."""
    if settings.notify == "webhook" and settings.webhook_url is not None:
        return WebhookNotifier(settings.webhook_url.get_secret_value())
    return LogNotifier()
