"""Runs a suite: reads its batches, has them judged, tells the verdicts.

Belongs here: the order of work and the words of a result. Does not belong here: what is checked, and what
follows from a verdict (publication decides that from the stored results).
"""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from expectations.engine import Verdict, judge
from expectations.model import Check, CheckResult, GateError, GateInputs, Suite, Threshold
from expectations.suites.landed_declarations import landed_declarations
from expectations.suites.marts import marts
from expectations.suites.reconciled_flows import reconciled_flows
from expectations.tables import GateTables, open_tables
from expectations.thresholds import load_thresholds, threshold_of, threshold_text

SUITES: dict[str, Callable[[GateTables], Suite]] = {
    "landed_declarations": landed_declarations,
    "reconciled_flows": reconciled_flows,
    "marts": marts,
}


def run_suite(name: str, inputs: GateInputs, only: Collection[str] | None = None) -> list[CheckResult]:
    """Judge one suite (`landed_declarations`, `reconciled_flows` or `marts`); results in the suite's order.

    `only` names the checks to judge, for looking into a refusal; an audit record that lacks the others lets
    nothing out. Raises GateError when the suite or a named check is unknown or could not be judged at all. A
    table that is absent or a column of the wrong type is not an error of this function but a failed check.
    """
    if name not in SUITES:
        raise GateError(
            f"There is no suite {name!r}. A misspelt gate would let everything pass. Use one of {sorted(SUITES)}."
        )
    with open_tables(inputs) as tables:
        suite = SUITES[name](tables)
        asked = _asked(suite, only)
        thresholds = {check.name: threshold_of(name, check.name) for check in asked}
        comparable = [check for check in asked if check.not_comparable is None]
        wanted = {check.batch for check in comparable}
        batches = {batch: tables.frame(sql) for batch, sql in suite.batches.items() if batch in wanted}
        verdicts = judge(batches, comparable, thresholds)
        return [_result(tables, thresholds[one.name], one, verdicts.get(one.name)) for one in asked]


def required_checks() -> tuple[str, ...]:
    """Every check of severity error as `suite.check_name`: what an audit record must hold to let a release
    out.
    """
    return tuple(sorted(f"{s}.{c}" for (s, c), t in load_thresholds().items() if t.severity == "error"))


def to_frame(results: Iterable[CheckResult]) -> Any:
    """Results as a pyarrow table, ordered by suite and check; no clock in it, equal results give equal
    bytes.
    """
    import pyarrow as pa

    fields = [
        ("suite", pa.string()),
        ("check_name", pa.string()),
        ("severity", pa.string()),
        ("passed", pa.bool_()),
        ("figure", pa.float64()),
        ("threshold", pa.float64()),
        ("threshold_text", pa.string()),
        ("evidence", pa.string()),
        ("threshold_date", pa.date32()),
        ("failing_count", pa.int64()),
        ("failing_sample", pa.string()),
        ("message", pa.string()),
    ]
    ordered = sorted(results, key=lambda one: (one.suite, one.check_name))
    rows = [vars(one) | {"threshold_date": datetime.date.fromisoformat(one.threshold_date)} for one in ordered]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def write_results(results: Iterable[CheckResult], path: Path) -> None:
    """Write the results as zstd Parquet under a temporary name and rename it
    (runs/<run_id>/audit/results.parquet).
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    pq.write_table(to_frame(results), temporary, compression="zstd")
    temporary.replace(path)


def _asked(suite: Suite, only: Collection[str] | None) -> list[Check]:
    if only is None:
        return list(suite.checks)
    unknown = sorted(set(only) - {check.name for check in suite.checks})
    if unknown:
        raise GateError(
            f"The suite {suite.name} has no check {', '.join(unknown)}. A misspelt check would seem to pass. "
            "Use the names in expectations/thresholds.csv."
        )
    return [check for check in suite.checks if check.name in only]


def _result(tables: GateTables, threshold: Threshold, check: Check, verdict: Verdict | None) -> CheckResult:
    limit = threshold_text(threshold, check.judgement)
    sample: list[dict[str, Any]] = []
    if verdict is None:
        failing, message = 0, f"Nothing to compare with: {check.not_comparable}."
    else:
        failing, sample = _failing(tables, check, verdict)
        message = _message(threshold, limit, verdict)
    return CheckResult(
        suite=threshold.suite,
        check_name=check.name,
        severity=threshold.severity,
        passed=verdict is None or verdict.passed,
        figure=None if verdict is None else verdict.figure,
        threshold=threshold.threshold,
        threshold_text=limit,
        evidence=threshold.evidence,
        threshold_date=threshold.threshold_date,
        failing_count=failing,
        failing_sample=json.dumps(sample, ensure_ascii=False, sort_keys=True, default=_json_value),
        message=message,
    )


def _failing(tables: GateTables, check: Check, verdict: Verdict) -> tuple[int, list[dict[str, Any]]]:
    """Rows behind the figure: of a failed check, and of a passed one that tolerated some."""
    tolerated = check.judgement != "at_least" and verdict.figure not in (None, 0.0)
    if check.failing is None or not (tolerated or not verdict.passed):
        return 0, []
    count, rows = tables.failing_rows(check.failing)
    return count, [{name: _finite(value) for name, value in row.items()} for row in rows]


def _message(threshold: Threshold, limit: str, verdict: Verdict) -> str:
    figure = "no figure" if verdict.figure is None else f"{verdict.figure:.6g}"
    if verdict.passed:
        return f"Holds: {figure}, {limit}."
    return (
        f"{threshold.what_is_wrong} Found {figure}, allowed {limit}. Why it matters: "
        f"{threshold.why_it_matters} "
        f"How to mend it: {threshold.how_to_mend}"
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
