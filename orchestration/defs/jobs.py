"""The one job of the warehouse.

Belongs here: what a refresh runs. Does not belong here: when it runs (`schedules`, `sensors`).
"""

from __future__ import annotations

import dagster as dg

from orchestration.defs.promises import RETRY_STRATEGY_TAG
from orchestration.defs.resources import OWNERS

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all(),
    # Whole again after a crash: publication takes only what its own execution audited; unchanged work is skipped.
    tags={RETRY_STRATEGY_TAG: "ALL_STEPS"},
    owners=OWNERS,
    description="Land, contract, reconcile, build, audit and publish: everything, skipping what is unchanged.",
)
