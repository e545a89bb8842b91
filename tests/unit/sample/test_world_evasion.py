"""The planted passages: each kind is in the declarations exactly where the truth lists it, and nowhere when off.

The world around them declares the truth and the destination is silent, so that the difference to the same world
without the kind is the passage and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from orchestration.sample import Delivery, WorldConfig
from tests.unit.sample.worlds import FULL, HONEST, KINDS, PAIR, Worlds, alone, cells, passage_alone

KEY = ["flow", "reporter", "partner", "product"]
MARKUP = 1.12
EARLY, LATE = "M-202304", "M-202405"
SINGLE_TRUCK = ("M-202305", "M-202306")


def _planted(worlds: Worlds, kind: str, key: str, *effects: str) -> pl.DataFrame:
    """What the kind adds to the declarations of a period: KEY, usd and kg; empty where nothing is added."""
    on = worlds.kept(passage_alone(kind, *effects), key)
    off = worlds.kept(alone("russia_silent", *effects), key)
    return _added(on, off)


def _added(on: Delivery, off: Delivery) -> pl.DataFrame:
    sides = [
        cells(one.declared).select(*KEY, usd="primaryValue", kg=pl.col("netWgt").fill_null(0.0)) for one in (on, off)
    ]
    both = (
        sides[0]
        .join(sides[1], on=KEY, how="full", coalesce=True, suffix="_off")
        .with_columns(pl.col("usd", "kg", "usd_off", "kg_off").fill_null(0.0))
    )
    added = both.select(*KEY, usd=pl.col("usd") - pl.col("usd_off"), kg=pl.col("kg") - pl.col("kg_off"))
    return added.filter(pl.col("usd").abs() > 0.01).sort(KEY)


def _cases(worlds: Worlds, kind: str) -> list[dict[str, Any]]:
    return worlds.lasting(passage_alone(kind))["planted_case"].to_dicts()


def _legs(rows: pl.DataFrame, sender: str, receiver: str, product: str) -> dict[str, tuple[float, float]]:
    """usd and kg added by the sender's X and the receiver's M of one product."""
    ends = {"X": (sender, receiver), "M": (receiver, sender)}
    found = {}
    for flow, (reporter, partner) in ends.items():
        row = rows.filter(
            (pl.col("flow") == flow)
            & (pl.col("reporter") == reporter)
            & (pl.col("partner") == partner)
            & (pl.col("product") == product)
        )
        if row.height:
            found[flow] = row.select("usd", "kg").row(0)
    return found


def _sent(worlds: Worlds, kind: str, key: str, exporter: str, importer: str, product: str) -> float:
    """True FOB value of the passages on one leg."""
    flows = worlds.kept(passage_alone(kind), key).truth["true_flow"]
    leg = (pl.col("exporter_code") == exporter) & (pl.col("importer_code") == importer)
    return float(flows.filter(leg & (pl.col("product_code") == product))["passage_fob_usd"].sum())


def _expected_legs(case: dict[str, Any], transit: str) -> list[tuple[str, str, str, str, str]]:
    """Sender, receiver, true product, product the sender files, product the receiver files."""
    goods, said = case["product_code"], case["declared_product_code"]
    return [(case["origin_code"], transit, goods, goods, said), (transit, case["destination_code"], goods, said, said)]


@pytest.mark.parametrize("kind", ["roundabout", "undervaluation", "decoy_drones"])
def test_both_legs_are_declared_when_goods_go_round(worlds: Worlds, kind: str) -> None:
    rows = _planted(worlds, kind, EARLY)
    explained = 0
    for case in _cases(worlds, kind):
        if case["window_start"] == case["window_end"]:
            continue  # the single truckload of May 2023
        for sender, receiver, true_product, sent_as, received_as in _expected_legs(case, case["transit_code"]):
            value = _sent(worlds, kind, EARLY, sender, receiver, true_product)
            assert value > 1_000
            exports = _legs(rows, sender, receiver, sent_as)
            assert exports["X"][0] == pytest.approx(value, abs=0.01)
            imports = _legs(rows, sender, receiver, received_as)
            silent = receiver == case["destination_code"]
            assert ("M" in imports) is not silent
            if not silent:
                factor = 0.35 if kind == "undervaluation" else 1.0
                assert imports["M"][0] == pytest.approx(factor * value, abs=0.01)
                assert imports["M"][1] == pytest.approx(exports["X"][1], rel=1e-6)
            explained += len(exports.keys() & {"X"}) + len(imports.keys() & {"M"})
    assert explained > 0
    assert rows.height == explained


def test_the_second_leg_follows_a_month_later_and_dearer_when_goods_go_round(worlds: Worlds) -> None:
    before, after = (_planted(worlds, "roundabout", key) for key in ("M-202303", "M-202304"))
    for case in _cases(worlds, "roundabout"):
        goods, transit = case["product_code"], case["transit_code"]
        first = _legs(before, case["origin_code"], transit, goods)["X"]
        second = _legs(after, transit, case["destination_code"], goods)["X"]
        assert second[0] == pytest.approx(MARKUP * first[0], rel=1e-6)


def test_goods_lost_in_transit_are_declared_by_the_exporter_only_when_they_are_on(worlds: Worlds) -> None:
    kind = "lost_in_transit"
    rows = _planted(worlds, kind, EARLY)
    cases = _cases(worlds, kind)
    assert rows.height == len(cases) > 0
    for case in cases:
        origin, transit, goods = case["origin_code"], case["transit_code"], case["product_code"]
        added = _legs(rows, origin, transit, goods)
        assert set(added) == {"X"}
        value = _sent(worlds, kind, EARLY, origin, case["destination_code"], goods)
        assert added["X"][0] == pytest.approx(value, abs=0.01)
        assert _sent(worlds, kind, EARLY, origin, transit, goods) == 0


def test_the_receiver_would_name_the_true_origin_when_the_destination_speaks(worlds: Worlds) -> None:
    on = worlds.made(alone().with_evasion(lost_in_transit=True), EARLY)
    rows = _added(on, worlds.kept(alone(), EARLY))
    for case in _cases(worlds, "lost_in_transit"):
        seen = _legs(rows, case["origin_code"], case["destination_code"], case["product_code"])
        assert set(seen) == {"M"}


def _sights(worlds: Worlds, declared: pl.DataFrame, place: str) -> pl.DataFrame:
    """Rows of the whole family of sights, in any edition, in which a place stands on either end."""
    families = worlds.frames["product_families"]
    family = families.filter(pl.col("product_code") == "901310")["family_code"].item()
    codes = families.filter(pl.col("family_code") == family)["product_code"]
    rows = cells(declared).filter(pl.col("product").is_in(codes.implode()))
    return rows.filter((pl.col("reporter") == place) | (pl.col("partner") == place))


def test_a_country_that_never_traded_sights_imports_them_and_sends_them_on_when_they_are_on(worlds: Worlds) -> None:
    (case,) = _cases(worlds, "gun_sights")
    assert case["product_code"] == "901310"
    place = case["transit_code"]
    for key in ("A-2017", "A-2019", "A-2021", "A-2022", "A-2023", "M-202106", "M-202312"):
        assert _planted(worlds, "gun_sights", key).height == 0
        assert _sights(worlds, worlds.kept(HONEST, key).declared, place).height == 0
    sent = _sights(worlds, worlds.made(FULL, LATE).declared, place)
    flows = {(row["flow"], row["reporter"], row["partner"]) for row in sent.to_dicts()}
    assert flows == {
        ("X", case["origin_code"], place),
        ("M", place, case["origin_code"]),
        ("X", place, case["destination_code"]),
    }


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_country_of_the_sights_is_silent_in_every_declaration_when_seeds_differ(worlds: Worlds, seed: int) -> None:
    config = replace(FULL, seed=seed)
    cases = worlds.lasting(config)["planted_case"]
    place = cases.filter(pl.col("kind") == "gun_sights")["transit_code"].item()
    for key in ("A-2018", "A-2023", "M-202312"):
        assert _sights(worlds, worlds.made(config, key).declared, place).height == 0
    assert _sights(worlds, worlds.made(config, "A-2024").declared, place).height >= 3


def test_drones_leave_as_drones_and_arrive_as_sprayers_when_decoys_are_on(worlds: Worlds) -> None:
    for case in _cases(worlds, "decoy_drones"):
        assert (case["product_code"], case["declared_product_code"]) == ("880624", "842449")
        assert case["origin_code"] == "156"
    rows = _planted(worlds, "decoy_drones", EARLY)
    assert set(rows.filter(pl.col("product") == "880624")["flow"]) == {"X"}
    assert set(rows.filter(pl.col("product") == "842449")["flow"]) == {"X", "M"}


def test_one_truckload_of_fourteen_drones_passes_in_one_month_when_decoys_are_on(worlds: Worlds) -> None:
    (single,) = [case for case in _cases(worlds, "decoy_drones") if case["window_start"] == case["window_end"]]
    sent, onward = (_planted(worlds, "decoy_drones", key) for key in SINGLE_TRUCK)
    usd, kg = _legs(sent, "156", single["transit_code"], "880624")["X"]
    assert usd == pytest.approx(14 * 14_000, rel=0.2)
    assert kg == pytest.approx(14 * 48, rel=0.2)
    assert _legs(onward, "156", single["transit_code"], "880624") == {}
    assert "X" in _legs(onward, single["transit_code"], single["destination_code"], "842449")
    quiet = _planted(worlds, "decoy_drones", "M-202307")
    assert _legs(quiet, single["transit_code"], single["destination_code"], "842449") == {}


def test_another_transit_country_takes_over_when_displacement_is_on(worlds: Worlds) -> None:
    before, after = (_planted(worlds, "displacement", key) for key in ("M-202304", "M-202405"))
    cases = _cases(worlds, "displacement")
    assert cases
    for case in cases:
        goods = case["product_code"]
        first, second = case["transit_code"], case["second_transit_code"]
        assert first != second
        for rows, used, idle in ((before, first, second), (after, second, first)):
            assert set(_legs(rows, case["origin_code"], used, goods)) == {"X", "M"}
            assert set(_legs(rows, used, case["destination_code"], goods)) == {"X"}
            assert _legs(rows, case["origin_code"], idle, goods) == {}
            assert _legs(rows, idle, case["destination_code"], goods) == {}
    assert before.height == after.height == 3 * len(cases)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_planted_before_the_window_when_a_kind_is_on(worlds: Worlds, kind: str) -> None:
    for key in ("M-202204", "A-2021"):
        assert _planted(worlds, kind, key).height == 0


def test_the_listed_value_is_what_left_the_origin_when_cases_are_planted(worlds: Worlds) -> None:
    config = alone().with_evasion(**dict.fromkeys(KINDS, True))
    years = [worlds.made(config, f"A-{year}").truth["true_flow"] for year in (2022, 2023, 2024)]
    planted = pl.concat(years).filter("is_passage")
    cases = worlds.lasting(config)["planted_case"]
    first_legs = planted.join(cases, left_on=["case_id", "exporter_code"], right_on=["case_id", "origin_code"])
    sent = first_legs.group_by("case_id").agg(pl.col("passage_fob_usd").sum(), pl.col("value_fob_usd").first())
    assert sent.height == cases.height
    assert set(planted["case_id"]) == set(cases["case_id"])
    assert sent["passage_fob_usd"].to_list() == pytest.approx(sent["value_fob_usd"].to_list(), rel=1e-6)


def test_no_passage_is_declared_when_every_kind_is_off(worlds: Worlds) -> None:
    config = WorldConfig.without_evasion()
    assert worlds.lasting(config)["planted_case"].height == 0
    assert not worlds.made(config, LATE).truth["true_flow"]["is_passage"].any()


def _declared_keys(worlds: Worlds, key: str) -> dict[str, set[tuple[str, str, str, str]]]:
    """Rows (KEY) in which the passages of a period must show, by flow, read off the truth tables alone."""
    flows = worlds.kept(FULL, key).truth["true_flow"].filter("is_passage")
    cases = {case["case_id"]: case for case in worlds.lasting(FULL)["planted_case"].to_dicts()}
    keys: dict[str, set[tuple[str, str, str, str]]] = {"X": set(), "M": set()}
    for exporter, importer, goods, case_id in flows.select(*PAIR, "case_id").iter_rows():
        case = cases[case_id]
        is_first, reaches = exporter == case["origin_code"], importer == case["destination_code"]
        said = case["declared_product_code"]
        to = case["transit_code"] if case["kind"] == "lost_in_transit" else importer
        keys["X"].add(("X", exporter, to, goods if is_first else said))
        if not reaches:
            keys["M"].add(("M", importer, exporter, said))
    return keys


@pytest.mark.parametrize(
    ("key", "month_before"),
    [("M-202304", "M-202303"), ("M-202306", "M-202305"), ("M-202405", "M-202404"), ("A-2023", "M-202212")],
)
def test_every_case_shows_where_it_must_and_nowhere_else_when_all_effects_are_on(
    worlds: Worlds, key: str, month_before: str
) -> None:
    added = _added(worlds.kept(FULL, key), worlds.kept(HONEST, key))
    found = set(added.select(KEY).iter_rows())
    now, before = _declared_keys(worlds, key), _declared_keys(worlds, month_before)
    assert len(now["X"]) > 15
    assert now["X"] | now["M"] <= found
    assert found <= now["X"] | now["M"] | before["M"]  # some goods arrive a month late
    assert (added["usd"] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_own_rows_disappear_when_one_kind_is_switched_off(worlds: Worlds, kind: str) -> None:
    key = LATE if kind == "gun_sights" else EARLY
    off = worlds.made(FULL.with_evasion(**{kind: False}), key)
    gone = _added(worlds.kept(FULL, key), off)
    own = _declared_keys(worlds, key)
    case_ids = {case["case_id"] for case in _cases(worlds, kind)}
    left = set(off.truth["true_flow"]["case_id"].drop_nulls())
    assert not left & case_ids
    assert 0 < gone.height <= 4 * len(case_ids)
    assert set(gone.select(KEY).iter_rows()) <= own["X"] | own["M"]
    others = worlds.kept(FULL, key).truth["true_flow"].filter(~pl.col("case_id").is_in(case_ids).fill_null(False))
    assert others.join(off.truth["true_flow"], on=others.columns, how="anti", nulls_equal=True).height == 0
