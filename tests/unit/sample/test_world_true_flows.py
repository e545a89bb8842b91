"""The true world: gravity, products, lasting patterns, and the two facts of 2022 that are no passages."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from orchestration.sample import WorldConfig
from tests.unit.sample.worlds import HONEST, PAIR, Worlds, alone, without


def _flows(worlds: Worlds, key: str) -> pl.DataFrame:
    return worlds.kept(HONEST, key).truth["true_flow"]


def _pairs(worlds: Worlds) -> pl.DataFrame:
    """Yearly value of each corridor with size of both ends and distance, all in logs."""
    places = worlds.world(HONEST).places
    position = {f"{code:03d}": index for index, code in enumerate(places.code[: places.trader_count].tolist())}
    pairs = _flows(worlds, "A-2019").group_by("exporter_code", "importer_code").agg(pl.col("true_fob_usd").sum())
    exporter = np.array([position[code] for code in pairs["exporter_code"]])
    importer = np.array([position[code] for code in pairs["importer_code"]])
    return pairs.with_columns(
        ln_value=pl.col("true_fob_usd").log(),
        ln_exporter=pl.Series(np.log(places.mass[exporter])),
        ln_importer=pl.Series(np.log(places.mass[importer])),
        ln_distance=pl.Series(np.log(places.distance_km[exporter, importer])),
    )


def test_trade_grows_with_size_and_falls_with_distance_when_corridors_are_compared(worlds: Worlds) -> None:
    pairs = _pairs(worlds)
    terms = pairs.select("ln_exporter", "ln_importer", "ln_distance").to_numpy()
    design = np.column_stack([np.ones(pairs.height), terms])
    slopes = np.linalg.lstsq(design, pairs["ln_value"].to_numpy(), rcond=None)[0][1:]
    assert 0.6 < slopes[0] < 1.8
    assert 0.6 < slopes[1] < 1.8
    assert -1.8 < slopes[2] < -0.6


def test_values_are_heavy_tailed_when_cells_are_ranked(worlds: Worlds) -> None:
    value = _flows(worlds, "A-2019")["true_fob_usd"].sort(descending=True)
    assert value.head(value.len() // 100).sum() > 0.2 * value.sum()
    assert 1.5 < value.log().std() < 3.5


def test_exporters_specialise_when_their_products_are_compared(worlds: Worlds) -> None:
    flows = _flows(worlds, "A-2019").with_columns(chapter=pl.col("product_code").str.slice(0, 2))
    share = pl.col("true_fob_usd").sum()
    cells = flows.group_by("exporter_code", "chapter").agg(share)
    cells = cells.with_columns(share=pl.col("true_fob_usd") / share.over("exporter_code"))
    spread = cells.filter(pl.len().over("chapter") > 20).group_by("chapter").agg(pl.col("share").log().std())
    assert spread["share"].median() > 0.8


def test_cells_last_when_two_years_are_compared(worlds: Worlds) -> None:
    both = _flows(worlds, "A-2018").join(_flows(worlds, "A-2019"), on=PAIR, suffix="_next")
    assert both.height > 0.9 * _flows(worlds, "A-2018").height
    change = (both["true_fob_usd_next"] / both["true_fob_usd"]).log()
    assert np.corrcoef(both["true_fob_usd"].log(), both["true_fob_usd_next"].log())[0, 1] > 0.9
    assert abs(change.median()) < 0.1


def test_unit_values_differ_by_product_and_little_within_when_weights_are_compared(worlds: Worlds) -> None:
    flows = _flows(worlds, "A-2019").with_columns(ln_unit_value=(pl.col("true_fob_usd") / pl.col("true_kg")).log())
    within = flows.group_by("product_code").agg(pl.col("ln_unit_value").std(), mean=pl.col("ln_unit_value").mean())
    assert within["ln_unit_value"].median() == pytest.approx(0.2, abs=0.05)
    assert within["mean"].std() > 1.0


def _change(worlds: Worlds, effect: str, key: str) -> pl.DataFrame:
    """True flows with the effect beside those without it, and the log of their ratio."""
    on, off = worlds.kept(HONEST, key).truth["true_flow"], worlds.made(without(effect), key).truth["true_flow"]
    both = on.join(off, on=PAIR, how="full", coalesce=True, suffix="_off")
    assert both.select("true_fob_usd", "true_fob_usd_off").null_count().row(0) == (0, 0)
    return both.with_columns(change=(pl.col("true_fob_usd") / pl.col("true_fob_usd_off")).log())


def test_coalition_exports_of_watched_goods_collapse_when_the_embargo_is_on(worlds: Worlds) -> None:
    before, after = _change(worlds, "embargo", "M-202202"), _change(worlds, "embargo", "M-202203")
    roles = worlds.frames["place_roles"]
    coalition, destinations = (
        roles.filter(pl.col("role") == role)["place_code"].to_list() for role in ("coalition", "destination")
    )
    watch = worlds.frames["products"].filter(pl.col("basket") == "watch")["product_code"].to_list()
    hit = (
        pl.col("exporter_code").is_in(coalition)
        & pl.col("importer_code").is_in(destinations)
        & pl.col("product_code").is_in(watch)
    )
    assert before["change"].abs().max() == 0
    assert after.filter(~hit)["change"].abs().max() == 0
    fallen = after.filter(hit & (pl.col("true_fob_usd") > 1))["change"]
    assert fallen.len() > 20
    assert fallen.to_list() == pytest.approx([-2.8] * fallen.len(), abs=0.01)


@pytest.mark.parametrize("key", ["M-202204", "M-202206"])
def test_one_transit_candidate_trades_more_of_everything_when_the_boom_is_on(worlds: Worlds, key: str) -> None:
    change = _change(worlds, "innocent_boom", key)
    risen = change.filter(pl.col("change").abs() > 1e-6)
    if key == "M-202204":
        assert risen.height == 0
        return
    (place,) = set.intersection(*({row[0], row[1]} for row in risen.select(PAIR[:2]).iter_rows()))
    touches = (pl.col("exporter_code") == place) | (pl.col("importer_code") == place)
    assert change.filter(touches & (pl.col("change") < 0.44)).height == 0
    assert set(risen.select(pl.col("change").round(2)).to_series()) == {0.45}
    assert risen["product_code"].n_unique() > 20
    candidates = worlds.frames["place_roles"].filter(pl.col("role") == "transit_candidate")["place_code"]
    assert place in set(candidates)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_boom_keeps_clear_of_every_passage_when_seeds_differ(worlds: Worlds, seed: int) -> None:
    for config in (WorldConfig.tiny(seed), WorldConfig.standard(seed)):
        world = worlds.world(config)
        booming = np.flatnonzero(world.ground.is_booming)
        ends = [{int(world.cells.exporter[cell]), int(world.cells.importer[cell])} for cell in booming]
        (place,) = set.intersection(*ends)
        cases = worlds.lasting(config)["planted_case"]
        assert f"{world.places.code[place]:03d}" not in {*cases["transit_code"], *cases["second_transit_code"]}


def test_nothing_booms_or_collapses_when_both_facts_are_off(worlds: Worlds) -> None:
    plain, both = alone(), alone("embargo", "innocent_boom")
    for key, same in (("M-202202", True), ("M-202206", False)):
        one, two = worlds.made(plain, key).truth["true_flow"], worlds.made(both, key).truth["true_flow"]
        assert one.equals(two) is same
