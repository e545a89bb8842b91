"""Suite on reconciled flows: `pairs`, `sources`, `mirror_flows`, `mirror_totals`, `nes_reallocations`, `reliability`.

Belongs here: what must be true of mirror pairs, valuations, gaps, estimates and intervals. Does not belong
here: what single reporters filed (`landed_declarations`) or public tables (`marts`).
"""

from __future__ import annotations

from expectations.model import Suite
from expectations.rules import (
    Figure,
    Part,
    absent_tables,
    assemble,
    codes,
    figures,
    known_values,
    promised_columns,
    row_rules,
)
from expectations.schemas import KNOWN_MEASURES, KNOWN_STATUSES, RECONCILED_TABLES
from expectations.tables import GateTables

_SHOW = (
    "mirror_flow_id, status, exporter_value_usd, importer_value_usd, exporter_fob_usd, importer_fob_usd, "
    "cif_rate_ratio, cif_source, gap_fob_usd, gap_log_ratio, reconciled_fob_usd, reconciled_fob_usd_p05, "
    "reconciled_fob_usd_p25, reconciled_fob_usd_p75, reconciled_fob_usd_p95, exporter_bias_log, "
    "importer_bias_log, arrival_shift_log, "
    "exporter_weight_ratio, importer_weight_ratio, exporter_net_weight_kg, exporter_is_weight_estimated, "
    "importer_net_weight_kg, importer_is_weight_estimated, reconciled_net_weight_kg, reconciled_net_weight_kg_p05, "
    "reconciled_net_weight_kg_p95"
)
_ORDER = "mirror_flow_id"
_FEW_PAIRS = 200
_TWO_POSITIVE_SIDES = "status = 'two_sided' and exporter_fob_usd > 0 and importer_fob_usd > 0"
_EXPORTER = "(ln(exporter_fob_usd) - coalesce(exporter_bias_log, 0))"
_IMPORTER = "(ln(importer_fob_usd) - coalesce(importer_bias_log, 0) - coalesce(arrival_shift_log, 0))"
_CHAPTER = "coalesce(chapter_effect_log, 0)"
_UNIT_VALUE = "reconciled_unit_value_fob_usd_per_kg"
_HAS_WEIGHT = "({0}_net_weight_kg > 0 and not coalesce({0}_is_weight_estimated, true))"
_REPORTED_WEIGHT = f"({_HAS_WEIGHT.format('exporter')} or {_HAS_WEIGHT.format('importer')})"
_FILED = "ln(exporter_fob_usd), ln(importer_fob_usd)"
# The chapter effect belongs to the difference of the two sides; either side may carry it.
_SIDES = f"{_EXPORTER}, {_EXPORTER} - {_CHAPTER}, {_IMPORTER}, {_IMPORTER} + {_CHAPTER}"


def reconciled_flows(tables: GateTables) -> Suite:
    """The suite; `tables` says which places are known."""
    return assemble(
        "reconciled_flows",
        [
            *promised_columns(
                "reconciled_columns_and_types_match_the_contract",
                "no_reconciled_column_is_undeclared",
                RECONCILED_TABLES,
            ),
            _identity_rules(),
            _reliability_rules(),
            *_known_codes(tables),
            _keys(tables),
            _conservation(),
            _areas_nes(),
            _raking(),
            _calibration(),
            _plausibility(),
        ],
    )


