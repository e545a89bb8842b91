"""Mirror pairs, parameters and reconciled flows.

Does not belong here: formulas (`orchestration.reconcile`) or the loop over periods (`orchestration.pipeline`).
"""

import dagster as dg

from orchestration.defs.declarations.assets import CONTRACTED
from orchestration.defs.gates import suite_checks
from orchestration.defs.metadata import look_at_flows, period_metadata
from orchestration.defs.partitions import PERIODS
from orchestration.defs.resources import CPU_POOL, OWNERS, Warehouse, WarehouseParameter
from orchestration.pipeline.plan import code_fingerprint
from orchestration.pipeline.reconciliation import fit_parameters, pair_periods, reconcile_periods
from orchestration.pipeline.storage import combine
from orchestration.reference import reference_fingerprint

PAIRS = dg.AssetKey(["reconciliation", "pairs"])
PARAMETERS = dg.AssetKey(["reconciliation", "parameters"])
FLOWS = dg.AssetKey(["reconciliation", "mirror_flows"])
SINGLE_RUN = dg.BackfillPolicy.single_run()
GROUP = "reconciliation"


def code_of(warehouse: Warehouse) -> str:
    """Fingerprint of the reference tables and of the code that decides what a run computes."""
    return combine(
        reference_fingerprint(warehouse.settings.seeds_dir, warehouse.settings.distances), code_fingerprint()
    )


@dg.asset(
    key=PAIRS,
    deps=[CONTRACTED],
    partitions_def=PERIODS,
    backfill_policy=SINGLE_RUN,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet", "polars"},
    pool=CPU_POOL,
)
def mirror_pairs(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Both declarations of every flow side by side, with the status that tells nonreporting from silent. A year
    also takes the months of reporters that filed all twelve but no annual set.
    """
    keys = warehouse.plan.period_keys
    summaries = pair_periods(warehouse.paths, context.partition_keys, keys, warehouse.reference, code_of(warehouse))
    return dg.MaterializeResult(metadata=period_metadata(context, PAIRS, summaries))


@dg.asset(
    key=PARAMETERS,
    deps=[dg.AssetDep(PAIRS, partition_mapping=dg.AllPartitionMapping())],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet", "scipy"},
    pool=CPU_POOL,
)
def parameters(warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """The margin between CIF and FOB, and each reporter's bias and error spread as exporter and as importer, fitted
    over all periods without the watched products and the suspect corridors.
    """
    keys = warehouse.plan.period_keys
    counts = fit_parameters(warehouse.paths, keys, warehouse.reference, code_of(warehouse))
    return dg.MaterializeResult(metadata={f"{name}_rows": count for name, count in counts.items()})


@dg.asset(
    key=FLOWS,
    deps=[PAIRS, PARAMETERS],
    partitions_def=PERIODS,
    backfill_policy=SINGLE_RUN,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet", "polars"},
    pool=CPU_POOL,
)
def mirror_flows(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Reconciled flows with their intervals, and corridor totals from both sides."""
    summaries = reconcile_periods(
        warehouse.paths, context.partition_keys, warehouse.reference, code_of(warehouse), warehouse.settings.method
    )
    return dg.MaterializeResult(metadata=period_metadata(context, FLOWS, summaries))


flow_checks = suite_checks("reconciled_flows", FLOWS, look=look_at_flows)
