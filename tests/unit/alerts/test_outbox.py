"""Raised once, delivered once per channel, tried again with growing pauses, by one process at a time."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestration.alerts.channels import Channel
from orchestration.alerts.failure import SendFailed
from orchestration.alerts.listing import counts_line, entry_lines, has_undelivered
from orchestration.alerts.model import Alert, AlertError
from orchestration.alerts.outbox import MOST_ATTEMPTS, SENDING_SECONDS, Delivered, Delivery, Outbox, pause_after
from tests.unit.alerts.small_releases import ALERT

OTHER = replace(ALERT, subject="reconciled_flows")
THIRD = replace(ALERT, subject="landed_declarations")


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Recorder:
    """A channel that keeps what it was sent; `before` is called first and may raise."""

    before: Callable[[Alert], None] = lambda _alert: None
    sent: list[str] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        self.before(alert)
        self.sent.append(alert.subject)


def fails(is_down: bool = True) -> Callable[[Alert], None]:
    """A channel's failure."""

    def fail(_alert: Alert) -> None:
        raise SendFailed("the webhook answered with status 503", channel_is_down=is_down)

    return fail


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock) -> Outbox:
    return Outbox(tmp_path / "alerts", clock)


def state_of(outbox: Outbox, channel: str, subject: str = "marts") -> Delivery:
    """How far an alert is on a channel."""
    return next(e for e in outbox.entries() if e.alert.subject == subject).deliveries[channel]


