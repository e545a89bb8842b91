"""Effects that add rows or say something about them: hubs, breakdowns, totals, quantities, self-trade, padding.

Each is there when it is alone in a world, and absent when it is off; that the rows add up stands in
test_world_accounting.
"""

from __future__ import annotations

import polars as pl
import pytest

from tests.unit.sample.worlds import PLAIN, Worlds, alone, bilateral, coded, is_whole

YEAR, MONTH = "A-2023", "M-202305"


def _declared(worlds: Worlds, *effects: str, key: str = YEAR) -> pl.DataFrame:
    return coded(worlds.kept(alone(*effects), key).declared)


def _plain(worlds: Worlds, key: str = YEAR) -> pl.DataFrame:
    return coded(worlds.kept(PLAIN, key).declared)


def test_hubs_file_re_exports_inside_exports_when_hubs_are_on(worlds: Worlds) -> None:
    rows = _declared(worlds, "reexport_hubs")
    assert set(rows["flow"]) == {"X", "M", "RX", "DX", "RM", "FM"}
    hubs = worlds.frames["place_roles"].filter(pl.col("role") == "reexport_hub")["place_code"]
    again = rows.filter(pl.col("flow") == "RX")
    assert set(again["reporter"]) == set(hubs) & set(rows["reporter"])
    assert set(rows.filter(pl.col("flow") == "DX")["reporter"]) < set(hubs)
    exports = rows.filter((pl.col("flow") == "X") & pl.col("reporter").is_in(hubs.implode()))
    share = again["primaryValue"].sum() / exports["primaryValue"].sum()
    assert 0.2 < share < 0.8
    base = rows.filter(pl.col("flow").is_in(["X", "M"]))
    assert base.equals(_plain(worlds))


def test_only_exports_and_imports_are_filed_when_hubs_are_off(worlds: Worlds) -> None:
    assert set(_plain(worlds)["flow"]) == {"X", "M"}


@pytest.mark.parametrize("key", [YEAR, MONTH])
def test_a_few_reporters_file_breakdown_rows_when_they_are_on(worlds: Worlds, key: str) -> None:
    rows = _declared(worlds, "breakdowns", key=key)
    broken = rows.filter(~is_whole())
    by_reporter = broken.group_by("reporter").agg(
        transport=(pl.col("transport") != 0).all(),
        customs=(pl.col("customs") != "C00").all(),
        partner2=(pl.col("partner2") != "000").all(),
    )
    kinds = by_reporter.select(pl.col("transport", "customs", "partner2").sum())
    assert min(kinds.row(0)) >= 1
    assert 4 <= by_reporter.height <= 15
    no_total = rows.filter(pl.col("reporter") == "051")
    assert set(no_total["transport"]) == {1000, 2100, 3200}
    others = rows.filter(is_whole())
    assert others.equals(_plain(worlds, key).filter(pl.col("reporter") != "051"))
    summed = no_total.group_by("flow", "partner", "product").agg(pl.col("primaryValue", "netWgt").sum().round(3))
    truth = _plain(worlds, key).filter(pl.col("reporter") == "051")
    both = summed.join(truth, on=["flow", "partner", "product"], how="full", suffix="_true")
    assert (both["primaryValue"] - both["primaryValue_true"]).abs().max() < 0.002
    assert (both["netWgt"] - both["netWgt_true"]).abs().max() < 0.002


@pytest.mark.parametrize("key", [YEAR, MONTH])
def test_every_row_is_a_total_row_when_breakdowns_are_off(worlds: Worlds, key: str) -> None:
    assert _plain(worlds, key).filter(~is_whole()).height == 0


@pytest.mark.parametrize(("key", "levels"), [(YEAR, {0, 2, 4, 6}), (MONTH, {0, 2})])
def test_world_and_coarser_rows_are_filed_when_control_totals_are_on(
    worlds: Worlds, key: str, levels: set[int]
) -> None:
    rows = _declared(worlds, "control_totals", key=key)
    world = rows.filter(pl.col("partner") == "000")
    assert set(world["aggrLevel"]) == levels
    reporters = rows["reporter"].n_unique()
    sets = _plain(worlds, key).select("reporter", "flow").unique()
    assert (
        world.filter(pl.col("product") == "TOTAL")
        .select("reporter", "flow")
        .sort("reporter", "flow")
        .equals(sets.sort("reporter", "flow"))
    )
    bilateral_levels = rows.filter((pl.col("partner") != "000") & (pl.col("aggrLevel") < 6))
    assert set(bilateral_levels["aggrLevel"]) == levels - {6}
    detailed = bilateral_levels.filter(pl.col("aggrLevel") > 0)["reporter"].n_unique()
    assert 0 < detailed < reporters / 2
    assert bilateral(rows.select(worlds.kept(PLAIN, key).declared.columns)).equals(_plain(worlds, key))


