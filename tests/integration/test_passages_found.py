"""The story's passages are found with the right signals, and another embargo is an edit of tables.

Belongs here: a quiet world with passages planted by hand, from reconciled flows to leads. Does not belong here: recall
and precision on the generator's worlds (`bench.passages`), the innocent worlds (`test_false_positive_controls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from bench.innocent_worlds import (
    BRAZIL,
    CHINA,
    GERMANY,
    INDONESIA,
    ITALY,
    JAPAN,
    KAZAKHSTAN,
    KYRGYZSTAN,
    RUSSIA,
    Quiet,
    as_seed,
    from_2022,
    from_2023,
    quiet_world,
    steady,
    write_world,
)
from bench.passage_models import LEAD_MODELS, PassageModels
from bench.passages import leads_of
from orchestration.reference import Reference, load_reference

pytestmark = pytest.mark.xdist_group("passages")
CHIP, SIGHT, DRONE, SPRAYER, CAR = "854231", "901310", "880624", "842449", "870323"
OLD_PART, AIRCRAFT_PART = "880330", "880730"


@pytest.fixture(scope="module")
def models() -> PassageModels:
    return PassageModels()


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


def goods_of(reference: Reference) -> tuple[str, ...]:
    placebo = reference.products.filter(pl.col("basket") == "placebo")
    return tuple(placebo["product_code"].sort().to_list()[:30])


def story(quiet: Quiet) -> Quiet:
    """Chips by roundabout, aircraft parts lost on the way, sights never traded before, drones that come as sprayers."""
    world = quiet.changed((GERMANY, KAZAKHSTAN, CHIP), from_2023(8e5, 6e6))
    world = world.changed((KAZAKHSTAN, RUSSIA, CHIP), from_2023(5e5, 5.5e6))
    # Heading 8803 became 8807 with the edition of 2022: the family joins them.
    world = world.changed((ITALY, RUSSIA, OLD_PART), from_2022(6e6, 0.0))
    world = world.changed((ITALY, RUSSIA, AIRCRAFT_PART), from_2022(0.0, 2e5))
    world = world.changed((ITALY, KYRGYZSTAN, OLD_PART), from_2022(6e5, 0.0))
    sent = {2022: 6e5, 2023: 5e6, 2024: 5e6}
    world = world.changed((ITALY, KYRGYZSTAN, AIRCRAFT_PART), lambda year: sent.get(year, 0.0), from_2022(0.0, 6e5))
    world = world.changed((JAPAN, RUSSIA, SIGHT), from_2022(3e6, 1e5))
    for cell in ((JAPAN, KAZAKHSTAN, SIGHT), (KAZAKHSTAN, RUSSIA, SIGHT)):
        world = world.changed(cell, lambda year: 1.5e6 if year == 2024 else 0.0)
    world = world.changed((CHINA, KYRGYZSTAN, DRONE), from_2023(0.0, 2.4e6), steady(0.0))
    world = world.changed((CHINA, KYRGYZSTAN, SPRAYER), steady(3e5), from_2023(3e5, 2.7e6))
    return world.changed((KYRGYZSTAN, RUSSIA, SPRAYER), from_2023(2e5, 2.6e6))


def found(
    models: PassageModels, folder: Path, seeds: Mapping[str, pl.DataFrame] | None = None
) -> dict[tuple[str, str, str, str], dict[str, object]]:
    """Leads by origin, transit country, destination and family."""
    with models.build(folder, LEAD_MODELS, seeds) as con:
        rows = leads_of(con).rows(named=True)
    key = ("origin_code", "transit_code", "destination_code", "family_code")
    return {tuple(row[name] for name in key): row for row in rows}  # type: ignore[misc]


def test_the_storys_passages_are_found_with_their_signals(
    models: PassageModels, reference: Reference, tmp_path: Path
) -> None:
    folder = write_world(story(quiet_world(goods_of(reference))), tmp_path / "story", reference)
    leads = found(models, folder)
    expected = {
        (GERMANY, KAZAKHSTAN, RUSSIA, "integrated_circuits"): ("roundabout", "A"),
        (ITALY, KYRGYZSTAN, RUSSIA, "aircraft_parts"): ("lost_in_transit", "B"),
        (JAPAN, KAZAKHSTAN, RUSSIA, "sights_and_telescopes"): ("new_product", "A"),
        (CHINA, KYRGYZSTAN, RUSSIA, "unmanned_aircraft"): ("decoy_swap", "B"),
    }
    for route, (signal, lowest) in expected.items():
        assert route in leads, route
        lead = leads[route]
        assert signal in str(lead["signal_names"]).split(), lead
        assert str(lead["grade"]) <= lowest, lead
        assert isinstance(lead["lead_rank"], int)
        assert lead["lead_rank"] <= 10
    above = [route for route, lead in leads.items() if lead["grade"] in ("A", "B")]
    assert sorted(above) == sorted(expected)


def test_a_lead_keeps_its_id_when_the_world_is_built_again_with_more_rows(
    models: PassageModels, reference: Reference, tmp_path: Path
) -> None:
    goods = goods_of(reference)
    one = found(models, write_world(story(quiet_world(goods)), tmp_path / "one", reference))
    other = found(models, write_world(story(quiet_world(goods[:20])), tmp_path / "two", reference))
    route = (GERMANY, KAZAKHSTAN, RUSSIA, "integrated_circuits")
    assert one[route]["lead_id"] == other[route]["lead_id"]
    assert len({lead["lead_id"] for lead in one.values()}) == len(one)


def another_embargo(reference: Reference) -> Reference:
    """Cars to Brazil, by tables alone: destination, list, dates, roles."""
    embargo = {"embargo_code": "BRA_2023", "embargo_name": "Invented", "destination_code": BRAZIL}
    dates = {"reference_date": date(2023, 1, 1), "baseline_first_year": 2017, "baseline_last_year": 2019}
    row = embargo | {"list_code": "CARS"} | dates | {"check_year": 2021, "confidence": "invented", "source": "test"}
    control = {"list_code": "CARS", "tier": None, "product_code": CAR, "hs_revision": "H6", "family_code": "cars"}
    control |= {"jurisdiction": "invented", "valid_from": date(2023, 1, 1), "valid_to": None}
    control |= {"confidence": "invented", "source": "test"}
    roles = [(GERMANY, "coalition"), (INDONESIA, "transit_candidate"), (BRAZIL, "destination")]
    named = [
        {"place_code": place, "role": role, "valid_from": date(2023, 1, 1), "valid_to": None, "source": "test"}
        for place, role in roles
    ]
    return replace(
        reference,
        embargoes=pl.DataFrame([row], schema=reference.embargoes.schema),
        controls=pl.DataFrame([control], schema=reference.controls.schema),
        place_roles=pl.DataFrame(named, schema=reference.place_roles.schema),
    )


def test_another_embargo_is_found_when_only_tables_are_edited(
    models: PassageModels, reference: Reference, tmp_path: Path
) -> None:
    edited = another_embargo(reference)
    quiet = replace(quiet_world(goods_of(reference)), absent={BRAZIL: range(2023, 2100)})
    world = quiet.changed((GERMANY, BRAZIL, CAR), from_2023(9e6, 3e5))
    world = world.changed((GERMANY, INDONESIA, CAR), from_2023(7e5, 8e6))
    world = world.changed((INDONESIA, BRAZIL, CAR), from_2023(4e5, 7e6))
    seeds = {name: as_seed(getattr(edited, name)) for name in ("embargoes", "controls", "place_roles")}
    leads = found(models, write_world(world, tmp_path / "brazil", edited), seeds)
    assert leads[GERMANY, INDONESIA, BRAZIL, "cars"]["grade"] in ("A", "B")
    assert {lead["embargo_code"] for lead in leads.values()} == {"BRA_2023"}
    # With the project's own tables the same trade is nobody's business.
    own = found(models, write_world(world, tmp_path / "own", reference))
    assert [lead for lead in own.values() if lead["family_code"] == "cars"] == []


def test_every_lead_has_fifteen_explanations_and_says_anomalous(
    models: PassageModels, reference: Reference, tmp_path: Path
) -> None:
    folder = write_world(story(quiet_world(goods_of(reference))), tmp_path / "story", reference)
    with models.build(folder) as con:
        counts = con.sql("select lead_id, count(*) from mart_lead_explanation group by lead_id").fetchall()
        names = con.sql("select lead_name from mart_passage_lead").fetchall()
    assert {count for _, count in counts} == {15}
    assert all(str(name[0]).startswith("Anomalous passage: ") for name in names)
