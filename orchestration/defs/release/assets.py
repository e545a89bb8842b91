"""The staged marts, the audit record and the published release.

Belongs here: the order export, audit, publish, and what each step tells. Does not belong here: how a release is
written or refused (`orchestration.release`), or what is checked (`expectations`).
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.alerts import publication_refused
from orchestration.defs.gates import suite_checks
from orchestration.defs.marts.translator import Translator
from orchestration.defs.metadata import gate_figures, leads_by_grade
from orchestration.defs.resources import CPU_POOL, OWNERS, PUBLISH_POOL, WarehouseParameter
from orchestration.pipeline.gates import write_audit_results
from orchestration.pipeline.releases import export_run, list_releases, prune_runs, publish_run, record_audit
from orchestration.release import PublicationRefused

STAGED = dg.AssetKey(["release", "staged_marts"])
AUDIT_RESULTS = dg.AssetKey(["release", "audit_results"])
AUDIT_MART = dg.AssetKey(["marts", "mart_audit_result"])
PUBLISHED = dg.AssetKey(["release", "published"])
GROUP = "release"


def public_mart_keys(manifest: Path) -> list[dg.AssetKey]:
    """Keys of the public models that stand in the staging database before the gate speaks."""
    translator = Translator()
    nodes: dict[str, dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    public = [
        node
        for node in nodes.values()
        if node["resource_type"] == "model" and node["access"] == "public" and "audit" not in node["tags"]
    ]
    return sorted((translator.get_asset_key(node) for node in public), key=lambda key: key.path)


def staged_marts(manifest: Path) -> dg.AssetsDefinition:
    """The asset that exports the public tables of the staging database, in a fixed row order."""

    @dg.asset(
        key=STAGED,
        deps=public_mart_keys(manifest),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        pool=CPU_POOL,
    )
    def _staged(warehouse: WarehouseParameter) -> dg.MaterializeResult:
        """Public tables of this run as Parquet in a fixed row order: what the gate judges and publication takes."""
        summary = export_run(warehouse.settings, warehouse.paths, warehouse.plan.run_id)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(summary.row_counts.values()),
                "tables": len(summary.row_counts),
                "rows_per_table": dict(summary.row_counts),
                "content_hash": summary.content_hash,
            }
        )

    return _staged


mart_checks = suite_checks("marts", STAGED, needs_staging=True)


@dg.asset(key=AUDIT_RESULTS, deps=[STAGED], group_name=GROUP, owners=OWNERS, kinds={"parquet"}, pool=CPU_POOL)
def audit_results(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """Every check of this execution with its figure and verdict, and the record that publication re-reads."""
    run_id, execution_id = warehouse.plan.run_id, context.run.run_id
    results = write_audit_results(warehouse.paths, run_id, execution_id)
    record_audit(warehouse.settings, warehouse.paths, run_id, execution_id, warehouse.plan.input_fingerprint)
    failed = [r for r in results if not r.passed]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(results),
            "errors": sum(r.severity == "error" for r in failed),
            "warnings": sum(r.severity == "warning" for r in failed),
            "gate_figures": gate_figures(results),
        }
    )


@dg.asset(
    key=PUBLISHED,
    deps=[AUDIT_RESULTS, AUDIT_MART, STAGED],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb", "parquet", "csv"},
    pool=PUBLISH_POOL,
)
def published_release(context: dg.AssetExecutionContext, warehouse: WarehouseParameter) -> dg.MaterializeResult:
    """The release analysts query: written whole beside the published one, then the pointer is swapped. Refused
    unless this very execution left a clean audit record.
    """
    run_id = warehouse.plan.run_id
    try:
        release = publish_run(warehouse.settings, warehouse.paths, run_id, context.run.run_id)
    except PublicationRefused as refusal:
        warehouse.alerts.tell(publication_refused(warehouse.paths, run_id, str(refusal)))
        raise dg.Failure(description=str(refusal), allow_retries=False) from refusal
    removed = prune_runs(warehouse.paths, run_id)
    return dg.MaterializeResult(
        metadata={
            "release_id": release.release_id,
            "path": dg.MetadataValue.path(str(release.path)),
            "is_new": release.is_new,
            "removed_run_folders": len(removed),
            "alerts_raised": warehouse.alerts.tell_release(release.release_id),
            "dagster/row_count": sum(release.row_counts.values()),
            **leads_by_grade(list_releases(warehouse.paths)),
        }
    )
