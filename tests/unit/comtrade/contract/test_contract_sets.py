"""What needs other rows: duplicates, breakdowns, levels, places, flows, vintages."""

from __future__ import annotations

import itertools
from typing import Any

import polars as pl
import pytest

from orchestration.comtrade.contract import ContractError, apply_contract
from tests.unit.comtrade.contract.builders import declaration_row, landed, reasons

row = declaration_row
BESIDE = "special/breakdown_beside_total"
SUMMED = "pair/summed_from_breakdown"


def test_second_row_is_a_duplicate_when_both_are_identical(contract) -> None:
    assert reasons(contract(row(), row())) == ["pair/kept", "quarantine/duplicate_row"]


def test_first_line_stays_when_identical_rows_come_in_another_order(contract) -> None:
    assert reasons(contract(row(source_line=9), row(source_line=3))) == ["pair/kept", "quarantine/duplicate_row"]


def test_original_classification_wins_when_one_key_has_two_values(contract) -> None:
    converted = row(isOriginalClassification=False, primaryValue=90.0, classificationCode="H4")
    assert reasons(contract(converted, row())) == ["quarantine/conflicting_duplicate", "pair/kept"]


@pytest.mark.parametrize("original", [True, False, None])
def test_all_rows_conflict_when_nothing_says_which_value_is_right(contract, original) -> None:
    result = contract(*(row(isOriginalClassification=original, primaryValue=v) for v in (90.0, 100.0)))
    assert reasons(result) == ["quarantine/conflicting_duplicate"] * 2
    assert set(result.declarations["quarantine_value"]) == {"90.0", "100.0"}


def test_conflict_remains_when_one_of_the_values_also_occurs_twice(contract) -> None:
    result = contract(row(), row(), row(primaryValue=90.0))
    assert sorted(reasons(result)) == ["quarantine/conflicting_duplicate"] * 2 + ["quarantine/duplicate_row"]


def test_key_is_free_when_its_only_rival_is_quarantined(contract) -> None:
    assert reasons(contract(row(), row(primaryValue=-1.0))) == ["pair/kept", "quarantine/negative_value"]


@pytest.mark.parametrize(
    "changes", [{"motCode": 3200}, {"customsCode": "C05"}, {"partner2Code": 156}, {"mosCode": "Mode 1"}]
)
def test_breakdown_row_is_set_beside_when_the_full_total_is_filed(contract, changes) -> None:
    assert reasons(contract(row(), row(primaryValue=60.0, **changes))) == ["pair/kept", BESIDE]


def test_breakdown_rows_are_summed_when_no_total_is_filed(contract) -> None:
    result = contract(row(motCode=3200), row(motCode=1000, primaryValue=5.0))
    assert reasons(result) == [SUMMED, SUMMED]


def test_simplest_pattern_is_summed_when_several_are_filed(contract) -> None:
    result = contract(
        row(motCode=3200, customsCode="C05"), row(motCode=1000, customsCode="C05"), row(customsCode="C05"),
        row(customsCode="C01"),
    )  # fmt: skip
    assert reasons(result) == [BESIDE, BESIDE, SUMMED, SUMMED]


def test_one_dimension_beats_two_when_the_two_are_each_preferred(contract) -> None:
    assert reasons(contract(row(motCode=3200, customsCode="C05"), row(mosCode="Mode 1"))) == [BESIDE, SUMMED]


PREFERENCE: list[dict[str, Any]] = [
    {"motCode": 3200}, {"customsCode": "C05"}, {"partner2Code": 156}, {"mosCode": "Mode 1"}
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PREFERENCE, 2)))
def test_preferred_dimension_is_summed_when_patterns_are_equally_simple(contract, first, second) -> None:
    assert reasons(contract(row(**second), row(**first))) == [BESIDE, SUMMED]


@pytest.mark.parametrize(("parent", "child"), [(2000, 2100), (3000, 3200), (9100, 9110)])
def test_narrower_mode_is_set_beside_when_its_wider_mode_is_filed(contract, parent, child) -> None:
    assert reasons(contract(row(motCode=parent), row(motCode=child), row(motCode=1000))) == [SUMMED, BESIDE, SUMMED]


def test_not_elsewhere_classified_is_no_parent_when_filed_beside_pipelines(contract) -> None:
    assert reasons(contract(row(motCode=9000), row(motCode=9100))) == [SUMMED, SUMMED]


def test_grandparent_holds_the_mode_when_the_parent_is_not_filed(tables) -> None:
    modes = tables.transport_modes.vstack(
        tables.transport_modes.filter(pl.col("mot_code") == "9110").with_columns(
            mot_code=pl.lit("9111"), parent_code=pl.lit("9110")
        )
    )
    deeper = type(tables)(**{**vars(tables), "transport_modes": modes})
    frame = landed(row(motCode=9100), row(motCode=9111))
    result = apply_contract(frame, deeper, pl.DataFrame({"delivery_id": ["a" * 12], "precedence": [0]}))
    assert reasons(result) == [SUMMED, BESIDE]


def test_narrower_mode_counts_when_its_wider_mode_is_under_another_procedure(contract) -> None:
    result = contract(row(motCode=3000, customsCode="C01"), row(motCode=3200, customsCode="C05"))
    assert reasons(result) == [SUMMED, SUMMED]


def test_breakdown_is_summed_when_the_total_row_is_quarantined(contract) -> None:
    assert reasons(contract(row(primaryValue=-1.0), row(motCode=3200))) == ["quarantine/negative_value", SUMMED]


