"""Fixtures of the contract's tests: the reference tables the project ships, and a shorthand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestration.comtrade.contract import ContractResult, ContractTables
from orchestration.reference import load_reference
from tests.unit.comtrade.contract.builders import apply, landed


@pytest.fixture(scope="session")
def tables(seeds_dir: Path) -> ContractTables:
    reference = load_reference(seeds_dir)
    return ContractTables(
        places=reference.places,
        flows=reference.flows,
        hs_codes=reference.hs_codes,
        customs_procedures=reference.customs_procedures,
        transport_modes=reference.transport_modes,
        quantity_units=reference.quantity_units,
        modes_of_supply=reference.modes_of_supply,
    )


@pytest.fixture(scope="session")
def contract(tables: ContractTables) -> Callable[..., ContractResult]:
    def run(
        *rows: dict[str, Any],
        newest_last: list[str] | None = None,
        versions: Mapping[str, tuple[str, bool]] | None = None,
    ) -> ContractResult:
        return apply(tables, landed(*rows), newest_last, versions)

    return run
