"""Every table and column is described, in the project and as a comment in the database, and says one thing.

Belongs here: descriptions. Does not belong here: the grain rule of public models (`test_dbt_contracts`).
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")

# Columns that mean something else in one table than everywhere else, on purpose.
OWN_MEANING = {
    ("dim_product", "valid_from"),
    ("dim_product", "valid_to"),
    ("dim_product_family", "valid_from"),
    ("dim_product_family", "valid_to"),
    ("place_roles", "role"),
    ("mart_reporter_reliability", "role"),
    *((table, column) for table in ("mart_conservation", "mart_quarantine")
      for column in ("frequency", "period", "period_start", "reporter_code", "flow_code")),
    *(("mart_quarantine", column) for column in ("account_reason", "quarantine_field", "quarantine_value")),
}  # fmt: skip


def undescribed(manifest: dict[str, Any]) -> list[str]:
    """Tables, columns, sources and exposures without a description."""
    bad: list[str] = []
    for node in manifest["nodes"].values():
        if node["resource_type"] not in ("model", "seed"):
            continue
        if not node["description"].strip():
            bad.append(node["name"])
        bad += [f"{node['name']}.{n}" for n, c in node["columns"].items() if not c["description"].strip()]
    for kind in ("sources", "exposures"):
        bad += [str(one["name"]) for one in manifest[kind].values() if not one["description"].strip()]
    return bad


def several_meanings(manifest: dict[str, Any]) -> list[str]:
    """Columns of one name with several descriptions, but for those of OWN_MEANING."""
    found: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        for name, column in node.get("columns", {}).items():
            if (node["name"], name) not in OWN_MEANING:
                found.setdefault(name, set()).add(column["description"])
    return sorted(name for name, texts in found.items() if len(texts) > 1)


def without_comment(database: Path) -> list[str]:
    """Tables, views and columns of the database without a comment."""
    with duckdb.connect(str(database), read_only=True) as con:
        rows = con.execute(
            "select table_name as name from duckdb_tables() where trim(coalesce(comment, '')) = '' "
            "union all select view_name from duckdb_views() where not internal and trim(coalesce(comment, '')) = '' "
            "union all select table_name || '.' || column_name from duckdb_columns() "
            "where database_name = current_database() and not internal and trim(coalesce(comment, '')) = '' order by 1"
        ).fetchall()
    return [str(row[0]) for row in rows]


def test_everything_is_described_when_the_project_is_built(warehouse: Warehouse) -> None:
    assert undescribed(dict(warehouse.manifest)) == []


def test_every_description_is_a_comment_when_the_project_is_built(warehouse: Warehouse) -> None:
    assert without_comment(warehouse.database) == []


def test_one_name_has_one_meaning_when_several_tables_hold_it(warehouse: Warehouse) -> None:
    assert several_meanings(dict(warehouse.manifest)) == []


def test_a_missing_description_is_found_when_the_manifest_is_edited(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    edited["nodes"]["seed.mirror_warehouse.flows"]["columns"]["flow_code"]["description"] = " "
    edited["nodes"]["model.mirror_warehouse.int_watched_products"]["description"] = ""
    edited["sources"]["source.mirror_warehouse.comtrade.coverage"]["description"] = ""
    assert sorted(undescribed(edited)) == ["coverage", "flows.flow_code", "int_watched_products"]


def test_a_second_meaning_is_found_when_the_manifest_is_edited(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    edited["nodes"]["model.mirror_warehouse.fct_declaration"]["columns"]["frequency"]["description"] = "Hertz."
    assert several_meanings(edited) == ["frequency"]


def test_a_lost_comment_is_found_when_the_database_is_edited(warehouse: Warehouse, tmp_path: Path) -> None:
    copied = Path(shutil.copy(warehouse.database, tmp_path / "staging.duckdb"))
    with duckdb.connect(str(copied)) as con:
        con.execute("comment on table marts.dim_place is null")
        con.execute("comment on column seeds.flows.flow_code is ' '")
        con.execute("comment on column marts.fct_mirror_flow.status is null")
    assert without_comment(copied) == ["dim_place", "fct_mirror_flow.status", "flows.flow_code"]
