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
from orchestration.defs.release.assets import PUBLISHED
from orchestration.defs.resources import Warehouse, WarehouseParameter
from orchestration.pipeline.plan import PlanError, RunPlan, make_plan
from orchestration.pipeline.releases import nothing_to_publish, published_fingerprint
from orchestration.settings import Settings


def request_for(instance: dg.DagsterInstance, warehouse: Warehouse, priority: int = 0) -> dg.RunRequest | dg.SkipReason:
    """A run on the present input, or why none is needed. In the queue the highest priority goes first.

    The same input is asked for once as long as nothing is published: one that was refused would be refused again. When
    another input has been published since, it is asked for again.
    """
    try:
        plan: RunPlan = make_plan(warehouse.settings)
    except (FolderError, LedgerError, PlanError) as error:
        return dg.SkipReason(str(error))
    reason = nothing_to_publish(warehouse.paths, plan.input_fingerprint)
    if reason:
        return dg.SkipReason(reason)
    sync_periods(instance, plan.period_keys)
    run_key = f"{plan.run_id} after {_last_publication(instance, warehouse)}"
    return dg.RunRequest(run_key=run_key, tags={**run_tags(plan), PRIORITY_TAG: str(priority)})


def _last_publication(instance: dg.DagsterInstance, warehouse: Warehouse) -> str:
    """What was published last, by a run of this instance (their events are numbered) or by the command line, whose runs
    this instance does not see. Where inputs come back, the fingerprint alone would come back too.
    """
    events = instance.fetch_materializations(PUBLISHED, limit=1).records
    number = events[0].storage_id if events else 0
    return f"{number} {published_fingerprint(warehouse.paths) or 'nothing'}"


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
