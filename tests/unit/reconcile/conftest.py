"""Fixtures of the reconciliation's tests: small tables, shorthands, and planted worlds read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from orchestration import reconcile
from tests.unit.reconcile.builders import complete, frame, small_tables


@pytest.fixture(scope="session")
def tables() -> reconcile.ReconcileTables:
    return small_tables()


@pytest.fixture(scope="session")
def paired(tables: reconcile.ReconcileTables) -> Callable[..., pl.DataFrame]:
    def run(*rows: dict[str, Any], reporting: tuple[str, ...] = ()) -> pl.DataFrame:
        return reconcile.pair(frame(*rows), complete(*reporting), tables).pairs

    return run