def _identity_rules() -> Part:
    valuation = {
        "mirror_flow_ids_spell_their_keys": (
            "mirror_flow_id is distinct from frequency || '-' || period || '-' || exporter_code || '-' || "
            "importer_code || '-' || product_code"
        ),
        "exporter_is_not_the_importer": "exporter_code = importer_code",
        "statuses_agree_with_the_sides": (
            "(status = 'two_sided' and (exporter_value_usd is null or importer_value_usd is null)) or "
            "(status like 'exporter_only%' and (exporter_value_usd is null or importer_value_usd is not "
            "null)) or "
            "(status like 'importer_only%' and (importer_value_usd is null or exporter_value_usd is not "
            "null))"
        ),
        "flow_values_are_not_negative": (
            "exporter_value_usd < 0 or importer_value_usd < 0 or exporter_fob_usd < 0 or importer_fob_usd < "
            "0 or "
            "reconciled_fob_usd < 0 or isnan(reconciled_fob_usd)"
        ),
        "cif_rates_are_within_their_bounds": (
            "cif_rate_ratio < 0 or cif_rate_ratio > 1e-9 + "
            "case cif_source when 'observed' then 1.0 when 'modelled' then 0.3 else 0.0 end"
        ),
        "cif_corrections_are_applied_once": (
            "importer_fob_usd > importer_value_usd * (1 + 1e-9) or "
            "(importer_fob_usd is null and importer_value_usd is not null)"
        ),
        "gaps_are_exporter_minus_importer": (
            "abs(gap_fob_usd - (exporter_fob_usd - importer_fob_usd)) > "
            "1e-6 * greatest(exporter_fob_usd, importer_fob_usd, 1) or "
            "(gap_fob_usd is null and exporter_fob_usd is not null and importer_fob_usd is not null) or "
            f"({_TWO_POSITIVE_SIDES} and not coalesce(abs(gap_log_ratio - ln(exporter_fob_usd / "
            "importer_fob_usd)) "
            "<= 1e-6, false))"
        ),
    }
    estimate = {
        "interval_contains_the_estimate": (
            "reconciled_fob_usd is not null and not coalesce("
            "reconciled_fob_usd_p05 <= reconciled_fob_usd_p25 * (1 + 1e-9) and "
            "reconciled_fob_usd_p25 <= reconciled_fob_usd * (1 + 1e-9) and "
            "reconciled_fob_usd <= reconciled_fob_usd_p75 * (1 + 1e-9) and "
            "reconciled_fob_usd_p75 <= reconciled_fob_usd_p95 * (1 + 1e-9), false)"
        ),
        "reconciled_value_lies_between_the_bias_corrected_sides": (
            f"{_TWO_POSITIVE_SIDES} and not coalesce(ln(reconciled_fob_usd) between "
            f"case when method_name = 'variance_components' then least({_SIDES}) else least({_FILED}) end - 1e-6 and "
            f"case when method_name = 'variance_components' then greatest({_SIDES}) else greatest({_FILED}) end + "
            "1e-6, false)"
        ),
        "weights_of_two_sided_flows_sum_to_one": (
            f"{_TWO_POSITIVE_SIDES} and not coalesce(abs(exporter_weight_ratio + importer_weight_ratio - 1) "
            "<= 1e-6 "
            "and exporter_weight_ratio >= 0 and importer_weight_ratio >= 0, false)"
        ),
        "p_values_are_probabilities": "p_value < 0 or p_value > 1 or isnan(p_value)",
    }
    quantity = {
        "net_weights_rest_on_reported_ones": (
            f"(reconciled_net_weight_kg is not null) is distinct from coalesce({_REPORTED_WEIGHT}, false)"
        ),
        "weight_interval_contains_the_weight": (
            "reconciled_net_weight_kg is not null and not coalesce(reconciled_net_weight_kg_p05 > 0 and "
            "reconciled_net_weight_kg_p05 <= reconciled_net_weight_kg_p25 * (1 + 1e-9) and "
            "reconciled_net_weight_kg_p25 <= reconciled_net_weight_kg * (1 + 1e-9) and "
            "reconciled_net_weight_kg <= reconciled_net_weight_kg_p75 * (1 + 1e-9) and "
            "reconciled_net_weight_kg_p75 <= reconciled_net_weight_kg_p95 * (1 + 1e-9), false)"
        ),
        "unit_value_interval_contains_the_unit_value": (
            f"{_UNIT_VALUE} is not null and not coalesce({_UNIT_VALUE}_p05 > 0 and "
            f"{_UNIT_VALUE}_p05 <= {_UNIT_VALUE}_p25 * (1 + 1e-9) and "
            f"{_UNIT_VALUE}_p25 <= {_UNIT_VALUE} * (1 + 1e-9) and "
            f"{_UNIT_VALUE} <= {_UNIT_VALUE}_p75 * (1 + 1e-9) and "
            f"{_UNIT_VALUE}_p75 <= {_UNIT_VALUE}_p95 * (1 + 1e-9), false)"
        ),
    }
    return row_rules("mirror_flows", valuation | estimate | quantity, _SHOW, _ORDER)


