"""The words of the gate: what goes in, what a check is, what comes out.

Belongs here: dataclasses shared by suites, engine and runner. Does not belong here: SQL, thresholds, I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]
Judgement = Literal["at_most", "at_least", "columns_equal"]


class GateError(RuntimeError):
    """A suite could not be judged at all; the message says what is wrong, why it matters and how to mend
    it.
    """


@dataclass(frozen=True)
class GateInputs:
    """Where the data of one run stands.

    `staging_db` is needed by the suite `marts` only. `last_release_dir` is the release to compare with
    (None: there is none); comparisons are made only when the release names the same `source`. `landed_dir`
    holds the landed Parquet files, with which conservation is proven. `refusals_file` lists what could not be
    read, `doubts_file` the data sets of the API that may lack rows (None: the source has no such list).
    `primary_keys` maps a public table to its key columns.
    """

    contracted_dir: Path
    reconciled_dir: Path
    seeds_dir: Path
    staging_db: Path | None = None
    last_release_dir: Path | None = None
    landed_dir: Path | None = None
    source: str = ""
    refusals_file: Path | None = None
    doubts_file: Path | None = None
    primary_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Threshold:
    """One row of thresholds.csv: the limit of a check, why this number, since when, and the words of its
    refusal.
    """

    suite: str
    check_name: str
    severity: Severity
    threshold: float
    unit: str
    evidence: str
    threshold_date: str
    what_is_wrong: str
    why_it_matters: str
    how_to_mend: str


@dataclass(frozen=True)
class Check:
    """One expectation: which column of which batch is judged, and how.

    `at_most` judges the sum of a column of counts (batch of several rows) or a single figure (batch of one
    row); `at_least` a single figure; `columns_equal` that `column` and `other_column` agree row by row. `failing`
    is SQL for the rows behind the figure, in a fixed order.
    """

    name: str
    batch: str
    column: str
    judgement: Judgement = "at_most"
    failing: str | None = None
    other_column: str = ""
    not_comparable: str | None = None


@dataclass(frozen=True)
class Suite:
    """A named list of checks and the SQL of the batches they read (batch name -> SQL)."""

    name: str
    batches: Mapping[str, str]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class CheckResult:
    """The verdict on one check: a row of the audit record.

    `figure` is NULL when there was nothing to compare with. `failing_sample` is JSON text: a list of at most
    20 rows.
    """

    suite: str
    check_name: str
    severity: Severity
    passed: bool
    figure: float | None
    threshold: float
    threshold_text: str
    evidence: str
    threshold_date: str
    failing_count: int
    failing_sample: str
    message: str
