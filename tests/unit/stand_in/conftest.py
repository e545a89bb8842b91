"""Declared rows of one year and two months of the tiny planted world, and a stand-in that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

from orchestration.reference import Reference, load_reference
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, build_world, deliver
from orchestration.stand_in import Holdings, KeyLimits, Served, StandIn, serve
from tests.unit.stand_in.asking import KEY, Get


@pytest.fixture(scope="session")
def reference(seeds_dir: Path) -> Reference:
    """The reference tables."""
    return load_reference(seeds_dir)


@pytest.fixture(scope="session")
def declared(reference: Reference) -> tuple[pl.DataFrame, ...]:
    """Rows in API columns: the year 2022 and the months 202201 and 202202."""
    world = build_world(WorldConfig.tiny(), {name: getattr(reference, name) for name in REFERENCE_FRAMES})
    periods = (("A", 2022), ("M", 202201), ("M", 202202))
    return tuple(part.declared for frequency, period in periods for part in deliver(world, frequency, period))


@pytest.fixture(scope="session")
def annual(declared: tuple[pl.DataFrame, ...]) -> pl.DataFrame:
    """The rows of 2022."""
    return declared[0]


@pytest.fixture(scope="session")
def reporter(annual: pl.DataFrame) -> int:
    """The reporter with most rows in 2022."""
    counts = annual["reporterCode"].value_counts(sort=True)
    return int(counts["reporterCode"][0])


@pytest.fixture(scope="session")
def all_holdings(declared: tuple[pl.DataFrame, ...]) -> Holdings:
    """All rows held, for tests that change nothing."""
    return Holdings.from_frames(declared)


@pytest.fixture
def holdings(all_holdings: Holdings) -> Holdings:
    """All rows held, to be revised by one test."""
    return all_holdings.copy()


@pytest.fixture
def stand_in(holdings: Holdings, reference: Reference) -> StandIn:
    """A stand-in with one key that has no quota."""
    return StandIn(holdings, {KEY: KeyLimits(calls_a_day=None)}, reference=reference)


@pytest.fixture
def served(stand_in: StandIn) -> Iterator[Served]:
    """That stand-in behind a free port."""
    with serve(stand_in) as listening:
        yield listening


@pytest.fixture
def get(served: Served) -> Iterator[Get]:
    """Ask the served stand-in with its key: get(path, **parameters)."""
    with httpx.Client(base_url=served.address, headers={"Ocp-Apim-Subscription-Key": KEY}) as client:
        yield lambda path, **parameters: client.get(path, params=parameters)
