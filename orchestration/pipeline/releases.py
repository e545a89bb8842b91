"""The last stages of a run: export, audit record, publication; and what is published now.

Belongs here: which folders and which required checks these stages take. Does not belong here: how a release is made
(`orchestration.release`) or what is checked (`expectations`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expectations import required_checks
from orchestration.pipeline.gates import dbt_results, primary_keys, results_of_run
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import write_bytes
from orchestration.reconcile import METHOD_VERSION
from orchestration.release import refusals
from orchestration.release.audit_record import AuditRecord, read_record, write_record
from orchestration.release.build import Content
from orchestration.release.checksums import verify_release
from orchestration.release.engine import session
from orchestration.release.errors import PublicationRefused, Reason, ReleaseError
from orchestration.release.export import ExportSummary, export_tables, read_export, state_of
from orchestration.release.publish import publish, roll_back
from orchestration.release.published import PublishedRelease, all_releases, read_release
from orchestration.release.store import latest_id
from orchestration.release.tables import AUDIT_TABLE, release_id_of
from orchestration.settings import Settings

__all__ = [
    "export_run",
    "list_releases",
    "nothing_to_publish",
    "prune_runs",
    "publish_run",
    "published_fingerprint",
    "published_release",
    "record_audit",
    "rollback",
    "verify_release",
]


def export_run(settings: Settings, paths: DataPaths, run_id: str) -> ExportSummary:
    """Export every public table of the run but the audit mart, which the gate has yet to fill."""
    keys = primary_keys(_manifest_path(settings))
    return export_tables(paths.staging_db(run_id), keys, lambda table: table != AUDIT_TABLE, paths.export(run_id))


def record_audit(
    settings: Settings, paths: DataPaths, run_id: str, execution_id: str, input_fingerprint: str
) -> AuditRecord:
    """Store what the gate and the model tests of this execution said, and about which export.

    Raises ReleaseError when there is no export, or the staging database was written to after it.
    """
    export = read_export(paths.export(run_id))
    staging = paths.staging_db(run_id)
    if not staging.is_file() or state_of(staging) != export.staging_state:
        raise ReleaseError(
            f"The staging database of {run_id} is not the one that was exported, so the gate may have judged other "
            "rows than would be published. Export again, then start the gate."
        )
    record = AuditRecord(
        run_id=run_id,
        execution_id=execution_id,
        source=settings.source,
        input_fingerprint=input_fingerprint,
        method_version=METHOD_VERSION,
        export_hash=export.content_hash,
        checks=tuple(results_of_run(paths, run_id, execution_id) + dbt_results(paths, run_id, execution_id)),
    )
    write_record(paths.audit_record(run_id), record)
    return record


def publish_run(settings: Settings, paths: DataPaths, run_id: str, execution_id: str) -> PublishedRelease:
    """Publish the audited export of this execution. Raises PublicationRefused with every reason against it."""
    record = _stored_record(paths, run_id)
    _refuse(run_id, refusals.identity_reasons(record, run_id, execution_id, settings.source))
    export, audit_mart = _exports(settings, paths, run_id)
    tables = (*export.tables, *audit_mart.tables)
    manifest = _manifest_path(settings)
    public = set(primary_keys(manifest))
    reasons = refusals.check_reasons(record, required_checks(), required_tests(manifest))
    reasons += refusals.export_reasons(record, export, paths.export(run_id), public - {AUDIT_TABLE})
    reasons += refusals.table_reasons(tables, run_id, record.method_version)
    with session(paths.run(run_id), threads=1) as con:
        reasons += refusals.audit_mart_reasons(con, _audit_export(paths, run_id) / f"{AUDIT_TABLE}.parquet", record)
    _refuse(run_id, reasons)
    content = Content(
        release_id=release_id_of(tables),
        tables=sorted(tables, key=lambda table: table.name),
        exported={table.name: paths.export(run_id) / f"{table.name}.parquet" for table in export.tables}
        | {AUDIT_TABLE: _audit_export(paths, run_id) / f"{AUDIT_TABLE}.parquet"},
        record=record,
        previous=None,
    )
    return publish(paths.releases, content, paths.run(run_id) / "release.building", settings.keep_releases)


def published_fingerprint(paths: DataPaths) -> str | None:
    """Fingerprint of the input that the published release was made from; None when nothing is published."""
    latest = latest_id(paths.releases)
    return read_release(paths.releases / latest).input_fingerprint if latest else None


def published_release(paths: DataPaths) -> PublishedRelease:
    """The release that readers see now. Raises ReleaseError when nothing is published."""
    latest = latest_id(paths.releases)
    if latest is None:
        raise ReleaseError(f"Nothing is published in {paths.releases} yet. Make a release with: make run")
    return read_release(paths.releases / latest)


def list_releases(paths: DataPaths) -> tuple[PublishedRelease, ...]:
    """Releases on disk in the order of publication, the published one at the end."""
    return all_releases(paths.releases)


def rollback(paths: DataPaths, release_id: str) -> PublishedRelease:
    """Point readers at another release on disk after verifying it.

    The one rolled back from is withheld: the input it was made from does not publish it again by itself.
    """
    before = latest_id(paths.releases)
    release = roll_back(paths.releases, release_id)
    withheld = _withheld(paths)
    if before is not None and before != release_id:
        withheld[before] = read_release(paths.releases / before).input_fingerprint
    withheld.pop(release_id, None)
    write_bytes(_withheld_file(paths), json.dumps(withheld, indent=1, sort_keys=True).encode())
    return release


def nothing_to_publish(paths: DataPaths, fingerprint: str) -> str:
    """Why a run on this input would publish nothing that should be; empty when it would."""
    if published_fingerprint(paths) == fingerprint:
        return f"release {latest_id(paths.releases)} was made from this very input and code; nothing new to publish"
    on_disk = [one for one, its in _withheld(paths).items() if its == fingerprint and (paths.releases / one).is_dir()]
    if on_disk:
        return (
            f"release {on_disk[0]} was made from this very input and code, and was rolled back; it would be published "
            f"again; mend the input, or point at it again with make rollback RELEASE={on_disk[0]}"
        )
    return ""


def _withheld_file(paths: DataPaths) -> Path:
    return paths.root / "withheld.json"


def _withheld(paths: DataPaths) -> dict[str, str]:
    """Input fingerprints of releases that were rolled back from, by release."""
    file = _withheld_file(paths)
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def prune_runs(paths: DataPaths, run_id: str) -> list[str]:
    """Remove the folders of runs that neither are this one nor made a release on disk; returns which went.

    A run leaves a staging database and two exports; only those of releases that can still be rolled back to are kept.
    """
    kept = {run_id} | {release.run_id for release in all_releases(paths.releases)}
    gone = [folder for folder in sorted(paths.runs.glob("run-*")) if folder.name not in kept]
    for folder in gone:
        shutil.rmtree(folder)
    return [folder.name for folder in gone]


def required_tests(manifest: Path) -> tuple[str, ...]:
    """Names of dbt's tests on public models that the gate precedes: what an audit record must hold."""
    nodes: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    models = {one: node for one, node in nodes.items() if node["resource_type"] == "model"}
    after_gate = {one for one, node in models.items() if "audit" in node.get("tags", ())}
    public = {one for one, node in models.items() if node.get("config", {}).get("meta", {}).get("primary_key")}
    found = set()
    for one, node in nodes.items():
        parents = set(node.get("depends_on", {}).get("nodes", ()))
        if node["resource_type"] == "test" and parents & public and not parents & after_gate:
            found.add(one.split(".")[2])
    return tuple(sorted(found))


