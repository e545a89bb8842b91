"""Where assets, sensors and the command line hand alerts in. It never fails them.

Belongs here: going on after an error of raising or delivering, with its reason in the log. Does not belong here:
alerts themselves and their delivery. Only the errors that raising and delivering are known to end in are caught; a
mistake in the code is not hidden.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from orchestration.alerts.channels import make_channels
from orchestration.alerts.failure import SendFailed
from orchestration.alerts.leads import lead_alerts
from orchestration.alerts.model import Alert, AlertError
from orchestration.alerts.outbox import Delivered, Entry, Outbox
from orchestration.alerts.reporters import late_reporter_alerts
from orchestration.pipeline.paths import DataPaths
from orchestration.release.errors import ReleaseError
from orchestration.release.published import PublishedRelease, read_release, release_before
from orchestration.release.store import release_ids
from orchestration.settings import Settings

LOG = logging.getLogger("mirror_warehouse.alerts")
_KNOWN = (AlertError, ReleaseError, OSError)


class AlertDesk:
    """Raises and delivers the alerts of one data folder; `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._paths = DataPaths(settings.data_folder)
        self._outbox = Outbox(self._paths.alerts, clock)

    def tell(self, *alerts: Alert) -> int:
        """Put alerts on disk, to be delivered later; returns how many were new. Waits for no channel."""
        try:
            return self._outbox.put(alerts, self._settings.channels)
        except _KNOWN as error:
            headlines = " / ".join(alert.headline for alert in alerts)
            LOG.error("alerts could not be raised: %s. They were: %s", error, headlines)
            return 0

    def tell_release(self, release_id: str) -> int:
        """Raise the alerts of a published release, once and for all; returns how many were new.

        Waits for no channel. What could not be raised is raised at the next call.
        """
        try:
            if self._outbox.is_told(release_id):
                return 0
            release = read_release(self._paths.releases / release_id)
            previous = release_before(release)
            count = self._outbox.put(self._of_release(previous, release), self._settings.channels)
            self._outbox.mark_told(release_id, previous.release_id if previous is not None else "")
            return count
        except _KNOWN as error:
            LOG.error("the alerts of release %s could not all be raised: %s", release_id, error)
            return 0

    def tell_missed(self) -> int:
        """Raise the alerts of releases that were published and not told: whoever published them died in between.

        Those published after the last one that was told; the published one where none was.
        """
        try:
            order = release_ids(self._paths.releases)
            told = [place for place, one in enumerate(order) if self._outbox.is_told(one)]
        except _KNOWN as error:
            LOG.error("it could not be seen whether every release was told: %s", error)
            return 0
        missed = order[told[-1] + 1 :] if told else order[-1:]
        return sum(self.tell_release(one) for one in missed)

    def deliver(self) -> Delivered:
        """Send what is due, of releases that were not told too; errors are logged, what failed is tried again later."""
        self.tell_missed()
        try:
            return self._outbox.deliver(make_channels(self._settings))
        except _KNOWN as error:
            LOG.error("alerts could not be delivered: %s", error)
            return Delivered()

    def try_again(self) -> int:
        """Make due what is not delivered, given up or not; returns how many deliveries. Raises AlertError."""
        return self._outbox.try_again()

    def entries(self) -> list[Entry]:
        """Raised alerts with their deliveries, in the order in which they were raised."""
        return self._outbox.entries()

    def test_channels(self, subject: str) -> dict[str, str]:
        """Send a test alert over each channel of the settings, past the outbox; what went wrong by channel, "" if well.

        `subject` makes the test one of its own for receivers that drop what they had before.
        """
        message = "This is a test of the alerts.\nNothing happened; somebody typed: make alerts TEST=1"
        alert = Alert("channel_test", subject, message, "no release", "select release_id from marts.dim_place limit 1")
        said = {}
        for name, channel in make_channels(self._settings).items():
            try:
                channel.send(alert)
                said[name] = ""
            except SendFailed as error:
                said[name] = str(error)
        return said

    def _of_release(self, previous: PublishedRelease | None, release: PublishedRelease) -> list[Alert]:
        given = self._settings
        leads = lead_alerts(previous, release, given.alert_grade, given.alert_leads)
        return leads + late_reporter_alerts(release, given.alert_late_months)
