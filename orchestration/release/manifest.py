"""datapackage.json: what a release holds, in the frictionless Data Package form.

Belongs here: names, types, units, descriptions, row counts and hashes as data. Does not belong here: writing tables.
Parquet resources come first, one per table; the CSV of a table is a resource of its own with the same schema. The
hash of warehouse.duckdb stands in checksums.sha256 only: that file is not byte-reproducible, the manifest is. What
moved since the release before comes last, because it is no part of the content that the release id hashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.release.audit_record import AuditRecord
from orchestration.release.errors import ReleaseError
from orchestration.release.files import sha256_of
from orchestration.release.tables import CHANGES_SCHEMA, Column, Table

MANIFEST = "datapackage.json"
CONTENT = "content_checksum"
"""Entry of a resource: checksum of what the table says, apart from the ids of run and release."""
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
CSV_ROW_LIMIT = 1_048_575
"""Rows that Excel and LibreOffice hold beside the header."""
CSV_CELL_LIMIT = 10_000_000
"""Cells that Google Sheets holds; beyond it the others become unusable too."""

_TYPES = {
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "FLOAT": "number",
    "DOUBLE": "number",
    "DATE": "date",
    "TIMESTAMP": "datetime",
}
_NUMERIC = ("integer", "number")
_UNITS = (
    ("_usd", "USD"),
    ("_kg", "kg"),
    ("_log_ratio", "natural logarithm"),
    ("_log", "natural logarithm"),
    ("_ratio", "1"),
    ("_count", "count"),
    ("_deg", "degree"),
    ("_year", "calendar year"),
    ("z_score", "standard deviations"),
    ("p_value", "1"),
    ("q_value", "1"),
)
_QUANTILE = re.compile(r"_p\d\d$")


@dataclass(frozen=True)
class Listing:
    """What a manifest lists: the tables, the checksum of each one's content, and the tables of changes."""

    tables: Sequence[Table]
    content_checksums: Mapping[str, str]
    changes: Sequence[Table]


def field_type(column: Column) -> str | None:
    """The frictionless type of a column; None for types that a release does not carry."""
    return _TYPES.get(column.data_type)


def unit_of(column: Column) -> str | None:
    """The unit that stands in the name of a numeric column; None where the name tells none."""
    if field_type(column) not in _NUMERIC:
        return None
    stem = _QUANTILE.sub("", column.name)
    if stem.endswith("quantity"):
        return f"as in {stem}_unit_code"
    return next((unit for ending, unit in _UNITS if stem.endswith(ending)), None)


def is_for_spreadsheets(table: Table) -> bool:
    """Whether a spreadsheet holds the table; larger ones are published as Parquet and in the database only."""
    return table.row_count <= CSV_ROW_LIMIT and _cells(table) <= CSV_CELL_LIMIT


def _cells(table: Table) -> int:
    return table.row_count * len(table.published_columns)


def told_checksums(release: Path) -> Mapping[str, str]:
    """Content checksums by table as a release's manifest tells them; empty where it tells none.

    Raises ReleaseError when it cannot be read.
    """
    try:
        said = json.loads((release / MANIFEST).read_text(encoding="utf-8"))["resources"]
        return {one["name"]: one[CONTENT] for one in said if one["format"] == "parquet" and CONTENT in one}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"The manifest of release {release.name} cannot be read ({error!r}), so it is not known which tables are "
            "unchanged since. Move the damaged release away; if it is the published one, roll back to another first."
        ) from error


def make_manifest(folder: Path, listed: Listing, release_id: str, record: AuditRecord) -> Mapping[str, Any]:
    """The manifest of the release whose Parquet and CSV files stand in a folder."""
    tables, sheets = listed.tables, [table for table in listed.tables if is_for_spreadsheets(table)]
    moved, moved_sheets = listed.changes, [table for table in listed.changes if is_for_spreadsheets(table)]
    checksums = listed.content_checksums
    return {
        "$schema": PROFILE,
        "name": "mirror-warehouse",
        "id": release_id,
        "title": "Mirror statistics of international trade, reconciled",
        "description": "Both declarations of every shipment side by side, with the reconciled value. Gaps are "
        "exporter minus importer. A statistical anomaly is not a finding about anyone.",
        "release_id": release_id,
        "run_id": record.run_id,
        "source": record.source,
        "input_fingerprint": record.input_fingerprint,
        "method_version": record.method_version,
        "row_counts": {table.name: table.row_count for table in tables},
        "left_out_of_csv": {
            table.name: f"{table.row_count} rows, {_cells(table)} cells; spreadsheets hold {CSV_ROW_LIMIT} rows and "
            f"{CSV_CELL_LIMIT} cells. Use the Parquet file or warehouse.duckdb."
            for table in (*tables, *moved)
            if not is_for_spreadsheets(table)
        },
        "resources": [
            *(_parquet_resource(folder, "parquet", table) | {CONTENT: checksums[table.name]} for table in tables),
            *(_csv_resource(folder, "csv", table) | {CONTENT: checksums[table.name]} for table in sheets),
            *(_parquet_resource(folder, CHANGES_SCHEMA, table) for table in moved),
            *(_csv_resource(folder, CHANGES_SCHEMA, table) for table in moved_sheets),
        ],
    }


def _parquet_resource(folder: Path, part: str, table: Table) -> dict[str, Any]:
    path = f"{part}/{table.name}.parquet"
    return {
        "name": table.name,
        "type": "table",
        "path": path,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        **_content(folder / path, table),
    }


def _csv_resource(folder: Path, part: str, table: Table) -> dict[str, Any]:
    path = f"{part}/{table.name}.csv"
    return {
        "name": f"{table.name}-csv",
        "type": "table",
        "path": path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        **_content(folder / path, table),
    }


def _content(path: Path, table: Table) -> dict[str, Any]:
    return {
        "description": table.description,
        "rows": table.row_count,
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_of(path)}",
        "schema": {
            "fields": [_field(column, table.primary_key) for column in table.published_columns],
            "primaryKey": list(table.primary_key),
            "missingValues": [""],
        },
    }


def _field(column: Column, key: tuple[str, ...]) -> dict[str, Any]:
    unit = unit_of(column)
    return {
        "name": column.name,
        "type": field_type(column),
        **({"unit": unit} if unit else {}),
        "description": column.description,
        **({"constraints": {"required": True}} if column.name in key else {}),
    }