def _reliability_rules() -> Part:
    show = (
        "frequency, window_start_year, window_end_year, reporter_code, measure, role, bias_log, sigma_log, pair_count"
    )
    rules = {
        "reliability_figures_are_finite_and_positive": (
            "not coalesce(sigma_log > 0 and isfinite(sigma_log) and isfinite(bias_log) and pair_count >= 0, false)"
        ),
        "roles_are_exporter_or_importer": "coalesce(role, '') not in ('exporter', 'importer')",
        "measures_of_reliability_are_known": f"coalesce(measure, '') not in {KNOWN_MEASURES}",
        "reporter_biases_are_plausible": "abs(bias_log) > 1.5 and pair_count >= 50",
    }
    return row_rules("reliability", rules, show, "1, 2, 3, 4, 5, 6", by="frequency, window_start_year")


def _known_codes(tables: GateTables) -> list[Part]:
    places = codes(tables, "places")
    return [
        known_values("exporter_codes_are_known", "mirror_flows", "exporter_code", places, "true", _SHOW, _ORDER),
        known_values("importer_codes_are_known", "mirror_flows", "importer_code", places, "true", _SHOW, _ORDER),
        known_values("statuses_are_known", "mirror_flows", "status", KNOWN_STATUSES, "true", _SHOW, _ORDER),
        known_values(
            "cif_sources_are_known",
            "mirror_flows",
            "coalesce(cif_source, 'none')",
            ("reported", "observed", "modelled", "none"),
            "true",
            _SHOW,
            _ORDER,
        ),
    ]


def _keys(tables: GateTables) -> Part:
    absent = absent_tables(tables, tuple(RECONCILED_TABLES), ("pairs", "mirror_flows", "reliability"))
    repeated_flows = (
        "select mirror_flow_id, count(*) as row_count from mirror_flows group by 1 having count(*) > 1 order by 1"
    )
    total_key = "frequency, period, exporter_code, importer_code, product_code"
    repeated_totals = (
        f"select {total_key}, count(*) as row_count from mirror_totals group by {total_key} having count(*) "
        "> 1 "
        f"order by {total_key}"
    )
    reliability_key = "frequency, window_start_year, window_end_year, reporter_code, measure, role"
    repeated_reliability = (
        f"select {reliability_key}, count(*) as row_count from reliability group by {reliability_key} "
        f"having count(*) > 1 order by {reliability_key}"
    )
    lost = (
        "select coalesce(p.mirror_flow_id, f.mirror_flow_id) as mirror_flow_id, p.mirror_flow_id is null as "
        "is_without_pair, f.mirror_flow_id is null as is_unreconciled from pairs p full join mirror_flows f "
        "on p.mirror_flow_id = f.mirror_flow_id where p.mirror_flow_id is null or f.mirror_flow_id is null "
        "order by 1"
    )
    return figures(
        "keys_of_flows",
        [
            Figure("reconciled_tables_are_present", f"select count(*) from ({absent})", f"{absent} order by 1"),
            Figure("mirror_flow_ids_are_unique", f"select count(*) from ({repeated_flows})", repeated_flows),
            Figure("mirror_total_keys_are_unique", f"select count(*) from ({repeated_totals})", repeated_totals),
            Figure(
                "reliability_keys_are_unique",
                f"select count(*) from ({repeated_reliability})",
                repeated_reliability,
            ),
            Figure("every_pair_is_reconciled_once", f"select count(*) from ({lost})", lost),
        ],
    )


