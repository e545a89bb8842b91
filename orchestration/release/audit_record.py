"""The stored audit record: every check of one execution and the hash of the export it speaks about.

Belongs here: its form, writing and reading it. Does not belong here: what follows from it (`refusals`) or how checks
are made (`expectations`). It holds no setting and no clock; the only thing in it that differs between two executions
on the same input is the id of the execution, which the published copy leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from expectations.model import CheckResult
from orchestration.release.errors import ReleaseError
from orchestration.release.files import json_text, write_durably

DBT_SUITE = "dbt_tests"


@dataclass(frozen=True)
class AuditRecord:
    """What was audited (source, input, method, export) and what every check said, ordered by suite and check."""

    run_id: str
    execution_id: str
    source: str
    input_fingerprint: str
    method_version: str
    export_hash: str
    checks: tuple[CheckResult, ...]

    @property
    def names(self) -> frozenset[str]:
        """Checks in the record as `suite.check_name`."""
        return frozenset(check_id(check) for check in self.checks)


def check_id(check: CheckResult) -> str:
    """A check as `suite.check_name`."""
    return f"{check.suite}.{check.check_name}"


def write_record(path: Path, record: AuditRecord) -> None:
    """Store a record; a reader sees the earlier one or the whole new one."""
    write_durably(path, json_text(_as_json(record)))


def read_record(path: Path) -> AuditRecord:
    """The stored record. Raises ReleaseError when there is none or it cannot be read."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        checks = tuple(_check_from(row) for row in said.pop("checks"))
        return AuditRecord(**said, checks=checks)
    except FileNotFoundError as error:
        raise ReleaseError(f"There is no audit record at {path}.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"The audit record {path} cannot be read ({error!r}).") from error


def published_form(record: AuditRecord, release_id: str) -> str:
    """The record as audit.json of a release: equal for every execution on the same input."""
    said = _as_json(record)
    del said["execution_id"]
    return json_text({"release_id": release_id, **said})


def published_checks(path: Path) -> tuple[CheckResult, ...]:
    """The checks of a release's audit.json. Raises ReleaseError when it cannot be read."""
    try:
        return tuple(_check_from(row) for row in json.loads(path.read_text(encoding="utf-8"))["checks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"The audit of a release cannot be read ({path}: {error!r}), so it is not known what was checked. Roll "
            "back to a release that verifies, or restore the file from a backup."
        ) from error


def _as_json(record: AuditRecord) -> dict[str, Any]:
    said = {key: value for key, value in asdict(record).items() if key != "checks"}
    ordered = sorted(record.checks, key=lambda check: (check.suite, check.check_name))
    return {**said, "checks": [_check_as_json(check) for check in ordered]}


def _check_as_json(check: CheckResult) -> dict[str, Any]:
    return {**asdict(check), "failing_sample": json.loads(check.failing_sample)}


def _check_from(row: Mapping[str, Any]) -> CheckResult:
    sample = json.dumps(row["failing_sample"], ensure_ascii=False, sort_keys=True)
    return CheckResult(**{**row, "failing_sample": sample})
