"""Who files when: silent countries, countries that never report, gaps, late reporters, partial and rolled-up years."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.sample import Delivery, WorldConfig
from orchestration.sample.reporters import files_period
from tests.unit.sample.worlds import EFFECTS, HONEST, PLAIN, Worlds, alone, coded

RUSSIA, BELARUS = "643", "112"
CALENDAR = ("non_reporting", "partial_years", "rolled_up_years", "russia_silent", "belarus_silent")
SMALL = replace(WorldConfig.tiny(), effects=PLAIN.effects, evasion=PLAIN.evasion, with_descriptions=False)
YEAR_2022 = ("A-2022", *(f"M-2022{month:02d}" for month in range(1, 13)))


def _reporters(delivery: Delivery) -> set[str]:
    return set(coded(delivery.declared)["reporter"])


def _presence(worlds: Worlds, config: WorldConfig, keys: tuple[str, ...]) -> pl.DataFrame:
    """Reporters by period, with the number of months and of annual sets each filed; reporter of no row: 0."""
    seen = pl.DataFrame(
        [(code, key[0]) for key in keys for code in _reporters(worlds.kept(config, key))],
        schema={"reporter": pl.String, "frequency": pl.String},
        orient="row",
    )
    everyone = sorted(set().union(*(_reporters(worlds.kept(SMALL, key)) for key in keys)))
    counted = seen.group_by("reporter").agg(
        months=(pl.col("frequency") == "M").sum().cast(pl.Int64), years=(pl.col("frequency") == "A").sum()
    )
    return pl.DataFrame({"reporter": everyone}).join(counted, on="reporter", how="left").fill_null(0)


def _only(effect: str) -> WorldConfig:
    return SMALL.with_effects(**{effect: True})


def test_everybody_files_everything_when_every_calendar_effect_is_off(worlds: Worlds) -> None:
    presence = _presence(worlds, SMALL, YEAR_2022)
    assert presence.height == worlds.world(SMALL).places.trader_count
    assert presence.filter((pl.col("months") < 12) | (pl.col("years") < 1)).height == 0


@pytest.mark.parametrize(("place", "effect"), [(RUSSIA, "russia_silent"), (BELARUS, "belarus_silent")])
def test_a_silent_country_files_nothing_from_february_2022_when_it_is_on(
    worlds: Worlds, place: str, effect: str
) -> None:
    spoken = {"A-2021": True, "M-202112": True, "M-202201": True, "M-202202": False, "M-202203": False,
              "M-202412": False, "A-2022": False, "A-2023": False, "A-2024": False}  # fmt: skip
    for key, speaks in spoken.items():
        on, off = worlds.made(alone(effect), key), worlds.kept(PLAIN, key)
        assert (place in _reporters(on)) is speaks, key
        assert place in _reporters(off), key
        others = pl.col("reporter") != place
        assert coded(on.declared).filter(others).equals(coded(off.declared).filter(others))
        assert place in set(coded(on.declared)["partner"])


def test_russia_is_silent_in_the_default_worlds_when_their_periods_are_read(
    tiny: dict[str, Delivery], worlds: Worlds
) -> None:
    speaks = {name for name, delivery in tiny.items() if RUSSIA in _reporters(delivery)}
    months_2021 = {f"M-2021{month:02d}" for month in range(1, 13)}
    assert speaks == {"A-2019", "A-2020", "A-2021", "M-202201"} | months_2021
    assert RUSSIA in _reporters(worlds.kept(HONEST, "A-2021"))
    assert RUSSIA not in _reporters(worlds.kept(HONEST, "A-2023"))


def test_some_reporters_have_months_from_january_and_no_year_when_partial_years_are_on(worlds: Worlds) -> None:
    partial = _presence(worlds, _only("partial_years"), YEAR_2022).filter(pl.col("years") == 0)
    assert 1 <= partial.height <= 4
    assert partial["months"].is_between(3, 11).all()
    for code, months in partial.select("reporter", "months").iter_rows():
        filed = [code in _reporters(worlds.kept(_only("partial_years"), key)) for key in YEAR_2022[1:]]
        assert filed == [True] * months + [False] * (12 - months)


def test_some_reporters_have_twelve_months_and_no_year_when_rolled_up_years_are_on(worlds: Worlds) -> None:
    rolled = _presence(worlds, _only("rolled_up_years"), YEAR_2022).filter(pl.col("years") == 0)
    assert 1 <= rolled.height <= 4
    assert set(rolled["months"]) == {12}


def test_the_same_reporters_are_chosen_when_other_calendar_effects_are_off(worlds: Worlds) -> None:
    together = SMALL.with_effects(**dict.fromkeys(CALENDAR, True))
    seen = _presence(worlds, together, YEAR_2022)
    for effect, months in (("partial_years", pl.col("months") < 12), ("rolled_up_years", pl.col("months") == 12)):
        chosen = _presence(worlds, _only(effect), YEAR_2022).filter(pl.col("years") == 0)
        both = seen.join(chosen, on="reporter", how="semi")
        assert both.filter((pl.col("years") == 0) & months).height == chosen.height


def test_an_annual_set_is_there_when_the_year_has_no_months(worlds: Worlds) -> None:
    config = alone("partial_years", "rolled_up_years")
    assert _reporters(worlds.made(config, "A-2019")) == _reporters(worlds.kept(PLAIN, "A-2019"))


def test_some_countries_never_report_and_others_have_gaps_when_non_reporting_is_on(worlds: Worlds) -> None:
    config = alone("non_reporting")
    keys = [f"A-{year}" for year in (2017, 2018, 2019, 2020, 2021, 2023)]
    keys += ["M-202101", "M-202205", "M-202206", "M-202311"]
    filed = {key: _reporters(worlds.made(config, key)) for key in keys}
    everyone = _reporters(worlds.kept(PLAIN, "A-2019"))
    never = everyone - set().union(*filed.values())
    assert 1 <= len(never) <= 8
    years, months = ([filed[key] for key in keys if key[0] == frequency] for frequency in "AM")
    assert set.union(*years) - set.intersection(*years)
    assert set.union(*months) - set.intersection(*months)
    only_years = set.intersection(*years) - set.union(*months)
    assert 1 <= len(only_years) <= 15
    partners = set(coded(worlds.made(config, "A-2019").declared)["partner"])
    assert never <= partners


def test_some_reporters_are_late_at_the_end_of_the_span_when_non_reporting_is_on(worlds: Worlds) -> None:
    config = alone("non_reporting")
    last, before = _reporters(worlds.made(config, "A-2024")), _reporters(worlds.made(config, "A-2023"))
    longer = replace(config, end_year=2025)
    in_time = _reporters(worlds.made(longer, "A-2024"))
    assert last < in_time
    assert len(in_time - last) >= 3
    assert len(before - last) >= 2
    december, june = (_reporters(worlds.made(config, key)) for key in ("M-202412", "M-202406"))
    assert len(december) < len(june) - 3


def test_places_on_planned_routes_and_large_ones_file_on_time_when_calendar_effects_are_on(worlds: Worlds) -> None:
    config = WorldConfig.standard()
    cases = worlds.lasting(config)["planted_case"]
    route = {*cases["origin_code"], *cases["transit_code"], *cases["second_transit_code"].drop_nulls()}
    route |= {"156", "251", "276", "392", "699", "826", "842"}
    for key in ("A-2018", "A-2022", "A-2024", "M-202305", "M-202412"):
        assert route <= _reporters(worlds.made(HONEST, key)), key


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_choice_of_years_is_the_same_when_one_of_the_two_effects_is_off(worlds: Worlds, seed: int) -> None:
    both = replace(SMALL, seed=seed).with_effects(partial_years=True, rolled_up_years=True)
    world = worlds.world(both)
    for year in range(2021, 2025):
        absent = {
            which: ~files_period(config, world.reporters, world.places, "A", year, world.draws)
            for which, config in {
                "both": both,
                "partial": both.with_effects(rolled_up_years=False),
                "rolled": both.with_effects(partial_years=False),
            }.items()
        }
        assert absent["partial"].any()
        assert absent["rolled"].any()
        assert not (absent["partial"] & absent["rolled"]).any()
        assert np.array_equal(absent["both"], absent["partial"] | absent["rolled"])


@pytest.mark.parametrize("seed", range(1, 6))
def test_every_calendar_effect_occurs_when_tiny_worlds_differ(worlds: Worlds, seed: int) -> None:
    config = WorldConfig.tiny(seed)
    world = worlds.world(config)
    for effect in CALENDAR:
        off = config.with_effects(**{effect: False})
        differs = False
        for frequency, period in (("A", 2022), ("A", 2023), ("A", 2024), ("M", 202312), ("M", 202412)):
            on_flags, off_flags = (
                files_period(one, world.reporters, world.places, frequency, period, world.draws)
                for one in (config, off)
            )
            assert not (on_flags & ~off_flags).any()
            differs |= bool((off_flags & ~on_flags).any())
        assert differs, effect


def test_the_settings_name_every_effect_when_they_are_listed(project_dir: Path) -> None:
    source = (project_dir / "orchestration" / "sample").glob("*.py")
    code = "".join(path.read_text(encoding="utf-8") for path in source if path.name != "config.py")
    assert [effect for effect in EFFECTS if f".{effect}" not in code] == []
