"""Columns and types that the stages before the gate have promised.

Belongs here: the promised columns of the contracted and reconciled tables and of the lists of the landing, as data, in
DuckDB's type names.
Does not belong here: the public tables (dbt contracts hold those) and any check.
"""

from __future__ import annotations

_TEXT, _INTEGER, _NUMBER, _DATE, _FLAG = "VARCHAR", "BIGINT", "DOUBLE", "DATE", "BOOLEAN"


def _columns(**groups: str) -> dict[str, str]:
    types = {"text": _TEXT, "integer": _INTEGER, "number": _NUMBER, "date": _DATE, "flag": _FLAG}
    return {name: types[kind] for kind, names in groups.items() for name in names.split()}


DECLARATIONS = _columns(
    text="declaration_id delivery_id source_file source_format frequency period reporter_code reporter_iso3 "
    "flow_code partner_code partner_iso3 partner2_code product_code chapter_code hs_revision customs_code "
    "mot_code "
    "mos_code valuation_filed quantity_unit_code account account_reason quarantine_field quarantine_value",
    integer="source_line product_level",
    number="value_usd cif_value_usd fob_value_usd quantity net_weight_kg gross_weight_kg",
    date="period_start",
    flag="is_quantity_estimated is_net_weight_estimated is_reported is_aggregate is_confidential",
)
CONTROL_TOTALS = _columns(
    text="frequency period reporter_code reporter_iso3 flow_code partner_code partner_iso3 product_code hs_revision "
    "declaration_id",
    integer="product_level",
    number="control_value_usd parts_value_usd coverage_ratio",
    date="period_start",
)
COVERAGE = _columns(
    text="frequency period reporter_code reporter_iso3 flow_code",
    integer="declaration_count months_reported_count",
    number="pair_value_usd special_value_usd quarantine_value_usd control_total_usd coverage_ratio "
    "confidential_value_usd confidential_share_ratio quarantine_share_ratio",
    date="period_start",
    flag="is_reporting is_complete",
)
# Lists that the landing writes beside the ledger, as JSON.
REFUSALS = _columns(text="source_file what how_to_mend")
DOUBTS = _columns(text="source_file what", integer="row_count stated_row_count", number="value_usd")
_SIDE_TEXT = "{0}_code {0}_iso3 {0}_valuation {0}_hs_revision {0}_quantity_unit_code {0}_declaration_id"
PAIRS = _columns(
    text="mirror_flow_id frequency period product_code chapter_code status hs_revision "
    + _SIDE_TEXT.format("exporter")
    + " "
    + _SIDE_TEXT.format("importer"),
    integer="product_level exporter_declaration_count importer_declaration_count",
    number="exporter_value_usd exporter_quantity exporter_net_weight_kg importer_value_usd importer_quantity "
    "importer_net_weight_kg importer_cif_value_usd importer_fob_value_usd reexport_usd reexport_share_ratio "
    "domestic_export_usd hs_ambiguity_ratio",
    date="period_start",
    flag="exporter_is_weight_estimated importer_is_weight_estimated is_edition_mismatch is_rolled_up is_intra_eaeu "
    "is_left_out is_confidential",
)
SOURCES = _columns(text="declaration_id mirror_flow_id side", number="share_ratio", flag="is_rolled_up")
MIRROR_FLOWS = PAIRS | _columns(
    text="cif_source method_name method_version",
    number="exporter_fob_usd importer_fob_usd cif_rate_ratio cif_rate_se_log gap_fob_usd gap_log_ratio "
    "gap_share_ratio distance_km exporter_previous_month_fob_usd reconciled_mean_fob_usd arrival_shift_log "
    "arrival_sd_log reconciled_fob_usd reconciled_fob_usd_p05 reconciled_fob_usd_p25 reconciled_fob_usd_p75 "
    "reconciled_fob_usd_p95 sd_log exporter_weight_ratio importer_weight_ratio exporter_bias_log "
    "importer_bias_log "
    "chapter_effect_log exporter_sigma_log importer_sigma_log z_score p_value nes_reallocated_fob_usd raked_fob_usd "
    "reconciled_net_weight_kg reconciled_net_weight_kg_p05 reconciled_net_weight_kg_p25 reconciled_net_weight_kg_p75 "
    "reconciled_net_weight_kg_p95 net_weight_sd_log net_weight_z_score "
    "reconciled_unit_value_fob_usd_per_kg reconciled_unit_value_fob_usd_per_kg_p05 "
    "reconciled_unit_value_fob_usd_per_kg_p25 reconciled_unit_value_fob_usd_per_kg_p75 "
    "reconciled_unit_value_fob_usd_per_kg_p95 unit_value_sd_log unit_value_z_score",
    flag="is_contiguous is_weight_unit_suspect",
)
MIRROR_TOTALS = _columns(
    text="frequency period exporter_code exporter_iso3 importer_code importer_iso3 product_code status raking_status",
    integer="product_level",
    number="exporter_value_usd importer_value_usd exporter_fob_usd importer_fob_usd gap_fob_usd gap_log_ratio "
    "exporter_coverage_ratio importer_coverage_ratio flows_mean_fob_usd raking_target_fob_usd raking_residual_fob_usd "
    "raking_ratio",
    date="period_start",
)
NES_REALLOCATIONS = _columns(
    text="frequency period side reporter_code reporter_iso3 product_code nes_code partner_code partner_iso3 "
    "mirror_flow_id",
    integer="product_level",
    number="declared_fob_usd missing_fob_usd reallocated_fob_usd",
    date="period_start",
    flag="is_remainder",
)
RELIABILITY = _columns(
    text="frequency reporter_code reporter_iso3 measure role method_name method_version",
    integer="window_start_year window_end_year pair_count",
    number="bias_log bias_se_log sigma_log sigma_se_log distance_log months_weight_ratio",
    flag="is_shrunk",
)