def test_an_alert_stands_on_disk_whole_when_it_is_raised(outbox: Outbox, tmp_path: Path) -> None:
    assert outbox.put([ALERT], ["log"]) == 1
    files = [path for path in (tmp_path / "alerts").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [f"{ALERT.alert_id}.json"]
    assert json.loads(files[0].read_text(encoding="utf-8"))["alert"] == ALERT.as_json()
    assert outbox.entries()[0].alert == ALERT


def test_an_alert_is_one_and_stays_as_it_was_when_it_is_raised_again(outbox: Outbox, clock: Clock) -> None:
    channel = Recorder()
    outbox.put([ALERT], ["webhook"])
    outbox.deliver({"webhook": channel})
    before = outbox.entries()
    clock.now += 1e6
    assert outbox.put([replace(ALERT, message="other words")], ["webhook", "log"]) == 0
    assert outbox.entries() == before
    assert outbox.deliver({"webhook": channel, "log": channel}) == Delivered()
    assert channel.sent == ["marts"]


def test_each_channel_gets_an_alert_once_when_delivery_is_repeated(outbox: Outbox, clock: Clock) -> None:
    first, second = Recorder(), Recorder()
    outbox.put([ALERT, OTHER], ["log", "webhook"])
    for _ in range(3):
        outbox.deliver({"log": first, "webhook": second})
        clock.now += 1e6
    assert first.sent == second.sent == ["marts", "reconciled_flows"]
    assert counts_line(outbox.entries()) == "log: 2 delivered; webhook: 2 delivered"


def test_it_is_tried_again_after_growing_pauses_when_a_channel_fails(outbox: Outbox, clock: Clock) -> None:
    channel = Recorder(fails())
    outbox.put([ALERT], ["webhook"])
    for attempts, pause in enumerate((60, 120, 240, 480), start=1):
        assert outbox.deliver({"webhook": channel}) == Delivered(failed=1)
        told = state_of(outbox, "webhook")
        assert (told.state, told.attempts, told.next_attempt) == ("waiting", attempts, clock.now + pause)
        assert told.last_error == "the webhook answered with status 503"
        clock.now += pause - 1
        assert outbox.deliver({"webhook": channel}) == Delivered()
        clock.now += 1
    working = Recorder()
    assert outbox.deliver({"webhook": working}) == Delivered(sent=1)
    assert state_of(outbox, "webhook") == Delivery("delivered", 5, clock.now + 960, "")
    assert pause_after(30) == 6 * 3600


def test_it_is_kept_as_undelivered_and_said_when_all_attempts_failed(
    outbox: Outbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Recorder(fails())
    outbox.put([ALERT], ["webhook"])
    for _ in range(MOST_ATTEMPTS + 5):
        outbox.deliver({"webhook": channel})
        clock.now += 6 * 3600
    assert (state_of(outbox, "webhook").state, state_of(outbox, "webhook").attempts) == ("undelivered", MOST_ATTEMPTS)
    assert has_undelivered(outbox.entries())
    assert [r.levelname for r in caplog.records].count("ERROR") == 1
    assert "kept as undelivered" in caplog.text
    assert "2 checks refused the run" in caplog.text
    assert outbox.try_again() == 1
    assert outbox.deliver({"webhook": Recorder()}) == Delivered(sent=1)
    assert outbox.try_again() == 0


def test_the_others_wait_when_the_channel_is_down_but_go_out_when_one_alert_is_refused(outbox: Outbox) -> None:
    outbox.put([ALERT, OTHER, THIRD], ["webhook", "log"])
    log = Recorder()
    assert outbox.deliver({"webhook": Recorder(fails()), "log": log}) == Delivered(sent=3, failed=1)
    assert [state_of(outbox, "webhook", one.subject).attempts for one in (ALERT, OTHER, THIRD)] == [1, 0, 0]
    assert len(log.sent) == 3
    assert outbox.deliver({"webhook": Recorder(fails(is_down=False))}) == Delivered(failed=2)


def test_it_is_sent_when_the_process_died_between_raising_and_sending(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([ALERT], ["webhook"])
    leftover = tmp_path / "alerts" / "raised" / ".half.json.123.tmp"
    leftover.write_text('{"alert": ', encoding="utf-8")
    channel = Recorder()
    assert Outbox(tmp_path / "alerts").deliver({"webhook": channel}) == Delivered(sent=1)
    assert channel.sent == ["marts"]


def test_it_is_sent_once_more_at_most_when_the_process_died_between_sending_and_booking(
    outbox: Outbox, clock: Clock
) -> None:
    class SentThenKilled:
        """Takes the alert; then the process is gone."""

        def __init__(self) -> None:
            self.sent: list[str] = []

        def send(self, alert: Alert) -> None:
            self.sent.append(alert.subject)
            raise KeyboardInterrupt

    killed, working = SentThenKilled(), Recorder()
    outbox.put([ALERT], ["webhook"])
    with pytest.raises(KeyboardInterrupt):
        outbox.deliver({"webhook": killed})
    assert state_of(outbox, "webhook").attempts == 1
    assert outbox.deliver({"webhook": working}) == Delivered()
    for _ in range(3):
        clock.now += 1e6
        outbox.deliver({"webhook": working})
    assert (killed.sent, working.sent) == (["marts"], ["marts"])


def test_nothing_is_sent_when_the_attempt_cannot_be_booked(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([ALERT], ["webhook"])
    (tmp_path / "alerts" / "deliveries").write_text("in the way", encoding="utf-8")
    channel = Recorder()
    with pytest.raises(AlertError, match="cannot be written"):
        outbox.deliver({"webhook": channel})
    assert channel.sent == []


SENDER = """
import pathlib, sys, time
from orchestration.alerts.outbox import Outbox

folder = pathlib.Path(sys.argv[1])

class Slow:
    def send(self, alert):
        (folder / "sending").touch()
        while not (folder / "go_on").exists():
            time.sleep(0.01)
        with (folder / "sent").open("a") as handle:
            handle.write(alert.subject + chr(10))

print(Outbox(folder / "alerts").deliver({"webhook": Slow()}))
"""


def test_only_one_sends_when_two_processes_deliver_at_once(tmp_path: Path, project_dir: Path) -> None:
    outbox = Outbox(tmp_path / "alerts")
    outbox.put([ALERT, OTHER], ["webhook"])
    command = [sys.executable, "-c", SENDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=project_dir, stdout=subprocess.PIPE, text=True) as other:
        for _ in range(2_000):
            if (tmp_path / "sending").exists() or other.poll() is not None:
                break
            time.sleep(0.01)
        mine = Recorder()
        assert outbox.deliver({"webhook": mine}) == Delivered(is_busy=True)
        assert outbox.put([THIRD], ["webhook"]) == 1  # raising waits for nobody
        (tmp_path / "go_on").touch()
        said, _ = other.communicate(timeout=30)
    assert "sent=2" in said
    assert mine.sent == []
    assert (tmp_path / "sent").read_text(encoding="utf-8").split() == ["marts", "reconciled_flows"]
    assert outbox.deliver({"webhook": mine}) == Delivered(sent=1)


def test_an_alert_keeps_its_channels_when_the_settings_change(outbox: Outbox) -> None:
    log, mail = Recorder(), Recorder()
    outbox.put([ALERT], ["log", "webhook"])
    assert outbox.deliver({"log": log, "email": mail}) == Delivered(sent=1)
    assert (log.sent, mail.sent) == (["marts"], [])
    assert counts_line(outbox.entries()) == "log: 1 delivered; webhook: 1 waiting"


def test_the_rest_stays_due_when_sending_takes_long(outbox: Outbox, clock: Clock) -> None:
    def slowly(_alert: Alert) -> None:
        clock.now += SENDING_SECONDS * 0.6

    channels: dict[str, Channel] = {"webhook": Recorder(slowly)}
    outbox.put([ALERT, OTHER, THIRD], ["webhook"])
    assert outbox.deliver(channels) == Delivered(sent=2)
    assert outbox.deliver(channels) == Delivered(sent=1)


def test_the_others_go_out_and_it_is_said_when_one_file_cannot_be_read(
    outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put([ALERT, OTHER], ["log"])
    path = tmp_path / "alerts" / "raised" / f"{ALERT.alert_id}.json"
    path.write_text(path.read_text(encoding="utf-8").replace("gate_refused", "gate_praised"), encoding="utf-8")
    channel = Recorder()
    with caplog.at_level(logging.ERROR):
        assert outbox.deliver({"log": channel}) == Delivered(sent=1)
    assert channel.sent == ["reconciled_flows"]
    assert "it is not known whether it was sent" in caplog.text


def test_it_is_left_alone_when_somebody_changed_what_it_is_about(
    outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put([ALERT], ["log"])
    path = tmp_path / "alerts" / "raised" / f"{ALERT.alert_id}.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"run-1"', '"run-2"'), encoding="utf-8")
    assert outbox.deliver({"log": Recorder()}) == Delivered()
    assert "cannot be read" in caplog.text


def test_it_goes_out_when_its_text_holds_bytes_that_are_no_text(outbox: Outbox) -> None:
    channel = Recorder()
    outbox.put([replace(ALERT, subject="file \udcff", message="\udcff")], ["log"])
    assert outbox.deliver({"log": channel}) == Delivered(sent=1)
    assert outbox.deliver({"log": channel}) == Delivered()
    assert channel.sent == ["file ?"]


def test_when_and_how_far_is_told_when_alerts_are_listed(outbox: Outbox) -> None:
    outbox.put([ALERT], ["log", "webhook"])
    outbox.deliver({"log": Recorder(), "webhook": Recorder(fails())})
    assert entry_lines(outbox.entries()[0]) == [
        "1970-01-12 13:46 UTC  gate_refused        2 checks refused the run",
        f"    {ALERT.alert_id}  log delivered; webhook waiting after 1 attempts, next at 1970-01-12 13:47 UTC "
        "(the webhook answered with status 503)",
    ]


def test_a_release_is_told_once_when_it_is_booked(outbox: Outbox) -> None:
    assert not outbox.is_told("r-1")
    outbox.mark_told("r-1", "r-0")
    assert outbox.is_told("r-1")
    assert not outbox.is_told("r-2")
