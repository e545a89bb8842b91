"""Every rule written in SQL has a unit test, and every unit test fails when its rule is broken.

Belongs here: which models need a unit test, and breaking their rules in a copy of the project. Does not belong here:
the unit tests themselves (beside the models) and that they pass (`test_build`).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.warehouse.building import Warehouse, results_in, run_dbt

pytestmark = pytest.mark.xdist_group("warehouse")

# Models that only rename, cast and select: there is no rule to test.
WITHOUT_RULE = {
    "dim_place", "dim_place_role", "fct_nes_reallocation", "mart_audit_result", "mart_cif_model",
    "mart_reporter_reliability",
}  # fmt: skip
_RULE = re.compile(r"\b(case|join|where|group by|over|union|coalesce|sum|count|min|max)\b")
# One broken rule per unit test: (model, what stands there, what is put in its place).
BROKEN_RULES = (
    ("intermediate/int_mirror_flow_q_values", "order by p_rank desc", "order by p_rank asc"),
    ("intermediate/int_watched_products", "('controlled', 'predecessor')", "('controlled', 'predecessor', 'decoy')"),
    ("intermediate/int_filed_valuation", "else 'mixed'", "else min(valuation_filed)"),
    ("marts/dim_control", "jurisdiction <> 'none'", "jurisdiction is not null"),
    ("marts/dim_period", "where period_start is not null", "where true"),
    ("marts/dim_product", "where jurisdiction <> 'none'", "where true"),
    ("marts/dim_product", "inner join {{ ref('hs_codes') }}", "left join {{ ref('hs_codes') }}"),
    ("marts/dim_product_family", "families.hs_revision_to =", "families.hs_revision_from ="),
    ("marts/dim_source_file", "account_reason = 'superseded_vintage'", "account = 'special'"),
    ("marts/fct_declaration", "where not is_rolled_up", "where is_rolled_up"),
    ("marts/fct_declaration", "order by share_ratio desc", "order by share_ratio"),
    ("marts/fct_mirror_flow", "left join", "inner join"),
    ("marts/fct_mirror_total", "exports.flow_code = 'X'", "exports.flow_code = 'M'"),
    ("marts/fct_reporter_coverage", "coverage.declaration_count > 0", "coverage.declaration_count >= 0"),
    ("marts/mart_conservation", "account = 'special'", "account = 'total'"),
    ("marts/mart_revision", "else 'mixed'", "else min(valuation_filed)"),
    ("marts/mart_revision", "graded.grade <> 'D'", "graded.grade = 'C'"),
    ("marts/mart_discrepancy", "role = 'reexport_hub'", "role = 'transit_candidate'"),
    ("marts/mart_discrepancy", "period_number - 1", "period_number - 2"),
    ("marts/mart_unit_value", "when flows.is_weight_unit_suspect", "when not flows.is_weight_unit_suspect"),
    ("marts/mart_unit_value", "flows.unit_value_z_score) >= thresholds", "flows.unit_value_z_score) < thresholds"),
    ("marts/mart_unit_value", "exporter_net_weight_kg > 0 and not exporter", "exporter_net_weight_kg > 0 or exporter"),
    ("marts/mart_quarantine", "where account = 'quarantine'", "where true"),
    ("intermediate/int_passage_rules", "is_on = 'true'", "is_on = 'false'"),
    ("intermediate/int_embargo_family", "min(controls.valid_from)", "max(controls.valid_from)"),
    ("intermediate/int_passage_place", "role = 'reexport_hub' then 1", "role = 'coalition' then 1"),
    ("intermediate/int_embargo_leg_year", "family_kind <> 'placebo'", "family_kind = 'placebo'"),
    ("intermediate/int_embargo_leg", "effect_z_score >= legs.rise", "effect_z_score < legs.rise"),
    ("intermediate/int_lead_candidate", "and wanted.transit_code is null", "and wanted.transit_code is not null"),
    ("intermediate/int_lead_onward", "ways.swap_fob_usd > 0", "ways.swap_fob_usd < 0"),
    ("intermediate/int_lead_facts", "direct.smallest_value_fob_usd <=", "direct.smallest_value_fob_usd >"),
    ("intermediate/int_lead_explanation", "facts.elsewhere_rise_fob_usd >=", "facts.elsewhere_rise_fob_usd <"),
    ("marts/mart_corridor_profile", "spoke.reporter_code is null", "spoke.reporter_code is not null"),
    ("marts/mart_lead_evidence", "where is_counted", "where true"),
    ("marts/mart_lead_explanation", "when not tried.is_tested then", "when tried.is_tested then"),
    ("marts/mart_passage_lead", "holding_explanation_count > 0 then", "holding_explanation_count > 99 then"),
    ("marts/mart_placebo_rate", "family_kind = 'placebo'", "family_kind = 'watched'"),
    ("marts/mart_place_profile", "min(grade)", "max(grade)"),
    ("marts/mart_product_profile", "median(growth_log)", "max(growth_log)"),
    (
        "marts/mart_signal_decoy_swap",
        "least(pairs.controlled_gap_change_fob_usd",
        "greatest(pairs.controlled_gap_change_fob_usd",
    ),
    (
        "marts/mart_signal_flow_conservation",
        "pairs.inflow_rise_fob_usd - pairs.inbound",
        "pairs.inflow_rise_fob_usd + pairs.inbound",
    ),
    ("marts/mart_signal_implausible_demand", "rules.least_rise_ratio * baseline", "0 * baseline"),
    ("marts/mart_signal_lost_in_transit", "exact_sum('gap_fob_usd", "exact_sum('-gap_fob_usd"),
    ("marts/mart_signal_mirror_gap", "years.gap_q_value <= rules", "years.gap_q_value > rules"),
    ("marts/mart_signal_new_product", "value_fob_usd + uncounted_fob_usd > 0", "value_fob_usd > 0"),
    ("marts/mart_signal_roundabout", "least(inbound.rise_fob_usd", "greatest(inbound.rise_fob_usd"),
    ("marts/mart_signal_route_displacement", "between -3 and 3", "between -30 and 30"),
    ("marts/mart_signal_structural_break", "break_direction = 'rise' and", "break_direction = 'fall' and"),
    ("marts/mart_signal_surge", "and not years.is_across_edition_break", "and years.is_across_edition_break"),
    ("marts/mart_signal_totals_lost_in_transit", ">= rules.totals_lost_least_ratio", "< rules.totals_lost_least_ratio"),
    (
        "marts/mart_signal_unit_value",
        "abs(values_of_flows.unit_value_log_ratio) >=",
        "abs(values_of_flows.unit_value_log_ratio) <",
    ),
)


def test_every_model_with_a_rule_has_a_unit_test_when_the_project_is_built(warehouse: Warehouse) -> None:
    models = [node for node in warehouse.manifest["nodes"].values() if node["resource_type"] == "model"]
    tested = {one["model"] for one in warehouse.manifest["unit_tests"].values()}
    with_rule = {node["name"] for node in models if node["fqn"][1] != "staging"} - WITHOUT_RULE
    assert with_rule == tested


def test_a_model_is_called_plain_only_when_its_sql_has_no_rule(warehouse: Warehouse) -> None:
    plain = [n for n in warehouse.manifest["nodes"].values() if n["name"] in WITHOUT_RULE or n["fqn"][1] == "staging"]
    sql = {node["name"]: node["raw_code"] for node in plain if node["resource_type"] == "model"}
    assert len(sql) > len(WITHOUT_RULE)
    assert [name for name, text in sql.items() if _RULE.search(text)] == []


def test_every_unit_test_fails_when_its_rule_is_broken(warehouse: Warehouse, project_dir: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(project_dir / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    for model, old, new in BROKEN_RULES:
        path = project / "models" / f"{model}.sql"
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{model} no longer holds {old!r}; break its rule another way"
        path.write_text(text.replace(old, new), encoding="utf-8")
    target = tmp_path / "target"
    target.mkdir()
    shutil.copy(warehouse.manifest_path.with_name("partial_parse.msgpack"), target)
    run_dbt(["test", "--select", "test_type:unit"], project, target, warehouse.environment)
    results = results_in(target)
    assert set(results) == set(warehouse.manifest["unit_tests"])
    assert {name: one["message"] for name, one in results.items() if one["status"] != "fail"} == {}
