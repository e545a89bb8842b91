"""Running a suite of the gate and keeping its results for the audit record.

Belongs here: where the gate finds the data and where its results go. Does not belong here: what is checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from expectations.model import CheckResult, GateInputs
from expectations.runner import write_results
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import write_bytes
from orchestration.release.published import last_release_before
from orchestration.settings import Settings

SuiteRunner = Callable[[str, GateInputs], list[CheckResult]]
"""Who runs a suite: this process, or one beside it."""
SUITES = ("landed_declarations", "reconciled_flows", "marts")


def gate_inputs(settings: Settings, paths: DataPaths, run_id: str, needs_staging: bool) -> GateInputs:
    """Where the gate of this run finds its data; the staging database only where it is built.

    The run is compared with the last release of another run: done again, it must find what it found the first time.
    """
    return GateInputs(
        contracted_dir=paths.contracted,
        reconciled_dir=paths.reconciled,
        seeds_dir=settings.seeds_dir,
        staging_db=paths.staging_db(run_id) if needs_staging else None,
        last_release_dir=last_release_before(paths.releases, run_id),
        landed_dir=paths.landed,
        source=settings.source,
        refusals_file=paths.refusals,
        doubts_file=paths.doubts if settings.is_pulled else None,
        primary_keys=primary_keys(settings.dbt_dir / "target" / "manifest.json"),
    )


def primary_keys(manifest: Path) -> dict[str, tuple[str, ...]]:
    """Key columns of every public model, from dbt's manifest."""
    nodes: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    found = {}
    for node in nodes.values():
        key = node.get("config", {}).get("meta", {}).get("primary_key")
        if node["resource_type"] == "model" and key:
            found[str(node["name"])] = tuple(key)
    return found


def run_gate(
    suite: str,
    inputs: GateInputs,
    paths: DataPaths,
    run_id: str,
    execution_id: str,
    judge: SuiteRunner,
) -> list[CheckResult]:
    """Run one suite and keep its results under the run, marked with the execution they belong to."""
    results = judge(suite, inputs)
    kept = {"execution_id": execution_id, "results": [vars(result) for result in results]}
    write_bytes(paths.suite_results(run_id, suite), json.dumps(kept, indent=1, sort_keys=True).encode())
    return results


def results_of_run(paths: DataPaths, run_id: str, execution_id: str) -> list[CheckResult]:
    """Results of all suites of this very execution; a suite that did not run in it contributes nothing."""
    found: list[CheckResult] = []
    for suite in SUITES:
        path = paths.suite_results(run_id, suite)
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if kept.get("execution_id") == execution_id:
            found += [CheckResult(**row) for row in kept["results"]]
    return found


def write_audit_results(paths: DataPaths, run_id: str, execution_id: str) -> list[CheckResult]:
    """Write the results of this execution as the Parquet file that the audit mart reads."""
    results = results_of_run(paths, run_id, execution_id) + dbt_results(paths, run_id, execution_id)
    write_results(results, paths.audit_results(run_id))
    return results


def dbt_results(paths: DataPaths, run_id: str, execution_id: str) -> list[CheckResult]:
    """What dbt said of its tests in this execution, as rows of the audit record (suite `dbt_tests`)."""
    path = paths.run(run_id) / "audit" / "dbt_tests.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("execution_id") != execution_id:
        return []
    return [_dbt_result(test) for test in kept["tests"]]


def _dbt_result(test: Mapping[str, Any]) -> CheckResult:
    passed = test["status"] == "pass"
    failing = int(test.get("failures") or 0)
    name = str(test["unique_id"]).split(".")[2]
    return CheckResult(
        suite="dbt_tests",
        check_name=name,
        severity="warning" if test["status"] == "warn" else "error",
        passed=passed,
        figure=float(failing),
        threshold=0.0,
        threshold_text="at most 0 (rows)",
        evidence="An identity or a key: any row that breaks it is a defect.",
        threshold_date="2026-11-24",
        failing_count=failing,
        failing_sample="[]",
        message=f"Holds: {failing}, at most 0 (rows)."
        if passed
        else f"The model breaks {name}: {test.get('message')}. Why it matters: marts would contradict themselves. "
        "How to mend it: run `dbt test --select " + name + "` on the staging file and mend the model.",
    )
