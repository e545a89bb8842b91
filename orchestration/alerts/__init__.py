"""Alerts: what people must hear of a release, a refusal or a failure, each told once on every channel.

The parts: `model` (an alert), `leads`, `reporters` and `runs` (which alerts there are), `outbox` (raised alerts on
disk, what was delivered, what is due again), `channels` with `webhook` and `mail` (the ways out), and `desk`, which
assets, sensors and the command line use and which never fails them.

Belongs here: alerts from raising to delivery. Does not belong here: the orchestrator (`defs`), and any verdict: what
is a lead, a refusal or a failure is decided elsewhere.
"""

from orchestration.alerts.desk import AlertDesk
from orchestration.alerts.model import Alert, AlertError
from orchestration.alerts.runs import gate_refused, publication_refused, pull_stopped, run_failed

__all__ = ["Alert", "AlertDesk", "AlertError", "gate_refused", "publication_refused", "pull_stopped", "run_failed"]
