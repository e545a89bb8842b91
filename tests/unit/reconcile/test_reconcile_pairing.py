"""Pairing: orientation, levels, editions, re-exports, refusals.

Belongs here: one rule per test on a few readable rows. Does not belong here: who could have reported
(test_reconcile_reporting), valuation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.schema import PAIRS, SOURCES, FrameError
from tests.unit.reconcile.builders import (
    AUSTRALIA,
    CANADA,
    DECOY_PREDECESSOR,
    GERMANY,
    KAZAKHSTAN,
    KYRGYZSTAN,
    POLAND,
    PREDECESSOR,
    RUSSIA,
    WATCHED,
    complete,
    declared,
    exports,
    frame,
    imports,
)

Paired = Callable[..., pl.DataFrame]


def test_both_declarations_stand_in_one_row_when_both_sides_filed(paired: Paired) -> None:
    row = paired(exports(value_usd=100.0), imports(value_usd=110.0)).row(0, named=True)
    assert row["mirror_flow_id"] == "A-2019-276-616-440710"
    assert (row["exporter_code"], row["importer_code"], row["status"]) == (GERMANY, POLAND, "two_sided")
    assert (row["exporter_value_usd"], row["importer_value_usd"]) == (100.0, 110.0)
    assert (row["exporter_valuation"], row["importer_valuation"]) == ("FOB", "CIF")
    assert (row["exporter_iso3"], row["importer_iso3"]) == ("DEU", "POL")
    assert (row["exporter_declaration_id"], row["importer_declaration_id"]) == ("d0001", "d0002")


def test_opposite_flows_stay_apart_when_two_places_trade_both_ways(paired: Paired) -> None:
    pairs = paired(exports(value_usd=1.0), declared(reporter_code=POLAND, partner_code=GERMANY, value_usd=2.0))
    assert pairs.select("exporter_code", "importer_code", "exporter_value_usd").rows() == [
        (GERMANY, POLAND, 1.0),
        (POLAND, GERMANY, 2.0),
    ]


def test_schemas_hold_when_pairs_and_sources_leave(tables: reconcile.ReconcileTables) -> None:
    result = reconcile.pair(frame(exports(), imports()), complete(), tables)
    assert dict(result.pairs.schema) == dict(PAIRS)
    assert dict(result.sources.schema) == dict(SOURCES)


@pytest.mark.parametrize(
    ("finer", "coarser", "meeting"),
    [("440710", "4407", "4407"), ("440710", "44", "44"), ("4407", "44", "44")],
)
def test_both_sides_meet_at_the_coarser_level_when_one_side_holds_no_finer(
    paired: Paired, finer: str, coarser: str, meeting: str
) -> None:
    other = finer[:-1] + "9"
    rows = [exports(product_code=finer, value_usd=1.0), exports(product_code=other, value_usd=2.0)]
    pairs = paired(*rows, imports(product_code=coarser, value_usd=5.0))
    row = pairs.row(0, named=True)
    assert pairs.height == 1
    assert (row["product_code"], row["product_level"]) == (meeting, len(meeting))
    assert (row["exporter_value_usd"], row["importer_value_usd"]) == (3.0, 5.0)
    assert (row["exporter_declaration_count"], row["exporter_declaration_id"]) == (2, None)


def test_another_heading_stays_at_its_own_level_when_one_heading_meets_coarser(paired: Paired) -> None:
    pairs = paired(
        exports(product_code="440710"), imports(product_code="4407"), exports(product_code="440110"),
        imports(product_code="440110"),
    )  # fmt: skip
    assert pairs.select("product_code", "status").rows() == [("440110", "two_sided"), ("4407", "two_sided")]


def test_another_corridor_stays_at_its_own_level_when_one_corridor_meets_coarser(paired: Paired) -> None:
    pairs = paired(exports(), imports(product_code="4407"), exports(partner_code=CANADA))
    assert pairs.select("importer_code", "product_code").rows() == [(CANADA, "440710"), (POLAND, "4407")]


def test_quantities_are_absent_when_one_part_of_a_sum_has_none(paired: Paired) -> None:
    known = {"quantity": 4.0, "quantity_unit_code": "12", "net_weight_kg": 3.0}
    rows = [exports(**known), exports(product_code="440720", **(known | {"net_weight_kg": None}))]
    row = paired(*rows, imports(product_code="4407")).row(0, named=True)
    assert (row["exporter_quantity"], row["exporter_quantity_unit_code"]) == (8.0, "12")
    assert row["exporter_net_weight_kg"] is None


def test_quantities_are_not_added_when_their_units_differ(paired: Paired) -> None:
    rows = [exports(quantity=4.0, quantity_unit_code="12"),
            exports(product_code="440720", quantity=5.0, quantity_unit_code="8")]  # fmt: skip
    row = paired(*rows, imports(product_code="4407")).row(0, named=True)
    assert (row["exporter_quantity"], row["exporter_quantity_unit_code"]) == (None, None)


def test_a_weight_counts_as_estimated_when_one_part_is(paired: Paired) -> None:
    rows = [exports(net_weight_kg=1.0), exports(product_code="440720", net_weight_kg=1.0, is_net_weight_estimated=True)]
    row = paired(*rows, imports(product_code="4407", is_net_weight_estimated=None)).row(0, named=True)
    assert (row["exporter_is_weight_estimated"], row["importer_is_weight_estimated"]) == (True, False)


def test_valuation_is_mixed_when_parts_of_a_side_differ(paired: Paired) -> None:
    rows = [imports(cif_value_usd=100.0, fob_value_usd=90.0), imports(product_code="440720", valuation_filed="FOB")]
    row = paired(exports(product_code="4407"), *rows).row(0, named=True)
    assert row["importer_valuation"] == "mixed"
    assert (row["importer_cif_value_usd"], row["importer_fob_value_usd"]) == (None, None)


def test_zero_stays_zero_and_absent_stays_null_when_a_side_files_zero(paired: Paired) -> None:
    pairs = paired(exports(value_usd=0.0), imports(), exports(partner_code=CANADA, value_usd=0.0))
    assert pairs.select("exporter_value_usd", "importer_value_usd", "status").rows() == [
        (0.0, None, "exporter_only_partner_nonreporting"),
        (0.0, 100.0, "two_sided"),
    ]


def test_editions_are_compared_as_they_stand_when_equal(paired: Paired) -> None:
    row = paired(exports(), imports()).row(0, named=True)
    assert (row["hs_revision"], row["is_edition_mismatch"], row["hs_ambiguity_ratio"]) == ("H5", False, 0.0)


def test_the_older_edition_names_the_pair_and_ambiguity_is_unknown_when_editions_differ(paired: Paired) -> None:
    row = paired(exports(hs_revision="H6"), imports(hs_revision="H5")).row(0, named=True)
    assert (row["hs_revision"], row["is_edition_mismatch"], row["hs_ambiguity_ratio"]) == ("H5", True, None)
    assert (row["exporter_hs_revision"], row["importer_hs_revision"]) == ("H6", "H5")


def test_a_pair_is_a_mismatch_when_one_side_mixes_editions(paired: Paired) -> None:
    rows = [exports(hs_revision="H5"), exports(product_code="440720", hs_revision="H6")]
    assert paired(*rows, imports(product_code="4407")).row(0, named=True)["is_edition_mismatch"]


def _sub(flow: str, **changes: object) -> dict[str, object]:
    return declared(**({"flow_code": flow, "account": "special", "account_reason": "sub_flow"} | changes))


def test_reexports_are_a_share_of_exports_and_never_added_when_filed(paired: Paired) -> None:
    row = paired(exports(value_usd=100.0), _sub("RX", value_usd=30.0), imports()).row(0, named=True)
    assert row["exporter_value_usd"] == 100.0
    assert (row["reexport_usd"], row["reexport_share_ratio"], row["domestic_export_usd"]) == (30.0, 0.3, 70.0)


def test_domestic_exports_are_those_filed_when_there_are_any(paired: Paired) -> None:
    row = paired(exports(value_usd=100.0), _sub("RX", value_usd=30.0), _sub("DX", value_usd=65.0)).row(0, named=True)
    assert row["domestic_export_usd"] == 65.0


def test_domestic_exports_are_not_negative_when_reexports_exceed_exports(paired: Paired) -> None:
    row = paired(exports(value_usd=100.0), _sub("RX", value_usd=130.0)).row(0, named=True)
    assert (row["reexport_share_ratio"], row["domestic_export_usd"]) == (1.3, 0.0)


def test_domestic_exports_are_unknown_when_the_exporter_never_files_reexports(paired: Paired) -> None:
    pairs = paired(
        exports(value_usd=100.0), exports(partner_code=CANADA, value_usd=50.0), _sub("RX", value_usd=30.0),
        declared(reporter_code=POLAND, partner_code=CANADA),
    )  # fmt: skip
    assert pairs.select("exporter_code", "importer_code", "reexport_usd", "domestic_export_usd").rows() == [
        (GERMANY, CANADA, None, 50.0),  # Germany files re-exports, and none here
        (GERMANY, POLAND, 30.0, 70.0),
        (POLAND, CANADA, None, None),  # Poland never files them: nothing is known
    ]


def test_reexports_are_counted_once_when_coarser_rows_stand_beside_finer(paired: Paired) -> None:
    rows = [_sub("RX", value_usd=10.0), _sub("RX", product_code="440720", value_usd=20.0),
            _sub("RX", product_code="4407", value_usd=30.0), _sub("RX", product_code="44", value_usd=30.0)]  # fmt: skip
    pairs = paired(exports(), *rows, exports(product_code="440720"))
    assert pairs["reexport_usd"].to_list() == [10.0, 20.0]
    assert paired(exports(product_code="4407"), *rows)["reexport_usd"].to_list() == [30.0]


def test_reexports_of_a_coarser_heading_are_kept_when_another_heading_is_finer(paired: Paired) -> None:
    rows = [_sub("RX", product_code="440110", value_usd=10.0), _sub("RX", product_code="4407", value_usd=30.0)]
    assert paired(exports(product_code="4407"), *rows)["reexport_usd"].to_list() == [30.0]


@pytest.mark.parametrize("account", ["special", "total", "quarantine"])
def test_only_the_pair_account_is_paired_when_other_accounts_stand_beside_it(paired: Paired, account: str) -> None:
    other = exports(partner_code=GERMANY, account=account, account_reason="self_trade", value_usd=9.0)
    pairs = paired(exports(), other)
    assert pairs["exporter_value_usd"].to_list() == [100.0]


def test_trade_with_itself_is_refused_when_booked_as_a_pair(paired: Paired) -> None:
    with pytest.raises(FrameError, match=r"name one place as reporter and partner.*book them to the account special"):
        paired(exports(), exports(partner_code=GERMANY))


@pytest.mark.parametrize("other", [{"period": "2020"}, {"frequency": "M", "period": "201901"}])
def test_several_periods_are_refused_when_handed_over_together(paired: Paired, other: dict[str, str]) -> None:
    with pytest.raises(FrameError, match=r"holds 2 periods.*would be added to one flow.*one period at a time"):
        paired(exports(), imports(**other))


@pytest.mark.parametrize("column", ["value_usd", "product_level", "partner_code"])
def test_a_missing_key_or_value_is_refused_when_booked_as_a_pair(paired: Paired, column: str) -> None:
    with pytest.raises(FrameError, match=rf"have no {column}.*missing value would count as zero.*quarantine"):
        paired(exports(**{column: None}))


def test_a_negative_value_is_refused_when_booked_as_a_pair(paired: Paired) -> None:
    with pytest.raises(FrameError, match=r"negative value.*cancel trade.*quarantine"):
        paired(exports(value_usd=-1.0))


def test_the_missing_columns_are_named_when_a_frame_lacks_them(tables: reconcile.ReconcileTables) -> None:
    with pytest.raises(FrameError, match="the declarations frame lacks the columns value_usd, account;"):
        reconcile.pair(frame(exports()).drop("value_usd", "account"), complete(), tables)
    with pytest.raises(FrameError, match="the completeness frame lacks the columns is_complete;"):
        reconcile.pair(frame(exports()), complete().drop("is_complete"), tables)


@pytest.mark.parametrize(
    ("exporter", "importer", "period", "inside"),
    [
        (KAZAKHSTAN, RUSSIA, "2019", True),
        (KAZAKHSTAN, GERMANY, "2019", False),
        (KAZAKHSTAN, RUSSIA, "2014", False),
        (KAZAKHSTAN, KYRGYZSTAN, "2015", False),  # the year began before Kyrgyzstan joined in August
        (KAZAKHSTAN, KYRGYZSTAN, "2016", True),
    ],
)
def test_the_union_is_flagged_when_both_ends_belong_to_it_at_the_date(
    paired: Paired, exporter: str, importer: str, period: str, inside: bool
) -> None:
    row = paired(declared(reporter_code=exporter, partner_code=importer, period=period)).row(0, named=True)
    assert row["is_intra_eaeu"] is inside


@pytest.mark.parametrize(
    ("product", "left_out"),
    [(WATCHED, True), (WATCHED[:4], True), (WATCHED[:2], False), (PREDECESSOR, True), (DECOY_PREDECESSOR, False)],
)
def test_watched_codes_their_headings_and_predecessors_are_left_out_when_paired(
    paired: Paired, product: str, left_out: bool
) -> None:
    assert paired(exports(product_code=product)).row(0, named=True)["is_left_out"] is left_out


@pytest.mark.parametrize(
    ("exporter", "importer", "period", "left_out"),
    [
        (GERMANY, RUSSIA, "2021", False),
        (GERMANY, RUSSIA, "2022", True),
        (RUSSIA, GERMANY, "2022", False),
        (KAZAKHSTAN, AUSTRALIA, "2023", True),
        (KAZAKHSTAN, AUSTRALIA, "2024", False),
        (GERMANY, KAZAKHSTAN, "2023", False),
    ],
)
def test_suspect_corridors_are_left_out_when_the_table_says_so_at_the_date(
    paired: Paired, exporter: str, importer: str, period: str, left_out: bool
) -> None:
    row = paired(declared(reporter_code=exporter, partner_code=importer, period=period)).row(0, named=True)
    assert row["is_left_out"] is left_out


def test_the_leave_out_rule_is_data_when_the_tables_are_empty(tables: reconcile.ReconcileTables) -> None:
    bare = replace(tables, controls=tables.controls.clear(), corridors_left_out=tables.corridors_left_out.clear())
    rows = frame(declared(partner_code=RUSSIA, period="2023", product_code=WATCHED))
    assert reconcile.pair(rows, complete(), tables).pairs["is_left_out"].to_list() == [True]
    assert reconcile.pair(rows, complete(), bare).pairs["is_left_out"].to_list() == [False]


def test_hidden_products_are_flagged_when_either_side_hides_them(paired: Paired) -> None:
    row = paired(exports(product_code="999999", is_confidential=True), imports(product_code="999999"))
    assert row["is_confidential"].to_list() == [True]


def test_every_source_row_leads_to_its_pair_when_sides_are_summed(tables: reconcile.ReconcileTables) -> None:
    rows = frame(exports(), exports(product_code="440720"), imports(product_code="4407"), exports(account="special"))
    result = reconcile.pair(rows, complete(), tables)
    assert result.sources.rows() == [
        ("d0001", "A-2019-276-616-4407", "exporter", 1.0, False),
        ("d0002", "A-2019-276-616-4407", "exporter", 1.0, False),
        ("d0003", "A-2019-276-616-4407", "importer", 1.0, False),
    ]


def test_value_is_conserved_when_sides_are_summed_to_a_meeting_level(tables: reconcile.ReconcileTables) -> None:
    rows = frame(exports(value_usd=0.1), exports(product_code="440720", value_usd=0.2), imports(product_code="4407"))
    account = reconcile.account_of_pairs(rows, reconcile.pair(rows, complete(), tables).pairs)
    assert account.select("reporter_code", "side").rows() == [(GERMANY, "exporter"), (POLAND, "importer")]
    assert account["declared_value_usd"].to_list() == pytest.approx([0.3, 100.0])
    assert account["difference_usd"].abs().max() < 1e-12


def test_a_lost_row_shows_in_the_account_when_pairs_do_not_hold_it(tables: reconcile.ReconcileTables) -> None:
    rows = frame(exports(), imports())
    pairs = reconcile.pair(rows, complete(), tables).pairs
    account = reconcile.account_of_pairs(rows, pairs.with_columns(importer_value_usd=pl.lit(None, pl.Float64)))
    assert account.select("reporter_code", "difference_usd").rows() == [(GERMANY, 0.0), (POLAND, 100.0)]


def test_a_sum_is_the_same_to_the_last_bit_when_its_rows_come_in_another_order(
    tables: reconcile.ReconcileTables,
) -> None:
    # Polars compensates sums, so that plain examples agree in any order; these do not.
    values = (643498991397331.4, 5055.616298704989, 24890080132418.46, 1907.3155009678776, 2071.0921566089096)
    rows = [exports(product_code=f"4407{n}0", value_usd=value) for n, value in enumerate(values, start=1)]
    named = frame(*rows, imports(product_code="4407"))
    sums = {
        reconcile.pair(named.sample(fraction=1.0, shuffle=True, seed=seed), complete(), tables)
        .pairs["exporter_value_usd"]
        .item()
        for seed in range(30)
    }
    assert len(sums) == 1


def test_period_starts_travel_with_the_pair_when_months_are_paired(paired: Paired) -> None:
    row = paired(exports(frequency="M", period="202003")).row(0, named=True)
    assert (row["frequency"], row["period"], row["period_start"]) == ("M", "202003", date(2020, 3, 1))
