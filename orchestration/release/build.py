"""The whole content of a release folder, written where no reader looks.

Belongs here: stamping the release id on the audited export and writing every form of it. Does not belong here:
deciding whether it may be published (`refusals`) and showing it to readers (`publish`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.release.audit_record import AuditRecord, published_checks, published_form
from orchestration.release.change_tables import write_change_tables
from orchestration.release.changes import Side, describe_changes
from orchestration.release.checksums import write_checksums
from orchestration.release.content import content_checksum
from orchestration.release.database import write_database
from orchestration.release.engine import copy_to_parquet, name, scan, session, text
from orchestration.release.files import json_text, seal, write_text
from orchestration.release.manifest import (
    MANIFEST,
    Listing,
    field_type,
    is_for_spreadsheets,
    make_manifest,
    told_checksums,
)
from orchestration.release.tables import CHANGES_SCHEMA, RELEASE_ID, SCHEMA, Table

DATABASE = "warehouse.duckdb"
AUDIT = "audit.json"
CHANGES = "CHANGES.md"


@dataclass(frozen=True)
class Content:
    """What goes into a release: its tables, where the export of each stands, the audit, the release before it."""

    release_id: str
    tables: Sequence[Table]
    exported: Mapping[str, Path]
    record: AuditRecord
    previous: Path | None


def build_release(folder: Path, content: Content) -> None:
    """Write a release folder, read-only and on disk; whatever stood there before is removed.

    Everything but warehouse.duckdb and the line of its hash is byte for byte the same for the same content.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("parquet", "csv", CHANGES_SCHEMA):
        (folder / part).mkdir(parents=True)
    with session(folder.parent) as con:
        for table in content.tables:
            _stamp(con, content, table, folder)
        new, old = _sides(con, folder, content)
        changes = write_change_tables(con, folder / CHANGES_SCHEMA, new, old)
        # Side by side, because neither keeps more than one core busy.
        with con.cursor() as own, ThreadPoolExecutor(1) as beside:
            spreadsheets = beside.submit(_write_spreadsheets, own, content.tables, folder / "parquet", folder / "csv")
            schemas = {SCHEMA: (content.tables, folder / "parquet"), CHANGES_SCHEMA: (changes, folder / CHANGES_SCHEMA)}
            write_database(con, folder / DATABASE, schemas)
            spreadsheets.result()
        _write_spreadsheets(con, changes, folder / CHANGES_SCHEMA, folder / CHANGES_SCHEMA)
        write_text(folder / CHANGES, describe_changes(con, new, old, content.record.source))
    write_text(folder / AUDIT, published_form(content.record, content.release_id))
    listed = Listing(content.tables, new.content_checksums, changes)
    manifest = make_manifest(folder, listed, content.release_id, content.record)
    write_text(folder / MANIFEST, json_text(manifest))
    write_checksums(folder)
    seal(folder)


def _stamp(con: duckdb.DuckDBPyConnection, content: Content, table: Table, folder: Path) -> None:
    path = folder / "parquet" / f"{table.name}.parquet"
    stamped = f"select *, {text(content.release_id)} as {RELEASE_ID} from {scan(content.exported[table.name])}"
    copy_to_parquet(con, stamped, path)


def _write_spreadsheets(con: duckdb.DuckDBPyConnection, tables: Sequence[Table], parquet: Path, csv: Path) -> None:
    for table in filter(is_for_spreadsheets, tables):
        _write_csv(con, table, parquet / f"{table.name}.parquet", csv / f"{table.name}.csv")


def _write_csv(con: duckdb.DuckDBPyConnection, table: Table, parquet: Path, path: Path) -> None:
    """Text is quoted, so that codes keep their zeros and an empty text is told from NULL (nothing at all)."""
    texts = ", ".join(name(c.name) for c in table.published_columns if field_type(c) == "string")
    con.execute(
        f"copy (from {scan(parquet)}) to {text(path)} "
        f"(format csv, header true, delimiter ',', quote '\"', escape '\"', nullstr '', force_quote ({texts}))"
    )


def _sides(con: duckdb.DuckDBPyConnection, folder: Path, content: Content) -> tuple[Side, Side | None]:
    """The stamped release and the one before it, as the comparison takes them."""
    old, parquet = content.previous, folder / "parquet"
    checksums = {
        table.name: content_checksum(con, parquet / f"{table.name}.parquet", table.columns) for table in content.tables
    }
    after = Side(content.release_id, parquet, content.record.checks, checksums)
    if old is None:
        return after, None
    return after, Side(old.name, old / "parquet", published_checks(old / AUDIT), told_checksums(old))
