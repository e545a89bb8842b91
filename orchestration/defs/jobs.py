"""The one job of the warehouse.

Belongs here: what a refresh runs. Does not belong here: when it runs (`schedules`, `sensors`).
"""

from __future__ import annotations

import dagster as dg

from orchestration.defs.partitions import PERIODS

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all(),
    partitions_def=PERIODS,
    description="Land, contract, reconcile, build, audit and publish: everything, skipping what is unchanged.",
)
