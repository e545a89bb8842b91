"""Suites of the gate as asset checks.

Belongs here: making one check per threshold, running a suite, telling a refusal. Does not belong here: what is
checked and where the bounds stand (`expectations`). A check of severity `error` blocks what comes after it in the
same run; publication reads the stored audit record besides, because blocking ends with the run.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from expectations.model import CheckResult
from expectations.thresholds import load_thresholds
from orchestration.alerts import gate_refused
from orchestration.defs.resources import Warehouse, WarehouseParameter
from orchestration.pipeline.gates import gate_inputs, run_gate


def suite_checks(
    suite: str,
    asset_key: dg.AssetKey,
    needs_staging: bool = False,
    look: Callable[[Warehouse], Mapping[str, dg.MetadataValue]] | None = None,
) -> dg.AssetChecksDefinition:
    """All checks of one suite on the asset that ends its stage.

    `look` makes pictures of the whole asset once nothing is refused. They are kept once per run, as an observation: as
    metadata of a materialisation they would be kept once per period.
    """
    thresholds = [t for t in load_thresholds().values() if t.suite == suite]
    specs = [
        dg.AssetCheckSpec(
            name=t.check_name,
            asset=asset_key,
            blocking=t.severity == "error",
            description=f"{t.why_it_matters} Bound: {t.threshold:g} {t.unit}, since {t.threshold_date}: {t.evidence}",
        )
        for t in thresholds
    ]

    @dg.multi_asset_check(name=f"{suite}_suite", specs=specs, description=f"The suite {suite} of the gate.")
    def _suite(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParameter) -> Iterator[dg.AssetCheckResult]:
        run_id = warehouse.plan.run_id
        inputs = gate_inputs(warehouse.settings, warehouse.paths, run_id, needs_staging)
        results = run_gate(suite, inputs, warehouse.paths, run_id, context.run.run_id, warehouse.judge)
        _tell_refusal(warehouse, suite, run_id, results)
        for result in results:
            yield dg.AssetCheckResult(
                asset_key=asset_key,
                check_name=result.check_name,
                passed=result.passed,
                severity=_severity(result),
                description=result.message,
                metadata=_metadata(result),
            )
        if look is not None and not _refused(results):
            seen = dg.AssetObservation(asset_key=asset_key, metadata=look(warehouse))
            context.op_execution_context.log_event(seen)

    return _suite


def _refused(results: list[CheckResult]) -> list[CheckResult]:
    return [r for r in results if not r.passed and r.severity == "error"]


def _severity(result: CheckResult) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN


def _metadata(result: CheckResult) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {
        "threshold": dg.MetadataValue.text(result.threshold_text),
        "failing_count": dg.MetadataValue.int(result.failing_count),
        "failing_sample": dg.MetadataValue.text(result.failing_sample),
    }
    if result.figure is not None:
        found["figure"] = dg.MetadataValue.float(result.figure)
    return found


def _tell_refusal(warehouse: Warehouse, suite: str, run_id: str, results: list[CheckResult]) -> None:
    failed = _refused(results)
    if failed:
        warehouse.alerts.tell(gate_refused(warehouse.paths, suite, run_id, failed))
