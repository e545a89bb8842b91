"""Statistics of product families on reconciled flows, for the signals that the models make of them.

Does not belong here: formulas (`orchestration.passages`) or the loop over periods (`orchestration.pipeline`).
"""

import dagster as dg

from orchestration.defs.reconciliation.assets import FLOWS, code_of
from orchestration.defs.resources import CPU_POOL, OWNERS, WarehouseParameter
from orchestration.pipeline.passages import find_passages

STATISTICS = dg.AssetKey(["passages", "family_statistics"])


@dg.asset(
    key=STATISTICS,
    deps=[dg.AssetDep(FLOWS, partition_mapping=dg.AllPartitionMapping())],
    group_name="passages",
    owners=OWNERS,
    kinds={"parquet", "scipy"},
    pool=CPU_POOL,
)
def family_statistics(warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Flows of product families, their changes against their own baseline and placebo goods, and the months at which
    their series break.
    """
    counts = find_passages(warehouse.paths, warehouse.plan.period_keys, warehouse.reference, code_of(warehouse))
    return dg.MaterializeResult(metadata={f"{name}_rows": count for name, count in counts.items()})
