"""The gates: what must be true of declarations, reconciled flows and marts before analysts may see them.

Belongs here: the suites as functions, each check with its threshold, evidence and reason (`thresholds.csv`),
and a thin runner. Does not belong here: cleaning or repairing data (`orchestration.comtrade`), anything of
the orchestrator, and the decision to publish (`orchestration.release` reads the stored results and decides).

Great Expectations has no engine for DuckDB or Polars. It is given bounded pandas batches: small tables whole,
large ones as counts of violations per period, distinct codes or single figures, computed in DuckDB over the
Parquet files. A sample of the failing rows (at most 20, in a fixed order) goes with every result.
"""

from expectations.model import CheckResult, GateError, GateInputs
from expectations.runner import SUITES, required_checks, run_suite, to_frame, write_results

__all__ = [
    "SUITES",
    "CheckResult",
    "GateError",
    "GateInputs",
    "required_checks",
    "run_suite",
    "to_frame",
    "write_results",
]
