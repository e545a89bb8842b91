"""Alerts as JSON to a webhook.

Belongs here: one request per alert and what its answer means. Does not belong here: trying again (`outbox`). The
address is a secret: it appears in no log and no error, and the HTTP client's own log is silent meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

from orchestration.alerts.failure import SendFailed
from orchestration.alerts.model import Alert

TIMEOUT_SECONDS = 10.0
SIGNATURE = "X-Mirror-Signature"
ALERT_KEY = "Idempotency-Key"
_BUSY = (408, 429)
_CLIENT_LOGS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")
_sending: ContextVar[bool] = ContextVar("sending_a_webhook", default=False)


class WebhookChannel:
    """Posts an alert as JSON with its id as `Idempotency-Key`, signed when there is a key to sign with."""

    def __init__(self, url: str, secret: str | None = None) -> None:
        self._url = url
        self._secret = secret

    def send(self, alert: Alert) -> None:
        """Post the alert. Raises SendFailed unless the answer is 2xx; redirects are not followed."""
        body = json.dumps(alert.as_json(), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", ALERT_KEY: alert.alert_id}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, body)
        try:
            with _silent_client():
                answer = httpx.post(self._url, content=body, headers=headers, timeout=TIMEOUT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # Without the cause: its text may hold the address.
            words = f"the webhook could not be reached ({type(error).__name__})"
            raise SendFailed(words, channel_is_down=True) from None
        if not answer.is_success:
            is_down = answer.is_server_error or answer.status_code in _BUSY
            raise SendFailed(f"the webhook answered with status {answer.status_code}", channel_is_down=is_down)


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of the body (hex): what a receiver computes to know who sent it."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _sending.get()


@contextmanager
def _silent_client() -> Iterator[None]:
    """Keep the HTTP client from logging the address; requests of other threads are logged as ever."""
    for name in _CLIENT_LOGS:
        logging.getLogger(name).addFilter(_is_not_ours)  # adding it again changes nothing
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)
