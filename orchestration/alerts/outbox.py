"""Alerts on disk: raised once, delivered once per channel, tried again with growing pauses.

Belongs here: the files below `alerts/` and the order of booking and sending. Does not belong here: how something is
sent (`channels`), what is alerted (`leads`, `reporters`, `runs`), and going on after an error (`desk`).

    raised/<alert_id>.json     the alert and the channels it is for; written once, whole, before anything is sent
    deliveries/<alert_id>.json per channel: waiting, delivered or undelivered, attempts, next attempt, last error
    releases/<release_id>.json that a release was told, and since which
    delivery.lock              held by the one process that delivers

An attempt is booked before it is made and its outcome afterwards. A process that dies in between may have sent
without booking: the alert is then sent once more, after the pause of a failed attempt. Receivers tell the two by the
alert's id (`Idempotency-Key` of a webhook, Message-ID of a mail).
"""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from orchestration.alerts.channels import Channel
from orchestration.alerts.failure import SendFailed
from orchestration.alerts.model import Alert, AlertError, alert_from
from orchestration.release.files import json_text, write_durably

LOG = logging.getLogger("mirror_warehouse.alerts")
FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0
MOST_ATTEMPTS = 16
"""With the pauses above, the last attempt is made about two days after the first."""
SENDING_SECONDS = 30.0
"""No further message is begun after this time in one delivery; the rest stays due."""


@dataclass(frozen=True)
class Delivery:
    """How far one alert is on one channel; next_attempt in seconds since 1970."""

    state: Literal["waiting", "delivered", "undelivered"] = "waiting"
    attempts: int = 0
    next_attempt: float = 0.0
    last_error: str = ""


@dataclass(frozen=True)
class Entry:
    """A raised alert: when (seconds since 1970), where in its batch, and how far it is on each of its channels."""

    alert: Alert
    raised_at: float
    position: int
    deliveries: Mapping[str, Delivery]


