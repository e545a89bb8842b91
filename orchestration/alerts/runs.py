"""Alerts on runs that published nothing: a refused gate, a refused publication, a failure, a pull that ended early.

Belongs here: their words and the file that shows the facts (there is no release to query). Does not belong here: the
verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from expectations.model import CheckResult
from orchestration.alerts.model import Alert
from orchestration.pipeline.paths import DataPaths
from orchestration.release.engine import scan_json


def gate_refused(paths: DataPaths, suite: str, run_id: str, failed: Sequence[CheckResult]) -> Alert:
    """A suite of the gate refused a run; `failed` are its failed checks of severity error."""
    kept = paths.suite_results(run_id, suite)
    checks = f"{len(failed)} check" + ("s" if len(failed) != 1 else "")
    said = "\n".join(f"- {one.check_name}: {one.message}" for one in failed)
    return Alert(
        kind="gate_refused",
        subject=suite,
        message=f"{checks} of {suite} refused the run {run_id}; what analysts see is unchanged.\n{said}",
        release_id=run_id,
        query="select c.check_name, c.figure, c.threshold_text, c.failing_count, c.message, c.failing_sample "
        f"from (select unnest(results) as c from {scan_json(kept)}) where not c.passed and c.severity = 'error'",
        facts={"suite": suite, "file": str(kept), "checks": ", ".join(one.check_name for one in failed)},
    )


def publication_refused(paths: DataPaths, run_id: str, refusal: str) -> Alert:
    """A run may not be published; `refusal` holds every reason."""
    record = paths.audit_record(run_id)
    message = f"The run {run_id} was refused publication; what analysts see is unchanged.\n{refusal}"
    return Alert(
        "publication_refused", run_id, message, run_id, f"Open the audit record {record}", {"file": str(record)}
    )


def run_failed(paths: DataPaths, run_id: str, execution_id: str, job: str, reason: str) -> Alert:
    """An execution of a run failed; run_id is empty where it failed before it was planned."""
    of_run = run_id or execution_id
    facts = {"job": job, "execution": execution_id}
    where = f"Open {paths.said(run_id)}" if run_id else "Open the execution in the orchestrator's page (make dev)"
    message = f"The run {of_run} failed; what analysts see is unchanged.\n{reason}"
    return Alert("run_failed", execution_id, message, of_run, where, facts)


def pull_stopped(paths: DataPaths, pull_id: str, why: str, data_sets_left: int) -> Alert:
    """A pull ended before everything available had landed; what had landed is kept."""
    message = (
        f"A pull ended early, {data_sets_left:,} data sets are still to land; what analysts see is unchanged.\n{why}"
    )
    facts = {"data_sets_left": str(data_sets_left), "file": str(paths.pull / "availability.json")}
    return Alert("pull_stopped", pull_id, message, pull_id, "See what is left with: make plan SOURCE=api", facts)
