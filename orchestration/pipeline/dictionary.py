"""The data dictionary: every public table and column in Markdown, written from dbt's manifest.

Belongs here: turning the manifest into a page. Does not belong here: any description (`dbt_project/models`) or
prose. The same manifest gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestration.release.manifest import unit_of
from orchestration.release.tables import Column

_HEAD = """# Data dictionary

<!-- Written by `make docs` from dbt_project/models; edit the descriptions there. -->

Every public table of a release, schema `marts`. The first sentence of a table is its grain: what one row is.

- NULL means not reported; 0 means reported as zero.
- Gaps are exporter minus importer everywhere.
- Money is in USD. *valued as* says FOB or CIF where the name does; otherwise the value stands as filed, and the column
  named there says whether that was FOB or CIF.
- Publication adds `release_id` to every table: the id of the release that holds the row.
"""
# dbt's portable names of types, in DuckDB's words.
_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "double": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}


def data_dictionary(manifest: Path) -> str:
    """The page for the manifest at a path, as text."""
    return dictionary_of(json.loads(manifest.read_text(encoding="utf-8")))


def dictionary_of(manifest: Mapping[str, Any]) -> str:
    """The page for a manifest that was read, as Markdown.

    Public tables are models of access `public`, in name order; columns in the table's own order.
    """
    models = sorted(public_models(manifest), key=lambda node: str(node["name"]))
    index = "\n".join(f"- [{node['name']}](#{node['name']}): {grain_of(node)}" for node in models)
    tables = "\n\n".join(_table(node) for node in models)
    return f"{_HEAD}\n{index}\n\n{tables}\n"


def public_models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models that analysts see."""
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"].get("access", node.get("access")) == "public"
    ]


def grain_of(node: Mapping[str, Any]) -> str:
    """The first sentence of a description, which says what one row is."""
    text = _one_line(node["description"])
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def _table(node: Mapping[str, Any]) -> str:
    key = ", ".join(f"`{column}`" for column in node["config"]["meta"]["primary_key"])
    rows = (_column(name, column) for name, column in node["columns"].items())
    return (
        f"## {node['name']}\n\n{_one_line(node['description'])}\n\nKey: {key}\n\n"
        "| column | type | unit | valued as | description |\n| --- | --- | --- | --- | --- |\n" + "\n".join(rows)
    )


def _column(name: str, column: Mapping[str, Any]) -> str:
    required = any(one["type"] == "not_null" for one in column.get("constraints", ()))
    valuation = column.get("config", {}).get("meta", {}).get("valuation_column", "")
    cells = (
        f"`{name}`",
        f"{column['data_type']}{', never NULL' if required else ''}",
        unit_of(Column(name, _TYPES[column["data_type"]], column["description"])) or "",
        f"`{valuation}`" if valuation else _valuation_in(name),
        _one_line(column["description"]),
    )
    return _row(cells)


def _valuation_in(name: str) -> str:
    return next((word.upper() for word in ("fob", "cif") if f"_{word}_" in f"_{name}" and "_usd" in name), "")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _one_line(text: str) -> str:
    return " ".join(text.split())
