"""Alerts as e-mail.

Belongs here: the message and handing it to the mail server. Does not belong here: trying again (`outbox`). Passwords
and whatever the server says appear in no error: it may repeat what it was sent.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Literal

from orchestration.alerts.failure import SendFailed
from orchestration.alerts.model import Alert

LOG = logging.getLogger("mirror_warehouse.alerts")
TIMEOUT_SECONDS = 10.0
_THIS_MESSAGE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed in, how the way there is secured, and who logs in (nobody when user is None).

    trust: certificates of authorities to trust; default: those of the system.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext | None = field(default=None, repr=False)


class EmailChannel:
    """Sends one mail per alert to all recipients."""

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str]) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)

    def send(self, alert: Alert) -> None:
        """Hand the mail in. Raises SendFailed when the server cannot be reached or takes it for nobody.

        Taken for some recipients only, it counts as sent: sent again, the others would get it twice. That is logged.
        """
        try:
            message = mail_of(alert, self._sender, self._recipients)
            server = self._connect()
            try:
                refused = server.send_message(message)
            finally:
                _leave(server)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # Without the cause: its text may hold what was sent. ValueError: a text that mail cannot carry.
            is_down = isinstance(error, OSError) and not isinstance(error, _THIS_MESSAGE)
            raise SendFailed(f"the mail was not taken ({_told(error)})", channel_is_down=is_down) from None
        if refused:
            LOG.error(
                "the mail of alert %s was refused for %d of %d recipients; they will not hear of it; mend "
                "MIRROR_MAIL_RECIPIENTS",
                *(alert.alert_id, len(refused), len(self._recipients)),
            )

    def _connect(self) -> smtplib.SMTP:
        given = self._server
        trust = given.trust if given.trust is not None else ssl.create_default_context()
        if given.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(given.host, given.port, timeout=TIMEOUT_SECONDS, context=trust)
        else:
            server = smtplib.SMTP(given.host, given.port, timeout=TIMEOUT_SECONDS)
        try:
            if given.security == "starttls":
                server.starttls(context=trust)
            if given.user is not None and given.password is not None:
                server.login(given.user, given.password)
        except BaseException:
            server.close()
            raise
        return server


def mail_of(alert: Alert, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail of an alert; its Message-ID is made from the alert's id, so that a mail sent twice can be told."""
    message = EmailMessage()
    message["Subject"] = f"Mirror warehouse: {alert.headline}"
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{alert.alert_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(alert.as_text())
    return message


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; what the server answers to that no longer bears on the mail."""
    try:
        server.quit()
    except smtplib.SMTPException as error:
        LOG.debug("the mail server did not say goodbye (%s)", type(error).__name__)
        server.close()


def _told(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return type(error).__name__ if code is None else f"{type(error).__name__}, status {code}"