def _calibration() -> Part:
    """Whether intervals mean what they say where it can be seen: at flows with two reports that may train the model.

    Half of their gaps should lie within the normal's middle half, |z| < 0.6745, in each frequency; a frequency of few
    pairs shows nothing.
    """
    usable = (
        "status = 'two_sided' and z_score is not null and not coalesce(is_left_out, false) and "
        "not coalesce(is_confidential, false) and not coalesce(is_edition_mismatch, false)"
    )
    shares = (
        "select frequency, count(*) as pair_count, avg(case when abs(z_score) < 0.6745 then 1.0 else 0.0 end) as "
        f"within_middle_half_ratio from mirror_flows where {usable} group by frequency having count(*) >= {_FEW_PAIRS}"
    )
    return figures(
        "calibration_of_intervals",
        [
            Figure(
                "half_of_the_gaps_lie_within_their_middle_half",
                f"select coalesce(max(abs(within_middle_half_ratio - 0.5)), 0) from ({shares})",
                f"{shares} order by frequency",
            ),
        ],
    )


def _conservation() -> Part:
    """Dollars of the pair account against the dollars of the pairs, by way of the sources that lead between them.

    Every declared dollar stands once in its own period; every pair's side is the sum of the declarations it is made
    of, those rolled up from months and those split by a conversion of HS editions (share_ratio) included. A year
    rolled up declares nothing of its own, so it is not counted twice.
    """
    declared = (
        "select frequency, period, reporter_code, flow_code, sum(value_usd) as declared_usd from declarations "
        "where account = 'pair' and flow_code in ('X', 'M') group by all"
    )
    used_once = (
        "select d.frequency, d.period, d.reporter_code, d.flow_code, sum(d.value_usd * s.share_ratio) as paired_usd "
        "from sources s join declarations d using (declaration_id) where not s.is_rolled_up group by all"
    )
    # The id of a pair spells its keys (a check of its own), so that a pair that is gone is missed here.
    made_of = (
        "select split_part(s.mirror_flow_id, '-', 1) as frequency, split_part(s.mirror_flow_id, '-', 2) as period, "
        "split_part(s.mirror_flow_id, '-', case s.side when 'exporter' then 3 else 4 end) as reporter_code, "
        "case s.side when 'exporter' then 'X' else 'M' end as flow_code, "
        "sum(d.value_usd * s.share_ratio) as declared_usd "
        "from sources s join declarations d using (declaration_id) group by all"
    )
    sides = (
        "select frequency, period, exporter_code as reporter_code, 'X' as flow_code, sum(exporter_value_usd) as "
        "paired_usd from pairs where exporter_value_usd is not null group by all union all "
        "select frequency, period, importer_code, 'M', sum(importer_value_usd) from pairs "
        "where importer_value_usd is not null group by all"
    )
    key = "frequency, period, reporter_code, flow_code"
    columns = f"{key}, coalesce(declared_usd, 0) as declared_usd, coalesce(paired_usd, 0) as paired_usd"
    compared = (
        f"select {columns} from ({declared}) full join ({used_once}) using ({key}) union all "
        f"select {columns} from ({made_of}) full join ({sides}) using ({key})"
    )
    apart = "abs(declared_usd - paired_usd)"
    # A year without an annual set is complete when all twelve months are there.
    complete = (
        "select frequency, period, reporter_code from coverage where is_complete union "
        "select 'A', substr(period, 1, 4), reporter_code from coverage where frequency = 'M' and "
        "months_reported_count >= 12"
    )
    spoke = "select frequency, period, reporter_code, flow_code from coverage where is_complete and is_reporting"
    # Rolled-up flows rest on a collection of months, where an annual set of other goods proves nothing.
    one_sided = (
        "select mirror_flow_id, status, frequency, period, is_rolled_up, status like '%_partner_silent' as is_silent, "
        "case when status like 'exporter%' then importer_code else exporter_code end as reporter_code, "
        "case when status like 'exporter%' then 'M' else 'X' end as flow_code "
        "from mirror_flows where status <> 'two_sided'"
    )
    silent = (
        "select f.mirror_flow_id, f.status, c.reporter_code is not null as partner_is_complete, "
        f"s.reporter_code is not null as partner_filed_that_side from ({one_sided}) f "
        f"left join ({complete}) c using (frequency, period, reporter_code) "
        f"left join ({spoke}) s using (frequency, period, reporter_code, flow_code) "
        "where (f.is_silent and c.reporter_code is null) "
        "or (not f.is_silent and s.reporter_code is not null and not f.is_rolled_up) order by 1"
    )
    return figures(
        "conservation_of_flows",
        [
            Figure(
                "every_paired_dollar_stands_in_exactly_one_pair",
                f"select coalesce(sum({apart}) / greatest(sum(declared_usd), 1), 0) from ({compared})",
                f"select * from ({compared}) where {apart} > 1e-6 * greatest(declared_usd, 1) order by {key}",
            ),
            Figure("silent_partners_did_report", f"select count(*) from ({silent})", silent),
        ],
    )


