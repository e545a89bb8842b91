"""Names of public columns carry what they hold: unit, valuation, kind of value.

Belongs here: the conventions of the marts as rules over the manifest. Does not belong here: descriptions, contracts.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")

# What a name promises of its type. The first ending that fits decides.
TYPE_OF_NAME = (
    (r"^is_", "boolean"),
    (r"_is_weight_estimated$", "boolean"),
    (r"(_code|_id|_iso2|_iso3|_name|_version|_key|_kind|_role|_revision|_revisions|_file|_format|_source)$", "string"),
    (r"(_usd|_kg|_km|_ratio|_log|_deg|_score|_value)(_p05|_p25|_p75|_p95)?$", "double"),
    (r"(_count|_level|_year|_month|_line)$", "bigint"),
    (r"(_start|_end|_date|^valid_from|^valid_to)$", "date"),
)
# Numbers whose unit stands beside them or who have none, and why.
NUMBERS_WITHOUT_UNIT = {
    "quantity": "unit in quantity_unit_code",
    "exporter_quantity": "unit in exporter_quantity_unit_code",
    "importer_quantity": "unit in importer_quantity_unit_code",
    "figure_value": "meaning in figure_meaning",
    "coefficient": "of the term it stands for",
    "standard_error": "of the coefficient",
    "published_coefficient": "of the term it stands for",
    "figure": "unit in threshold_text",
    "threshold": "unit in threshold_text",
}
TEXT_VALUES = {"quarantine_value"}
_UNIT = re.compile(r"(_usd|_kg|_km|_ratio|_log|_deg|_score|(^|_)p_value|(^|_)q_value)(_p05|_p25|_p75|_p95)?$")
_VALUED = re.compile(r"(^|_)(fob|cif)_(value_)?usd(_per_kg)?(_p05|_p25|_p75|_p95)?$")


def broken_names(manifest: dict[str, Any]) -> list[str]:
    """Public columns whose name, type and valuation do not agree, as 'table.column: problem'."""
    bad: list[str] = []
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["access"] == "public":
            for name, column in node["columns"].items():
                bad += [f"{node['name']}.{name}: {problem}" for problem in _problems(name, column, node["columns"])]
    return bad


def _problems(name: str, column: dict[str, Any], columns: dict[str, Any]) -> list[str]:
    kind = column["data_type"]
    promised = next((kind for pattern, kind in TYPE_OF_NAME if re.search(pattern, name)), kind)
    problems = []
    if promised != kind and name not in TEXT_VALUES:
        problems.append(f"its name promises {promised}, it is {kind}")
    if kind == "double" and not _UNIT.search(name) and name not in NUMBERS_WITHOUT_UNIT:
        problems.append("its name has no unit")
    if "usd" in name and not _VALUED.search(name):
        beside = column["config"]["meta"].get("valuation_column")
        if beside not in columns:
            problems.append("neither FOB nor CIF nor a valuation beside it")
    return problems


def test_names_carry_unit_and_valuation_when_the_project_is_built(warehouse: Warehouse) -> None:
    assert broken_names(dict(warehouse.manifest)) == []


def _column(kind: str, valuation: str | None = None) -> dict[str, Any]:
    meta = {"valuation_column": valuation} if valuation else {}
    return {"data_type": kind, "description": "Invented.", "constraints": [], "config": {"meta": meta}}


@pytest.mark.parametrize(
    ("name", "column", "problem"),
    [
        ("invented", _column("double"), "its name has no unit"),
        ("invented_usd", _column("double"), "neither FOB nor CIF nor a valuation beside it"),
        ("invented_usd", _column("double", "no_such_column"), "neither FOB nor CIF nor a valuation beside it"),
        ("invented_fob_usd", _column("bigint"), "its name promises double, it is bigint"),
        ("invented_code", _column("bigint"), "its name promises string, it is bigint"),
        ("invented_start", _column("string"), "its name promises date, it is string"),
        ("is_invented", _column("string"), "its name promises boolean, it is string"),
        ("invented_count", _column("double"), "its name promises bigint, it is double"),
    ],
)
def test_a_bad_name_is_found_when_a_column_has_it(
    warehouse: Warehouse, name: str, column: dict[str, Any], problem: str
) -> None:
    edited = copy.deepcopy(dict(warehouse.manifest))
    edited["nodes"]["model.mirror_warehouse.fct_declaration"]["columns"][name] = column
    assert f"fct_declaration.{name}: {problem}" in broken_names(edited)
