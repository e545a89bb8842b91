"""What the deployment promises of its runs: freshness, priority, tags, and which failures may be tried again.

Belongs here: policies that several definitions share. Does not belong here: limits of the instance
(`deploy/dagster.yaml`) and what is checked (`expectations`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import dagster as dg

from orchestration.comtrade.api.errors import KeyRefused, QuotaSpent, RequestRefused
from orchestration.comtrade.files import FolderError
from orchestration.comtrade.ledger import LedgerError
from orchestration.defs.partitions import range_tags
from orchestration.pipeline.plan import PlanError, RunPlan
from orchestration.reconcile import METHOD_VERSION
from orchestration.reference import ReferenceError
from orchestration.settings import Settings

RUN_ID_TAG, SOURCE_TAG, METHOD_TAG = "mirror/run_id", "mirror/source", "mirror/method_version"
PRIORITY_TAG, RETRY_STRATEGY_TAG = "dagster/priority", "dagster/retry_strategy"
SCHEDULE_PRIORITY, SENSOR_PRIORITY = 10, 5
"""The run of the clock has a date to keep, so it goes before those that news of the source asks for; by hand is 0."""

LATE_AFTER, STALE_AFTER = timedelta(days=1), timedelta(days=3)
"""A refresh takes hours; a refusal on a Friday is mended on a Monday."""

READ_AGAIN = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For steps that read what others write (a share of files, an interface): after some 10 and 30 seconds again."""

_UNUSABLE = (FolderError, LedgerError, PlanError, ReferenceError)
_TICKS_FROM, _TICKS_UNTIL, _TICK_FORMAT = "2020-01-01 00:00", "2025-01-01 00:00", "%Y-%m-%d %H:%M"


@contextmanager
def refusals_are_final() -> Iterator[None]:
    """End a step at once on a refusal, whatever its retry policy: of its input, which every attempt would refuse alike,
    or by the API, where a key or a request must be mended first, or a day waited for.
    """
    try:
        yield
    except (*_UNUSABLE, KeyRefused, RequestRefused, QuotaSpent) as refusal:
        raise dg.Failure(description=str(refusal), allow_retries=False) from refusal


def run_tags(plan: RunPlan) -> dict[str, str]:
    """Tags of a run of this plan: its periods, and by what it is found again in the list of runs."""
    own = {RUN_ID_TAG: plan.run_id, SOURCE_TAG: plan.source, METHOD_TAG: METHOD_VERSION}
    return {**range_tags(plan.period_keys), **own}


def longest_wait(cron: str) -> timedelta:
    """The longest time between two starts of a cron line, looked up over five years with a leap year at each end."""
    ticks = dg.TimeWindowPartitionsDefinition(
        cron_schedule=cron, start=_TICKS_FROM, end=_TICKS_UNTIL, fmt=_TICK_FORMAT
    ).get_partition_keys()
    starts = [datetime.strptime(tick, _TICK_FORMAT) for tick in ticks]
    whole = datetime.strptime(_TICKS_UNTIL, _TICK_FORMAT) - datetime.strptime(_TICKS_FROM, _TICK_FORMAT)
    return max((later - earlier for earlier, later in pairwise(starts)), default=whole)


def release_freshness(settings: Settings) -> dg.FreshnessPolicy:
    """How old what analysts see may be: the schedule's longest wait, a day until it is late, three until it fails."""
    wait = longest_wait(settings.schedule_cron)
    return dg.FreshnessPolicy.time_window(warn_window=wait + LATE_AFTER, fail_window=wait + STALE_AFTER)


def with_freshness(
    assets: Iterable[dg.AssetsDefinition], policy: dg.FreshnessPolicy, keys: Collection[dg.AssetKey]
) -> list[dg.AssetsDefinition]:
    """The same assets; those of `keys` with the policy."""

    def promised(spec: dg.AssetSpec) -> dg.AssetSpec:
        return dg.apply_freshness_policy(spec, policy) if spec.key in keys else spec

    return list(dg.map_asset_specs(promised, list(assets)))