def _stored_record(paths: DataPaths, run_id: str) -> AuditRecord:
    try:
        return read_record(paths.audit_record(run_id))
    except ReleaseError as error:
        raise PublicationRefused(
            run_id,
            [
                Reason(
                    str(error),
                    "Only what this very execution audited may reach analysts; a publication launched alone has "
                    "audited nothing.",
                    "Start the run with its gate; publication comes after it by itself.",
                )
            ],
        ) from error


def _exports(settings: Settings, paths: DataPaths, run_id: str) -> tuple[ExportSummary, ExportSummary]:
    """The audited export, and the audit mart that was built after it."""
    keys = primary_keys(_manifest_path(settings))
    try:
        export = read_export(paths.export(run_id))
        audit_mart = export_tables(
            paths.staging_db(run_id), keys, lambda table: table == AUDIT_TABLE, _audit_export(paths, run_id)
        )
    except ReleaseError as error:
        why = "A release is whole or it is none: every public table and the audit mart go out together."
        mend = "Start the run again from the marts; the audit mart is built after the gate."
        raise PublicationRefused(run_id, [Reason(str(error), why, mend)]) from error
    return export, audit_mart


def _refuse(run_id: str, reasons: list[Reason]) -> None:
    if reasons:
        raise PublicationRefused(run_id, reasons)


def _audit_export(paths: DataPaths, run_id: str) -> Path:
    return paths.run(run_id) / "export_audit"


def _manifest_path(settings: Settings) -> Path:
    return settings.dbt_dir / "target" / "manifest.json"
