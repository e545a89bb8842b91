"""What assets share: settings, folders, the plan of the run, the notifier.

Belongs here: one resource, replaceable in tests. Does not belong here: work.
"""

from __future__ import annotations

from functools import cached_property

import dagster as dg
from pydantic import PrivateAttr

from orchestration.notify import Notifier, make_notifier
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import input_fingerprint, run_id_of
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings

CPU_POOL = "reconcile_cpu"
WRITER_POOL = "duckdb_writer"
PUBLISH_POOL = "publication"
OWNERS = ["team:warehouse"]


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings of this deployment and what follows from them."""

    _settings: Settings | None = PrivateAttr(default=None)

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

    @cached_property
    def reference(self) -> Reference:
        """Reference tables, read once per run."""
        return load_reference(self.settings.seeds_dir)

    def fingerprint(self) -> str:
        """Fingerprint of the input and code as they are now."""
        return input_fingerprint(self.settings)

    def run_id(self) -> str:
        """Id of the run on the present input."""
        return run_id_of(self.fingerprint())
