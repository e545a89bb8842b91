"""What assets share: settings, folders, the plan of the run, the notifier.

Belongs here: one resource, replaceable in tests. Does not belong here: work.
"""

from __future__ import annotations

import dagster as dg
from pydantic import PrivateAttr

from orchestration.notify import Notifier, make_notifier
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, RunPlan, input_fingerprint, make_plan
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings

CPU_POOL = "reconcile_cpu"
WRITER_POOL = "duckdb_writer"
PUBLISH_POOL = "publication"
OWNERS = ["team:warehouse"]


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings of this deployment and what follows from them."""

    _settings: Settings | None = PrivateAttr(default=None)
    _plan: RunPlan | None = PrivateAttr(default=None)
    _reference: Reference | None = PrivateAttr(default=None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Warehouse:
        """A warehouse with these settings instead of the environment's (tests)."""
        warehouse = cls()
        warehouse._settings = settings
        return warehouse

    @property
    def settings(self) -> Settings:
        """Settings from the environment, unless a test gave its own."""
        if self._settings is None:
            self._settings = Settings()
        return self._settings

    @property
    def paths(self) -> DataPaths:
        """Folders of this deployment."""
        return DataPaths(self.settings.data_folder)

    @property
    def notifier(self) -> Notifier:
        """Where failures and refusals are told."""
        return make_notifier(self.settings)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Each run (and each tick) plans anew; within it the plan stays what it was at the start."""
        del context
        self._plan = self._reference = None

    @property
    def reference(self) -> Reference:
        """Reference tables, read once per run."""
        if self._reference is None:
            self._reference = load_reference(self.settings.seeds_dir)
        return self._reference

    @property
    def plan(self) -> RunPlan:
        """What this run does: id, input, periods; made at its first step and kept to its last."""
        if self._plan is None:
            self._plan = make_plan(self.settings)
        return self._plan

    def require_unchanged_input(self) -> None:
        """Raise PlanError when input, tables or code are no longer those the run was planned on."""
        if input_fingerprint(self.settings) != self.plan.input_fingerprint:
            raise PlanError(
                "declarations, reference tables or code changed while the run was at work; it would publish "
                "a mixture under the name of the old input; start the run again"
            )
