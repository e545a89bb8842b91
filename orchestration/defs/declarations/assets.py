"""Landed and contracted declarations.

Does not belong here: formats and rules (`orchestration.comtrade`), or the loop over files (`orchestration.pipeline`).
"""

import dagster as dg

from orchestration.defs.gates import suite_checks
from orchestration.defs.metadata import landed_by_period, look_at_contracted, period_metadata
from orchestration.defs.partitions import PERIODS
from orchestration.defs.promises import READ_AGAIN, refusals_are_final
from orchestration.defs.resources import CPU_POOL, OWNERS, WarehouseParameter
from orchestration.pipeline.declarations import contract_periods, deliveries_of_run, land
from orchestration.pipeline.plan import code_fingerprint
from orchestration.pipeline.storage import combine
from orchestration.reference import reference_fingerprint

LANDED = dg.AssetKey(["declarations", "landed"])
CONTRACTED = dg.AssetKey(["declarations", "contracted"])


@dg.asset(
    key=LANDED,
    group_name="declarations",
    owners=OWNERS,
    kinds={"parquet", "polars"},
    pool=CPU_POOL,
    retry_policy=READ_AGAIN,
)
def landed_declarations(warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Filed rows as they came: immutable Parquet, one file per reporter, frequency, period, classification and
    data-set version, with a ledger. Files that cannot be read are refused one by one with their reason.
    """
    with refusals_are_final():
        warehouse.require_unchanged_input()
        summary = land(warehouse.settings, warehouse.paths, warehouse.reference, warehouse.plan.input_fingerprint)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": summary.row_count,
            "value_usd": summary.value_usd,
            "deliveries": len(summary.delivery_ids),
            "newly_landed_deliveries": summary.newly_landed_count,
            "by_period": landed_by_period(deliveries_of_run(warehouse.settings, warehouse.paths)),
            "replaced_data_sets": {name: " and ".join(successors) for name, successors in summary.replaced.items()},
            "refused_files": {r.source_file: f"{r.what} {r.how_to_mend}" for r in summary.refusals},
        }
    )


@dg.asset(
    key=CONTRACTED,
    deps=[LANDED],
    partitions_def=PERIODS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="declarations",
    owners=OWNERS,
    kinds={"parquet", "polars"},
    pool=CPU_POOL,
)
def contracted_declarations(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Declarations after the source contract: one row per filed row with its account (pair, total, special or
    quarantine), control totals with coverage, reporter coverage, and revisions between deliveries.
    """
    warehouse.require_unchanged_input()
    settings, paths = warehouse.settings, warehouse.paths
    code = combine(reference_fingerprint(settings.seeds_dir, settings.distances), code_fingerprint())
    summaries = contract_periods(
        paths,
        deliveries_of_run(settings, paths),
        context.partition_keys,
        warehouse.plan.period_keys,
        warehouse.reference,
        code,
    )
    return dg.MaterializeResult(metadata=period_metadata(context, CONTRACTED, summaries))


declaration_checks = suite_checks("landed_declarations", CONTRACTED, look=look_at_contracted)
