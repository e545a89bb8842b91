"""The availability list and the pulled data sets, partitioned by the periods that the API holds.

Belongs here: what each step tells and which partitions it made. Does not belong here: asking and landing
(`orchestration.pipeline.pull`), or when a pull starts (`triggers`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.alerts import pull_stopped
from orchestration.comtrade.api.requests import Version
from orchestration.defs.jobs import PULL_GROUP
from orchestration.defs.metadata import by_period
from orchestration.defs.partitions import AVAILABLE, AVAILABLE_SET, sync_partitions
from orchestration.defs.promises import READ_AGAIN, refusals_are_final
from orchestration.defs.resources import API_POOL, OWNERS, Warehouse, WarehouseParameter
from orchestration.pipeline.availability import read_availability
from orchestration.pipeline.lock import BusyError, only_one_pull
from orchestration.pipeline.pull import (
    RESUMABLE,
    PullSummary,
    landed_names,
    look_and_keep,
    open_client,
    plan_pull,
    pull,
    versions_to_land,
)

AVAILABILITY = dg.AssetKey(["pulls", "availability"])
PULLED = dg.AssetKey(["pulls", "data_sets"])
PULL_STEP = "pulled_declarations"
SHOWN = 20


class PullConfig(dg.Config):
    """Which periods a run pulls and makes, where they are no unbroken range."""

    periods: list[str] = Field(
        default_factory=list,
        description="Periods that are pulled, such as M-202301; without any, those of the run's range of partitions.",
    )


def pull_config(periods: Sequence[str]) -> dict[str, Any]:
    """Run configuration of a pull of these periods."""
    return {"ops": {PULL_STEP: {"config": {"periods": list(periods)}}}}


@dg.asset(
    key=AVAILABILITY,
    group_name=PULL_GROUP,
    owners=OWNERS,
    kinds={"json"},
    pool=API_POOL,
    retry_policy=READ_AGAIN,
)
def availability(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Which data sets the API holds, with release dates, checksums and rows, and which of them have not landed: one
    call per frequency. Its periods are the partitions of what is pulled.
    """
    settings, paths = warehouse.settings, warehouse.paths
    with refusals_are_final(), open_client(settings, paths, context.run.run_id) as (client, book):
        found = look_and_keep(client, settings, paths)
        plan = plan_pull(settings, paths, found, book.left_today())
    sync_partitions(context.instance, AVAILABLE_SET, {version.data_set.period_key for version in found})
    known = landed_names(paths)
    revised = [version for version in plan.wanted if version.data_set.name in known]
    return dg.MaterializeResult(
        metadata={
            "data_sets": len(found),
            "dagster/row_count": sum(version.row_count for version in found),
            "to_pull": len(plan.wanted),
            "to_pull_new": len(plan.wanted) - len(revised),
            "to_pull_revised": len(revised),
            "to_pull_rows": plan.cost.rows,
            "to_pull_calls": plan.cost.calls,
            "to_pull_days_of_quota": plan.cost.days,
            "calls_left_today": plan.calls_left,
            "revised": table_of_versions(revised[:SHOWN]),
            "to_pull_by_period": by_period({"data sets to pull": _per_period(plan.wanted)}),
        }
    )


@dg.multi_asset(
    name=PULL_STEP,
    specs=[
        dg.AssetSpec(
            PULLED,
            deps=[AVAILABILITY],
            group_name=PULL_GROUP,
            owners=OWNERS,
            kinds={"parquet"},
            description="Data sets of the API, landed whole, a version of one reporter and period at a time: what is "
            "new or revised in these periods and nothing else. A period is made once everything it holds has landed. "
            "What a pull did stands under Events: one observation a pull.",
            # Partitions are told one by one below: a period of which the quota left a part unasked is not made.
            skippable=True,
        )
    ],
    partitions_def=AVAILABLE,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=API_POOL,
    retry_policy=READ_AGAIN,
)
def pulled_declarations(
    context: dg.AssetExecutionContext, config: PullConfig, warehouse: WarehouseParameter
) -> Iterator[dg.MaterializeResult]:
    """Pull the periods of this run; says which of them are whole. Yields nothing: what is made is logged by period."""
    periods = _periods(context, config)
    done, calls_left = _pull(context, warehouse, periods)
    standing = _still_to_land(warehouse)
    told = _told(done, calls_left, periods, standing)
    # The page's overview shows the newest period only, so each tells of its pull too; figures, as there may be many.
    of_pull = {f"pull_{name}": told[name] for name in ("status", "landed_data_sets", "landed_rows", "still_to_land")}
    for key in periods:
        if key not in standing:
            own = [version for version in done.landed if version.data_set.period_key == key]
            context.log_event(
                dg.AssetMaterialization(
                    PULLED,
                    partition=key,
                    metadata={
                        "dagster/partition_row_count": sum(version.row_count for version in own),
                        "landed_data_sets": len(own),
                        **of_pull,
                    },
                )
            )
    said = f"{done.status}; data sets landed: {len(done.landed):,}, rows: {done.row_count:,}, calls: {done.calls}"
    context.log_event(dg.AssetObservation(PULLED, description=said, metadata=told))
    if done.status == RESUMABLE:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        warehouse.alerts.tell(pull_stopped(warehouse.paths, day, done.why, standing.total()))
    if done.status == RESUMABLE and not done.is_quota_spent:
        # No second attempt: the client has made its own, with growing pauses; the sensor asks again some hours later.
        raise dg.Failure(
            f"The pull was stopped, and goes on from here when started again: {done.why}", allow_retries=False
        )
    yield from ()


