"""One defect per check: what to break in the small world so that exactly that sentence becomes false.

Belongs here: the defects, named by suite and check. Does not belong here: the world itself (`frames`,
`files`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from tests.unit.expectations.frames import World

Defect = Callable[[World], None]


def put(table: str, column: str, value: Any, where: pl.Expr | None = None) -> Defect:
    """Put a value (or an expression) into a column: of the first row, or of the rows where the condition
    holds.
    """

    def apply(world: World) -> None:
        frame = world.tables[table].with_row_index("_row")
        condition = pl.col("_row") == 0 if where is None else where
        new = value if isinstance(value, pl.Expr) else pl.lit(value)
        changed = pl.when(condition).then(new).otherwise(pl.col(column)).cast(frame.schema[column])
        world.tables[table] = frame.with_columns(changed.alias(column)).drop("_row")

    return apply


def many_with(table: str, copies: int, **changes: Any) -> Defect:
    """Repeat the whole table many times, with some columns changed."""

    def apply(world: World) -> None:
        frame = world.tables[table]
        changed = frame.with_columns(**{name: pl.lit(value, frame.schema[name]) for name, value in changes.items()})
        world.tables[table] = pl.concat([changed] * copies)

    return apply


def drop_rows(table: str, where: pl.Expr) -> Defect:
    """Remove the rows where the condition holds."""

    def apply(world: World) -> None:
        world.tables[table] = world.tables[table].filter(~where)

    return apply


def repeat_first(table: str, **changes: Any) -> Defect:
    """Add a copy of the first row, with some columns changed."""

    def apply(world: World) -> None:
        frame = world.tables[table]
        copy = frame.head(1).with_columns(
            **{name: pl.lit(value, frame.schema[name]) for name, value in changes.items()}
        )
        world.tables[table] = pl.concat([frame, copy])

    return apply


def recast(table: str, column: str, dtype: Any) -> Defect:
    """Change the type of a column."""

    def apply(world: World) -> None:
        world.tables[table] = world.tables[table].with_columns(pl.col(column).cast(dtype))

    return apply


def add_column(table: str) -> Defect:
    """Add a column that nobody promised."""

    def apply(world: World) -> None:
        world.tables[table] = world.tables[table].with_columns(pl.lit(1).alias("surplus"))

    return apply


def drop_table(table: str) -> Defect:
    """Leave a table out altogether."""

    def apply(world: World) -> None:
        world.absent.add(table)

    return apply


def in_staging(*statements: str) -> Defect:
    """Break the staging database by SQL."""

    def apply(world: World) -> None:
        world.staging_sql.extend(statements)

    return apply


def each(*defects: Defect) -> Defect:
    """Several defects at once."""

    def apply(world: World) -> None:
        for defect in defects:
            defect(world)

    return apply


def forget_code(seed: str, code: str) -> Defect:
    """Take a code out of a reference table."""

    def apply(world: World) -> None:
        column, codes = world.seeds[seed]
        world.seeds[seed] = (column, [one for one in codes if one != code])

    return apply


def land_twice(world: World) -> None:
    """A landed row that the contract did not take over."""
    world.landed = pl.concat([world.landed, world.landed.head(1)])


def refuse_a_file(world: World) -> None:
    """A file of the source that could not be read."""
    world.refusals.append(
        {
            "source_file": "letter.txt",
            "what": "it is no table",
            "why_it_matters": "it is lost",
            "how_to_mend": "save it",
        }
    )


def cut_off_an_answer(world: World) -> None:
    """A data set of which the preview gave the first rows only."""
    world.doubts.append(
        {
            "source_file": "C-A-2020-156-H5-77",
            "what": "cut off: 500 of 9000 rows, as the preview gives no more",
            "row_count": 500,
            "stated_row_count": 9000,
            "value_usd": 1e6,
        }
    )


def quarantine(where: pl.Expr) -> Defect:
    """Move declarations into quarantine, with everything that belongs to it."""
    return each(
        put("declarations", "quarantine_field", "partnerCode", where),
        put("declarations", "quarantine_value", "999", where),
        put("declarations", "account_reason", "unknown_place", where),
        put("declarations", "account", "quarantine", where),
    )


PAIR = pl.col("account") == "pair"
LANDED: dict[str, Defect] = {
    "contracted_tables_are_present": drop_table("coverage"),
    "declaration_columns_and_types_match_the_contract": recast("declarations", "source_line", pl.String),
    "no_declaration_column_is_undeclared": add_column("declarations"),
    "required_fields_are_present": put("declarations", "partner_code", None),
    "periods_match_their_frequency": put("declarations", "period_start", pl.lit("2020-02-01").str.to_date()),
    "product_levels_match_their_codes": put("declarations", "product_level", 4),
    "hs_revisions_are_known": put("declarations", "hs_revision", "S4"),
    "valuations_are_known": put("declarations", "valuation_filed", "fob"),
    "values_are_not_negative": put("declarations", "value_usd", -1.0),
    "values_are_in_range": put("declarations", "value_usd", 2e12),
    "quantities_and_weights_are_not_negative": put("declarations", "net_weight_kg", -1.0),
    "quantities_and_weights_are_in_range": put("declarations", "net_weight_kg", 3.7e15),
    "quarantined_rows_name_their_field": put(
        "declarations", "quarantine_field", None, pl.col("account") == "quarantine"
    ),
    "reporter_codes_are_known": forget_code("places", "156"),
    "partner_codes_are_known": put("declarations", "partner_code", "999"),
    "product_codes_are_known": forget_code("hs_codes", "847130"),
    "flow_codes_are_known": put("declarations", "flow_code", "Q"),
    "quantity_unit_codes_are_known": put("declarations", "quantity_unit_code", "77"),
    "customs_codes_are_known": put("declarations", "customs_code", "C99"),
    "transport_codes_are_known": put("declarations", "mot_code", "2150"),
    "accounts_and_reasons_are_known": put("declarations", "account_reason", "because"),
    "declaration_ids_are_unique": put("declarations", "declaration_id", "dA2020:2"),
    "declaration_keys_are_unique": repeat_first("declarations", declaration_id="dA2020:99", mot_code="1000"),
    "coverage_keys_are_unique": repeat_first("coverage"),
    "cif_is_not_below_fob_beyond_tolerance": put("declarations", "fob_value_usd", 1e6, pl.col("flow_code") == "M"),
    "share_of_value_quarantined_is_small": quarantine(pl.col("_row") % 10 == 0),
    "share_of_rows_quarantined_is_small": quarantine(pl.col("_row") % 10 == 0),
    "no_reporter_is_mostly_quarantined": quarantine(pl.col("reporter_code") == "643"),
    "share_of_value_confidential_is_small": put("declarations", "is_confidential", True, PAIR),
    "bilateral_rows_cover_the_control_totals": put("control_totals", "parts_value_usd", 1.0, pl.lit(True)),
    "bilateral_rows_do_not_exceed_the_control_totals": put(
        "control_totals", "parts_value_usd", pl.col("control_value_usd") * 2, pl.lit(True)
    ),
    "few_control_totals_are_badly_covered": put("control_totals", "parts_value_usd", 1.0),
    "every_declared_dollar_stands_in_exactly_one_account": put("declarations", "account", None),
    "every_landed_row_is_contracted_exactly_once": land_twice,
    "coverage_agrees_with_the_declarations": put("coverage", "pair_value_usd", 1.0),
    "sources_are_read": refuse_a_file,
    "answers_are_whole": cut_off_an_answer,
    "no_reporter_of_the_last_release_is_missing": drop_rows("declarations", pl.col("reporter_code") == "156"),
    "row_counts_per_reporter_year_match_the_baseline": drop_rows(
        "declarations", (pl.col("reporter_code") == "156") & (pl.col("period") == "2020")
    ),
}
ONE_SIDED = each(
    put("mirror_flows", "status", "exporter_only_partner_silent"),
    put("mirror_flows", "importer_value_usd", None),
)
RECONCILED: dict[str, Defect] = {
    "reconciled_tables_are_present": drop_table("reliability"),
    "reconciled_columns_and_types_match_the_contract": recast("pairs", "product_level", pl.Int32),
    "no_reconciled_column_is_undeclared": add_column("mirror_flows"),
    "mirror_flow_ids_spell_their_keys": put("mirror_flows", "period", "2019"),
    "exporter_is_not_the_importer": put("mirror_flows", "importer_code", pl.col("exporter_code")),
    "statuses_agree_with_the_sides": put("mirror_flows", "importer_value_usd", None),
    "flow_values_are_not_negative": put("mirror_flows", "reconciled_fob_usd", -1.0),
    "cif_rates_are_within_their_bounds": put("mirror_flows", "cif_rate_ratio", 1.01),
    "cif_corrections_are_applied_once": put("mirror_flows", "importer_fob_usd", pl.col("importer_value_usd") * 1.04),
    "gaps_are_exporter_minus_importer": put("mirror_flows", "gap_fob_usd", -pl.col("gap_fob_usd")),
    "interval_contains_the_estimate": put("mirror_flows", "reconciled_fob_usd_p75", 1.0),
    "reconciled_value_lies_between_the_bias_corrected_sides": put(
        "mirror_flows", "reconciled_fob_usd", pl.col("reconciled_fob_usd") * 1.05
    ),
    "weights_of_two_sided_flows_sum_to_one": put("mirror_flows", "exporter_weight_ratio", 0.6),
    "p_values_are_probabilities": put("mirror_flows", "p_value", 1.5),
    "net_weights_rest_on_reported_ones": each(
        put("mirror_flows", "exporter_is_weight_estimated", True),
        put("mirror_flows", "importer_is_weight_estimated", True),
    ),
    "weight_interval_contains_the_weight": put("mirror_flows", "reconciled_net_weight_kg_p75", 1.0),
    "unit_value_interval_contains_the_unit_value": put("mirror_flows", "reconciled_unit_value_fob_usd_per_kg_p95", 0.0),
    "measures_of_reliability_are_known": put("reliability", "measure", "length"),
    "reliability_figures_are_finite_and_positive": put("reliability", "sigma_log", 0.0),
    "roles_are_exporter_or_importer": put("reliability", "role", "X"),
    "reporter_biases_are_plausible": put("reliability", "bias_log", 6.9),
    "exporter_codes_are_known": put("mirror_flows", "exporter_code", "999"),
    "importer_codes_are_known": put("mirror_flows", "importer_code", "999"),
    "statuses_are_known": put("mirror_flows", "status", "lost"),
    "cif_sources_are_known": put("mirror_flows", "cif_source", "guessed"),
    "mirror_flow_ids_are_unique": repeat_first("mirror_flows"),
    "mirror_total_keys_are_unique": repeat_first("mirror_totals"),
    "reliability_keys_are_unique": repeat_first("reliability"),
    "half_of_the_gaps_lie_within_their_middle_half": many_with("mirror_flows", 20, z_score=0.0),
    "every_pair_is_reconciled_once": drop_rows("mirror_flows", pl.col("exporter_code") == "156"),
    "every_paired_dollar_stands_in_exactly_one_pair": drop_rows("pairs", pl.col("exporter_code") == "156"),
    "nes_reallocation_keys_are_unique": repeat_first("nes_reallocations"),
    "areas_nes_are_conserved": drop_rows("nes_reallocations", pl.col("is_remainder")),
    "missing_flows_take_no_more_than_they_lack": put("nes_reallocations", "missing_fob_usd", 59.0),
    "raked_flows_add_up_to_their_total": put("mirror_flows", "raked_fob_usd", 5.0),
    "silent_partners_did_report": each(ONE_SIDED, put("mirror_flows", "status", "exporter_only_partner_nonreporting")),
    "the_median_gap_is_small": put("mirror_flows", "gap_log_ratio", 1.0, pl.lit(True)),
    "both_sides_of_two_sided_flows_add_up_alike": put(
        "mirror_flows", "exporter_fob_usd", pl.col("importer_fob_usd") * 2, pl.lit(True)
    ),
}
MARTS: dict[str, Defect] = {
    "public_tables_are_present": in_staging("drop table marts.dim_place"),
    "public_tables_and_columns_are_described": in_staging("comment on column marts.dim_place.place_code is ' '"),
    "public_tables_name_their_run_and_method": in_staging(
        "update marts.fct_mirror_flow set run_id = 'run-0' where period = '2020'"
    ),
    "columns_the_gate_reads_are_there": in_staging("alter table marts.mart_discrepancy drop column q_value"),
    "column_types_follow_their_names": in_staging(
        "alter table marts.fct_declaration alter column reporter_code type integer"
    ),
    "public_tables_declare_a_primary_key": in_staging("create table marts.mart_new as select 1 as x"),
    "primary_keys_are_unique_and_not_null": in_staging(
        "insert into marts.dim_place select * from marts.dim_place limit 1"
    ),
    "declarations_of_the_marts_are_those_of_the_contract": in_staging(
        "delete from marts.fct_declaration where reporter_code = '156'"
    ),
    "mirror_flows_of_the_marts_are_those_reconciled": in_staging(
        "update marts.fct_mirror_flow set reconciled_fob_usd = reconciled_fob_usd * 1.01"
    ),
    "q_values_are_probabilities": in_staging("update marts.mart_discrepancy set q_value = null"),
    "q_values_are_not_below_p_values": in_staging("update marts.mart_discrepancy set q_value = p_value / 2"),
    "unit_value_readings_are_known": in_staging("update marts.mart_unit_value set reading = 'guilty'"),
    "unit_values_are_judged_by_three_scores": in_staging("update marts.mart_unit_value set unit_value_z_score = null"),
    "unit_values_are_value_over_weight": in_staging(
        "update marts.mart_unit_value set exporter_net_weight_kg = exporter_net_weight_kg * 1000"
    ),
    "leads_have_evidence": in_staging("delete from marts.mart_lead_evidence where lead_id = 'lead-1'"),
    "evidence_leads_to_filed_rows": in_staging("update marts.mart_lead_evidence set declaration_id = 'no such row'"),
    "leads_above_d_are_sound": in_staging("update marts.mart_passage_lead set is_origin_only = true"),
    "innocent_causes_are_tried_on_every_lead": in_staging(
        "delete from marts.mart_lead_explanation where control_code = 'control-3'"
    ),
    "civilian_goods_seldom_rise_as_a_passage_would": in_staging(
        "update marts.mart_placebo_rate set placebo_rise_ratio = 0.2"
    ),
    "graded_leads_of_the_last_release_are_still_there": in_staging("update marts.mart_passage_lead set grade = 'D'"),
    "the_number_of_leads_is_steady": in_staging(
        "insert into marts.mart_passage_lead select lead_id || n, grade, 0, false, false, true, method_version, run_id "
        "from marts.mart_passage_lead cross join range(100) r(n)",
        "insert into marts.mart_lead_evidence select l.lead_id, e.mirror_flow_id, e.declaration_id, e.method_version, "
        "e.run_id from marts.mart_passage_lead l cross join marts.mart_lead_evidence e where l.lead_id <> e.lead_id",
        "insert into marts.mart_lead_explanation select l.lead_id, e.control_code, e.method_version, e.run_id "
        "from marts.mart_passage_lead l cross join marts.mart_lead_explanation e where l.lead_id <> e.lead_id",
    ),
    "release_to_release_drift_is_small": each(
        put("mirror_flows", "reconciled_fob_usd", pl.col("reconciled_fob_usd") * 1.5, pl.lit(True))
    ),
    "reporter_biases_hold_since_the_last_release": put(
        "reliability", "bias_log", pl.col("bias_log") + 0.9, pl.lit(True)
    ),
    "mirror_flows_of_the_last_release_are_still_there": drop_rows("mirror_flows", pl.col("exporter_code") == "156"),
}
DEFECTS: dict[tuple[str, str], Defect] = {
    (suite, name): defect
    for suite, defects in (("landed_declarations", LANDED), ("reconciled_flows", RECONCILED), ("marts", MARTS))
    for name, defect in defects.items()
}
