"""Versions of whole data sets: what a newer one lacks is withdrawn, and the withdrawal is measured.

Belongs here: deliveries that are versions of one data set. Does not belong here: downloads (`test_contract_sets`,
`test_contract_derived`), or how a pull knows that a version is whole (`tests/unit/pipeline`).
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from orchestration.comtrade.contract import ContractError, account_balance, apply_contract
from tests.unit.comtrade.contract.builders import apply, landed, reasons
from tests.unit.comtrade.contract.builders import declaration_row as row
from tests.unit.comtrade.contract.test_contract_properties import EXAMPLES, ROWS, _landed

SET, OTHER = "C-A-2017-398-H5", "C-A-2017-398-H4"
WHOLE, SHORT = (SET, True), (SET, False)
A, B, C = ({"delivery_id": name} for name in "abc")
BOLTS = {"cmdCode": "731815", "primaryValue": 40.0}
SUPERSEDED, KEPT = "special/superseded_vintage", "pair/kept"
MEASURES = ("older_delivery_id", "newer_delivery_id", "value_added_usd", "value_removed_usd", "net_change_usd")


def measured(revisions: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Deliveries and what came and went between them."""
    return revisions.select(MEASURES).rows()


def test_a_row_is_withdrawn_when_a_newer_whole_version_lacks_its_product(contract) -> None:
    """It once stayed current for ever, and nothing said that its value had gone."""
    rows = [row(**A), row(**A, **BOLTS), row(**B)]
    result = contract(*rows, versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, KEPT]
    assert measured(result.revisions) == [("a", "b", 0.0, 40.0, -40.0)]
    assert result.revisions.select("keys_removed_count", "older_value_usd", "newer_value_usd").rows() == [(1, 140, 100)]
    balance = account_balance(landed(*rows), result.declarations)
    assert balance.select("account_reason", "declaration_count", "value_usd").rows() == [
        ("kept", 1, 100.0), ("superseded_vintage", 2, 140.0),
    ]  # fmt: skip


def test_the_older_version_need_not_be_whole_when_the_newer_one_is(contract) -> None:
    result = contract(row(**A), row(**A, **BOLTS), row(**B), versions={"a": SHORT, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, KEPT]


@pytest.mark.parametrize("versions", [{}, {"a": WHOLE}, {"a": WHOLE, "b": SHORT}, {"a": WHOLE, "b": (OTHER, True)}])
def test_nothing_is_withdrawn_when_the_newer_delivery_is_no_whole_version_of_the_data_set(contract, versions) -> None:
    result = contract(row(**A), row(**A, **BOLTS), row(**B), versions=versions)
    assert reasons(result) == [SUPERSEDED, KEPT, KEPT]
    assert measured(result.revisions) == [("a", "b", 0.0, 0.0, 0.0)]


def test_nothing_is_withdrawn_when_only_the_older_version_lacks_it(contract) -> None:
    rows = [row(**A), row(**B), row(**B, **BOLTS)]
    result = contract(*rows, versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, KEPT, KEPT]
    assert measured(result.revisions) == [("a", "b", 40.0, 0.0, 40.0)]


def test_all_that_came_and_went_is_measured_when_two_versions_share_no_product(contract) -> None:
    result = contract(row(**A, **BOLTS), row(**B), versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, KEPT]
    assert measured(result.revisions) == [("a", "b", 100.0, 40.0, 60.0)]


def test_another_reporter_or_period_stays_when_a_data_set_withdraws(contract) -> None:
    others = [row(**C, **BOLTS, reporterCode=643, partnerCode=398), row(delivery_id="d", **BOLTS, period="2018")]
    versions = {"a": WHOLE, "b": WHOLE, "c": ("C-A-2017-643-H5", True), "d": ("C-A-2018-398-H5", True)}
    newest_last = ["d", "c", "a", "b"]
    result = contract(row(**A), row(**A, **BOLTS), row(**B), *others, newest_last=newest_last, versions=versions)
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, KEPT, KEPT, KEPT]


def test_a_heading_counts_again_when_the_finer_rows_under_it_are_withdrawn(contract) -> None:
    rows = [row(**A, cmdCode="8542"), row(**A), row(**B, cmdCode="8542")]
    assert reasons(contract(*rows)) == [SUPERSEDED, KEPT, "total/coarser_level"]
    assert reasons(contract(*rows, versions={"a": WHOLE, "b": WHOLE})) == [SUPERSEDED, SUPERSEDED, KEPT]


def test_nothing_is_withdrawn_when_nothing_of_the_newer_version_was_understood(contract) -> None:
    result = contract(row(**A), row(**A, **BOLTS), row(**B, primaryValue=None), versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [KEPT, KEPT, "quarantine/missing_value"]
    assert result.revisions.is_empty()


def test_a_row_stays_when_the_newer_version_has_its_product_but_it_was_not_understood(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B), row(**B, **BOLTS | {"primaryValue": None})]
    result = contract(*rows, versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, KEPT, KEPT, "quarantine/missing_value"]
    assert measured(result.revisions) == [("a", "b", 0.0, 0.0, 0.0)]


