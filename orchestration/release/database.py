"""warehouse.duckdb: the release as one file that any DuckDB client from 1.0 on opens.

Belongs here: making the file from the release's Parquet and proving its form. Does not belong here: what the tables
hold. DuckDB 2 writes a storage version by default that no 1.x client reads, so the version is named and checked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from orchestration.release.engine import name, scan, text
from orchestration.release.errors import ReleaseError
from orchestration.release.tables import Table

STORAGE_VERSION = "v1.0.0"
STORAGE_NUMBER = 64
"""What v1.0.0 is in the header of the file."""

_MAGIC = b"DUCK"
_MAGIC_AT = 8


def write_database(
    con: duckdb.DuckDBPyConnection, path: Path, schemas: Mapping[str, tuple[Sequence[Table], Path]]
) -> None:
    """Create a fresh file with every table of the release, its rows in the Parquet file's order, and all comments.

    `schemas` gives, by name of schema, its tables and the folder of their Parquet files. Raises ReleaseError when the
    file is not what older clients and readers need.
    """
    con.execute(f"attach {text(path)} as release (storage_version {text(STORAGE_VERSION)})")
    for schema, (tables, parquet) in schemas.items():
        con.execute(f"create schema release.{schema}")
        for table in tables:
            rows = f"select * from {scan(parquet / f'{table.name}.parquet')}"
            con.execute(f"create table {_qualified(schema, table)} as {rows}")
    con.execute("begin")
    for schema, (tables, _) in schemas.items():
        for table in tables:
            _describe(con, schema, table)
    con.execute("commit")
    con.execute("checkpoint release")
    con.execute("detach release")
    _prove(path, {schema: tables for schema, (tables, _) in schemas.items()})


def storage_number(path: Path) -> int:
    """The storage version in the header of a DuckDB file. Raises ReleaseError when it is no DuckDB file."""
    with path.open("rb") as handle:
        head = handle.read(_MAGIC_AT + len(_MAGIC) + 8)
    if head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise ReleaseError(f"{path} is not a DuckDB file, so no reader can open it. Publish again.")
    return int(struct.unpack_from("<Q", head, _MAGIC_AT + len(_MAGIC))[0])


def _qualified(schema: str, table: Table) -> str:
    return f"release.{schema}.{name(table.name)}"


def _describe(con: duckdb.DuckDBPyConnection, schema: str, table: Table) -> None:
    qualified = _qualified(schema, table)
    con.execute(f"comment on table {qualified} is {text(table.description)}")
    for column in table.published_columns:
        con.execute(f"comment on column {qualified}.{name(column.name)} is {text(column.description)}")


def _prove(path: Path, schemas: Mapping[str, Sequence[Table]]) -> None:
    """Open the file as a reader does; a wrong file must never reach one."""
    number = storage_number(path)
    if number != STORAGE_NUMBER:
        raise _unusable(path, f"its storage version is {number}, not {STORAGE_NUMBER} ({STORAGE_VERSION})")
    if path.with_name(path.name + ".wal").exists():
        raise _unusable(path, "a part of it still stands in a .wal file beside it")
    with duckdb.connect(str(path), read_only=True) as con:
        for schema, table in ((schema, table) for schema, tables in schemas.items() for table in tables):
            found = con.execute(f"select count(*) from {schema}.{name(table.name)}").fetchall()[0][0]
            if found != table.row_count:
                raise _unusable(path, f"{table.name} has {found} rows, its Parquet file {table.row_count}")
        bare = con.execute(
            "select table_name || '.' || column_name from duckdb_columns() where not internal and "
            "coalesce(trim(comment), '') = '' union all "
            "select table_name from duckdb_tables() where not internal and coalesce(trim(comment), '') = '' order by 1"
        ).fetchall()
    if bare:
        raise _unusable(path, f"these are not described: {', '.join(str(row[0]) for row in bare[:10])}")


def _unusable(path: Path, what: str) -> ReleaseError:
    return ReleaseError(
        f"The database file {path.name} of the new release is not usable: {what}. Readers with older clients or "
        "without the description would be misled, so nothing was published. The pinned DuckDB version may have "
        "changed its defaults: compare orchestration/release/database.py with its release notes."
    )
