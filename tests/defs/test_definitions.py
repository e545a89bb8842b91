"""The graph: its keys, job, schedule and sensors, and what every part of it must carry.

The lists are snapshots on purpose: adding or renaming an asset is seen in review.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from expectations.thresholds import load_thresholds
from orchestration.defs.build import build_definitions
from orchestration.defs.marts.assets import BUILD
from orchestration.pipeline.dbt import ensure_manifest
from orchestration.settings import Settings

STAGES = {
    "declarations/landed",
    "declarations/contracted",
    "reconciliation/pairs",
    "reconciliation/parameters",
    "reconciliation/mirror_flows",
    "passages/family_statistics",
    "release/staged_marts",
    "release/audit_results",
    "release/published",
}
PARTITIONED = {"declarations/contracted", "reconciliation/pairs", "reconciliation/mirror_flows"}
PUBLIC_MARTS = {
    "dim_control", "dim_period", "dim_place", "dim_place_role", "dim_product", "dim_product_family",
    "dim_source_file", "fct_declaration", "fct_mirror_flow", "fct_mirror_total", "fct_nes_reallocation",
    "fct_reporter_coverage",
    "mart_audit_result", "mart_cif_model", "mart_conservation", "mart_revision", "mart_discrepancy",
    "mart_quarantine", "mart_reporter_reliability", "mart_unit_value",
    "mart_corridor_profile", "mart_lead_evidence", "mart_lead_explanation",
    "mart_passage_lead", "mart_place_profile", "mart_placebo_rate",
    "mart_product_profile", "mart_signal_decoy_swap", "mart_signal_flow_conservation",
    "mart_signal_implausible_demand", "mart_signal_lost_in_transit", "mart_signal_mirror_gap",
    "mart_signal_new_product", "mart_signal_roundabout", "mart_signal_route_displacement",
    "mart_signal_structural_break", "mart_signal_surge", "mart_signal_totals_lost_in_transit",
    "mart_signal_unit_value",
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The graph on a data folder of its own."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    return build_definitions(settings, ensure_manifest(settings.dbt_dir))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> dg.AssetGraph:
    """Its assets and checks."""
    return definitions.resolve_asset_graph()


def _names(keys: object) -> set[str]:
    return {key.to_user_string() for key in keys}  # type: ignore[attr-defined]


def test_assets_are_those_agreed_when_the_graph_is_built(graph: dg.AssetGraph) -> None:
    names = _names(graph.materializable_asset_keys)
    assert names >= STAGES
    assert {name.removeprefix("marts/") for name in names if name.startswith("marts/")} == PUBLIC_MARTS
    assert {name.split("/")[0] for name in names} == {
        "declarations", "reconciliation", "passages", "release", "marts", "staging", "intermediate", "seeds",
    }  # fmt: skip


def test_every_asset_says_who_owns_it_and_what_it_holds_when_the_page_is_read(graph: dg.AssetGraph) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.owners, key
        assert node.group_name != "default", key
        assert (node.description or "").strip(), key


def test_periods_are_partitions_run_in_one_go_when_backfilled(graph: dg.AssetGraph) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.is_partitioned == (key.to_user_string() in PARTITIONED), key
        if node.is_partitioned:
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), key


def test_every_asset_waits_for_a_pool_when_it_computes(graph: dg.AssetGraph) -> None:
    for key in graph.materializable_asset_keys:
        assert graph.get(key).pools, key


def test_every_threshold_is_a_check_that_blocks_exactly_when_it_is_an_error(graph: dg.AssetGraph) -> None:
    checks = {key.name: graph.get(key) for key in graph.asset_check_keys}
    for threshold in load_thresholds().values():
        assert checks[threshold.check_name].blocking == (threshold.severity == "error"), threshold.check_name
        assert threshold.why_it_matters in (checks[threshold.check_name].description or "")


def test_dbt_tests_are_checks_when_the_graph_is_built(graph: dg.AssetGraph) -> None:
    names = {key.name for key in graph.asset_check_keys}
    assert "fct_mirror_flow_rows_have_one_key_each" in names
    assert "unit_test" in BUILD


def test_nothing_is_published_before_the_gates_when_the_graph_is_followed(graph: dg.AssetGraph) -> None:
    published = dg.AssetKey(["release", "published"])
    before = _names(graph.get_ancestor_asset_keys(published))
    assert before >= STAGES - {"release/published"}
    assert before >= {f"marts/{name}" for name in PUBLIC_MARTS}


def test_jobs_schedules_and_sensors_are_those_agreed_when_the_location_starts(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {"refresh"}
    assert {schedule.name for schedule in repository.schedule_defs} == {"monthly_refresh"}
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    running = {"failed_runs", "leads_changed", "alerts_delivery"}  # they start no run
    assert set(sensors) >= {"new_files", *running}
    assert {sensors[name] for name in running} == {dg.DefaultSensorStatus.RUNNING}
    assert sensors["new_files"] == dg.DefaultSensorStatus.STOPPED


def test_workspace_names_the_location_when_the_page_is_opened(project_dir: Path) -> None:
    text = (project_dir / "workspace.yaml").read_text(encoding="utf-8")
    assert "module_name: orchestration.definitions" in text