def test_nothing_is_withdrawn_when_a_product_of_the_newer_version_could_not_be_read(contract) -> None:
    unread = row(**B, **BOLTS | {"cmdCode": None}, quarantine_field="cmdCode", quarantine_value="7318,15")
    result = contract(row(**A), row(**A, **BOLTS), row(**B), unread, versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, KEPT, KEPT, "quarantine/unparseable_field"]


def test_faults_of_a_withdrawn_row_count_no_more(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS, motCode=4200), row(**B)]
    result = contract(*rows, versions={"a": WHOLE, "b": WHOLE})
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, KEPT]
    assert measured(result.revisions) == [("a", "b", 0.0, 0.0, 0.0)]


def test_a_product_is_removed_and_added_when_it_is_withdrawn_and_comes_again(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B), row(**C), row(**C, **BOLTS | {"primaryValue": 45.0})]
    result = contract(*rows, versions=dict.fromkeys("abc", WHOLE))
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, SUPERSEDED, KEPT, KEPT]
    assert measured(result.revisions) == [("a", "b", 0.0, 40.0, -40.0), ("b", "c", 45.0, 0.0, 45.0)]


def test_a_product_stays_withdrawn_when_it_comes_again_but_is_not_understood(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B), row(**C), row(**C, **BOLTS | {"primaryValue": None})]
    result = contract(*rows, versions=dict.fromkeys("abc", WHOLE))
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, SUPERSEDED, KEPT, "quarantine/missing_value"]
    assert measured(result.revisions) == [("a", "b", 0.0, 40.0, -40.0), ("b", "c", 0.0, 0.0, 0.0)]


def test_the_first_whole_version_withdraws_when_a_short_one_came_between(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B), row(**C)]
    result = contract(*rows, versions={"a": WHOLE, "b": SHORT, "c": WHOLE})
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, SUPERSEDED, KEPT]
    assert measured(result.revisions) == [("a", "b", 0, 0, 0), ("a", "c", 0, 40.0, -40.0), ("b", "c", 0, 0, 0)]


def test_a_short_version_adds_what_it_has_when_it_withdraws_nothing(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B), row(**B, cmdCode="854232", primaryValue=7.0)]
    result = contract(*rows, versions={"a": WHOLE, "b": SHORT})
    assert reasons(result) == [SUPERSEDED, KEPT, KEPT, KEPT]
    assert measured(result.revisions) == [("a", "b", 7.0, 0.0, 7.0)]


def test_what_another_edition_replaced_is_not_removed_as_well_when_its_own_data_set_lacks_it(contract) -> None:
    rows = [row(**A), row(**A, **BOLTS), row(**B, **BOLTS, classificationCode="H4"), row(**C)]
    result = contract(*rows, versions={"a": WHOLE, "b": (OTHER, True), "c": WHOLE})
    assert reasons(result) == [SUPERSEDED, SUPERSEDED, KEPT, KEPT]
    assert measured(result.revisions) == [("a", "b", 0.0, 0.0, 0.0), ("a", "c", 0.0, 0.0, 0.0)]


def test_contract_refuses_when_a_delivery_is_whole_without_a_data_set(tables) -> None:
    order = pl.DataFrame({"delivery_id": ["a"], "precedence": [1], "data_set": [None], "is_whole": [True]})
    with pytest.raises(ContractError, match="no data set is named"):
        apply_contract(landed(row(**A)), tables, order)


@EXAMPLES
@given(rows=ROWS, is_whole=st.booleans())
def test_what_stands_is_of_the_newest_version_when_it_is_whole_and_its_rows_are_understood(
    tables, rows, is_whole
) -> None:
    """Arbitrary rows of one reporter in one edition, in two versions."""
    same = {"reporterCode": 398, "classificationCode": "H5"}
    frame = _landed([one | same for one in rows])
    result = apply(tables, frame, ["a", "b"], {"a": WHOLE, "b": (SET, is_whole)})
    account_balance(frame, result.declarations)
    standing = result.declarations.filter(pl.col("account").is_in(["pair", "total"]))
    newer = result.declarations.filter(pl.col("delivery_id") == "b")
    sound = newer.filter(pl.col("account") != "quarantine")
    if is_whole and sound.height == newer.height > 0:
        assert set(standing["delivery_id"]) <= {"b"}
    downloads = apply(tables, frame, ["a", "b"])
    if not is_whole:
        assert_frame_equal(result.declarations, downloads.declarations)
    moved = result.revisions
    net = moved["newer_value_usd"] - moved["older_value_usd"]
    assert moved["net_change_usd"].to_list() == pytest.approx(net.to_list())
