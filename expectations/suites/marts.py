"""Suite on the public tables of one run: schema `marts` of its staging DuckDB file.

Belongs here: what must be true of the tables analysts will read, and of their distance from the last
release. Does not belong here: rules of single models (dbt tests and contracts hold those) or of the stages
before.
"""

from __future__ import annotations

from expectations.model import Check, Suite
from expectations.rules import Figure, Part, assemble, figures, promised_columns, row_rules
from expectations.schemas import KNOWN_READINGS, MART_COLUMNS_READ
from expectations.tables import GateTables

# mart_audit_result is built from the results of this very suite, so it cannot be required here.
REQUIRED_TABLES = (
    "dim_control",
    "dim_period",
    "dim_place",
    "dim_place_role",
    "dim_product",
    "dim_product_family",
    "dim_source_file",
    "fct_declaration",
    "fct_mirror_flow",
    "fct_mirror_total",
    "fct_nes_reallocation",
    "fct_reporter_coverage",
    "mart_cif_model",
    "mart_conservation",
    "mart_revision",
    "mart_discrepancy",
    "mart_quarantine",
    "mart_reporter_reliability",
    "mart_corridor_profile",
    "mart_lead_evidence",
    "mart_lead_explanation",
    "mart_passage_lead",
    "mart_place_profile",
    "mart_placebo_rate",
    "mart_product_profile",
    "mart_signal_decoy_swap",
    "mart_signal_flow_conservation",
    "mart_signal_implausible_demand",
    "mart_signal_lost_in_transit",
    "mart_signal_mirror_gap",
    "mart_signal_new_product",
    "mart_signal_roundabout",
    "mart_signal_route_displacement",
    "mart_signal_structural_break",
    "mart_signal_surge",
    "mart_signal_totals_lost_in_transit",
    "mart_signal_unit_value",
    "mart_unit_value",
)
_TYPES_BY_NAME = (
    ("_usd|_kg|_ratio|_log|_p05|_p25|_p75|_p95", "DOUBLE"),
    ("_count|_level|_year", "BIGINT"),
    ("_code|_iso2|_iso3|_id|_name|_version", "VARCHAR"),
    ("_date|_start|valid_from|valid_to", "DATE"),
)
_COLUMNS = "duckdb_columns() where database_name = 'staging' and schema_name = 'marts'"
_DRIFT = 0.1
_CONTROLS = 15
# A bias has moved when it went further than this, and than this many standard errors.
_BIAS_DRIFT_LOG, _BIAS_DRIFT_ERRORS = 0.05, 4


def marts(tables: GateTables) -> Suite:
    """The suite; `tables` says which public tables there are and whether an earlier release can be compared
    with.
    """
    return assemble(
        "marts",
        [
            _presence(tables),
            *promised_columns("columns_the_gate_reads_are_there", "", MART_COLUMNS_READ)[:1],
            _types(tables),
            _keys(tables),
            _totals(),
            row_rules(
                "mart_discrepancy",
                {
                    "q_values_are_probabilities": "p_value is not null and not coalesce(q_value between 0 "
                    "and 1, false)",
                    "q_values_are_not_below_p_values": "q_value < p_value - 1e-12",
                },
                "mirror_flow_id, p_value, q_value",
                "mirror_flow_id",
                by="mirror_flow_id is null",
            ),
            _unit_values(),
            _leads(tables),
            _drift(tables),
        ],
    )


def _presence(tables: GateTables) -> Part:
    there = "', '".join(tables.public_tables)
    needed = "), (".join(f"'{name}'" for name in REQUIRED_TABLES)
    absent = f"select table_name from (values ({needed})) t(table_name) where table_name not in ('{there}')"
    # A comment of spaces describes nothing.
    undescribed = (
        "select table_name, '' as column_name from duckdb_tables() where database_name = 'staging' and "
        "schema_name = 'marts' and trim(coalesce(comment, '')) = '' union all "
        f"select table_name, column_name from {_COLUMNS} and trim(coalesce(comment, '')) = ''"
    )
    if not tables.public_tables:
        undescribed = "select '' as table_name, '' as column_name where false"
    unmarked = _tables_without_marks(tables)
    return figures(
        "presence_of_marts",
        [
            Figure("public_tables_are_present", f"select count(*) from ({absent})", f"{absent} order by 1"),
            Figure(
                "public_tables_and_columns_are_described",
                f"select count(*) from ({undescribed})",
                f"select * from ({undescribed}) order by 1, 2",
            ),
            Figure(
                "public_tables_name_their_run_and_method",
                f"select count(*) from ({unmarked})",
                f"select * from ({unmarked}) order by 1, 2",
            ),
        ],
    )