CONTRACTED_TABLES = {
    "declarations": DECLARATIONS,
    "control_totals": CONTROL_TOTALS,
    "coverage": COVERAGE,
}
RECONCILED_TABLES = {
    "pairs": PAIRS,
    "sources": SOURCES,
    "mirror_flows": MIRROR_FLOWS,
    "mirror_totals": MIRROR_TOTALS,
    "nes_reallocations": NES_REALLOCATIONS,
    "reliability": RELIABILITY,
}
SEED_COLUMNS = {
    "places": "place_code",
    "hs_codes": "product_code",
    "flows": "flow_code",
    "customs_procedures": "customs_code",
    "transport_modes": "mot_code",
    "quantity_units": "quantity_unit_code",
}

# Columns of public tables that the gate reads; everything else of them is held by their dbt contracts.
MART_COLUMNS_READ = {
    "fct_declaration": {
        "declaration_id": "VARCHAR",
        "value_usd": "DOUBLE",
        "account": "VARCHAR",
    },
    "fct_mirror_flow": {
        "mirror_flow_id": "VARCHAR",
        "exporter_value_usd": "DOUBLE",
        "importer_value_usd": "DOUBLE",
        "reconciled_fob_usd": "DOUBLE",
        "method_version": "VARCHAR",
    },
    "mart_reporter_reliability": {
        "frequency": "VARCHAR",
        "window_start_year": "BIGINT",
        "window_end_year": "BIGINT",
        "measure": "VARCHAR",
        "role": "VARCHAR",
        "reporter_code": "VARCHAR",
        "bias_log": "DOUBLE",
        "bias_se_log": "DOUBLE",
        "is_shrunk": "BOOLEAN",
    },
    "mart_discrepancy": {
        "mirror_flow_id": "VARCHAR",
        "p_value": "DOUBLE",
        "q_value": "DOUBLE",
    },
    "mart_unit_value": {
        "mirror_flow_id": "VARCHAR",
        "z_score": "DOUBLE",
        "net_weight_z_score": "DOUBLE",
        "unit_value_z_score": "DOUBLE",
        "reading": "VARCHAR",
        "exporter_fob_usd": "DOUBLE",
        "exporter_net_weight_kg": "DOUBLE",
        "exporter_unit_value_fob_usd_per_kg": "DOUBLE",
    },
    "mart_passage_lead": {
        "lead_id": "VARCHAR",
        "grade": "VARCHAR",
        "holding_explanation_count": "BIGINT",
        "is_origin_only": "BOOLEAN",
        "is_across_edition_break": "BOOLEAN",
        "is_lead_complete": "BOOLEAN",
    },
    "mart_lead_evidence": {"lead_id": "VARCHAR", "mirror_flow_id": "VARCHAR", "declaration_id": "VARCHAR"},
    "mart_lead_explanation": {"lead_id": "VARCHAR", "control_code": "VARCHAR"},
    "mart_placebo_rate": {"embargo_code": "VARCHAR", "period": "VARCHAR", "placebo_rise_ratio": "DOUBLE"},
}
LEADS = {"lead_id": "VARCHAR", "grade": "VARCHAR"}

KNOWN_ACCOUNT_REASONS = tuple(
    f"{account}:{reason}"
    for account, reasons in {
        "pair": "kept summed_from_breakdown",
        "total": "world_partner coarser_level total_product",
        "special": "special_partner self_trade group_place sub_flow breakdown_beside_total "
        "superseded_vintage "
        "non_hs_classification",
        "quarantine": "unknown_flow unknown_place unknown_product unknown_unit unknown_customs "
        "unknown_transport "
        "unknown_mode_of_supply unparseable_field place_not_valid_at_date duplicate_row "
        "conflicting_duplicate "
        "missing_value negative_value impossible_amount unknown_column",
    }.items()
    for reason in reasons.split()
)
KNOWN_MEASURES = ("value", "net_weight", "unit_value")
KNOWN_READINGS = (
    "agreement",
    "valuation_anomalous",
    "volume_anomalous",
    "valuation_and_volume_anomalous",
    "weight_anomalous",
    "unclear",
)
KNOWN_STATUSES = (
    "two_sided",
    "exporter_only_partner_nonreporting",
    "exporter_only_partner_silent",
    "importer_only_partner_nonreporting",
    "importer_only_partner_silent",
)
