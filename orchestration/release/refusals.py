"""Why a run may not be published: every reason, from the stored audit record and the bytes of the export.

Belongs here: the judgement, as functions that return reasons. Does not belong here: making checks (`expectations`) or
publishing (`publish`). An empty answer is the only way to publication.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import duckdb

from expectations.model import CheckResult
from orchestration.release.audit_record import DBT_SUITE, AuditRecord, check_id
from orchestration.release.engine import scan
from orchestration.release.errors import Reason
from orchestration.release.export import ExportSummary
from orchestration.release.files import sha256_of
from orchestration.release.manifest import field_type
from orchestration.release.tables import AUDIT_TABLE, RELEASE_ID, RUN_COLUMNS, Table

_RUN_AGAIN = "Start the run again from the marts, with its gate, in one execution."
_SHOWN = 10


def identity_reasons(record: AuditRecord, run_id: str, execution_id: str, source: str) -> list[Reason]:
    """The record must be this very run's, this very execution's and of this source."""
    facts = (
        ("run", record.run_id, run_id),
        ("execution", record.execution_id, execution_id),
        ("source", record.source, source),
    )
    return [
        Reason(
            f"The stored audit record is of another {what}: {said}, not {wanted}.",
            "A verdict on other data, or on an earlier attempt, says nothing about what would be published now.",
            _RUN_AGAIN,
        )
        for what, said, wanted in facts
        if said != wanted
    ]


def check_reasons(
    record: AuditRecord, required_checks: Collection[str], required_tests: Collection[str]
) -> list[Reason]:
    """Every required check and model test must be there, and none of severity error may have failed."""
    reasons = [_failed(check) for check in record.checks if _stops(check, required_checks)]
    absent = sorted(set(required_checks) - record.names)
    if absent:
        reasons.append(
            Reason(
                f"{len(absent)} required checks are absent from the audit record: {_listed(absent)}.",
                "A check that was not made must not count as passed.",
                _RUN_AGAIN,
            )
        )
    tests = {check.check_name for check in record.checks if check.suite == DBT_SUITE}
    missing = sorted(set(required_tests) - tests)
    if missing or not tests:
        reasons.append(
            Reason(
                f"Tests of the models are absent from the audit record: {_listed(missing) or 'there is none at all'}.",
                "Keys and identities of the public tables would be published untested.",
                "Build the marts with `dbt build`, which tests them, not with `dbt run`; then start the gate again.",
            )
        )
    return reasons


def export_reasons(
    record: AuditRecord, export: ExportSummary, folder: Path, public_tables: Collection[str]
) -> list[Reason]:
    """The export must hold every public table, be the one that was audited, and have its very bytes."""
    reasons = []
    absent = sorted(set(public_tables) - set(export.row_counts))
    if absent:
        reasons.append(
            Reason(
                f"Public tables are missing: {_listed(absent)}.",
                "Whoever reads them would find them gone without a word.",
                "Build all public models (`dbt build`) and look why these were left out or failed.",
            )
        )
    if export.content_hash != record.export_hash:
        reasons.append(_other_bytes("The export is not the one that was audited: their hashes differ."))
    changed = sorted(table.name for table in export.tables if _hash_or_none(folder, table) != table.sha256)
    if changed:
        reasons.append(
            _other_bytes(f"Exported files were changed or lost since they were audited: {_listed(changed)}.")
        )
    return reasons


def table_reasons(tables: Iterable[Table], run_id: str, method_version: str) -> list[Reason]:
    """Every table must be described, keyed, of publishable types, and made by this run with this method."""
    reasons = []
    for table in tables:
        reasons += _form_reasons(table)
        for column, found, wanted in (
            ("run_id", table.run_ids, run_id),
            ("method_version", table.method_versions, method_version),
        ):
            if column in table.column_names and any(value != wanted for value in found):
                reasons.append(
                    Reason(
                        f"{table.name} holds rows whose {column} is {_listed(found)}, not {wanted}.",
                        "Rows of another run or method would be published under this one's name.",
                        "Build the marts again from the beginning; a staging database is never continued.",
                    )
                )
    return reasons


def audit_mart_reasons(con: duckdb.DuckDBPyConnection, path: Path, record: AuditRecord) -> list[Reason]:
    """The audit mart that analysts will read must say what the stored record says."""
    columns = "suite, check_name, severity, is_passed, figure, failing_count"
    why = "Analysts would read other verdicts than those the release rests on."
    mend = f"Build {AUDIT_TABLE} again after the gate of this execution, then publish."
    try:
        told = set(con.execute(f"select {columns} from {scan(path)}").fetchall())
    except duckdb.Error as error:
        return [Reason(f"{AUDIT_TABLE} cannot be read: {str(error).splitlines()[0]}.", why, mend)]
    stored = {(c.suite, c.check_name, c.severity, c.passed, c.figure, c.failing_count) for c in record.checks}
    differing = sorted({".".join(str(part) for part in row[:2]) for row in told ^ stored})
    if not differing:
        return []
    what = f"{AUDIT_TABLE} and the stored audit record say different things about: {_listed(differing)}."
    return [Reason(what, why, mend)]


def _stops(check: CheckResult, required: Collection[str]) -> bool:
    return not check.passed and (check.severity == "error" or check_id(check) in required)


def _failed(check: CheckResult) -> Reason:
    return Reason(
        f"The check {check_id(check)} failed ({check.failing_count} failing rows). {check.message}",
        "A check of severity error stands between a defect and everybody who reads the release.",
        "Mend the cause and start the run again; a limit is moved only with new evidence, in its own table.",
    )


def _other_bytes(what: str) -> Reason:
    return Reason(what, "What was never checked would be published as checked.", _RUN_AGAIN)


def _form_reasons(table: Table) -> list[Reason]:
    undescribed = [column.name for column in table.columns if not column.description.strip()]
    unknown = [f"{column.name} ({column.data_type})" for column in table.columns if field_type(column) is None]
    lacking = [column for column in RUN_COLUMNS if column not in table.column_names]
    found = (
        (
            not table.description.strip() or undescribed,
            f"{table.name} is not described: {_listed(undescribed) or 'the table itself'}.",
            "A figure nobody explains is misread; the release promises every table and column described.",
            "Describe it in dbt_project/models/marts and build again.",
        ),
        (
            not table.primary_key or not set(table.primary_key) <= set(table.column_names),
            f"{table.name} has no primary key among its columns ({_listed(table.primary_key) or 'none named'}).",
            "Without one its row order is not fixed and equal input would give another release id.",
            "Name meta.primary_key in dbt_project/models/marts.",
        ),
        (
            bool(unknown),
            f"{table.name} has columns of a type that a release cannot carry: {_listed(unknown)}.",
            "Parquet, CSV and older DuckDB clients would show other values than were audited.",
            "Cast the column to text, date, boolean, double or a signed 64-bit integer in the model.",
        ),
        (
            bool(lacking),
            f"{table.name} lacks {_listed(lacking)}.",
            "A row that does not say which run and method made it cannot be traced.",
            "End the model's select list with the macro run_columns().",
        ),
        (
            RELEASE_ID in table.column_names,
            f"{table.name} already has a column {RELEASE_ID}.",
            "The id is known only when all content is; publication adds it.",
            "Leave the column out of the model.",
        ),
    )
    return [Reason(what, why, mend) for is_wrong, what, why, mend in found if is_wrong]


def _hash_or_none(folder: Path, table: Table) -> str | None:
    path = folder / f"{table.name}.parquet"
    return sha256_of(path) if path.is_file() else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
