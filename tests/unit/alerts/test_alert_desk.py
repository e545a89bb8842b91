"""What assets and sensors rely on: a release is told once, nothing that goes wrong reaches them, no secret gets out."""

from __future__ import annotations

import base64
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from expectations.model import CheckResult
from orchestration.alerts import Alert, AlertDesk, gate_refused, publication_refused, run_failed
from orchestration.alerts.outbox import Delivered
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import Settings
from tests.unit.alerts.small_releases import ALERT, a_release
from tests.unit.release.world import failed, sound_checks

URL_SECRET, KEY_SECRET, PASSWORD = "very-secret-address", "very-secret-key", "very-secret-password"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def desk(settings: Settings) -> AlertDesk:
    return AlertDesk(settings)


def releases_of(settings: Settings) -> Path:
    """The folder of releases."""
    return DataPaths(settings.data_folder).releases


def kinds(desk: AlertDesk) -> list[str]:
    """Kinds of what was raised, in order."""
    return [entry.alert.kind for entry in desk.entries()]


def test_leads_and_late_reporters_are_raised_once_when_a_release_is_told(desk: AlertDesk, settings: Settings) -> None:
    filed = {("A", f"00{i}"): ["2022", "2023", "2024"] for i in range(5)} | {("A", "100"): ["2022", "2023"]}
    a_release(releases_of(settings), "r-1", {"x": ("A", 1.0)})
    a_release(releases_of(settings), "r-2", {"y": ("B", 1.0)}, filed)
    assert desk.tell_release("r-2") == 3
    assert kinds(desk) == ["lead_gone", "lead_new", "reporter_late"]
    assert desk.tell_release("r-2") == 0


def test_a_told_release_is_not_told_again_when_the_one_before_it_is_gone(desk: AlertDesk, settings: Settings) -> None:
    first = a_release(releases_of(settings), "r-1", {"x": ("A", 1.0)})
    a_release(releases_of(settings), "r-2", {"x": ("A", 1.0)})
    assert desk.tell_release("r-2") == 0
    first.path.rename(first.path.with_name("gone"))
    assert desk.tell_release("r-2") == 0
    assert desk.entries() == []


def test_a_release_is_told_at_the_next_delivery_when_its_publisher_died_before_telling(
    desk: AlertDesk, settings: Settings
) -> None:
    """Alerts of such a release were once never raised: the next run found its input unchanged."""
    a_release(releases_of(settings), "r-1", {"x": ("A", 1.0)})
    assert desk.deliver().sent == 1
    a_release(releases_of(settings), "r-2", {"x": ("A", 1.0), "y": ("A", 1.0)})
    a_release(releases_of(settings), "r-3", {"x": ("A", 1.0), "y": ("B", 1.0)})
    assert desk.deliver().sent == 2
    assert kinds(desk) == ["leads_summary", "lead_new", "lead_regraded"]
    assert desk.deliver() == Delivered()


def test_the_settings_decide_what_is_told_when_they_are_set(settings: Settings) -> None:
    a_release(releases_of(settings), "r-1")
    a_release(releases_of(settings), "r-2", {"a": ("A", 2.0), "b": ("A", 1.0), "c": ("C", 1.0)})
    desk = AlertDesk(settings.model_copy(update={"alert_grade": "C", "alert_leads": 1}))
    assert desk.tell_release("r-2") == 2
    assert kinds(desk) == ["lead_new", "leads_summary"]


def test_nothing_is_raised_and_the_reason_logged_when_the_release_is_damaged(
    desk: AlertDesk, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    release = a_release(releases_of(settings), "r-1", {"x": ("A", 1.0)})
    path = release.path / "warehouse.duckdb"
    whole = path.read_bytes()
    path.write_bytes(b"not a database")
    assert desk.tell_release("r-1") == 0
    assert (
        "the alerts of release r-1 could not all be raised: the coverage of release r-1 cannot be read" in caplog.text
    )
    path.write_bytes(whole)
    assert desk.tell_release("r-1") == 1
    assert desk.tell_release("r-unknown") == 0
    assert "The manifest of release r-unknown cannot be read" in caplog.text


def test_the_caller_goes_on_and_the_alert_is_logged_when_the_disk_refuses(
    desk: AlertDesk, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.data_folder.mkdir(parents=True)
    (settings.data_folder / "alerts").write_text("in the way", encoding="utf-8")
    assert desk.tell(ALERT) == 0
    assert "could not be raised" in caplog.text
    assert ALERT.headline in caplog.text
    assert desk.deliver() == Delivered()


def test_delivery_goes_on_another_day_when_it_cannot_be_booked(
    desk: AlertDesk, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    desk.tell(ALERT)
    (settings.data_folder / "alerts" / "deliveries").write_text("in the way", encoding="utf-8")
    assert desk.deliver() == Delivered()
    assert "alerts could not be delivered" in caplog.text


def test_each_channel_says_how_a_test_went_when_it_is_tested(settings: Settings) -> None:
    both = settings.model_validate(
        {"data_dir": settings.data_dir, "notify": "log,webhook", "webhook_url": "http://127.0.0.1:9/"}
    )
    said = AlertDesk(both).test_channels("1")
    assert said == {"log": "", "webhook": "the webhook could not be reached (ConnectError)"}
    assert AlertDesk(both).entries() == []


def test_a_refused_gate_names_its_checks_and_a_query_that_shows_them_when_told(settings: Settings) -> None:
    paths, name = DataPaths(settings.data_folder), "the_median_gap_is_small"
    checks: list[CheckResult] = [one for one in sound_checks() if one.suite == "reconciled_flows"][:2]
    bad = [CheckResult(**{**vars(failed(name)), "severity": "error"})]
    path = paths.suite_results("run-1", "reconciled_flows")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"execution_id": "e", "results": [vars(one) for one in [*checks, *bad]]}))
    alert = gate_refused(paths, "reconciled_flows", "run-1", bad)
    assert alert.headline == "1 check of reconciled_flows refused the run run-1; what analysts see is unchanged."
    assert f"- {name}: It does not hold." in alert.message
    with duckdb.connect() as con:
        assert [row[0] for row in con.execute(alert.query).fetchall()] == [name]


