"""Public tables as data: columns with type and description, key, rows, hash.

Belongs here: the words for a table that is exported and published, and the id of a release. Does not belong here:
reading or writing tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "marts"
CHANGES_SCHEMA = "changes"
"""Schema of what moved since the release before, and its folder in a release: no part of the hashed content."""
AUDIT_TABLE = "mart_audit_result"
RELEASE_ID = "release_id"
RELEASE_ID_DESCRIPTION = "Id of the release that holds the row: a hash of the content of all its tables."
RUN_COLUMNS = ("run_id", "method_version")
ID_DIGITS = 16


@dataclass(frozen=True)
class Column:
    """One column; `data_type` in DuckDB's words, `description` empty where there is none."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One exported table: rows in the order of its key, `sha256` of its Parquet bytes.

    `primary_key` is empty where the models name none. `run_ids` and `method_versions` are the distinct values found
    in the rows (at most three).
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    row_count: int
    sha256: str
    run_ids: tuple[str, ...]
    method_versions: tuple[str, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the table's order."""
        return tuple(column.name for column in self.columns)

    @property
    def published_columns(self) -> tuple[Column, ...]:
        """Columns as analysts see them: the release id stands last."""
        return (*self.columns, Column(RELEASE_ID, "VARCHAR", RELEASE_ID_DESCRIPTION))


def table_from(row: Mapping[str, Any]) -> Table:
    """A table from its JSON form."""
    lists = ("primary_key", "run_ids", "method_versions")
    return Table(
        **{**row, **{one: tuple(row[one]) for one in lists}, "columns": tuple(Column(**c) for c in row["columns"])}
    )


def content_hash(tables: Iterable[Table]) -> str:
    """SHA-256 over everything that is known of the tables: names, types, descriptions, keys, rows, bytes."""
    ordered = sorted((asdict(table) for table in tables), key=lambda table: str(table["name"]))
    return hashlib.sha256(json.dumps(ordered, sort_keys=True).encode()).hexdigest()


def release_id_of(tables: Iterable[Table]) -> str:
    """The id of the release with these tables: a hash of their Parquet content, before the id is stamped on it."""
    pairs = sorted((table.name, table.sha256) for table in tables)
    return "r-" + hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:ID_DIGITS]
