"""What one landed row becomes: names, units, valuation, quarantine."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import polars as pl
import pytest

from orchestration.comtrade.contract import ContractError
from orchestration.comtrade.contract.schema import CONTROL_TOTALS, COVERAGE, DECLARATIONS, REVISIONS
from tests.unit.comtrade.contract.builders import DELIVERY, apply, declaration_row, landed, reasons


def _only(result) -> dict[str, Any]:
    return result.declarations.row(0, named=True)


def test_codes_are_text_and_the_row_is_named_when_a_plain_row_lands(contract) -> None:
    row = _only(contract(declaration_row(partnerCode=4)))
    assert row["declaration_id"] == f"{DELIVERY}:1"
    assert (row["reporter_code"], row["partner_code"], row["partner2_code"]) == ("398", "004", "000")
    assert (row["reporter_iso3"], row["partner_iso3"]) == ("KAZ", "AFG")
    assert (row["product_level"], row["chapter_code"], row["hs_revision"]) == (6, "85", "H5")
    assert (row["account"], row["account_reason"]) == ("pair", "kept")


@pytest.mark.parametrize(("frequency", "period", "start"), [
    ("A", "2017", date(2017, 1, 1)), ("M", "202102", date(2021, 2, 1))
])  # fmt: skip
def test_period_start_is_its_first_day_when_the_period_is_well_formed(contract, frequency, period, start) -> None:
    assert _only(contract(declaration_row(freqCode=frequency, period=period)))["period_start"] == start


def test_every_table_has_its_schema_when_the_frame_is_empty(tables) -> None:
    result = apply(tables, landed(), [DELIVERY])
    assert dict(result.declarations.schema) == DECLARATIONS
    assert dict(result.control_totals.schema) == CONTROL_TOTALS
    assert dict(result.coverage.schema) == COVERAGE
    assert dict(result.revisions.schema) == REVISIONS


def test_absent_dimensions_are_totals_when_a_legacy_format_lacks_them(contract) -> None:
    row = _only(contract(declaration_row(partner2Code=None, customsCode=None, motCode=None, mosCode=None)))
    assert [row[c] for c in ("partner2_code", "customs_code", "mot_code", "mos_code")] == ["000", "C00", "0", "0"]
    assert row["account"] == "pair"


@pytest.mark.parametrize("mos", ["0 ", "-1", " 0", "", "-1 "])
def test_mode_of_supply_is_the_total_when_written_with_blanks_or_minus_one(contract, mos) -> None:
    row = _only(contract(declaration_row(mosCode=mos)))
    assert (row["mos_code"], row["account"]) == ("0", "pair")


@pytest.mark.parametrize("unit", [-1, 1])
def test_quantity_is_null_when_the_unit_says_no_quantity(contract, unit) -> None:
    row = _only(contract(declaration_row(qtyUnitCode=unit, qty=0.0)))
    assert (row["quantity"], row["quantity_unit_code"], row["account"]) == (None, None, "pair")


def test_zero_quantity_stays_zero_when_a_unit_is_filed(contract) -> None:
    assert _only(contract(declaration_row(qty=0.0)))["quantity"] == 0.0


def test_net_weight_is_null_when_missing_and_zero_when_filed(contract) -> None:
    assert _only(contract(declaration_row(netWgt=None)))["net_weight_kg"] is None
    assert _only(contract(declaration_row(netWgt=0.0)))["net_weight_kg"] == 0.0


def test_cif_and_fob_are_absent_when_filed_as_zero(contract) -> None:
    row = _only(contract(declaration_row(cifvalue=0.0, fobvalue=0.0)))
    assert (row["cif_value_usd"], row["fob_value_usd"]) == (None, None)


@pytest.mark.parametrize(("flow", "cif", "fob", "expected"), [
    ("X", None, 100.0, "FOB"), ("X", 0.0, 0.0, "FOB"), ("X", 100.0, 0.0, "CIF"), ("X", 110.0, 100.0, "FOB"),
    ("RX", None, None, "FOB"),
    ("M", 100.0, 0.0, "CIF"), ("M", 100.0, 95.0, "CIF"), ("M", 0.0, 100.0, "FOB"), ("M", None, 100.0, "FOB"),
    ("M", 0.0, 0.0, "unknown"), ("M", None, None, "unknown"), ("M", 100.00000000001, None, "CIF"),
])  # fmt: skip
def test_valuation_is_what_the_row_says_when_values_are_compared(contract, flow, cif, fob, expected) -> None:
    row = _only(contract(declaration_row(flowCode=flow, cifvalue=cif, fobvalue=fob)))
    assert row["valuation_filed"] == expected


def test_rows_stay_in_pairs_when_is_reported_is_false(contract) -> None:
    assert reasons(contract(declaration_row(isReported=False, isAggregate=True))) == ["pair/kept"]


@pytest.mark.parametrize("code", ["99", "9999", "999999"])
def test_row_is_confidential_when_its_chapter_is_99(contract, code) -> None:
    assert _only(contract(declaration_row(cmdCode=code)))["is_confidential"]


def test_row_is_not_confidential_when_99_stands_elsewhere_in_the_code(contract) -> None:
    assert not _only(contract(declaration_row(cmdCode="854099")))["is_confidential"]


@pytest.mark.parametrize(("code", "edition"), [("H0", "H0"), ("H6", "H6"), ("HS", None), (None, None)])
def test_edition_is_carried_when_known_and_null_when_the_format_names_none(contract, code, edition) -> None:
    row = _only(contract(declaration_row(classificationCode=code)))
    assert (row["hs_revision"], row["account"]) == (edition, "pair")


@pytest.mark.parametrize("code", ["S1", "S4", "B4", "EB", "EB10"])
def test_row_is_special_when_its_classification_is_not_hs(contract, code) -> None:
    row = declaration_row(classificationCode=code, cmdCode="77689", customsCode="?")
    assert reasons(contract(row)) == ["special/non_hs_classification"]


def test_product_is_known_when_only_another_edition_has_it(contract) -> None:
    row = declaration_row(cmdCode="852580", classificationCode="H6")  # Split in H6; some reporters file it on.
    assert reasons(contract(row)) == ["pair/kept"]


QUARANTINED = [
    ("unknown_flow", "flowCode", "MIF", {"flowCode": "MIF"}),
    ("unknown_flow", "flowCode", "XIF", {"flowCode": "XIF"}),
    ("unknown_flow", "flowCode", None, {"flowCode": None}),
    ("unknown_place", "reporterCode", "998", {"reporterCode": 998}),
    ("unknown_place", "reporterCode", "0", {"reporterCode": 0}),
    ("unknown_place", "partnerCode", "998", {"partnerCode": 998}),
    ("unknown_place", "partner2Code", "998", {"partner2Code": 998}),
    ("unknown_product", "cmdCode", "854200", {"cmdCode": "854200"}),
    ("unknown_product", "cmdCode", "85423190", {"cmdCode": "85423190"}),
    ("unknown_product", "classificationCode", "Q9", {"classificationCode": "Q9"}),
    ("unknown_unit", "qtyUnitCode", "777", {"qtyUnitCode": 777}),
    ("unknown_customs", "customsCode", "C77", {"customsCode": "C77"}),
    ("unknown_transport", "motCode", "4200", {"motCode": 4200}),
    ("unknown_mode_of_supply", "mosCode", "7", {"mosCode": "7"}),
    ("unparseable_field", "primaryValue", "1.2.3", {
        "primaryValue": None, "quarantine_field": "primaryValue", "quarantine_value": "1.2.3"}),
    ("unparseable_field", "period", "2017Q", {"period": "2017Q"}),
    ("unparseable_field", "period", "201713", {"freqCode": "M", "period": "201713"}),
    ("unparseable_field", "freqCode", "Q", {"freqCode": "Q"}),
    ("unknown_column", "surprise", "1", {"quarantine_field": "surprise", "quarantine_value": "1"}),
    ("missing_value", "primaryValue", None, {"primaryValue": None}),
    ("missing_value", "primaryValue", "NaN", {"primaryValue": math.nan}),
    ("negative_value", "primaryValue", "-5.0", {"primaryValue": -5.0}),
    ("impossible_amount", "primaryValue", "1e+18", {"primaryValue": 1e18}),
    ("impossible_amount", "netWgt", "1e+33", {"netWgt": 1e33}),
    ("impossible_amount", "qty", "-1e+18", {"qty": -1e18}),
    ("place_not_valid_at_date", "partnerCode", "736", {"partnerCode": 736, "freqCode": "M", "period": "202001"}),
    ("place_not_valid_at_date", "reporterCode", "58", {"reporterCode": 58, "period": "1999"}),
    ("place_not_valid_at_date", "partnerCode", "891", {"partnerCode": 891, "period": "1991"}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "field", "value", "changes"), QUARANTINED)
def test_row_is_quarantined_with_its_raw_value_when_it_cannot_be_understood(
    contract, reason, field, value, changes
) -> None:
    row = _only(contract(declaration_row(**changes)))
    assert (row["account"], row["account_reason"]) == ("quarantine", reason)
    assert (row["quarantine_field"], row["quarantine_value"]) == (field, value)


@pytest.mark.parametrize(("partner", "period"), [(736, "2012"), (711, "1999"), (891, "2006"), (58, "1998")])
def test_historic_place_stands_in_pairs_when_dated_inside_its_validity(contract, partner, period) -> None:
    assert reasons(contract(declaration_row(partnerCode=partner, period=period))) == ["pair/kept"]


def test_quarantine_columns_are_null_when_the_row_is_booked_elsewhere(contract) -> None:
    older = declaration_row(delivery_id="a", cmdCode="854231", motCode=4200)
    rows = contract(older, declaration_row(delivery_id="b")).declarations
    assert rows.filter(pl.col("account") != "quarantine")["quarantine_value"].null_count() == 2


def test_zero_value_is_a_declaration_when_filed(contract) -> None:
    assert reasons(contract(declaration_row(primaryValue=0.0, fobvalue=0.0))) == ["pair/kept"]


def test_contract_refuses_when_a_landed_column_is_missing(tables) -> None:
    with pytest.raises(ContractError, match="motCode"):
        apply(tables, landed(declaration_row()).drop("motCode"))


def test_contract_refuses_when_a_cell_has_the_wrong_type(tables) -> None:
    frame = landed(declaration_row()).with_columns(motCode=pl.lit("road"))
    with pytest.raises(ContractError, match="raw text"):
        apply(tables, frame)


def test_reader_columns_may_be_absent_when_nothing_was_unparseable(tables) -> None:
    frame = landed(declaration_row()).drop("quarantine_field", "quarantine_value")
    assert reasons(apply(tables, frame)) == ["pair/kept"]


def test_contract_refuses_when_two_rows_carry_one_name(tables) -> None:
    with pytest.raises(ContractError, match="source_line"):
        apply(tables, landed(declaration_row(source_line=1), declaration_row(source_line=1, partnerCode=4)))
