"""Alerts to a real local receiver: what arrives, and what counts as not taken."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from orchestration.alerts.channels import LogChannel, make_channels
from orchestration.alerts.failure import SendFailed
from orchestration.alerts.mail import EmailChannel
from orchestration.alerts.webhook import WebhookChannel
from orchestration.settings import Settings
from tests.unit.alerts.small_releases import ALERT


@dataclass
class Hook:
    """What a receiver got, and with which status it answers."""

    url: str = ""
    status: int = 204
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            made.headers.append(dict(self.headers))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/s3cret"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_alert_arrives_whole_with_its_id_when_the_webhook_is_up(hook: Hook) -> None:
    WebhookChannel(hook.url).send(ALERT)
    assert json.loads(hook.bodies[0]) == ALERT.as_json()
    assert set(ALERT.as_json()) >= {"kind", "message", "query", "release_id", "facts", "alert_id"}
    assert hook.headers[0]["Idempotency-Key"] == ALERT.alert_id
    assert "X-Mirror-Signature" not in hook.headers[0]


def test_the_receiver_can_tell_who_sent_it_when_a_key_is_set(hook: Hook) -> None:
    WebhookChannel(hook.url, "key").send(ALERT)
    expected = hmac.new(b"key", hook.bodies[0], hashlib.sha256).hexdigest()
    assert hook.headers[0]["X-Mirror-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize(("status", "is_down"), [(500, True), (429, True), (404, False), (302, False)])
def test_it_counts_as_not_taken_when_the_answer_is_not_well(hook: Hook, status: int, is_down: bool) -> None:
    hook.status = status
    with pytest.raises(SendFailed, match=f"status {status}") as failure:
        WebhookChannel(hook.url).send(ALERT)
    assert failure.value.channel_is_down == is_down


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/s3cret", "ftp://s3cret", "http://[s3cret", "s3cret"])
def test_the_address_stays_secret_when_it_cannot_be_reached(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(SendFailed, match="could not be reached") as failure:
        WebhookChannel(url).send(ALERT)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    assert "s3cret" not in str(failure.value) + caplog.text


def test_only_our_own_requests_are_kept_from_the_clients_log_when_one_is_sent(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        WebhookChannel(hook.url).send(ALERT)
        assert caplog.text == ""
        httpx.post(hook.url.replace("s3cret", "somebody"), content=b"")
    assert "/somebody" in caplog.text


def test_failures_are_errors_and_news_warnings_when_logged(caplog: pytest.LogCaptureFixture) -> None:
    LogChannel().send(ALERT)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert ALERT.message in caplog.text
    assert ALERT.query in caplog.text


def test_the_channels_of_the_settings_are_made_when_named() -> None:
    assert [type(one) for one in make_channels(Settings(notify="log")).values()] == [LogChannel]
    settings = Settings.model_validate(
        {
            **{"notify": "email, log,webhook", "webhook_url": "http://127.0.0.1:9/", "smtp_host": "localhost"},
            **{"mail_sender": "a@example.org", "mail_recipients": "b@example.org, c@example.org"},
        }
    )
    made = make_channels(settings)
    assert list(made) == ["email", "log", "webhook"]
    assert [type(one) for one in made.values()] == [EmailChannel, LogChannel, WebhookChannel]
