"""Each false-positive control holds back its own innocent cause, and lets it through when it is switched off.

Belongs here: one world per control, with the control and without. Does not belong here: how the worlds are made
(`bench.innocent_worlds`), the planted worlds (`bench.passages`).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from bench.innocent_worlds import as_seed, innocent, quiet_world, switched_off, write_world
from bench.passage_models import PassageModels
from bench.passages import leads_of
from orchestration.reference import Reference, load_reference

CONTROLS = (
    "completeness_gate",
    "own_baseline",
    "origin_or_consignment",
    "hubs",
    "edition_breaks",
    "lag_windows",
    "placebo_basket",
    "everyone",
    "base_year_check",
    "minimum_size",
    "reported_weights",
    "false_discovery",
    "confidential_codes",
)
# Held where flows are made, or by how the tests are written: no switch of theirs can lift a lead.
BY_CONSTRUCTION = {
    "fitted_cif": "importers are taken to FOB in the reconciliation (unit/reconcile/test_reconcile_valuation.py), "
    "and a rise that only the importer shows is one of origin",
    "fixed_lists": "lists and baskets are seeds; no code chooses one by growth",
}
pytestmark = pytest.mark.xdist_group("passages")


@pytest.fixture(scope="module")
def models() -> PassageModels:
    return PassageModels()


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture(scope="module")
def goods(reference: Reference) -> tuple[str, ...]:
    placebo = reference.products.filter(pl.col("basket") == "placebo")
    return tuple(placebo["product_code"].sort().to_list()[:30])


def grades(models: PassageModels, folder: Path, reference: Reference) -> list[str]:
    """Grades of all leads of a world that is written."""
    seeds = {"false_positive_controls": as_seed(reference.false_positive_controls)}
    with models.build(folder, ["mart_passage_lead"], seeds) as con:
        return sorted(leads_of(con)["grade"].to_list())


def test_every_control_is_tried_or_says_why_it_need_not_be(reference: Reference) -> None:
    assert {*CONTROLS, *BY_CONSTRUCTION} == set(reference.false_positive_controls["control_code"])


def test_the_quiet_world_has_no_lead(
    models: PassageModels, reference: Reference, goods: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_world(quiet_world(goods), tmp_path / "quiet", reference)
    assert grades(models, folder, reference) == []


@pytest.mark.parametrize("control", CONTROLS)
def test_an_innocent_cause_makes_a_lead_above_d_only_when_its_control_is_off(
    models: PassageModels, reference: Reference, goods: tuple[str, ...], tmp_path: Path, control: str
) -> None:
    world = innocent(control, quiet_world(goods), goods)
    held = grades(models, write_world(world, tmp_path / "on", reference), reference)
    assert [grade for grade in held if grade != "D"] == []
    off = switched_off(reference, control)
    let_through = grades(models, write_world(world, tmp_path / "off", off), off)
    assert [grade for grade in let_through if grade != "D"] != []
