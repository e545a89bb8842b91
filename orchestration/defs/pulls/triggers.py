"""When the API is asked what it holds, when a pull starts, and when the warehouse is refreshed after it.

Belongs here: comparing what is kept - the availability list, the ledger, the published release - and asking for runs.
Does not belong here: calls to the API; a sensor makes none.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from orchestration.comtrade.api.requests import Version
from orchestration.defs.jobs import refresh
from orchestration.defs.partitions import AVAILABLE_SET, range_tags
from orchestration.defs.promises import PRIORITY_TAG, SENSOR_PRIORITY, SOURCE_TAG
from orchestration.defs.pulls.assets import AVAILABILITY, PULLED, pull_config
from orchestration.defs.resources import Warehouse, WarehouseParameter
from orchestration.defs.schedules import request_for
from orchestration.pipeline.availability import read_availability
from orchestration.pipeline.pull import calls_left, plan_pull, read_unsettled, versions_to_land
from orchestration.pipeline.storage import combine
from orchestration.settings import Settings

DATA_SETS_TAG, PERIODS_TAG = "mirror/data_sets", "mirror/periods"
HOURS_BETWEEN = 6
"""Hours after which the same versions may be asked for again."""
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

look_job = dg.define_asset_job(
    name="availability",
    selection=dg.AssetSelection.assets(AVAILABILITY),
    description="Asks the API which data sets it holds: one call per frequency.",
)
pull_job = dg.define_asset_job(
    name="pull",
    selection=dg.AssetSelection.assets(PULLED),
    description="Lands what is new or revised in a range of periods, or in those that the run's configuration "
    "names; a backfill of this job is a first pull.",
)


def make_look_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The daily look at what the API holds; off until switched on."""

    @dg.schedule(
        name="daily_availability",
        job=look_job,
        cron_schedule=settings.availability_cron,
        execution_timezone=settings.schedule_timezone,
        description="Asks the API once a day what it holds, so that the sensor `availability` can ask for pulls.",
    )
    def _daily() -> dg.RunRequest:
        return dg.RunRequest(tags={SOURCE_TAG: settings.source})

    return _daily


def make_pull_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor that asks for pulls and the one that asks for a refresh once everything has landed; both off."""

    @dg.sensor(
        name="availability",
        job=pull_job,
        minimum_interval_seconds=settings.sensor_seconds,
        description="Compares the availability list with the ledger and asks for pulls of the periods that hold "
        "something new or revised, and of no other.",
    )
    def _availability(
        context: dg.SensorEvaluationContext, warehouse: WarehouseParameter
    ) -> list[dg.RunRequest] | dg.SkipReason:
        return pulls_for(context.instance, warehouse, datetime.now(UTC))

    @dg.sensor(
        name="pulled_versions",
        job=refresh,
        minimum_interval_seconds=settings.sensor_seconds,
        description="Starts a refresh once everything that the API holds has landed and is not yet published.",
    )
    def _pulled_versions(
        context: dg.SensorEvaluationContext, warehouse: WarehouseParameter
    ) -> dg.RunRequest | dg.SkipReason:
        return refresh_for(context.instance, warehouse)

    return [_availability, _pulled_versions]


def pulls_for(instance: dg.DagsterInstance, warehouse: Warehouse, now: datetime) -> list[dg.RunRequest] | dg.SkipReason:
    """A run per frequency for the periods in which something is to be landed, or why none is asked for.

    The same versions are asked for four times a day at most: a pull that the silence of the API ended goes on some
    hours later, one that the quota ended on the next day.
    """
    settings, paths = warehouse.settings, warehouse.paths
    available = read_availability(paths)
    if not available:
        return dg.SkipReason(
            "what the API holds is not known yet; switch on the schedule daily_availability or run the job availability"
        )
    left = calls_left(settings, paths)
    # A preview asks for no more than its calls, the newest years first.
    is_preview = settings.source == "preview"
    wanted = plan_pull(settings, paths, available, left).wanted if is_preview else versions_to_land(paths, available)
    if not wanted:
        return dg.SkipReason(f"all {len(available):,} data sets of the availability list have landed")
    if _is_pulling(instance):
        return dg.SkipReason("a pull is at work or waits in the queue; what it leaves is asked for after it")
    if left == 0:
        return dg.SkipReason(f"{len(wanted):,} data sets are to land, and the quota of today (UTC) is spent")
    registered = set(instance.get_dynamic_partitions(AVAILABLE_SET))
    missing = {version.data_set.period_key for version in wanted} - registered
    if missing:
        return dg.SkipReason(f"the period {min(missing)} is not registered; run the job availability once more")
    by_frequency: dict[str, list[Version]] = {}
    for version in sorted(wanted):
        by_frequency.setdefault(version.data_set.frequency, []).append(version)
    return [_request(settings, own, sorted(registered), now) for own in by_frequency.values()]


def refresh_for(
    instance: dg.DagsterInstance, warehouse: Warehouse, priority: int = SENSOR_PRIORITY
) -> dg.RunRequest | dg.SkipReason:
    """A refresh on what has landed, or why it waits: half a pull would be published as if it were all there is.

    A preview is never all there is, and says so. Data sets that stayed doubtful are not waited for; the gate warns of
    them.
    """
    if _is_pulling(instance):
        return dg.SkipReason("a pull is at work; the refresh waits until everything has landed")
    doubtful = {refusal.source_file for refusal in read_unsettled(warehouse.paths)}
    wanted = versions_to_land(warehouse.paths, read_availability(warehouse.paths))
    missing = [version for version in wanted if version.source_file not in doubtful]
    if missing and warehouse.settings.source != "preview":
        return dg.SkipReason(
            f"{len(missing):,} data sets are still to land; start the job refresh by hand to publish what is there"
        )
    return request_for(instance, warehouse, priority)


def _is_pulling(instance: dg.DagsterInstance) -> bool:
    """Whether a run that pulls is unfinished; a backfill from the page of the asset goes by another job."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    return any(run.job_name == pull_job.name or PULLED in (run.asset_selection or ()) for run in unfinished)


def _request(
    settings: Settings, versions: Sequence[Version], registered: Sequence[str], now: datetime
) -> dg.RunRequest:
    """One run for all of these versions. Where their periods lie scattered it names them one by one.

    A run for each unbroken range would look at what the API holds each time, and could not ask for several periods in
    one call: many times the calls. A run over a range with gaps would show the periods in the gaps as failed when it
    fails.
    """
    keys = sorted({version.data_set.period_key for version in versions})
    spanned = [key for key in registered if keys[0] <= key <= keys[-1]]
    is_range = keys == spanned
    periods = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    return dg.RunRequest(
        run_key=combine(f"{now:%Y-%m-%d} {now.hour // HOURS_BETWEEN}", *(version.delivery_id for version in versions)),
        run_config={} if is_range else pull_config(keys),
        tags={
            **(range_tags(keys) if is_range else {}),
            SOURCE_TAG: settings.source,
            DATA_SETS_TAG: str(len(versions)),
            # The list of runs hides the orchestrator's own tags, the range among them.
            PERIODS_TAG: periods if is_range else f"{periods} ({len(keys)} of {len(spanned)})",
            PRIORITY_TAG: str(SENSOR_PRIORITY),
        },
    )