def test_heading_is_a_control_total_when_finer_rows_are_filed(contract) -> None:
    result = contract(row(cmdCode="8542"), row(cmdCode="85"), row(cmdCode="854231"), row(cmdCode="TOTAL"))
    assert reasons(result) == ["total/coarser_level", "total/coarser_level", "pair/kept", "total/total_product"]


def test_heading_is_kept_when_no_finer_row_is_filed_in_its_corridor(contract) -> None:
    result = contract(
        row(cmdCode="8542"), row(cmdCode="854231", partnerCode=156), row(cmdCode="854231", flowCode="M"),
        row(cmdCode="854110"),
    )  # fmt: skip
    assert reasons(result)[0] == "pair/kept"


def test_world_row_is_a_control_total_when_filed_at_any_level(contract) -> None:
    assert reasons(contract(row(partnerCode=0))) == ["total/world_partner"]


@pytest.mark.parametrize("flow", ["RX", "DX", "RM", "FM", "MIP", "MOP", "XIP", "XOP"])
def test_sub_flow_is_special_when_it_stands_inside_exports_or_imports(contract, flow) -> None:
    result = contract(row(flowCode=flow), row(flowCode=flow, partnerCode=0))
    assert reasons(result) == ["special/sub_flow"] * 2


@pytest.mark.parametrize("code", [472, 492, 527, 568, 577, 636, 637, 697, 837, 838, 839, 879, 899])
def test_special_partner_is_kept_apart_when_the_area_is_not_a_country(contract, code) -> None:
    assert reasons(contract(row(partnerCode=code))) == ["special/special_partner"]


def test_other_asia_stands_in_pairs_when_filed_as_partner_or_reporter(contract) -> None:
    assert reasons(contract(row(partnerCode=490), row(reporterCode=490))) == ["pair/kept"] * 2


@pytest.mark.parametrize("changes", [{"reporterCode": 97}, {"partnerCode": 97}, {"reporterCode": 975}])
def test_group_is_kept_out_of_pairs_when_it_reports_or_is_partner(contract, changes) -> None:
    assert reasons(contract(row(**changes))) == ["special/group_place"]


def test_self_trade_is_special_when_reporter_is_partner(contract) -> None:
    assert reasons(contract(row(partnerCode=398))) == ["special/self_trade"]


def test_special_corridor_has_its_control_total_when_filed_at_two_levels(contract) -> None:
    result = contract(row(partnerCode=899, cmdCode="8542"), row(partnerCode=899))
    assert reasons(result) == ["total/coarser_level", "special/special_partner"]


SUPERSEDED = "special/superseded_vintage"


def test_older_delivery_is_superseded_when_a_newer_one_holds_reporter_and_product(contract) -> None:
    rows = [row(delivery_id="a"), row(delivery_id="a", partnerCode=156), row(delivery_id="b", primaryValue=90.0)]
    assert reasons(contract(*rows)) == [SUPERSEDED, SUPERSEDED, "pair/kept"]
    assert reasons(contract(*rows, newest_last=["b", "a"])) == ["pair/kept", "pair/kept", SUPERSEDED]


def test_older_delivery_stays_current_when_the_newer_holds_other_products_or_reporters(contract) -> None:
    result = contract(
        row(delivery_id="a"), row(delivery_id="a", reporterCode=643, partnerCode=398),
        row(delivery_id="b", cmdCode="854232"),
    )  # fmt: skip
    assert reasons(result) == ["pair/kept"] * 3


def test_deliveries_do_not_meet_when_their_frequency_or_period_differs(contract) -> None:
    result = contract(row(delivery_id="a"), row(delivery_id="b", freqCode="M", period="201701"))
    assert reasons(result) == ["pair/kept"] * 2


def test_usable_older_delivery_stays_when_nothing_in_the_newer_is_understood(contract) -> None:
    result = contract(row(delivery_id="a"), row(delivery_id="b", primaryValue=None))
    assert reasons(result) == ["pair/kept", "quarantine/missing_value"]


def test_fault_of_an_older_delivery_is_superseded_when_the_newer_is_sound(contract) -> None:
    result = contract(row(delivery_id="a", motCode=4200), row(delivery_id="b"))
    assert reasons(result) == [SUPERSEDED, "pair/kept"]


def test_superseded_finer_rows_make_no_control_total_when_the_newer_files_a_heading(contract) -> None:
    result = contract(row(delivery_id="a"), row(delivery_id="b", cmdCode="8542"), row(delivery_id="b", partnerCode=156))
    assert reasons(result) == [SUPERSEDED, "pair/kept", "pair/kept"]


def test_delivery_id_decides_when_precedences_are_equal(tables) -> None:
    frame = landed(row(delivery_id="a"), row(delivery_id="b"))
    for deliveries in (["a", "b"], ["b", "a"]):
        ties = pl.DataFrame({"delivery_id": deliveries, "precedence": [1, 1]})
        assert reasons(apply_contract(frame, tables, ties)) == [SUPERSEDED, "pair/kept"]


@pytest.mark.parametrize(("deliveries", "message"), [(["b"], "no precedence"), (["a", "a"], "more than one")])
def test_contract_refuses_when_precedence_is_missing_or_double(tables, deliveries, message) -> None:
    precedence = pl.DataFrame({"delivery_id": deliveries, "precedence": range(len(deliveries))})
    with pytest.raises(ContractError, match=message):
        apply_contract(landed(row(delivery_id="a")), tables, precedence)
