"""The partition sets: periods of one frequency, such as A-2017 or M-202101, that a run holds, and that the API holds.

Belongs here: the partition definition and keeping it equal to what the source holds. Periods are dynamic because
the source decides which exist. Months come before years of the same data in a single run, so that a year can be
rolled up from its months. Does not belong here: what happens in a period.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

PERIOD_SET = "period"
PERIODS = dg.DynamicPartitionsDefinition(name=PERIOD_SET)
# Apart from those of a run: the API holds a period before anything of it has landed.
AVAILABLE_SET = "available_period"
AVAILABLE = dg.DynamicPartitionsDefinition(name=AVAILABLE_SET)
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def sync_periods(instance: dg.DagsterInstance, period_keys: Sequence[str]) -> None:
    """Make the registered periods of runs exactly those of the source, in sorted order."""
    sync_partitions(instance, PERIOD_SET, period_keys)


def sync_partitions(instance: dg.DagsterInstance, name: str, period_keys: Iterable[str]) -> None:
    """Make the registered keys of a partition set exactly these, in sorted order.

    A range of dynamic partitions follows the order of registration, so a new period in the middle means
    registering all anew.
    """
    wanted = sorted(period_keys)
    registered = list(instance.get_dynamic_partitions(name))
    if registered == wanted:
        return
    for key in registered:
        instance.delete_dynamic_partition(name, key)
    instance.add_dynamic_partitions(name, wanted)


def range_tags(period_keys: Sequence[str]) -> dict[str, str]:
    """Run tags that select every period in one run."""
    ordered = sorted(period_keys)
    return {RANGE_START_TAG: ordered[0], RANGE_END_TAG: ordered[-1]}
