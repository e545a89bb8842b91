"""Fixtures of the planted world's tests: reference tables, worlds made once, the tiny world in full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from orchestration.reference import load_seed
from orchestration.sample import REFERENCE_FRAMES, Delivery, WorldConfig, iter_deliveries
from tests.unit.sample.worlds import Worlds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker for this folder, so that its worlds are made once."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("planted_world"))


@pytest.fixture(scope="session")
def frames(seeds_dir: Path) -> Mapping[str, pl.DataFrame]:
    """The reference tables the world is made from, all text."""
    return {name: load_seed(seeds_dir, name) for name in REFERENCE_FRAMES}


@pytest.fixture(scope="session")
def worlds(frames: Mapping[str, pl.DataFrame]) -> Worlds:
    """Worlds and deliveries, each made once."""
    return Worlds(frames)


@pytest.fixture(scope="session")
def tiny(frames: Mapping[str, pl.DataFrame]) -> dict[str, Delivery]:
    """Every delivery of the tiny world, by name: all effects and all passages."""
    return {delivery.name: delivery for delivery in iter_deliveries(WorldConfig.tiny(), frames)}


@pytest.fixture(scope="session")
def tiny_declared(tiny: dict[str, Delivery]) -> pl.DataFrame:
    """All declared rows of the tiny world."""
    return pl.concat(delivery.declared for delivery in tiny.values())