def _tables_without_marks(tables: GateTables) -> str:
    """SQL of public tables whose run_id or method_version is absent, NULL or, for run_id, not one and the
    same.
    """
    parts = ["select '' as table_name, '' as problem where false"]
    for table in tables.public_tables:
        for column in ("run_id", "method_version"):
            if column not in tables.mart_columns[table]:
                parts.append(f"select '{table}', '{column} is absent'")
                continue
            parts.append(
                f"select '{table}', '{column} is NULL in ' || count(*) || ' rows' from "
                f'staging.marts."{table}" '
                f"where {column} is null having count(*) > 0"
            )
        if "run_id" in tables.mart_columns[table]:
            parts.append(
                f"select '{table}', 'rows of ' || count(distinct run_id) || ' runs' from "
                f'staging.marts."{table}" '
                "having count(distinct run_id) > 1"
            )
    return " union all ".join(parts)


def _types(tables: GateTables) -> Part:
    cases = " ".join(
        f"when regexp_matches(column_name, '({endings})$') then '{data_type}'" for endings, data_type in _TYPES_BY_NAME
    )
    expected = f"case when column_name like 'is\\_%' escape '\\' then 'BOOLEAN' {cases} end"
    body = (
        f"select table_name, column_name, data_type as found_type, {expected} as type_by_name from "
        f"{_COLUMNS} "
        "and type_by_name is not null"
    )
    if not tables.public_tables:
        body = "select '' as table_name, '' as column_name, '' as found_type, '' as type_by_name where false"
    name = "column_types_follow_their_names"
    check = Check(
        name,
        "types_of_marts",
        "found_type",
        "columns_equal",
        f"select * from ({body}) where found_type <> type_by_name order by 1, 2",
        other_column="type_by_name",
    )
    return Part("types_of_marts", f"select * from ({body}) order by 1, 2", (check,))


def _keys(tables: GateTables) -> Part:
    """Primary keys as the models declare them: every public table has one, unique and without NULL."""
    keyless = ["select '' as table_name, '' as problem where false"]
    broken = ["select '' as table_name, '' as key_values, 0 as row_count where false"]
    for table in tables.public_tables:
        key = tables.inputs.primary_keys.get(table, ())
        absent = [column for column in key if column not in tables.mart_columns[table]]
        if not key or absent:
            keyless.append(f"select '{table}', 'no primary key is declared{': ' if absent else ''}{' '.join(absent)}'")
            continue
        listed = ", ".join(f'"{column}"' for column in key)
        has_null = " or ".join(f'"{column}" is null' for column in key)
        as_text = " || ' | ' || ".join(f"coalesce(cast(\"{column}\" as varchar), 'NULL')" for column in key)
        broken.append(
            f"select '{table}', {as_text}, count(*) from staging.marts.\"{table}\" group by {listed} "
            f"having count(*) > 1 or {has_null}"
        )
    keyless_sql, broken_sql = " union all ".join(keyless), " union all ".join(broken)
    return figures(
        "keys_of_marts",
        [
            Figure(
                "public_tables_declare_a_primary_key",
                f"select count(*) from ({keyless_sql})",
                f"select * from ({keyless_sql}) order by 1",
            ),
            Figure(
                "primary_keys_are_unique_and_not_null",
                f"select count(*) from ({broken_sql})",
                f"select * from ({broken_sql}) order by 1, 2",
            ),
        ],
    )


