"""Suite on declarations after the source contract: tables `declarations`, `control_totals`, `coverage`.

Belongs here: what must be true of what reporters filed, once it is read. Does not belong here: anything
about two sides of one flow (`reconciled_flows`) or about public tables (`marts`).
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
from expectations.schemas import CONTRACTED_TABLES, DOUBTS, KNOWN_ACCOUNT_REASONS, REFUSALS
from expectations.tables import GateTables, open_landed, open_list

_SHOW = (
    "declaration_id, frequency, period, reporter_code, flow_code, partner_code, product_code, hs_revision, "
    "value_usd, "
    "cif_value_usd, fob_value_usd, quantity, net_weight_kg, account, account_reason, quarantine_field, "
    "quarantine_value"
)
_ORDER = "declaration_id"
_KEY = "frequency, period, reporter_code, flow_code, partner_code, product_code"
_COVERAGE_KEY = "frequency, period, reporter_code, flow_code"
# A superseded row is no longer filed and a row of another classification is not read: their faults do not
# count.
_USED = (
    "(account is distinct from 'quarantine' and coalesce(account_reason, '') not in ('superseded_vintage', "
    "'non_hs_classification'))"
)
_YEAR = "try_cast(substr(period, 1, 4) as integer)"
_MONTH = "try_cast(substr(period, 5, 2) as integer)"
_PERIOD_IS_WELL_FORMED = (
    "((frequency = 'A' and regexp_full_match(period, '[0-9]{4}') "
    f"and period_start = try_cast(period || '-01-01' as date)) or (frequency = 'M' "
    f"and regexp_full_match(period, '[0-9]{{6}}') and {_MONTH} between 1 and 12 and "
    "period_start = try_cast(substr(period, 1, 4) || '-' || substr(period, 5, 2) || '-01' as date)))"
)
_CIF_BELOW_FOB = "cif_value_usd > 0 and fob_value_usd > 0 and cif_value_usd < fob_value_usd * 0.999"
_FIELD_REASONS = "(account_reason like 'unknown_%' or account_reason in ('unparseable_field', 'missing_value', "
_FIELD_REASONS += "'negative_value', 'impossible_amount', 'place_not_valid_at_date'))"


def landed_declarations(tables: GateTables) -> Suite:
    """The suite; `tables` says which codes are known and whether an earlier release can be compared with."""
    return assemble(
        "landed_declarations",
        [
            *promised_columns(
                "declaration_columns_and_types_match_the_contract",
                "no_declaration_column_is_undeclared",
                CONTRACTED_TABLES,
            ),
            _row_rules(),
            *_known_codes(tables),
            _keys(tables),
            _tolerances(),
            _control_totals(),
            _conservation(tables),
            _last_release(tables),
            _sources(tables),
        ],
    )


def _row_rules() -> Part:
    rules = {
        "required_fields_are_present": (
            "declaration_id is null or delivery_id is null or account is null or account_reason is null or "
            f"({_USED} and (frequency is null or period is null or period_start is null or reporter_code is "
            "null or "
            "flow_code is null or partner_code is null or product_code is null or value_usd is null))"
        ),
        "periods_match_their_frequency": (
            f"{_USED} and (not coalesce({_PERIOD_IS_WELL_FORMED}, false) or {_YEAR} < 1962)"
        ),
        "product_levels_match_their_codes": (
            f"{_USED} and (product_level is distinct from (case when product_code = 'TOTAL' then 0 else "
            "length(product_code) end) or (product_code <> 'TOTAL' and chapter_code is distinct from "
            "substr(product_code, 1, 2)))"
        ),
        "hs_revisions_are_known": (
            "account in ('pair', 'total') and coalesce(hs_revision, '') not in "
            "('H0', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6')"
        ),
        "valuations_are_known": "coalesce(valuation_filed, '') not in ('FOB', 'CIF', 'unknown')",
        "values_are_not_negative": (
            f"{_USED} and (value_usd < 0 or cif_value_usd < 0 or fob_value_usd < 0 or isnan(value_usd))"
        ),
        "values_are_in_range": "account = 'pair' and value_usd > 1e12",
        "quantities_and_weights_are_not_negative": (
            f"{_USED} and (quantity < 0 or net_weight_kg < 0 or gross_weight_kg < 0)"
        ),
        "quantities_and_weights_are_in_range": (
            "account = 'pair' and (quantity > 1e12 or net_weight_kg > 1e12 or gross_weight_kg > 1e12)"
        ),
        "quarantined_rows_name_their_field": (
            f"(account = 'quarantine' and {_FIELD_REASONS} and quarantine_field is null) or "
            "(account is distinct from 'quarantine' and (quarantine_field is not null or quarantine_value is "
            "not null))"
        ),
    }
    return row_rules("declarations", rules, _SHOW, _ORDER)


def _known_codes(tables: GateTables) -> list[Part]:
    checked = {
        "reporter_codes_are_known": ("reporter_code", "places"),
        "partner_codes_are_known": ("partner_code", "places"),
        "product_codes_are_known": ("product_code", "hs_codes"),
        "flow_codes_are_known": ("flow_code", "flows"),
        "quantity_unit_codes_are_known": ("quantity_unit_code", "quantity_units"),
        "customs_codes_are_known": ("customs_code", "customs_procedures"),
        "transport_codes_are_known": ("mot_code", "transport_modes"),
    }
    parts = [
        known_values(name, "declarations", column, codes(tables, seed), _USED, _SHOW, _ORDER)
        for name, (column, seed) in checked.items()
    ]
    pair = "account || ':' || account_reason"
    parts.append(
        known_values(
            "accounts_and_reasons_are_known",
            "declarations",
            pair,
            KNOWN_ACCOUNT_REASONS,
            "true",
            _SHOW,
            _ORDER,
        )
    )
    return parts


def _keys(tables: GateTables) -> Part:
    repeated_ids = (
        "select declaration_id, count(*) as row_count from declarations group by 1 having count(*) > 1 order by 1"
    )
    # Several rows may be summed from one breakdown; a kept row stands alone under its key.
    repeated_keys = (
        f"select {_KEY}, count(*) as row_count, count(*) filter (where account_reason = 'kept') as "
        "kept_count, "
        f"sum(value_usd) as value_usd from declarations where account = 'pair' group by {_KEY} "
        "having count(*) > 1 and count(*) filter (where account_reason = 'kept') > 0 "
        f"order by {_KEY}"
    )
    repeated_coverage = (
        f"select {_COVERAGE_KEY}, count(*) as row_count from coverage group by {_COVERAGE_KEY} "
        f"having count(*) > 1 order by {_COVERAGE_KEY}"
    )
    absent = absent_tables(tables, tuple(CONTRACTED_TABLES), ("declarations", "coverage"))
    return figures(
        "keys_of_declarations",
        [
            Figure("contracted_tables_are_present", f"select count(*) from ({absent})", f"{absent} order by 1"),
            Figure("declaration_ids_are_unique", f"select count(*) from ({repeated_ids})", repeated_ids),
            Figure("declaration_keys_are_unique", f"select count(*) from ({repeated_keys})", repeated_keys),
            Figure("coverage_keys_are_unique", f"select count(*) from ({repeated_coverage})", repeated_coverage),
        ],
    )


def _tolerances() -> Part:
    quarantined = f"select {_SHOW} from declarations where account = 'quarantine' order by "
    confidential = "account = 'pair' and is_confidential"
    reporters = (
        "select reporter_code, sum(abs(value_usd)) filter (where account = 'quarantine') as quarantined_usd, "
        "sum(abs(value_usd)) as declared_usd from declarations where account in ('pair', 'quarantine') "
        "group by reporter_code having quarantined_usd > 0.05 * declared_usd"
    )
    return figures(
        "tolerances_of_declarations",
        [
            Figure(
                "cif_is_not_below_fob_beyond_tolerance",
                f"select coalesce(count(*) filter (where {_CIF_BELOW_FOB}) / nullif(count(*) filter (where "
                f"cif_value_usd > 0 and fob_value_usd > 0), 0), 0) from declarations where {_USED}",
                f"select {_SHOW} from declarations where {_USED} and {_CIF_BELOW_FOB} order by {_ORDER}",
            ),
            Figure(
                "share_of_value_quarantined_is_small",
                "select coalesce(sum(abs(value_usd)) filter (where account = 'quarantine') / "
                "nullif(sum(abs(value_usd)), 0), 0) from declarations where account in ('pair', "
                "'quarantine')",
                f"{quarantined} abs(value_usd) desc nulls last, {_ORDER}",
            ),
            Figure(
                "share_of_rows_quarantined_is_small",
                "select coalesce(count(*) filter (where account = 'quarantine') / nullif(count(*), 0), 0) "
                "from declarations",
                f"{quarantined} {_ORDER}",
            ),
            Figure(
                "no_reporter_is_mostly_quarantined",
                f"select count(*) from ({reporters})",
                f"{reporters} order by reporter_code",
            ),
            Figure(
                "share_of_value_confidential_is_small",
                f"select coalesce(sum(value_usd) filter (where {confidential}) / nullif(sum(value_usd), 0), "
                "0) "
                "from declarations where account = 'pair'",
                f"select {_SHOW} from declarations where {confidential} order by value_usd desc, {_ORDER}",
            ),
        ],
    )


def _control_totals() -> Part:
    world = "from control_totals where partner_code = '000' and control_value_usd > 0"
    show = (
        "select frequency, period, reporter_code, flow_code, partner_code, product_code, control_value_usd, "
        f"parts_value_usd, coverage_ratio {world}"
    )
    order = "order by abs(control_value_usd - coalesce(parts_value_usd, 0)) desc, declaration_id"
    short = "coalesce(parts_value_usd, 0) < 0.9 * control_value_usd"
    return figures(
        "control_totals_against_parts",
        [
            Figure(
                "bilateral_rows_cover_the_control_totals",
                "select coalesce(sum(least(coalesce(parts_value_usd, 0), control_value_usd)) / "
                f"nullif(sum(control_value_usd), 0), 1) {world}",
                f"{show} and coalesce(parts_value_usd, 0) < control_value_usd * (1 - 1e-6) {order}",
                at_least=True,
            ),
            Figure(
                "bilateral_rows_do_not_exceed_the_control_totals",
                "select coalesce(sum(greatest(coalesce(parts_value_usd, 0) - control_value_usd, 0)) / "
                f"nullif(sum(control_value_usd), 0), 0) {world}",
                f"{show} and parts_value_usd > control_value_usd * (1 + 1e-6) {order}",
            ),
            Figure(
                "few_control_totals_are_badly_covered",
                f"select coalesce(count(*) filter (where {short}) / nullif(count(*), 0), 0) {world}",
                f"{show} and {short} {order}",
            ),
        ],
    )


def _conservation(tables: GateTables) -> Part:
    """Filed dollars against the dollars of the four accounts, per delivery; and coverage against
    declarations.
    """
    landed = tables.inputs.landed_dir
    if landed is not None:
        open_landed(tables, landed)
    filed = (
        "select * from landed_by_delivery where delivery_id in (select distinct delivery_id from declarations)"
        if landed is not None
        else "select delivery_id, sum(value_usd) as usd, count(*) as row_count from (select delivery_id, "
        "any_value(value_usd) as value_usd from declarations group by delivery_id, declaration_id) group by 1"
    )
    by_delivery = (
        f"select coalesce(f.delivery_id, a.delivery_id) as delivery_id, coalesce(f.usd, 0) as filed_usd, "
        "coalesce(a.usd, 0) as accounted_usd, coalesce(f.row_count, 0) as filed_row_count, "
        f"coalesce(a.row_count, 0) as accounted_row_count from ({filed}) f full join (select delivery_id, "
        "sum(value_usd) as usd, count(*) as row_count from declarations where account in ('pair', 'total', "
        "'special', 'quarantine') group by 1) a on f.delivery_id = a.delivery_id"
    )
    paired = (
        "select d.frequency, d.period, d.reporter_code, d.flow_code, coalesce(d.usd, 0) as declared_usd, "
        "coalesce(c.pair_value_usd, 0) as coverage_usd from (select frequency, period, reporter_code, "
        "flow_code, "
        "sum(value_usd) as usd from declarations where account = 'pair' group by all) d left join coverage c "
        f"using ({_COVERAGE_KEY})"
    )
    apart = "abs(declared_usd - coverage_usd)"
    return figures(
        "conservation_of_declarations",
        [
            Figure(
                "every_declared_dollar_stands_in_exactly_one_account",
                "select coalesce(sum(abs(filed_usd - accounted_usd)) / greatest(sum(abs(filed_usd)), 1), 0) "
                f"from ({by_delivery})",
                f"select * from ({by_delivery}) where abs(filed_usd - accounted_usd) > 1e-6 * "
                "greatest(abs(filed_usd), 1) "
                "order by delivery_id",
            ),
            Figure(
                "every_landed_row_is_contracted_exactly_once",
                f"select coalesce(sum(abs(filed_row_count - accounted_row_count)), 0) from ({by_delivery})",
                f"select * from ({by_delivery}) where filed_row_count <> accounted_row_count order by delivery_id",
            ),
            Figure(
                "coverage_agrees_with_the_declarations",
                f"select coalesce(sum({apart}) / greatest(sum(declared_usd), 1), 0) from ({paired})",
                f"select * from ({paired}) where {apart} > 1e-6 * greatest(declared_usd, 1) order by {_COVERAGE_KEY}",
            ),
        ],
    )


def _last_release(tables: GateTables) -> Part:
    now = f"select distinct reporter_code from declarations where {_USED}"
    gone = (
        "select reporter_code, count(*) as row_count, sum(value_usd) as value_usd from last_declarations "
        f"where {_USED} and reporter_code not in ({now} and reporter_code is not null) group by reporter_code"
    )
    years = (
        "select frequency, reporter_code, substr(period, 1, 4) as year, count(*) as row_count from {0} "
        f"where {_USED} group by all"
    )
    fallen = (
        "select l.frequency, l.reporter_code, l.year, l.row_count as last_row_count, "
        f"coalesce(n.row_count, 0) as row_count from ({years.format('last_declarations')}) l left join "
        f"({years.format('declarations')}) n using (frequency, reporter_code, year) "
    )
    halved = "coalesce(n.row_count, 0) < 0.5 * l.row_count"
    return figures(
        "declarations_against_the_last_release",
        [
            Figure(
                "no_reporter_of_the_last_release_is_missing",
                f"select count(*) from ({gone})",
                f"{gone} order by reporter_code",
                not_comparable=tables.not_comparable,
            ),
            Figure(
                "row_counts_per_reporter_year_match_the_baseline",
                "select coalesce(count(*) filter (where row_count < 0.5 * last_row_count) / "
                "nullif(count(*), 0), 0) "
                f"from ({fallen})",
                f"{fallen} where {halved} order by 1, 2, 3",
                not_comparable=tables.not_comparable,
            ),
        ],
    )


def _sources(tables: GateTables) -> Part:
    """What the source had and the declarations lack, as far as the landing knows."""
    open_list(tables, "refusals", tables.inputs.refusals_file, REFUSALS)
    open_list(tables, "doubts", tables.inputs.doubts_file, DOUBTS)
    return figures(
        "sources_of_declarations",
        [
            Figure(
                "sources_are_read",
                "select count(*) from refusals",
                "select source_file, what, how_to_mend from refusals order by all",
            ),
            Figure(
                "answers_are_whole",
                "select count(*) from doubts",
                "select source_file, what, row_count, stated_row_count, value_usd from doubts "
                "order by abs(stated_row_count - row_count) desc nulls first, source_file",
            ),
        ],
    )
