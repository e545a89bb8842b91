"""The ways out of the house: what a channel is, the log, and which channels the settings name.

Belongs here: the contract of a channel. Does not belong here: when something is sent, and trying again (`outbox`).
A channel says what went wrong in words of its own: type of error and status, never the text of a server or a library,
which may repeat an address or a password.
"""

from __future__ import annotations

import logging
from typing import Protocol

from orchestration.alerts.model import Alert
from orchestration.settings import Settings

LOG = logging.getLogger("mirror_warehouse.alerts")


class Channel(Protocol):
    """Anything that can pass an alert on."""

    def send(self, alert: Alert) -> None:
        """Pass the alert on. Raises SendFailed when it was not taken."""


class LogChannel:
    """Writes the alert to the log: the default, needs nothing."""

    def send(self, alert: Alert) -> None:
        """Log failures as errors, news as warnings."""
        level = logging.ERROR if alert.is_failure else logging.WARNING
        LOG.log(level, "alert %s (%s): %s\n%s", alert.alert_id, alert.kind, alert.message, alert.query)


def make_channels(settings: Settings) -> dict[str, Channel]:
    """The channels that the settings name, by name; nothing is opened before something is sent."""
    return {name: _make(name, settings) for name in settings.channels}


def _make(name: str, settings: Settings) -> Channel:
    # Imported where they are used: a run that only logs need not wait for an HTTP client to load.
    if name == "webhook" and settings.webhook_url is not None:
        from orchestration.alerts.webhook import WebhookChannel

        secret = settings.webhook_secret
        return WebhookChannel(settings.webhook_url.get_secret_value(), secret.get_secret_value() if secret else None)
    if name == "email" and settings.smtp_host is not None and settings.mail_sender is not None:
        from orchestration.alerts.mail import EmailChannel, MailServer

        password = settings.smtp_password
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=password.get_secret_value() if password is not None else None,
        )
        return EmailChannel(server, settings.mail_sender, settings.recipients)
    return LogChannel()