def test_runs_that_published_nothing_name_the_file_to_open_when_told(settings: Settings) -> None:
    paths = DataPaths(settings.data_folder)
    refused = publication_refused(paths, "run-1", "no audit")
    broken = run_failed(paths, "run-1", "e-1", "refresh", "disk full")
    unplanned = run_failed(paths, "", "e-1", "refresh", "disk full")
    assert str(paths.audit_record("run-1")) in refused.query
    assert str(paths.said("run-1")) in broken.query
    assert (unplanned.release_id, broken.release_id) == ("e-1", "run-1")
    assert broken.alert_id != run_failed(paths, "run-1", "e-2", "refresh", "disk full").alert_id
    assert all("what analysts see is unchanged" in one.headline for one in (refused, broken, unplanned))


class _Parrot(http.server.BaseHTTPRequestHandler):
    """Refuses every webhook and repeats what it was sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500, f"no {self.path}")
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def parrot() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Parrot)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rude_mail_server() -> Iterator[int]:
    """Refuses every login and repeats what it was sent."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 here\r\n")
            stream.flush()
            for line in stream:
                said = b"250-here\r\n250 AUTH PLAIN\r\n" if line.startswith(b"ehlo") else b"535 no " + line
                stream.write(said)
                stream.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join(5)


def test_no_secret_stands_in_any_file_log_or_error_when_every_channel_fails(
    tmp_path: Path,
    parrot: int,
    rude_mail_server: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {
        "NOTIFY": "log,webhook,email", "WEBHOOK_URL": f"http://127.0.0.1:{parrot}/{URL_SECRET}",
        "WEBHOOK_SECRET": KEY_SECRET, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(rude_mail_server),
        "SMTP_USER": "me", "SMTP_PASSWORD": PASSWORD, "MAIL_SENDER": "a@example.org",
        "MAIL_RECIPIENTS": "b@example.org", "DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"MIRROR_{name}", value)
    # The rude server speaks no TLS; settings refuse a password in clear, so the way is unsecured behind their back.
    settings = Settings().model_copy(update={"smtp_security": "none"})
    assert settings.smtp_password is not None
    with caplog.at_level(logging.DEBUG):
        desk = AlertDesk(settings)
        desk.tell(ALERT)
        done = desk.deliver()
        said = desk.test_channels("1")
    assert (done.sent, done.failed) == (1, 2)
    errors = [one.last_error for entry in desk.entries() for one in entry.deliveries.values()]
    assert "the webhook answered with status 500" in errors
    assert any("SMTPAuthenticationError, status 535" in one for one in errors)
    places = {str(path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    printed = capfd.readouterr()
    places |= {"log": caplog.text, "out": printed.out, "err": printed.err, "errors": repr([*errors, said, settings])}
    assert len(places) > 5
    encoded = base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode()
    for secret in (URL_SECRET, KEY_SECRET, PASSWORD, encoded):
        assert [place for place, text in places.items() if secret in text] == []


def test_a_kind_that_is_news_is_no_failure_when_it_is_logged() -> None:
    news = [Alert(kind, "x", "y", "r", "q") for kind in ("lead_new", "reporter_late", "leads_summary")]  # type: ignore[arg-type]
    failures = [Alert(kind, "x", "y", "r", "q") for kind in ("gate_refused", "run_failed", "pull_stopped")]  # type: ignore[arg-type]
    assert not any(alert.is_failure for alert in news)
    assert all(alert.is_failure for alert in failures)
