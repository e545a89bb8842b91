"""The job of the warehouse.

Belongs here: what a refresh runs. Does not belong here: when it runs (`schedules`, `sensors`), and pulls (`pulls`).
"""

from __future__ import annotations

import dagster as dg

from orchestration.defs.promises import RETRY_STRATEGY_TAG

# What is asked of the API has jobs of its own: a refresh works on what has landed, and pulls go by other partitions.
PULL_GROUP = "pulls"

refresh = dg.define_asset_job(
    name="refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(PULL_GROUP),
    # Whole again after a crash: publication takes only what its own execution audited; unchanged work is skipped.
    tags={RETRY_STRATEGY_TAG: "ALL_STEPS"},
    description="Land, contract, reconcile, build, audit and publish: everything, skipping what is unchanged.",
)
