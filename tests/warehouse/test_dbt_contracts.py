"""Every public model keeps its promises: enforced contract, grain, key, tests, marks; and no column drifts.

Belongs here: rules about the manifest, and the comparison of declared with real columns. Does not belong here: the
content of tables (dbt's own tests) and names of columns (`test_naming`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")

Manifest = dict[str, Any]
Columns = dict[str, dict[str, str]]
FLOW = "model.mirror_warehouse.fct_mirror_flow"
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "double": "DOUBLE", "date": "DATE", "boolean": "BOOLEAN"}
LAYERS = {"staging": "protected", "intermediate": "private", "marts": "public"}


def broken_promises(manifest: Manifest) -> list[str]:
    """What a public model lacks, as 'model: problem'; and models whose access is not that of their layer."""
    bad: list[str] = []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        layer = node["fqn"][1]
        if node["access"] != LAYERS.get(layer):
            bad.append(f"{node['name']}: access {node['access']} in layer {layer}")
        if not node["group"]:
            bad.append(f"{node['name']}: no group owns it")
        if node["access"] == "public":
            bad += [f"{node['name']}: {problem}" for problem in _problems_of(node, manifest)]
    return bad


def _problems_of(node: Manifest, manifest: Manifest) -> list[str]:
    key = node["config"]["meta"].get("primary_key", [])
    columns = node["columns"]
    tests = [one for one in manifest["nodes"].values() if one.get("attached_node") == node["unique_id"]]
    key_tests = [one for one in tests if one["test_metadata"]["name"] == "primary_key"]
    never_null = {n for n, c in columns.items() if any(one["type"] == "not_null" for one in c["constraints"])}
    problems = {
        "no enforced contract": not node["config"]["contract"]["enforced"],
        "no grain sentence": not node["description"].startswith("One "),
        "no primary key": not key,
        "its key holds a column it does not have": not set(key) <= set(columns),
        "its key may be NULL": not set(key) <= never_null,
        "its key is not tested": not any(one["test_metadata"]["kwargs"]["columns"] == key for one in key_tests),
        "nothing but its key is tested": len(tests) <= len(key_tests),
        "a column has no type": any(not column["data_type"] for column in columns.values()),
        "it does not name its run and method": not {"run_id", "method_version"} <= set(columns),
    }
    return [problem for problem, is_there in problems.items() if is_there]


def drift(manifest: Manifest, real: Columns) -> list[str]:
    """Columns that are declared and not there, there and not declared, or of another type or order."""
    bad: list[str] = []
    for node in manifest["nodes"].values():
        # An ephemeral model only stands in the SQL of others: nothing of it is in the database.
        if node["resource_type"] not in ("model", "seed") or node["config"]["materialized"] == "ephemeral":
            continue
        declared, found = node["columns"], real.get(f"{node['schema']}.{node['name']}", {})
        bad += [f"{node['name']}.{c} is declared and not there" for c in declared if c not in found]
        bad += [f"{node['name']}.{c} is there and not declared" for c in found if c not in declared]
        for name, column in declared.items():
            kind = TYPES.get(column["data_type"] or "", found.get(name))
            if name in found and kind != found[name]:
                bad.append(f"{node['name']}.{name} is declared {column['data_type']} and is {found[name]}")
        if node.get("access") == "public" and [c for c in declared if c in found] != [
            c for c in found if c in declared
        ]:
            bad.append(f"{node['name']} is in another order than declared")
    return bad


def real_columns(warehouse: Warehouse) -> Columns:
    """Types of the columns in the database, by schema and table."""
    with duckdb.connect(str(warehouse.database), read_only=True) as con:
        rows = con.execute(
            "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and not internal order by 1, column_index"
        ).fetchall()
    found: Columns = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


def test_public_models_keep_their_promises_when_the_project_is_built(warehouse: Warehouse) -> None:
    assert broken_promises(dict(warehouse.manifest)) == []


def test_declared_and_real_columns_agree_when_the_project_is_built(warehouse: Warehouse) -> None:
    assert drift(dict(warehouse.manifest), real_columns(warehouse)) == []


def _drop_column_constraint(node: Manifest) -> None:
    node["columns"]["mirror_flow_id"]["constraints"] = []


BREAKS: dict[str, Callable[[Manifest], Any]] = {
    "no enforced contract": lambda node: node["config"]["contract"].update(enforced=False),
    "no grain sentence": lambda node: node.update(description="Mirror pairs."),
    "no primary key": lambda node: node["config"]["meta"].clear(),
    "its key holds a column it does not have": lambda node: node["config"]["meta"].update(primary_key=["flow_key"]),
    "its key may be NULL": _drop_column_constraint,
    "its key is not tested": lambda node: node["config"]["meta"].update(primary_key=["frequency", "period"]),
    "a column has no type": lambda node: node["columns"]["status"].update(data_type=None),
    "it does not name its run and method": lambda node: node["columns"].pop("run_id"),
    "access protected in layer marts": lambda node: node.update(access="protected"),
    "no group owns it": lambda node: node.update(group=None),
}


@pytest.mark.parametrize("problem", BREAKS)
def test_a_broken_promise_is_found_when_the_manifest_is_edited(warehouse: Warehouse, problem: str) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    BREAKS[problem](edited["nodes"][FLOW])
    assert f"fct_mirror_flow: {problem}" in broken_promises(edited)


def test_a_model_without_tests_is_found_when_its_tests_are_removed(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    edited["nodes"] = {
        name: node
        for name, node in edited["nodes"].items()
        if node.get("attached_node") != FLOW or node["test_metadata"]["name"] == "primary_key"
    }
    assert broken_promises(edited) == ["fct_mirror_flow: nothing but its key is tested"]


def test_drift_is_found_when_a_declared_column_is_not_there(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    edited["nodes"][FLOW]["columns"]["invented_usd"] = {"name": "invented_usd", "data_type": "double"}
    assert drift(edited, real_columns(warehouse)) == ["fct_mirror_flow.invented_usd is declared and not there"]


def test_drift_is_found_when_a_real_column_is_not_declared(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    del edited["nodes"][FLOW]["columns"]["status"]
    del edited["nodes"]["model.mirror_warehouse.stg_comtrade__coverage"]["columns"]["flow_code"]
    assert sorted(drift(edited, real_columns(warehouse))) == [
        "fct_mirror_flow.status is there and not declared",
        "stg_comtrade__coverage.flow_code is there and not declared",
    ]


def test_drift_is_found_when_type_or_order_differ(warehouse: Warehouse) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    columns = edited["nodes"][FLOW]["columns"]
    columns["status"]["data_type"] = "bigint"
    columns["frequency"] = columns.pop("frequency")
    assert sorted(drift(edited, real_columns(warehouse))) == [
        "fct_mirror_flow is in another order than declared",
        "fct_mirror_flow.status is declared bigint and is VARCHAR",
    ]
