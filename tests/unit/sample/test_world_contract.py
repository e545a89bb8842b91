"""The source contract understands every row of the planted world, and its totals are covered."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract import ContractResult, ContractTables, apply_contract
from orchestration.comtrade.contract.schema import LANDED
from orchestration.reference import load_reference
from orchestration.sample import Delivery, WorldConfig
from tests.unit.sample.worlds import FULL, Worlds, cells

PLANTED_REASONS = {
    ("pair", "kept"),
    ("pair", "summed_from_breakdown"),
    ("special", "breakdown_beside_total"),
    ("special", "self_trade"),
    ("special", "special_partner"),
    ("special", "sub_flow"),
    ("total", "coarser_level"),
    ("total", "total_product"),
    ("total", "world_partner"),
}
PERIODS = ("A-2019", "A-2021", "A-2022", "A-2024", "M-202201", "M-202305", "M-202412")


@pytest.fixture(scope="module")
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


def _contracted(delivery: Delivery, tables: ContractTables) -> ContractResult:
    landed = delivery.declared.with_columns(
        source_file=pl.lit(f"{delivery.name}.parquet"),
        source_format=pl.lit("api_parquet"),
        delivery_id=pl.lit("planted"),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        quarantine_field=pl.lit(None, dtype=pl.String),
        quarantine_value=pl.lit(None, dtype=pl.String),
    )
    order = pl.DataFrame({"delivery_id": ["planted"], "precedence": [1]})
    return apply_contract(landed.select(list(LANDED)), tables, order)


@pytest.fixture(scope="module")
def contracted(
    tiny: dict[str, Delivery], worlds: Worlds, tables: ContractTables
) -> dict[str, tuple[Delivery, ContractResult]]:
    """Some periods of the tiny world and two of the standard one (names end in 's')."""
    chosen = {key: tiny[key] for key in PERIODS}
    chosen |= {f"{key}-s": worlds.kept(FULL, key) for key in ("A-2023", "M-202305")}
    return {key: (delivery, _contracted(delivery, tables)) for key, delivery in chosen.items()}


KEYS = [*PERIODS, "A-2023-s", "M-202305-s"]
Contracted = dict[str, tuple[Delivery, ContractResult]]


@pytest.mark.parametrize("key", KEYS)
def test_nothing_is_quarantined_when_the_contract_reads_a_period(contracted: Contracted, key: str) -> None:
    delivery, result = contracted[key]
    assert result.declarations.height == delivery.declared.height
    assert result.declarations.filter(pl.col("account") == "quarantine").height == 0
    filed, booked = delivery.declared["primaryValue"].sum(), result.declarations["value_usd"].sum()
    assert booked == pytest.approx(filed, rel=1e-12)


def test_every_planted_kind_of_row_is_booked_when_periods_are_read(contracted: Contracted) -> None:
    booked = pl.concat(result.declarations.select("account", "account_reason") for _, result in contracted.values())
    assert set(booked.unique().iter_rows()) == PLANTED_REASONS


@pytest.mark.parametrize("key", KEYS)
def test_every_shipment_is_counted_once_when_breakdowns_are_booked(contracted: Contracted, key: str) -> None:
    delivery, result = contracted[key]
    once = cells(delivery.declared)["primaryValue"].sum()
    parts = result.declarations.filter(
        pl.col("account_reason").is_in(["kept", "summed_from_breakdown", "special_partner", "self_trade"])
    )
    assert parts["value_usd"].sum() == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("key", KEYS)
def test_control_totals_are_covered_when_a_period_is_read(contracted: Contracted, key: str) -> None:
    _, result = contracted[key]
    coverage = result.coverage.filter(pl.col("declaration_count") > 0)
    assert coverage.filter(pl.col("control_total_usd").is_null()).height == 0
    assert (coverage["coverage_ratio"] - 1).abs().max() < 1e-9
    world = result.control_totals.filter((pl.col("partner_code") == "000") & (pl.col("control_value_usd") > 0))
    covered = world.select(
        share=pl.min_horizontal("parts_value_usd", "control_value_usd").sum() / pl.col("control_value_usd").sum()
    )
    assert covered.item() > 0.95
    above = (pl.col("parts_value_usd") - pl.col("control_value_usd")).clip(0.0).sum()
    assert world.select(above / pl.col("control_value_usd").sum()).item() < 0.01


def test_both_valuations_and_all_editions_arrive_when_periods_are_read(contracted: Contracted) -> None:
    declarations = pl.concat(result.declarations for _, result in contracted.values())
    imports = declarations.filter((pl.col("flow_code") == "M") & (pl.col("account") == "pair"))
    assert set(imports["valuation_filed"]) == {"CIF", "FOB"}
    assert {"H5", "H6"} <= set(declarations["hs_revision"])
    both = imports.filter((pl.col("cif_value_usd") > 0) & (pl.col("fob_value_usd") > 0))
    assert both.height > 100
    assert (both["cif_value_usd"] >= both["fob_value_usd"]).all()


def test_a_row_of_an_unknown_place_would_be_quarantined_when_one_is_slipped_in(
    tiny: dict[str, Delivery], tables: ContractTables
) -> None:
    declared = tiny["M-202305"].declared
    wrong = declared.with_columns(
        partnerCode=pl.when(pl.int_range(pl.len()) == 0).then(999_999).otherwise(pl.col("partnerCode"))
    )
    result = _contracted(Delivery("M-202305", wrong, {}), tables)
    assert result.declarations.filter(pl.col("account") == "quarantine").height == 1


def test_the_standard_configuration_is_the_default_when_nothing_is_set() -> None:
    assert WorldConfig.standard() == WorldConfig()
