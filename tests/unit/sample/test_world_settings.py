"""What a world can be asked for, how large it becomes, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import pytest

from orchestration.sample import WorldConfig, build_world
from orchestration.sample.config import plan_size
from orchestration.sample.draws import Draws
from orchestration.sample.products import WATCH, available_products, build_products
from tests.unit.sample.worlds import KINDS, Worlds


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": "enormous"}, "size 'enormous' is not known"),
        ({"size": 10}, "too small"),
        ({"start_year": 2024, "end_year": 2020}, "is empty"),
        ({"start_year": 2005}, "starts before 2012"),
        ({"frequencies": ()}, "must be 'A', 'M' or both"),
        ({"frequencies": ("Q",)}, "must be 'A', 'M' or both"),
    ],
)
def test_a_setting_is_refused_with_its_reason_when_no_world_can_be_made(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        WorldConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("switch", ["with_effects", "with_evasion"])
def test_an_unknown_switch_is_refused_when_it_is_set(switch: str) -> None:
    with pytest.raises(TypeError, match="no_such_switch"):
        getattr(WorldConfig(), switch)(no_such_switch=True)


def test_a_missing_reference_table_is_named_when_a_world_is_built(frames: Mapping[str, pl.DataFrame]) -> None:
    with pytest.raises(KeyError, match="place_borders"):
        build_world(WorldConfig(), {name: frame for name, frame in frames.items() if name != "place_borders"})


def test_the_standard_world_has_its_agreed_shape_when_it_is_built(worlds: Worlds) -> None:
    config = WorldConfig.standard()
    world = worlds.world(config)
    assert (world.places.trader_count, world.products.product_count) == (60, 120)
    assert (config.start_year, config.end_year, config.monthly_start_year) == (2017, 2024, 2021)
    described = worlds.frames["products"]
    wanted = described.filter(pl.col("basket").is_in(["watch", "decoy", "placebo"]))["product_code"]
    assert set(wanted) <= set(world.products.code)
    assert {"watch", "decoy", "placebo", "civilian"} == set(described["basket"])


def test_a_controlled_code_is_watched_when_it_is_not_described(worlds: Worlds) -> None:
    products = build_products(worlds.frames, Draws(7), len(available_products(worlds.frames)))
    families = worlds.frames["product_families"]
    controlled = set(families.filter(pl.col("relation") == "controlled")["product_code"])
    described = set(worlds.frames["products"]["product_code"])
    others = (controlled - described) & set(products.code)
    assert others
    assert {int(products.basket[products.index_of(code)]) for code in others} == {WATCH}


def test_worlds_widen_and_then_grow_denser_when_more_rows_are_asked_for() -> None:
    plans = [plan_size(WorldConfig(size=size), 220, 5_000) for size in (60_000, 400_000, 5_000_000, 100_000_000)]
    assert plans == sorted(plans, key=lambda plan: (plan.place_count, plan.product_count, plan.cell_count))
    assert (plans[-1].place_count, plans[-1].product_count) == (220, 5_000)


def test_rows_come_near_the_wanted_number_when_a_standard_year_and_month_are_made(worlds: Worlds) -> None:
    config = WorldConfig(size=1_000_000, with_descriptions=False)
    years = sum(4 * worlds.made(config, key).declared.height for key in ("A-2018", "A-2023"))
    months = sum(24 * worlds.made(config, key).declared.height for key in ("M-202106", "M-202309"))
    assert years + months == pytest.approx(1_000_000, rel=0.05)


def test_the_hard_world_is_noisier_and_its_passages_smaller_when_it_is_compared(worlds: Worlds) -> None:
    standard, hard = worlds.lasting(WorldConfig.standard()), worlds.lasting(WorldConfig.hard())
    assert hard["reporter_error"]["sigma_log"].to_list() == pytest.approx(
        (1.5 * standard["reporter_error"]["sigma_log"]).to_list()
    )
    value = pl.col("value_fob_usd").filter(~pl.col("kind").is_in(["decoy_drones"])).sum()
    assert hard["planted_case"].select(value).item() == pytest.approx(
        0.5 * standard["planted_case"].select(value).item()
    )


def test_the_world_without_evasion_holds_no_passage_when_it_is_made(worlds: Worlds) -> None:
    config = WorldConfig.without_evasion()
    assert worlds.lasting(config)["planted_case"].height == 0
    truth = worlds.made(config, "A-2024").truth["true_flow"]
    assert not truth["is_passage"].any()
    assert truth["passage_fob_usd"].sum() == 0


@pytest.mark.parametrize("seed", range(1, 6))
def test_every_kind_of_passage_is_planted_when_the_world_is_tiny_or_standard(worlds: Worlds, seed: int) -> None:
    for config in (WorldConfig.tiny(seed), WorldConfig.standard(seed)):
        cases = worlds.lasting(config)["planted_case"]
        assert set(cases["kind"]) == set(KINDS)
        assert cases["case_id"].n_unique() == cases.height
        route = cases.filter(pl.col("kind") != "decoy_drones").select("origin_code", "transit_code", "product_code")
        assert not route.is_duplicated().any()


def test_cases_are_listed_inside_the_span_only_when_the_world_is_shorter(worlds: Worlds) -> None:
    tiny = WorldConfig.tiny()
    whole = worlds.lasting(tiny)["planted_case"]
    shorter = worlds.lasting(replace(tiny, end_year=2022))["planted_case"]
    assert "gun_sights" not in set(shorter["kind"])
    assert {value.isoformat() for value in shorter["window_end"]} == {"2022-12-01"}
    both = shorter.join(whole, on="case_id", suffix="_whole")
    assert both.height == shorter.height
    assert (both["value_fob_usd"] < both["value_fob_usd_whole"]).all()
