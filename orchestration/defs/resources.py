"""What assets share: settings, folders, the plan of the run, the alerts.

Belongs here: one resource, replaceable in tests. Does not belong here: work.
"""

from functools import cached_property

import dagster as dg

from expectations.runner import run_suite
from orchestration.alerts import AlertDesk
from orchestration.pipeline.gates import SuiteRunner
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, RunPlan, input_fingerprint, make_plan
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings

API_POOL = "comtrade_api"
CPU_POOL = "reconcile_cpu"
WRITER_POOL = "duckdb_writer"
PUBLISH_POOL = "publication"
OWNERS = ["team:warehouse"]


class Warehouse:
    """Settings of this deployment and what follows from them; made anew for each run and each tick."""

    def __init__(self, settings: Settings, judge: SuiteRunner = run_suite) -> None:
        self.settings = settings
        self.judge = judge

    @property
    def paths(self) -> DataPaths:
        """Folders of this deployment."""
        return DataPaths(self.settings.data_folder)

    @property
    def alerts(self) -> AlertDesk:
        """Where news, refusals and failures are told."""
        return AlertDesk(self.settings)

    @cached_property
    def reference(self) -> Reference:
        """Reference tables, read once per run."""
        return load_reference(self.settings.seeds_dir, self.settings.distances)

    @cached_property
    def plan(self) -> RunPlan:
        """What this run does: id, input, periods; made at its first step and kept to its last."""
        return make_plan(self.settings)

    def require_unchanged_input(self) -> None:
        """Raise PlanError when input, tables or code are no longer those the run was planned on."""
        if input_fingerprint(self.settings) != self.plan.input_fingerprint:
            raise PlanError(
                "declarations, reference tables or code changed while the run was at work; it would publish "
                "a mixture under the name of the old input; start the run again"
            )


WarehouseParameter = dg.ResourceParam[Warehouse]
"""How an asset, check or sensor asks for the warehouse."""


def warehouse_resource(settings: Settings | None, judge: SuiteRunner) -> dg.ResourceDefinition:
    """The warehouse of these settings; of the environment as it is at the start of each run when None."""
    return dg.ResourceDefinition(lambda _context: Warehouse(settings if settings is not None else Settings(), judge))
