"""Every data test of the project finds the violation it is there for.

Belongs here: breaking a copy of the tables a test reads, once for each way its kind can be broken, and running the
test's own compiled SQL. Does not belong here: whether the built tables hold (`test_build`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from tests.warehouse.building import Warehouse

pytestmark = pytest.mark.xdist_group("warehouse")

Node = dict[str, Any]
# For `expression_is_true`: what breaks the sentence that the test's name says.
BREAKING = {
    "dim_control_ends_after_it_begins": "valid_to = valid_from - interval 1 day",
    "dim_period_ends_after_it_starts": "period_end = period_start",
    "dim_period_months_belong_to_monthly_periods": "calendar_month = 13",
    "dim_place_ends_after_it_begins": "valid_to = valid_from - interval 1 day",
    "dim_place_role_ends_after_it_begins": "valid_to = valid_from - interval 1 day",
    "dim_product_controlled_codes_are_watched": "is_controlled = true, is_watched = false",
    "dim_product_ends_after_it_begins": "valid_from = date '2022-01-01', valid_to = date '2021-12-31'",
    "dim_product_family_ends_after_it_begins": "valid_to = valid_from - interval 1 day",
    "dim_source_file_counts_are_parts_of_its_rows": "superseded_count = declaration_count + 1",
    "fct_declaration_paired_rows_stand_in_a_pair": "mirror_flow_id = null, annual_mirror_flow_id = null",
    "fct_declaration_quarantined_rows_say_what_was_not_understood": "account = 'quarantine', quarantine_field = null",
    "fct_mirror_flow_fob_is_not_above_the_filed_import": "importer_fob_usd = importer_value_usd * 1.01",
    "fct_mirror_flow_is_between_two_places": "exporter_code = importer_code",
    "fct_mirror_flow_status_says_which_sides_are_there": "status = 'exporter_only_partner_silent'",
    "fct_mirror_total_filed_values_have_a_valuation": "importer_valuation = null",
    "fct_mirror_total_is_raked_with_its_residual_beside": "raking_residual_fob_usd = raking_residual_fob_usd + 1",
    "fct_mirror_total_status_says_which_sides_are_there": "exporter_value_usd = null",
    "fct_nes_reallocation_takes_no_more_than_is_missing": "is_remainder = false, reallocated_fob_usd = 1e9",
    "fct_reporter_coverage_a_flow_not_filed_has_no_value": "pair_value_usd = null",
    "fct_reporter_coverage_reporting_means_rows": "declaration_count = 0, pair_value_usd = null, is_reporting = true",
    "mart_audit_result_failed_checks_say_how_to_mend_them": "is_passed = false, message = ''",
    "mart_revision_leads_above_d_are_some_of_those_resting": "leads_above_d_resting_count = leads_resting_count + 1",
    "mart_revision_net_change_is_newer_minus_older": "net_change_usd = net_change_usd + 1",
    "mart_revision_value_moved_holds_what_came_and_went": "value_added_usd = value_moved_usd + 1",
    "mart_revision_compares_two_deliveries": "older_delivery_id = newer_delivery_id",
    "mart_discrepancy_q_is_not_below_p": "q_value = p_value / 2",
    "mart_discrepancy_z_and_p_agree": "z_score = 5",
    "mart_quarantine_rows_stand_for_declarations": "declaration_count = 0",
    "mart_unit_value_gaps_are_exporter_minus_importer": "unit_value_log_ratio = unit_value_log_ratio + 0.1",
    "mart_unit_value_medians_rest_on_both_sides": "world_unit_value_count = 1",
    "mart_lead_explanation_says_nothing_of_what_was_not_tested": "is_tested = false, verdict = 'explains'",
    "mart_passage_lead_is_not_above_d_across_an_edition_break": "is_across_edition_break = true, grade = 'B'",
    "mart_passage_lead_is_not_above_d_by_origin_only": "is_origin_only = true, grade = 'B'",
    "mart_passage_lead_is_not_above_d_on_incomplete_data": "is_lead_complete = false, grade = 'C'",
    "mart_passage_lead_is_not_above_d_when_a_cause_explains_it": "holding_explanation_count = 1, grade = 'A'",
    "mart_passage_lead_never_accuses": "lead_name = 'Smuggling'",
    "mart_signal_decoy_swap_is_lost_on_one_side_and_gained_on_the_other": "decoy_gap_change_fob_usd = 1",
    "mart_signal_flow_conservation_bounds_hold_the_allocation": "least_passage_fob_usd = largest_passage_fob_usd + 1",
    "mart_signal_lost_in_transit_excess_is_beyond_the_own_baseline": "excess_change_fob_usd = excess_fob_usd + 1",
    "mart_signal_roundabout_passage_is_the_smaller_rise": "passage_fob_usd = inbound_rise_fob_usd + 1",
    "mart_signal_surge_effect_is_growth_beyond_placebo": "effect_log = growth_log - placebo_growth_log + 1",
    "mart_reporter_reliability_only_years_lean_on_months": "frequency = 'M', months_weight_ratio = 0.5",
    "mart_reporter_reliability_windows_span_three_years_at_most": "window_start_year = window_end_year - 3",
}


ROWS_TRIED = 25


def violations(node: Node) -> Iterator[str]:
    """What to `set` in one row (or `duplicate` it) to break a test, once for each way it can be broken."""
    kind, given = node["test_metadata"]["name"], node["test_metadata"]["kwargs"]
    where = node["config"]["where"] or ""
    if kind == "primary_key":
        yield "duplicate"
        yield from (f"{column} = null" for column in given["columns"] if f"{column} is not null" not in where)
    elif kind == "codes_exist_in":
        yield from (f"{column} = 'no such code'" for column in given["columns"])
    elif kind == "values_are_among":
        yield from (f"{column} = 'no such value'" for column in given["allowed"])
    elif kind == "codes_keep_their_zeros":
        yield from (f"{column} = '7'" for column in given["lengths"])
        yield from (f"{column} = '{'x' * allowed[0]}'" for column, allowed in given["lengths"].items())
    elif kind == "gap_is_exporter_minus_importer":
        yield "exporter_fob_usd = 10, importer_fob_usd = 4, gap_fob_usd = -6"
        yield "exporter_fob_usd = 10, importer_fob_usd = 4, gap_fob_usd = null"
        yield "exporter_fob_usd = 10, importer_fob_usd = null, gap_fob_usd = 10"
        yield "exporter_fob_usd = 10, importer_fob_usd = 4, gap_fob_usd = 6, gap_log_ratio = -0.9"
        if "share_ratio" in given:
            yield "exporter_fob_usd = 10, importer_fob_usd = 4, gap_fob_usd = 6, gap_share_ratio = -0.4"
            yield "exporter_fob_usd = 10, importer_fob_usd = 4, gap_fob_usd = 6, gap_share_ratio = 1.4"
    elif kind == "columns_are_ordered":
        columns = given["columns"]
        yield from (f"{a} = {b} + 1" for a, b in itertools.pairwise(columns))
        yield from (f"{column} = null" for column in columns)
    elif kind == "not_negative":
        yield from (f"{column} = -1" for column in given["columns"])
    elif kind == "is_within":
        yield from (f"{column} = {bound}" for column in given["columns"] for bound in _outside(given))
    elif kind == "parts_add_up":
        yield f"{given['whole']} = {given['whole']} + 1"
        yield from (f"{part} = {part} + 1" for part in given["parts"])
    elif kind == "expression_is_true":
        yield BREAKING[node["name"]]
    elif kind == "period_start_opens_period":
        yield "period_start = period_start + interval 1 day"
    else:
        raise AssertionError(f"{node['name']} is of kind {kind}, for which no violation is planted; add one")


def _outside(given: Node) -> tuple[float, float]:
    return float(given["low"]) - 1, float(given["high"]) + 1


class Copies:
    """Copies of built tables in memory, under the names that compiled SQL uses, without their constraints."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.con = duckdb.connect()
        self.con.execute(f"attach '{warehouse.database}' as built (read_only)")
        self.con.execute("attach ':memory:' as staging")
        self.nodes = warehouse.manifest["nodes"]
        for node in self.nodes.values():
            if node["resource_type"] in ("model", "seed") and node["schema"] != "staging":
                name = f"{node['schema']}.{node['name']}"
                self.con.execute(f"create schema if not exists staging.{node['schema']}")
                self.con.execute(f"create table staging.{name} as select * from built.{name}")

    def found(self, sql: str) -> bool:
        """Whether a test's compiled SQL finds rows."""
        return bool(self.con.execute(sql).fetchall())

    def found_after(self, change: str, node: Node, sql: str) -> bool:
        """Whether it finds rows once one row that it looks at is broken; the row is mended afterwards.

        Not every row can be broken by the change (a row that stands in no pair loses nothing with its pair's id), and
        which comes first is chance: rows from all over the table are tried until one is found broken.
        """
        tested = self.nodes[node["attached_node"]]
        table = f"staging.{tested['schema']}.{tested['name']}"
        seen = f"select rowid from {table} where {node['config']['where'] or 'true'} order by rowid"
        rows = [number for (number,) in self.con.execute(seen).fetchall()]
        return any(self._found_after(change, table, row, sql) for row in rows[:: max(len(rows) // ROWS_TRIED, 1)])

    def _found_after(self, change: str, table: str, number: int, sql: str) -> bool:
        row = f"rowid = {number}"
        self.con.begin()
        try:
            if change == "duplicate":
                self.con.execute(f"insert into {table} select * from {table} where {row}")
            else:
                self.con.execute(f"update {table} set {change} where {row}")
            return self.found(sql)
        finally:
            self.con.rollback()


def blind_tests(warehouse: Warehouse) -> list[str]:
    """Tests that do not find a violation planted for them, or that fail without one, as 'name: violation'."""
    blind: list[str] = []
    copies = Copies(warehouse)
    for node_id, node in warehouse.manifest["nodes"].items():
        if node["resource_type"] != "test":
            continue
        sql = warehouse.results[node_id]["compiled_code"]
        if copies.found(sql):
            blind.append(f"{node['name']}: fails on a sound table")
        missed = (change for change in violations(node) if not copies.found_after(change, node, sql))
        blind += [f"{node['name']}: {change}" for change in missed]
    copies.con.close()
    return blind


def test_every_data_test_finds_a_violation_when_one_is_planted(warehouse: Warehouse) -> None:
    assert blind_tests(warehouse) == []


def test_every_test_is_named_as_a_sentence_when_the_project_is_built(warehouse: Warehouse) -> None:
    names = [node["name"] for node in warehouse.manifest["nodes"].values() if node["resource_type"] == "test"]
    assert [name for name in names if name.count("_") < 3 or any(ch.isupper() for ch in name)] == []


def test_a_blind_test_is_found_when_its_sql_looks_at_nothing(warehouse: Warehouse) -> None:
    name = "fct_mirror_flow_is_between_two_places"
    node_id = next(one for one, node in warehouse.manifest["nodes"].items() if node["name"] == name)
    nothing = {node_id: {"compiled_code": "select 1 where false"}}
    only = {one: node for one, node in warehouse.manifest["nodes"].items() if one == node_id or "test" not in one[:4]}
    blinded = Warehouse({"nodes": only}, warehouse.manifest_path, nothing, warehouse.database, warehouse.environment)
    assert blind_tests(blinded) == [f"{name}: exporter_code = importer_code"]
