"""The hook tells of failures by log or webhook; a webhook that fails never stops a run and never shows its address."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.notify import LogNotifier, Notice, WebhookNotifier, make_notifier
from orchestration.settings import Settings

NOTICE = Notice("gate_refused", "2 checks refused the run", {"run_id": "run-1", "suite": "marts"})


class _Hook(http.server.BaseHTTPRequestHandler):
    received: list[dict[str, Any]]
    status: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append(json.loads(body))
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hook() -> Iterator[tuple[str, type[_Hook]]]:
    handler = type("Hook", (_Hook,), {"received": [], "status": 204})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/s3cret", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_notice_arrives_as_json_when_the_webhook_is_up(hook: tuple[str, type[_Hook]]) -> None:
    url, handler = hook
    assert WebhookNotifier(url).send(NOTICE)
    assert handler.received == [
        {
            "kind": "gate_refused",
            "message": "2 checks refused the run",
            "facts": {"run_id": "run-1", "suite": "marts"},
        }
    ]


def test_refusal_is_logged_without_the_address_when_the_webhook_says_no(
    hook: tuple[str, type[_Hook]], caplog: pytest.LogCaptureFixture
) -> None:
    url, handler = hook
    handler.status = 500
    assert not WebhookNotifier(url).send(NOTICE)
    assert "2 checks refused the run" in caplog.text
    assert "s3cret" not in caplog.text


def test_run_goes_on_and_the_address_stays_secret_when_the_webhook_is_down(caplog: pytest.LogCaptureFixture) -> None:
    assert not WebhookNotifier("http://127.0.0.1:9/s3cret").send(NOTICE)
    assert "could not be reached" in caplog.text
    assert "s3cret" not in caplog.text


def test_notice_is_logged_as_an_error_when_nothing_else_is_set(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert LogNotifier().send(NOTICE)
    assert '"suite": "marts"' in caplog.text


def test_the_notifier_of_the_settings_is_made_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRROR_NOTIFY", raising=False)
    assert isinstance(make_notifier(Settings()), LogNotifier)
    monkeypatch.setenv("MIRROR_NOTIFY", "webhook")
    monkeypatch.setenv("MIRROR_WEBHOOK_URL", "http://127.0.0.1:9/")
    assert isinstance(make_notifier(Settings()), WebhookNotifier)
