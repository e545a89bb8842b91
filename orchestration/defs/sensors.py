"""Sensors: new files start a run; failed runs and releases are alerted, and alerts delivered.

Belongs here: looking and telling. Does not belong here: the work.
"""

import dagster as dg

from orchestration.alerts import run_failed
from orchestration.defs.jobs import refresh
from orchestration.defs.promises import RUN_ID_TAG, SENSOR_PRIORITY
from orchestration.defs.release.assets import PUBLISHED
from orchestration.defs.resources import WarehouseParameter
from orchestration.defs.schedules import request_for
from orchestration.pipeline.plan import PlanError, folder_state
from orchestration.settings import Settings

DELIVERY_SECONDS = 60


def make_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor on the declarations folder, which starts runs, and those of alerts, which start none and are on."""

    @dg.sensor(
        name="new_files",
        job=refresh,
        minimum_interval_seconds=settings.sensor_seconds,
        description="Starts a refresh when the declarations folder holds something not yet published and two looks "
        "running found the same files.",
    )
    def _new_files(context: dg.SensorEvaluationContext, warehouse: WarehouseParameter) -> dg.RunRequest | dg.SkipReason:
        if warehouse.settings.source != "files":
            return dg.SkipReason(
                f"the source is `{warehouse.settings.source}`; only a folder of files can receive new ones"
            )
        try:
            state = folder_state(warehouse.settings)
        except PlanError as error:
            context.update_cursor("")
            return dg.SkipReason(str(error))
        before = context.cursor
        context.update_cursor(state)
        # A file of which half is copied would be read as it is, and refused or, worse, taken for whole.
        if state != before:
            return dg.SkipReason(
                "the files of the declarations folder are new or still changing; a run starts once the next look finds "
                "them the same"
            )
        return request_for(context.instance, warehouse, SENSOR_PRIORITY)

    return [_new_files, *_alert_sensors()]


def _alert_sensors() -> list[dg.SensorDefinition]:
    running = dg.DefaultSensorStatus.RUNNING

    @dg.run_failure_sensor(name="failed_runs", description="Alerts a failed run.", default_status=running)
    def _failed_runs(context: dg.RunFailureSensorContext, warehouse: WarehouseParameter) -> None:
        run = context.dagster_run
        reason = context.failure_event.message or "No reason was given."
        run_id = run.tags.get(RUN_ID_TAG, "")
        warehouse.alerts.tell(run_failed(warehouse.paths, run_id, run.run_id, run.job_name, reason))

    @dg.asset_sensor(
        asset_key=PUBLISHED,
        name="leads_changed",
        minimum_interval_seconds=DELIVERY_SECONDS,
        description="Alerts what a published release says of leads and late reporters, whichever run published it.",
        default_status=running,
    )
    def _leads_changed(
        _context: dg.SensorEvaluationContext, event: dg.EventLogEntry, warehouse: WarehouseParameter
    ) -> dg.SkipReason:
        told = event.asset_materialization
        release_id = str(told.metadata["release_id"].value) if told and "release_id" in told.metadata else ""
        if not release_id:
            return dg.SkipReason("this publication names no release; there is nothing to compare")
        return dg.SkipReason(f"release {release_id}: {warehouse.alerts.tell_release(release_id)} alerts raised")

    @dg.sensor(
        name="alerts_delivery",
        minimum_interval_seconds=DELIVERY_SECONDS,
        description="Sends alerts that are due, those that failed before among them.",
        default_status=running,
    )
    def _alerts_delivery(warehouse: WarehouseParameter) -> dg.SkipReason:
        done = warehouse.alerts.deliver()
        if done.is_busy:
            return dg.SkipReason("another process is delivering alerts")
        return dg.SkipReason(f"{done.sent} messages sent, {done.failed} failed, {done.given_up} given up")

    return [_failed_runs, _leads_changed, _alerts_delivery]
