"""Control totals, coverage, completeness, revisions and the balance of accounts."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from orchestration.comtrade.contract import (
    ContractError,
    account_balance,
    reported_presence,
    with_completeness,
    year_completeness,
)
from tests.unit.comtrade.contract.builders import declaration_row, landed

row = declaration_row


def _named(frame: pl.DataFrame, **key: Any) -> dict[str, Any]:
    found = frame.filter(pl.all_horizontal(pl.col(k) == v for k, v in key.items()))
    assert found.height == 1
    return found.row(0, named=True)


def test_world_total_is_set_beside_all_partners_when_parts_are_filed(contract) -> None:
    totals = contract(
        row(partnerCode=0, cmdCode="TOTAL", primaryValue=200.0), row(), row(partnerCode=899, primaryValue=50.0),
        row(partnerCode=398, primaryValue=10.0), row(cmdCode="8542", primaryValue=120.0),
    ).control_totals  # fmt: skip
    world = _named(totals, partner_code="000")
    assert (world["control_value_usd"], world["parts_value_usd"], world["coverage_ratio"]) == (200.0, 160.0, 0.8)
    heading = _named(totals, product_code="8542")
    assert (heading["parts_value_usd"], heading["product_level"]) == (100.0, 4)


def test_parts_are_zero_when_only_the_total_is_filed(contract) -> None:
    only = contract(row(cmdCode="TOTAL")).control_totals.row(0, named=True)
    assert (only["parts_value_usd"], only["coverage_ratio"]) == (0.0, 0.0)


def test_coverage_ratio_is_null_when_the_control_total_is_zero(contract) -> None:
    assert contract(row(cmdCode="TOTAL", primaryValue=0.0)).control_totals["coverage_ratio"].to_list() == [None]


def test_control_total_is_one_row_without_id_when_filed_as_a_breakdown(contract) -> None:
    totals = contract(
        row(cmdCode="8542", motCode=1000), row(cmdCode="8542", motCode=3200), row(motCode=1000)
    ).control_totals
    assert totals.select("control_value_usd", "declaration_id").rows() == [(200.0, None)]


def test_superseded_totals_are_left_out_when_a_newer_delivery_is_there(contract) -> None:
    totals = contract(
        row(delivery_id="a", partnerCode=0), row(delivery_id="b", partnerCode=0, primaryValue=7.0)
    ).control_totals
    assert totals["control_value_usd"].to_list() == [7.0]


def test_coverage_states_accounts_and_shares_when_a_set_is_mixed(contract) -> None:
    coverage = contract(
        row(), row(partnerCode=0, cmdCode="TOTAL", primaryValue=250.0), row(cmdCode="999999", primaryValue=50.0),
        row(partnerCode=899, primaryValue=50.0), row(partnerCode=998, primaryValue=50.0),
    ).coverage  # fmt: skip
    exports = _named(coverage, flow_code="X")
    assert exports["declaration_count"] == 5
    assert (exports["pair_value_usd"], exports["special_value_usd"], exports["quarantine_value_usd"]) == (150, 50, 50)
    assert (exports["control_total_usd"], exports["coverage_ratio"]) == (250.0, 0.8)
    assert (exports["confidential_value_usd"], exports["confidential_share_ratio"]) == (50.0, 0.25)
    assert exports["quarantine_share_ratio"] == 0.2
    assert exports["is_reporting"]
    assert exports["is_complete"] is None


def test_missing_flow_is_not_reporting_when_the_reporter_filed_the_other(contract) -> None:
    imports = _named(contract(row()).coverage, flow_code="M")
    assert (imports["declaration_count"], imports["pair_value_usd"], imports["is_reporting"]) == (0, 0.0, False)
    assert imports["control_total_usd"] is None


def test_reporter_is_not_reporting_when_all_its_rows_are_quarantined(contract) -> None:
    exports = _named(contract(row(primaryValue=None)).coverage, flow_code="X")
    assert (exports["declaration_count"], exports["is_reporting"]) == (1, False)


def test_unknown_reporter_has_no_coverage_row_when_quarantined(contract) -> None:
    assert contract(row(reporterCode=998), row(reporterCode=0)).coverage.is_empty()


def _presence(frequency: str, periods: list[str], reporter: str = "398") -> pl.DataFrame:
    return pl.DataFrame({"frequency": frequency, "period": periods, "reporter_code": reporter})


MONTHS = [f"2017{month:02d}" for month in range(1, 13)]


def test_year_is_complete_when_the_annual_set_or_twelve_months_are_there() -> None:
    presence = pl.concat([
        _presence("A", ["2017"], "001"), _presence("M", MONTHS, "002"), _presence("M", MONTHS[:11] * 2, "003"),
        _presence("A", ["2017"], "004"), _presence("M", MONTHS[:3], "004"),
    ])  # fmt: skip
    assert year_completeness(presence).rows() == [
        ("001", 2017, 0, True, True),
        ("002", 2017, 12, False, True),
        ("003", 2017, 11, False, False),
        ("004", 2017, 3, True, True),
    ]


def test_annual_coverage_is_complete_when_the_annual_set_is_there(contract) -> None:
    filled = with_completeness(contract(row()).coverage, year_completeness(_presence("A", ["2017"])))
    assert filled.select("is_complete", "months_reported_count").unique().rows() == [(True, 12)]


def test_annual_coverage_is_incomplete_when_only_some_months_are_there(contract) -> None:
    filled = with_completeness(contract(row()).coverage, year_completeness(_presence("M", MONTHS[:5])))
    assert filled.select("is_complete", "months_reported_count").unique().rows() == [(False, 5)]


def test_coverage_is_incomplete_when_presence_knows_nothing_of_the_reporter(contract) -> None:
    filled = with_completeness(contract(row()).coverage, year_completeness(_presence("A", ["2016"])))
    assert filled.select("is_complete", "months_reported_count").unique().rows() == [(False, 0)]


def test_a_year_is_incomplete_when_nobody_understood_a_row_of_its_twelfth_month(contract) -> None:
    rows = [row(freqCode="M", period=month) for month in MONTHS[:11]]
    understood = contract(*rows, row(freqCode="M", period=MONTHS[11])).coverage
    mistaken = contract(*rows, row(freqCode="M", period=MONTHS[11], flowCode="Z")).coverage
    assert reported_presence(understood)["period"].to_list() == MONTHS
    assert reported_presence(mistaken)["period"].to_list() == MONTHS[:11]
    assert year_completeness(reported_presence(mistaken)).rows() == [("398", 2017, 11, False, False)]


@pytest.mark.parametrize(("value", "complete"), [(1.0, True), (None, False)])
def test_month_is_complete_when_it_was_filed(contract, value, complete) -> None:
    coverage = contract(row(freqCode="M", period="201701", primaryValue=value)).coverage
    filled = with_completeness(coverage, year_completeness(_presence("M", MONTHS[:1])))
    assert filled.select("is_complete", "months_reported_count").unique().rows() == [(complete, 1)]


def test_revision_counts_keys_when_a_newer_vintage_adds_drops_and_changes(contract) -> None:
    old, new = {"delivery_id": "a"}, {"delivery_id": "b"}
    revisions = contract(
        row(**old), row(**old, partnerCode=156, primaryValue=5.0), row(**old, partnerCode=4),
        row(**new), row(**new, partnerCode=156, primaryValue=7.0, classificationCode="H4"),
        row(**new, partnerCode=31), row(**new, partnerCode=51),
    ).revisions  # fmt: skip
    assert revisions.rows() == [("A", "2017", "398", "a", "b", 2, 1, 1, 1, 205.0, 307.0, 200.0, 100.0, 302.0, 102.0, 1)]


def test_value_moved_does_not_cancel_when_one_key_rises_and_another_falls(contract) -> None:
    revisions = contract(
        row(delivery_id="a"), row(delivery_id="a", partnerCode=156, primaryValue=60.1),
        row(delivery_id="b", primaryValue=60.1), row(delivery_id="b", partnerCode=156),
    ).revisions  # fmt: skip
    moved = revisions.select("value_moved_usd", "net_change_usd", "value_added_usd", "value_removed_usd")
    assert moved.rows() == [(79.8, 0.0, 0.0, 0.0)]


def test_breakdown_is_compared_with_its_total_when_vintages_file_differently(contract) -> None:
    revisions = contract(
        row(delivery_id="a", motCode=1000, primaryValue=40.0), row(delivery_id="a", motCode=3200, primaryValue=60.0),
        row(delivery_id="b"), row(delivery_id="b", motCode=1000, primaryValue=40.0),
    ).revisions  # fmt: skip
    assert revisions.select("keys_unchanged_count", "keys_revised_count").rows() == [(1, 0)]


def test_neighbouring_vintages_are_compared_when_there_are_three(contract) -> None:
    revisions = contract(*(row(delivery_id=d) for d in "abc")).revisions
    assert revisions.select("older_delivery_id", "newer_delivery_id").rows() == [("a", "b"), ("b", "c")]


def test_nothing_is_compared_when_deliveries_hold_different_reporters_or_products(contract) -> None:
    revisions = contract(
        row(delivery_id="a"), row(delivery_id="b", reporterCode=643, partnerCode=398),
        row(delivery_id="c", cmdCode="854232"),
    ).revisions  # fmt: skip
    assert revisions.is_empty()


def test_new_reporter_counts_as_added_when_the_deliveries_are_vintages(contract) -> None:
    revisions = contract(
        row(delivery_id="a"), row(delivery_id="b"), row(delivery_id="b", reporterCode=643, partnerCode=398)
    ).revisions
    added = _named(revisions, reporter_code="643")
    assert (added["keys_added_count"], added["older_value_usd"], added["newer_value_usd"]) == (1, 0.0, 100.0)


def test_other_reporters_are_not_revisions_when_files_merely_overlap(contract) -> None:
    revisions = contract(
        row(delivery_id="a"), row(delivery_id="a", reporterCode=156),
        row(delivery_id="b"), row(delivery_id="b", reporterCode=643, partnerCode=398),
    ).revisions  # fmt: skip
    assert revisions["reporter_code"].to_list() == ["398"]


def test_balance_equals_the_landed_rows_when_accounts_are_mixed(contract) -> None:
    rows = [row(), row(), row(partnerCode=0), row(flowCode="RX"), row(primaryValue=None)]
    balance = account_balance(landed(*rows), contract(*rows).declarations)
    assert (balance["declaration_count"].sum(), balance["value_usd"].sum()) == (5, 400.0)
    assert balance["account"].to_list() == ["pair", "quarantine", "quarantine", "special", "total"]


def test_balance_refuses_when_a_declaration_is_lost_or_multiplied(contract) -> None:
    frame = landed(row(), row(partnerCode=4))
    declarations = contract(row(), row(partnerCode=4)).declarations
    for broken in (declarations.head(1), pl.concat([declarations, declarations]), declarations[[0, 0]]):
        with pytest.raises(ContractError, match="landed rows became"):
            account_balance(frame, broken)


def test_balance_refuses_when_a_value_was_changed(contract) -> None:
    declarations = contract(row()).declarations.with_columns(pl.col("value_usd") * (1 + 1e-8))
    with pytest.raises(ContractError, match="USD were landed"):
        account_balance(landed(row()), declarations)
