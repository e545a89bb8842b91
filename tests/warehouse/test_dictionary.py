"""The data dictionary says what the models say, and docs/data_dictionary.md is what the models say now.

Belongs here: the generated page. Does not belong here: the descriptions themselves (`test_descriptions`).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from orchestration.pipeline.dictionary import data_dictionary, dictionary_of, grain_of, public_models
from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")


def _manifest() -> dict[str, Any]:
    column = {
        "data_type": "string",
        "description": "A code | of\nsomething.",
        "constraints": [],
        "config": {"meta": {}},
    }
    money = {"data_type": "double", "description": "Money.", "constraints": [], "config": {"meta": {}}}
    filed = money | {"config": {"meta": {"valuation_column": "valuation"}}}
    return {
        "nodes": {
            "model.p.b": {
                "name": "fct_b",
                "resource_type": "model",
                "config": {"access": "public", "meta": {"primary_key": ["code"]}},
                "description": "One b. And more.",
                "columns": {
                    "code": column | {"constraints": [{"type": "not_null"}]},
                    "value_usd": filed,
                    "value_fob_usd_p05": money,
                },
            },
            "model.p.a": {
                "name": "int_a",
                "resource_type": "model",
                "config": {"access": "private", "meta": {}},
                "description": "One a.",
                "columns": {},
            },
        }
    }


def test_the_page_holds_public_tables_with_key_type_unit_and_valuation_when_it_is_written() -> None:
    page = dictionary_of(_manifest())
    assert "- [fct_b](#fct_b): One b.\n" in page
    assert "## fct_b\n\nOne b. And more.\n\nKey: `code`\n" in page
    assert "| `code` | string, never NULL |  |  | A code \\| of something. |" in page
    assert "| `value_usd` | double | USD | `valuation` | Money. |" in page
    assert "| `value_fob_usd_p05` | double | USD | FOB | Money. |" in page
    assert "int_a" not in page


def test_the_page_is_the_same_when_the_manifest_lists_its_nodes_in_another_order(warehouse: Warehouse) -> None:
    turned = copy.deepcopy(dict(warehouse.manifest))
    turned["nodes"] = dict(reversed(list(turned["nodes"].items())))
    assert dictionary_of(turned) == dictionary_of(warehouse.manifest)


def test_every_public_column_stands_on_the_page_when_it_is_written(warehouse: Warehouse) -> None:
    page = data_dictionary(warehouse.manifest_path)
    for node in public_models(warehouse.manifest):
        section = page.split(f"## {node['name']}\n", 1)[1].split("\n## ", 1)[0]
        assert [name for name in node["columns"] if f"| `{name}` | " not in section] == []
        assert section.strip().startswith(grain_of(node))


def test_the_committed_page_is_the_generated_one_when_the_models_are_read(
    warehouse: Warehouse, project_dir: Path
) -> None:
    committed = (project_dir / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert committed == data_dictionary(warehouse.manifest_path), "run `make docs` and commit docs/data_dictionary.md"