@pytest.mark.parametrize("key", [YEAR, MONTH])
def test_only_six_digit_rows_by_partner_are_filed_when_control_totals_are_off(worlds: Worlds, key: str) -> None:
    rows = _plain(worlds, key)
    assert set(rows["aggrLevel"]) == {6}
    assert rows.filter(pl.col("partner") == "000").height == 0


def test_some_quantities_are_made_from_value_when_estimation_is_on(worlds: Worlds) -> None:
    rows = _declared(worlds, "estimated_quantities")
    weights = rows.filter("isNetWgtEstimated")
    pieces = rows.filter(pl.col("isQtyEstimated") & (pl.col("qtyUnitCode") == 5))
    assert 0.02 < weights.height / rows.height < 0.4
    for flagged, amount in ((weights, "netWgt"), (pieces, "qty")):
        large = flagged.filter(pl.col(amount) > 100)
        prices = large.with_columns(price=(pl.col("primaryValue") / pl.col(amount)).log()).group_by("product")
        spread = prices.agg(pl.len(), spread=pl.col("price").max() - pl.col("price").min())
        assert spread.filter(pl.col("len") > 3).height > 20
        assert spread["spread"].max() < 1e-3
    kilograms = rows.filter(pl.col("qtyUnitCode") == 8)
    assert kilograms["isQtyEstimated"].equals(kilograms["isNetWgtEstimated"])
    untouched = rows.filter(~pl.col("isNetWgtEstimated") & ~pl.col("isQtyEstimated"))
    assert untouched.join(_plain(worlds), on=untouched.columns, how="anti", nulls_equal=True).height == 0
    assert rows.drop("qty", "netWgt", "altQty", *FLAGS).equals(_plain(worlds).drop("qty", "netWgt", "altQty", *FLAGS))


FLAGS = ("isQtyEstimated", "isNetWgtEstimated", "isAltQtyEstimated", "legacyEstimationFlag")


def test_no_quantity_is_estimated_when_estimation_is_off(worlds: Worlds) -> None:
    rows = _plain(worlds)
    assert rows.select(pl.col(FLAGS[:3]).any()).row(0) == (False,) * 3
    priced = rows.with_columns(price=(pl.col("primaryValue") / pl.col("netWgt")).log()).group_by("product")
    assert priced.agg(pl.col("price").std())["price"].median() > 0.1


def test_pieces_follow_the_weight_when_a_product_is_counted(worlds: Worlds) -> None:
    counted = _plain(worlds).filter((pl.col("qtyUnitCode") == 5) & (pl.col("qty") > 200))
    weight = counted.with_columns(piece=(pl.col("netWgt") / pl.col("qty")).log()).group_by("product")
    assert counted["product"].n_unique() > 30
    assert weight.agg(pl.col("piece").max() - pl.col("piece").min())["piece"].max() < 0.01
    assert (counted["altQtyUnitCode"] == 8).all()
    assert counted["altQty"].equals(counted["netWgt"])


def test_some_rows_have_no_quantity_when_that_is_on(worlds: Worlds) -> None:
    rows = _declared(worlds, "missing_quantities")
    bare = rows.filter(pl.col("qtyUnitCode") == -1)
    assert 0.005 < bare.height / rows.height < 0.08
    assert bare["reporter"].n_unique() < 0.8 * rows["reporter"].n_unique()
    assert bare["netWgt"].null_count() == bare.height
    assert rows["primaryValue"].equals(_plain(worlds)["primaryValue"])
    assert _plain(worlds).filter(pl.col("qtyUnitCode") == -1).height == 0
    assert _plain(worlds)["netWgt"].null_count() == 0


def test_some_reporters_import_from_themselves_when_self_trade_is_on(worlds: Worlds) -> None:
    rows = _declared(worlds, "self_trade")
    own = rows.filter(pl.col("reporter") == pl.col("partner"))
    assert 0 < own["reporter"].n_unique() < 15
    assert set(own["flow"]) == {"M"}
    assert own.height > 10
    assert rows.filter(pl.col("reporter") != pl.col("partner")).equals(_plain(worlds))
    assert _plain(worlds).filter(pl.col("reporter") == pl.col("partner")).height == 0


def test_some_reporters_pad_the_mode_of_supply_when_that_is_on(worlds: Worlds) -> None:
    rows = _declared(worlds, "padded_codes")
    by_reporter = rows.group_by("reporter").agg(pl.col("mosCode").unique())
    assert set(by_reporter["mosCode"].list.len()) == {1}
    assert set(by_reporter["mosCode"].list.first()) == {"0", "0 "}
    assert rows.drop("mosCode").equals(_plain(worlds).drop("mosCode"))
    assert set(_plain(worlds)["mosCode"]) == {"0"}
