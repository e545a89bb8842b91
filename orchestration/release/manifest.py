"""datapackage.json: what a release holds, in the frictionless Data Package form.

Belongs here: names, types, units, descriptions, row counts and hashes as data. Does not belong here: writing tables.
Parquet resources come first, one per table; the CSV of a table is a resource of its own with the same schema. The
hash of warehouse.duckdb stands in checksums.sha256 only: that file is not byte-reproducible, the manifest is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestration.release.audit_record import AuditRecord
from orchestration.release.files import sha256_of
from orchestration.release.tables import Column, Table

MANIFEST = "datapackage.json"
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


def make_manifest(folder: Path, tables: Sequence[Table], release_id: str, record: AuditRecord) -> Mapping[str, Any]:
    """The manifest of the release whose Parquet and CSV files stand in a folder."""
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
            for table in tables
            if not is_for_spreadsheets(table)
        },
        "resources": [
            *(_parquet_resource(folder, table) for table in tables),
            *(_csv_resource(folder, table) for table in tables if is_for_spreadsheets(table)),
        ],
    }


def _parquet_resource(folder: Path, table: Table) -> dict[str, Any]:
    path = f"parquet/{table.name}.parquet"
    return {
        "name": table.name,
        "type": "table",
        "path": path,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        **_content(folder / path, table),
    }


def _csv_resource(folder: Path, table: Table) -> dict[str, Any]:
    path = f"csv/{table.name}.csv"
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
