"""The whole project builds: every seed, model, data test and unit test.

Belongs here: what dbt itself says of the build. Does not belong here: what the models must look like.
"""

from __future__ import annotations

import pytest

from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")


def test_everything_builds_and_passes_when_the_world_is_sound(warehouse: Warehouse) -> None:
    sound = {"model": "success", "seed": "success", "test": "pass", "unit_test": "pass", "exposure": "no-op"}
    wrong = {
        name: f"{one['status']}: {one['message']}"
        for name, one in warehouse.results.items()
        if one["status"] != sound[name.split(".")[0]]
    }
    assert wrong == {}


def test_nothing_is_left_out_when_the_project_is_built(warehouse: Warehouse) -> None:
    nodes = warehouse.manifest["nodes"]
    asked = {*nodes, *warehouse.manifest["unit_tests"], *warehouse.manifest["exposures"]}
    inlined = {name for name, node in nodes.items() if node["config"]["materialized"] == "ephemeral"}
    assert inlined == {"model.mirror_warehouse.stg_audit__results"}
    assert set(warehouse.results) == asked - inlined
