"""Sensors: new files start a run, a failed run is told.

Belongs here: looking and telling. Does not belong here: the work.
"""

import dagster as dg

from orchestration.defs.jobs import refresh
from orchestration.defs.promises import RUN_ID_TAG, SENSOR_PRIORITY
from orchestration.defs.resources import WarehouseParameter
from orchestration.defs.schedules import request_for
from orchestration.notify import Notice
from orchestration.settings import Settings


def make_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor on the declarations folder and the one on failed runs."""

    @dg.sensor(
        name="new_files",
        job=refresh,
        minimum_interval_seconds=settings.sensor_seconds,
        description="Starts a refresh when the declarations folder holds something not yet published.",
    )
    def _new_files(context: dg.SensorEvaluationContext, warehouse: WarehouseParameter) -> dg.RunRequest | dg.SkipReason:
        if warehouse.settings.source != "files":
            return dg.SkipReason("the source is the planted world; only a folder of files can receive new ones")
        return request_for(context.instance, warehouse, SENSOR_PRIORITY)

    @dg.run_failure_sensor(name="failed_runs", description="Tells a failed run through the notification hook.")
    def _failed_runs(context: dg.RunFailureSensorContext, warehouse: WarehouseParameter) -> None:
        run = context.dagster_run
        facts = {"job": run.job_name, "execution_id": run.run_id, "run_id": run.tags.get(RUN_ID_TAG, "")}
        warehouse.notifier.send(Notice("run_failed", context.failure_event.message or "a run failed", facts))

    return [_new_files, _failed_runs]