@dataclass(frozen=True)
class Delivered:
    """What one delivery did: messages sent, attempts that failed, deliveries given up. `is_busy`: another was at it."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    is_busy: bool = False


class Outbox:
    """The alerts of one data folder; `clock` gives seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def put(self, alerts: Sequence[Alert], channels: Sequence[str]) -> int:
        """Write alerts to disk for these channels; returns how many were new. One that is there stays as it is.

        Raises AlertError when the folder cannot be written to; alerts written before that stay.
        """
        now, count = self._clock(), 0
        for position, alert in enumerate(alerts):
            path = self._raised(alert.alert_id)
            if path.exists():
                continue
            said = {"raised_at": now, "position": position, "channels": list(channels), "alert": alert.as_json()}
            self._write(path, said)
            count += 1
        return count

    def is_told(self, release_id: str) -> bool:
        """Whether the alerts of a release were raised: a release is told once, whatever it is compared with later."""
        return self._told(release_id).exists()

    def mark_told(self, release_id: str, since: str) -> None:
        """Book that all alerts of a release stand on disk. Raises AlertError when that cannot be written."""
        self._write(self._told(release_id), {"release_id": release_id, "since": since})

    def entries(self) -> list[Entry]:
        """All raised alerts in the order in which they were raised; a file that cannot be read is logged and left."""
        found = []
        for path in sorted((self._folder / "raised").glob("*.json")):
            try:
                found.append(self._read(path))
            except AlertError as error:
                LOG.error("%s", error)
        return sorted(found, key=lambda one: (one.raised_at, one.position, one.alert.alert_id))

    def deliver(self, channels: Mapping[str, Channel]) -> Delivered:
        """Send what is due on these channels; does nothing while another process delivers from this folder.

        A channel that is down is left alone for the rest of this delivery. Raises AlertError when an attempt cannot be
        booked: nothing is sent then that could not be remembered.
        """
        if not (self._folder / "raised").is_dir():
            return Delivered()
        with self._only_one() as is_free:
            return self._send_due(channels) if is_free else Delivered(is_busy=True)

    def try_again(self) -> int:
        """Make everything that is not delivered due now, given up or not; returns how many deliveries that are."""
        count = 0
        with self._only_one() as is_free:
            for entry in self.entries() if is_free else ():
                fresh = {
                    name: one if one.state == "delivered" else Delivery() for name, one in entry.deliveries.items()
                }
                moved = sum(fresh[name] != one for name, one in entry.deliveries.items())
                if moved:
                    self._book(replace(entry, deliveries=fresh))
                count += moved
        return count

    def _send_due(self, channels: Mapping[str, Channel]) -> Delivered:
        began, down, done = self._clock(), set[str](), Delivered()
        for entry in self.entries():
            booked = entry
            for name in entry.deliveries:
                is_due = booked.deliveries[name].state == "waiting" and booked.deliveries[name].next_attempt <= began
                if not is_due or name in down or name not in channels:
                    continue
                if self._clock() - began > SENDING_SECONDS:
                    return done
                booked, failure = self._attempt(booked, name, channels[name])
                if failure is not None and failure.channel_is_down:
                    down.add(name)
                done = _counted(done, booked.deliveries[name], failure)
        return done

    def _attempt(self, entry: Entry, name: str, channel: Channel) -> tuple[Entry, SendFailed | None]:
        """Book the attempt, make it, book its outcome."""
        before = entry.deliveries[name]
        attempts = before.attempts + 1
        tried = replace(before, attempts=attempts, next_attempt=self._clock() + pause_after(attempts))
        self._book(_with(entry, name, tried))
        failure = None
        try:
            channel.send(entry.alert)
            after = replace(tried, state="delivered", last_error="")
        except SendFailed as error:
            failure = error
            after = replace(
                tried, state="waiting" if attempts < MOST_ATTEMPTS else "undelivered", last_error=str(error)
            )
            _tell_failure(entry.alert, name, after)
        booked = _with(entry, name, after)
        self._book(booked)
        return booked, failure

    def _read(self, path: Path) -> Entry:
        states = self._deliveries(path.stem)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            known = json.loads(states.read_text(encoding="utf-8")) if states.exists() else {}
            deliveries = {str(name): Delivery(**known.get(name, {})) for name in said["channels"]}
            alert = alert_from(said["alert"])
            if alert.alert_id != path.stem:
                raise ValueError("the file was changed: its alert has another id")
            return Entry(alert, float(said["raised_at"]), int(said["position"]), deliveries)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AlertError(
                f"the alert {path} or its deliveries {states} cannot be read ({type(error).__name__}); it is not known "
                "whether it was sent, so it is left alone; read the files, tell people yourself, and remove both"
            ) from error

    def _book(self, entry: Entry) -> None:
        self._write(self._deliveries(entry.alert.alert_id), {k: asdict(one) for k, one in entry.deliveries.items()})

    def _write(self, path: Path, said: Mapping[str, Any]) -> None:
        try:
            write_durably(path, json_text(said))
        except OSError as error:
            raise AlertError(
                f"{path} cannot be written ({error.strerror or type(error).__name__}); an alert that is not on disk "
                "could be lost or sent twice; make the folder writable, or free space on its disk"
            ) from error

    @contextmanager
    def _only_one(self) -> Iterator[bool]:
        """Whether this process may deliver; the hold goes with the process, however it ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = (self._folder / "delivery.lock").open("w", encoding="utf-8")
        except OSError as error:
            raise AlertError(
                f"{self._folder} cannot be written to ({error.strerror or type(error).__name__}); two processes could "
                "send the same alert; make the folder writable"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _raised(self, alert_id: str) -> Path:
        return self._folder / "raised" / f"{alert_id}.json"

    def _deliveries(self, alert_id: str) -> Path:
        return self._folder / "deliveries" / f"{alert_id}.json"

    def _told(self, release_id: str) -> Path:
        return self._folder / "releases" / f"{release_id}.json"


def pause_after(attempts: int) -> float:
    """Seconds to wait after this many attempts: a minute, doubled each time, six hours at most."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)


def _with(entry: Entry, name: str, delivery: Delivery) -> Entry:
    return replace(entry, deliveries={**entry.deliveries, name: delivery})


def _counted(done: Delivered, delivery: Delivery, failure: SendFailed | None) -> Delivered:
    if failure is None:
        return replace(done, sent=done.sent + 1)
    return replace(done, failed=done.failed + 1, given_up=done.given_up + (delivery.state == "undelivered"))


def _tell_failure(alert: Alert, name: str, delivery: Delivery) -> None:
    if delivery.state == "undelivered":
        LOG.error(
            "alert %s was not delivered by %s in %d attempts (%s) and is kept as undelivered; nobody heard of it "
            "there; mend the channel, then: make alerts AGAIN=1. It said: %s",
            *(alert.alert_id, name, delivery.attempts, delivery.last_error, alert.headline),
        )
    else:
        pause = pause_after(delivery.attempts)
        LOG.warning("alert %s waits %.0f s for %s: %s", alert.alert_id, pause, name, delivery.last_error)
