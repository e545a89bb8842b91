"""Public tables out of the staging database: Parquet in a fixed row order, and a description of what was exported.

Belongs here: reading the staging database (read only) and writing the export of a run. Does not belong here: judging
it (`refusals`) and the published form (`build`). Nothing is refused here that the gate would name better: a table
without a key or a description is exported as it is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from orchestration.release.engine import copy_to_parquet, name, scan, session, text
from orchestration.release.errors import ReleaseError
from orchestration.release.files import json_text, sha256_of, write_text
from orchestration.release.tables import SCHEMA, Column, Table, content_hash, table_from

DESCRIPTION = "export.json"


@dataclass(frozen=True)
class ExportSummary:
    """What an export holds. `staging_state` tells the staging file it was taken from (bytes, time of change)."""

    tables: tuple[Table, ...]
    staging_state: tuple[int, int]

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows by table."""
        return {table.name: table.row_count for table in self.tables}

    @cached_property
    def content_hash(self) -> str:
        """Hash of all tables; equal staging content gives the same hash."""
        return content_hash(self.tables)


def export_tables(
    staging: Path, keys: Mapping[str, tuple[str, ...]], wanted: Callable[[str], bool], folder: Path
) -> ExportSummary:
    """Write every wanted table of schema marts as <folder>/<table>.parquet, zstd, ordered by its key.

    Equal tables give equal bytes, in whatever order the staging file holds the rows. The folder is replaced as a
    whole. Raises ReleaseError when there is no staging database or no such table.
    """
    if not staging.is_file():
        raise ReleaseError(
            f"There is no staging database at {staging}, so there is nothing to export. Build the marts first."
        )
    state = state_of(staging)
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    with session(building.parent) as con:
        con.execute(f"attach {text(staging)} as staging (read_only)")
        found = {one: columns for one, columns in _columns(con).items() if wanted(one)}
        described = _descriptions(con)
        if not found:
            raise ReleaseError(
                f"The staging database {staging} holds none of the public tables that were asked for in schema "
                f"{SCHEMA}, so there is nothing to export. Build the marts first."
            )
        tables = tuple(
            _export(con, one, described[one], columns, keys.get(one, ()), building / f"{one}.parquet")
            for one, columns in found.items()
        )
    summary = ExportSummary(tables, state)
    write_text(
        building / DESCRIPTION,
        json_text({"staging_state": state, "tables": [asdict(table) for table in tables]}),
    )
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return summary


def read_export(folder: Path) -> ExportSummary:
    """What was exported into a folder. Raises ReleaseError when there is no whole export."""
    try:
        said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        size, changed = said["staging_state"]
        return ExportSummary(tuple(table_from(row) for row in said["tables"]), (int(size), int(changed)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"The export in {folder} is absent or cannot be read ({error!r}), so it is not known what would be "
            "published. Export the staging database again."
        ) from error


def state_of(staging: Path) -> tuple[int, int]:
    """Bytes and time of change of the staging file: enough to see that dbt wrote to it again."""
    stat = staging.stat()
    return stat.st_size, stat.st_mtime_ns


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[Column, ...]]:
    rows = con.execute(
        "select c.table_name, c.column_name, c.data_type, coalesce(c.comment, '') from duckdb_columns() c "
        f"where c.database_name = 'staging' and c.schema_name = {text(SCHEMA)} order by c.table_name, c.column_index"
    ).fetchall()
    found: dict[str, tuple[Column, ...]] = {}
    for table, column, data_type, comment in rows:
        found[table] = (*found.get(table, ()), Column(column, data_type, comment))
    return found


def _descriptions(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    where = f"where database_name = 'staging' and schema_name = {text(SCHEMA)}"
    rows = con.execute(
        f"select table_name, coalesce(comment, '') from duckdb_tables() {where} union all "
        f"select view_name, coalesce(comment, '') from duckdb_views() {where}"
    ).fetchall()
    return dict(rows)


def _export(
    con: duckdb.DuckDBPyConnection,
    table: str,
    description: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    path: Path,
) -> Table:
    names = [column.name for column in columns]
    order = key if key and set(key) <= set(names) else names
    ordered = ", ".join(f"{name(one)} nulls last" for one in order)
    copy_to_parquet(con, f"select * from staging.{name(SCHEMA)}.{name(table)} order by {ordered}", path)
    rows = con.execute(f"select count(*) from {scan(path)}").fetchone()
    return Table(
        name=table,
        description=description,
        columns=columns,
        primary_key=key,
        row_count=int(rows[0]) if rows else 0,
        sha256=sha256_of(path),
        run_ids=_distinct(con, path, "run_id", names),
        method_versions=_distinct(con, path, "method_version", names),
    )


def _distinct(con: duckdb.DuckDBPyConnection, path: Path, column: str, names: list[str]) -> tuple[str, ...]:
    if column not in names:
        return ()
    found = con.execute(f"select distinct cast({column} as varchar) from {scan(path)} order by 1 limit 3").fetchall()
    return tuple("NULL" if row[0] is None else str(row[0]) for row in found)
