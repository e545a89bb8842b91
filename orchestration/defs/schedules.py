"""The monthly refresh.

Belongs here: when a refresh starts by the clock, and that it does not start on unchanged input. Does not belong here:
the work.
"""

from collections.abc import Callable

import dagster as dg

from orchestration.comtrade.files import FolderError
from orchestration.comtrade.ledger import LedgerError
from orchestration.defs.jobs import refresh
from orchestration.defs.partitions import sync_periods
from orchestration.defs.promises import PRIORITY_TAG, SCHEDULE_PRIORITY, run_tags
from orchestration.defs.resources import Warehouse, WarehouseParameter
from orchestration.pipeline.plan import PlanError, RunPlan, make_plan
from orchestration.pipeline.releases import nothing_to_publish
from orchestration.settings import Settings


def request_for(instance: dg.DagsterInstance, warehouse: Warehouse, priority: int = 0) -> dg.RunRequest | dg.SkipReason:
    """A run on the present input, or why none is needed. In the queue the highest priority goes first."""
    try:
        plan: RunPlan = make_plan(warehouse.settings)
    except (FolderError, LedgerError, PlanError) as error:
        return dg.SkipReason(str(error))
    reason = nothing_to_publish(warehouse.paths, plan.input_fingerprint)
    if reason:
        return dg.SkipReason(reason)
    sync_periods(instance, plan.period_keys)
    return dg.RunRequest(run_key=plan.run_id, tags={**run_tags(plan), PRIORITY_TAG: str(priority)})


Ask = Callable[[dg.DagsterInstance, Warehouse, int], dg.RunRequest | dg.SkipReason]
"""How a refresh of this priority is asked for, or why it is not."""


def make_schedule(settings: Settings, ask: Ask = request_for) -> dg.ScheduleDefinition:
    """The monthly schedule with the cron line of the settings; off until switched on."""

    @dg.schedule(
        name="monthly_refresh",
        job=refresh,
        cron_schedule=settings.schedule_cron,
        execution_timezone=settings.schedule_timezone,
        description="Refreshes the warehouse once a month, after most reporters have filed.",
    )
    def _monthly(context: dg.ScheduleEvaluationContext, warehouse: WarehouseParameter) -> dg.RunRequest | dg.SkipReason:
        return ask(context.instance, warehouse, SCHEDULE_PRIORITY)

    return _monthly