def _areas_nes() -> Part:
    """What was filed under areas nes: set beside missing flows, or left with the area, and nothing else."""
    cell = "frequency, period, side, reporter_code, product_code"
    repeated = (
        f"select {cell}, partner_code, count(*) as row_count from nes_reallocations group by all having count(*) > 1"
    )
    lost = (
        f"select {cell}, max(declared_fob_usd) as declared_fob_usd, sum(reallocated_fob_usd) as reallocated_fob_usd "
        "from nes_reallocations group by all "
        "having abs(max(declared_fob_usd) - sum(reallocated_fob_usd)) > 0.01 + 1e-9 * max(declared_fob_usd)"
    )
    too_much = (
        f"select {cell}, partner_code, mirror_flow_id, missing_fob_usd, reallocated_fob_usd from nes_reallocations "
        "where reallocated_fob_usd < 0 or (not is_remainder and not coalesce(reallocated_fob_usd <= missing_fob_usd, "
        "false))"
    )
    return figures(
        "areas_not_specified",
        [
            Figure(
                "nes_reallocation_keys_are_unique",
                f"select count(*) from ({repeated})",
                f"{repeated} order by {cell}, partner_code",
            ),
            Figure("areas_nes_are_conserved", f"select count(*) from ({lost})", f"{lost} order by {cell}"),
            Figure(
                "missing_flows_take_no_more_than_they_lack",
                f"select count(*) from ({too_much})",
                f"{too_much} order by {cell}, partner_code",
            ),
        ],
    )


def _raking() -> Part:
    """Raked flows of a corridor add up to its total; a corridor that is not raked has none."""
    corridor = "frequency, period, exporter_code, importer_code"
    raked = f"select {corridor}, sum(raked_fob_usd) as raked_fob_usd from mirror_flows group by all"
    targets = (
        f"select {corridor}, raking_target_fob_usd from mirror_totals where product_code = 'TOTAL' and "
        "raking_status = 'raked'"
    )
    apart = (
        f"select * from ({raked}) full join ({targets}) using ({corridor}) where "
        "(raked_fob_usd is null) <> (raking_target_fob_usd is null) or "
        "abs(raked_fob_usd - raking_target_fob_usd) > 0.01 + 1e-9 * raking_target_fob_usd"
    )
    return figures(
        "raking_to_totals",
        [
            Figure(
                "raked_flows_add_up_to_their_total",
                f"select count(*) from ({apart})",
                f"{apart} order by {corridor}",
            ),
        ],
    )


def _plausibility() -> Part:
    by_frequency = (
        "select frequency, sum(exporter_fob_usd) as exporter_fob_usd, sum(importer_fob_usd) as "
        "importer_fob_usd, "
        "median(gap_log_ratio) as median_gap_log_ratio, count(*) as flow_count from mirror_flows "
        f"where {_TWO_POSITIVE_SIDES} group by frequency order by frequency"
    )
    return figures(
        "plausibility_of_flows",
        [
            Figure(
                "the_median_gap_is_small",
                f"select coalesce(max(abs(median_gap_log_ratio)), 0) from ({by_frequency})",
                f"select * from ({by_frequency}) where abs(median_gap_log_ratio) > 0.1",
            ),
            Figure(
                "both_sides_of_two_sided_flows_add_up_alike",
                f"select coalesce(max(abs(ln(exporter_fob_usd / importer_fob_usd))), 0) from ({by_frequency})",
                f"select * from ({by_frequency}) where abs(ln(exporter_fob_usd / importer_fob_usd)) > 0.1",
            ),
        ],
    )