def _totals() -> Part:
    """Between the Parquet of the stages and the marts no row and no dollar is lost or made."""
    declared = (
        "select account, sum(stage_count) as stage_count, sum(mart_count) as mart_count, sum(stage_usd) as "
        "stage_usd, "
        "sum(mart_usd) as mart_usd from (select account, count(*) as stage_count, 0 as mart_count, "
        "sum(value_usd) as stage_usd, 0 as mart_usd from declarations group by all union all select account, "
        "0, "
        "count(*), 0, sum(value_usd) from fct_declaration group by all) group by account"
    )
    flows = (
        "select side, sum(stage_count) as stage_count, sum(mart_count) as mart_count, sum(stage_usd) as "
        "stage_usd, "
        "sum(mart_usd) as mart_usd from ({}) group by side"
    )
    parts = []
    for side in ("exporter_value_usd", "importer_value_usd", "reconciled_fob_usd"):
        parts.append(
            f"select '{side}' as side, count(*) as stage_count, 0 as mart_count, sum({side}) as stage_usd, "
            "0 as mart_usd from mirror_flows"
        )
        parts.append(f"select '{side}', 0, count(*), 0, sum({side}) from fct_mirror_flow")
    flows = flows.format(" union all ".join(parts))
    apart = (
        "(sum(abs(coalesce(stage_usd, 0) - coalesce(mart_usd, 0))) / greatest(sum(coalesce(stage_usd, 0)), "
        "1) + "
        "sum(abs(stage_count - mart_count)) / greatest(sum(stage_count), 1))"
    )
    odd = (
        "stage_count <> mart_count or abs(coalesce(stage_usd, 0) - coalesce(mart_usd, 0)) > "
        "1e-6 * greatest(coalesce(stage_usd, 0), 1)"
    )
    return figures(
        "totals_of_marts",
        [
            Figure(
                "declarations_of_the_marts_are_those_of_the_contract",
                f"select coalesce({apart}, 0) from ({declared})",
                f"select * from ({declared}) where {odd} order by account",
            ),
            Figure(
                "mirror_flows_of_the_marts_are_those_reconciled",
                f"select coalesce({apart}, 0) from ({flows})",
                f"select * from ({flows}) where {odd} order by side",
            ),
        ],
    )


def _unit_values() -> Part:
    is_quotient = (
        "abs(exporter_unit_value_fob_usd_per_kg * exporter_net_weight_kg - exporter_fob_usd) <= 1e-9 * exporter_fob_usd"
    )
    return row_rules(
        "mart_unit_value",
        {
            "unit_value_readings_are_known": f"coalesce(reading, '') not in {KNOWN_READINGS}",
            "unit_values_are_judged_by_three_scores": "z_score is null or net_weight_z_score is null or "
            "unit_value_z_score is null",
            "unit_values_are_value_over_weight": f"not coalesce({is_quotient}, false)",
        },
        "mirror_flow_id, reading, z_score, net_weight_z_score, unit_value_z_score, exporter_fob_usd, "
        "exporter_net_weight_kg, exporter_unit_value_fob_usd_per_kg",
        "mirror_flow_id",
        by="mirror_flow_id is null",
    )


def _leads(tables: GateTables) -> Part:
    """What a lead rests on, what holds it down, and how often civilian goods would make one."""
    bare = "select lead_id, grade from mart_passage_lead anti join mart_lead_evidence using (lead_id)"
    unknown = (
        "select lead_id, mirror_flow_id, declaration_id from mart_lead_evidence e where not exists (select 1 from "
        "fct_declaration d where d.declaration_id = e.declaration_id) or not exists (select 1 from fct_mirror_flow f "
        "where f.mirror_flow_id = e.mirror_flow_id)"
    )
    unsound = (
        "select lead_id, grade from mart_passage_lead where grade <> 'D' and (is_origin_only or "
        "is_across_edition_break or not is_lead_complete or holding_explanation_count > 0)"
    )
    untried = (
        "select l.lead_id, count(e.control_code) as control_count from mart_passage_lead l left join "
        f"mart_lead_explanation e using (lead_id) group by l.lead_id having count(e.control_code) <> {_CONTROLS}"
    )
    placebo = "select embargo_code, period, placebo_rise_ratio from mart_placebo_rate"
    gone = (
        "select l.lead_id, l.grade from last_leads l anti join (select lead_id from mart_passage_lead where grade in "
        "('A', 'B')) n using (lead_id) where l.grade in ('A', 'B')"
    )
    counts = (
        "select coalesce(abs(ln((select count(*) + 1 from mart_passage_lead) / (select count(*) + 1.0 from "
        "last_leads))), 0)"
    )
    return figures(
        "leads_of_marts",
        [
            Figure("leads_have_evidence", f"select count(*) from ({bare})", f"{bare} order by 1"),
            Figure("evidence_leads_to_filed_rows", f"select count(*) from ({unknown})", f"{unknown} order by 1, 2, 3"),
            Figure("leads_above_d_are_sound", f"select count(*) from ({unsound})", f"{unsound} order by 1"),
            Figure(
                "innocent_causes_are_tried_on_every_lead", f"select count(*) from ({untried})", f"{untried} order by 1"
            ),
            Figure(
                "civilian_goods_seldom_rise_as_a_passage_would",
                f"select coalesce(max(placebo_rise_ratio), 0) from ({placebo})",
                f"{placebo} order by placebo_rise_ratio desc, embargo_code, period",
            ),
            Figure(
                "graded_leads_of_the_last_release_are_still_there",
                f"select coalesce((select count(*) from ({gone})) / nullif((select count(*) from last_leads "
                "where grade in ('A', 'B')), 0), 0)",
                f"{gone} order by 1",
                not_comparable=tables.not_comparable or _other_method(tables),
            ),
            Figure(
                "the_number_of_leads_is_steady",
                counts,
                "select grade, count(*) as lead_count from mart_passage_lead group by grade order by grade",
                not_comparable=tables.not_comparable or _other_method(tables),
            ),
        ],
    )