def _periods(context: dg.AssetExecutionContext, config: PullConfig) -> list[str]:
    """Periods that this run pulls, in order. Fails when there are none, or the API holds one of them no more."""
    is_ranged = context.has_partition_key_range or context.has_partition_key
    periods = sorted(config.periods) or (list(context.partition_keys) if is_ranged else [])
    unknown = set(periods) - set(context.instance.get_dynamic_partitions(AVAILABLE_SET))
    if unknown or not periods:
        what = f"{min(unknown)} is no period that the API holds" if unknown else "the run names no period"
        raise dg.Failure(
            f"{what}, so it is not known what to pull; start it with a range of partitions of the asset, or name some "
            "of them in its configuration",
            allow_retries=False,
        )
    return periods


def _pull(context: dg.AssetExecutionContext, warehouse: Warehouse, periods: Sequence[str]) -> tuple[PullSummary, int]:
    settings, paths, pull_id = warehouse.settings, warehouse.paths, context.run.run_id
    try:
        with refusals_are_final(), only_one_pull(paths), open_client(settings, paths, pull_id) as (client, book):
            done = pull(settings, paths, warehouse.reference, client, book, pull_id, periods)
            return done, book.left_today()
    except BusyError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _still_to_land(warehouse: Warehouse) -> Counter[str]:
    """How many data sets of each period have not landed, by the list that the pull looked at last."""
    return Counter(
        version.data_set.period_key for version in versions_to_land(warehouse.paths, read_availability(warehouse.paths))
    )


def _told(
    done: PullSummary, calls_left: int, period_keys: Sequence[str], standing: Counter[str]
) -> dict[str, dg.MetadataValue]:
    """What the page shows of a pull."""
    return {
        "status": dg.MetadataValue.text(done.status),
        "why": dg.MetadataValue.text(done.why or "everything asked for was answered"),
        "landed_data_sets": dg.MetadataValue.int(len(done.landed)),
        "landed_rows": dg.MetadataValue.int(done.row_count),
        "calls": dg.MetadataValue.int(done.calls),
        "calls_left_today": dg.MetadataValue.int(calls_left),
        "still_to_land": dg.MetadataValue.int(sum(standing[key] for key in period_keys)),
        "landed_by_period": by_period({"data sets landed": _per_period(done.landed)}),
        "doubtful": dg.MetadataValue.json([f"{one.what}; {one.how_to_mend}" for one in done.unsettled[:SHOWN]]),
        "notes": dg.MetadataValue.json(list(done.notes[:SHOWN])),
        "landed": table_of_versions(done.landed[:SHOWN]),
    }


def after_pulls(landed: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset that reads what pulls have landed, with that standing in the graph."""
    (drawn,) = dg.map_asset_specs(lambda spec: spec.merge_attributes(deps=[PULLED]), [landed])
    return drawn


def table_of_versions(versions: Sequence[Version]) -> dg.MetadataValue:
    """Versions as a table of the page: data set, rows, release date."""
    names = ("data_set", "row_count", "last_released")
    columns = [dg.TableColumn(name, "int" if name == "row_count" else "string") for name in names]
    records = [
        dg.TableRecord(dict(zip(names, (v.data_set.name, v.row_count, str(v.last_released or "")), strict=True)))
        for v in versions
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _per_period(versions: Sequence[Version]) -> dict[str, float]:
    return {key: float(count) for key, count in sorted(Counter(v.data_set.period_key for v in versions).items())}