def _drift(tables: GateTables) -> Part:
    both = (
        "select n.mirror_flow_id, l.reconciled_fob_usd as last_fob_usd, n.reconciled_fob_usd as fob_usd, "
        "greatest(l.reconciled_fob_usd, n.reconciled_fob_usd) as larger_usd, "
        f"abs(n.reconciled_fob_usd - l.reconciled_fob_usd) > {_DRIFT} * greatest(l.reconciled_fob_usd, "
        "n.reconciled_fob_usd) as is_moved from last_mirror_flows l join fct_mirror_flow n using "
        "(mirror_flow_id) "
        "where l.reconciled_fob_usd is not null and n.reconciled_fob_usd is not null"
    )
    lost = (
        "select l.mirror_flow_id, l.status, l.exporter_value_usd, l.importer_value_usd from "
        "last_mirror_flows l "
        "anti join fct_mirror_flow n using (mirror_flow_id)"
    )
    biases = (
        "select n.frequency, n.window_end_year, n.measure, n.role, n.reporter_code, l.bias_log as last_bias_log, "
        "n.bias_log, n.bias_se_log, abs(n.bias_log - l.bias_log) > greatest("
        f"{_BIAS_DRIFT_LOG}, {_BIAS_DRIFT_ERRORS} * greatest(n.bias_se_log, l.bias_se_log)) as is_moved "
        "from last_reliability l join mart_reporter_reliability n using (frequency, window_start_year, "
        "window_end_year, measure, role, reporter_code) where not n.is_shrunk and not l.is_shrunk"
    )
    return figures(
        "marts_against_the_last_release",
        [
            Figure(
                "reporter_biases_hold_since_the_last_release",
                f"select coalesce(avg(case when is_moved then 1.0 else 0.0 end), 0) from ({biases})",
                f"select * exclude (is_moved) from ({biases}) where is_moved "
                "order by abs(bias_log - last_bias_log) desc, frequency, window_end_year, measure, role, reporter_code",
                not_comparable=tables.not_comparable or _other_method(tables),
            ),
            Figure(
                "release_to_release_drift_is_small",
                "select coalesce(sum(larger_usd) filter (where is_moved) / nullif(sum(larger_usd), 0), 0) "
                f"from ({both})",
                f"select mirror_flow_id, last_fob_usd, fob_usd from ({both}) where is_moved "
                "order by larger_usd desc, mirror_flow_id",
                not_comparable=tables.not_comparable or _other_method(tables),
            ),
            Figure(
                "mirror_flows_of_the_last_release_are_still_there",
                f"select coalesce((select count(*) from ({lost})) / nullif((select count(*) from "
                "last_mirror_flows), 0), "
                "0)",
                f"{lost} order by 1",
                not_comparable=tables.not_comparable,
            ),
        ],
    )


def _other_method(tables: GateTables) -> str | None:
    """A new method moves every figure on purpose; the distance is told in CHANGES.md, not judged."""
    versions = [
        {str(row[0]) for row in tables.rows(f"select distinct method_version from {view}")}
        for view in ("last_mirror_flows", "fct_mirror_flow")
    ]
    last, now = versions
    if last == now:
        return None
    return f"the method changed ({' '.join(sorted(last))} before, {' '.join(sorted(now))} now)"
