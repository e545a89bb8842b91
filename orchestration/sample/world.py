"""The planted world as deliveries: one period at a time, declared rows beside the truth they were made from.

Belongs here: the assembly of the world and the iteration over its periods in bounded memory. Does not belong here:
any effect (see the module of its name), and any reading or writing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample import reporters as reporting_habits
from orchestration.sample.cells import Cells, build_cells
from orchestration.sample.config import Frequency, WorldConfig, plan_size
from orchestration.sample.declare import declare
from orchestration.sample.draws import Draws, Flags, Ints
from orchestration.sample.evasion import Case, active_cases, case_legs, case_table, plan_cases
from orchestration.sample.places import PlaceTable, available_traders, build_places
from orchestration.sample.products import ProductTable, available_products, build_products
from orchestration.sample.reporting import PeriodContext, filed_cells, with_hidden_codes
from orchestration.sample.totals import period_rows
from orchestration.sample.truth import Ground, Movements, build_ground, flow_table, margin_table, movements

REFERENCE_FRAMES = (
    "places",
    "place_borders",
    "place_roles",
    "valuation_by_reporter_year",
    "hs_codes",
    "products",
    "product_families",
)
# Declared rows of a period per cell that moved, measured; only decides into how many parts a period is cut.
_ROWS_PER_MOVED_CELL = 4.5


@dataclass(frozen=True)
class Delivery:
    """What the planted world hands over for one period (or one part of a large period).

    `name` is the period key, 'A-2017' or 'M-202101', with '-p01' ... when cut into parts; `declared` holds the 47
    API columns; `truth` holds `true_flow` of the period (exporters of the part).
    """

    name: str
    declared: pl.DataFrame
    truth: dict[str, pl.DataFrame]


@dataclass(frozen=True)
class World:
    """Everything about a planted world that lasts over its periods."""

    config: WorldConfig
    places: PlaceTable
    products: ProductTable
    reporters: reporting_habits.ReporterTable
    cells: Cells
    ground: Ground
    cases: tuple[Case, ...]
    valuation: pl.DataFrame
    draws: Draws


def build_world(config: WorldConfig, reference_frames: Mapping[str, pl.DataFrame]) -> World:
    """Make the lasting part of a world from its configuration and the reference tables (REFERENCE_FRAMES).

    Raises KeyError when a reference table is missing and ValueError when it holds too few places or products.
    """
    missing = sorted(set(REFERENCE_FRAMES) - set(reference_frames))
    if missing:
        raise KeyError(f"reference tables {missing} are missing; the planted world is made from them; pass them in")
    draws = Draws(config.seed)
    size = plan_size(
        config, available_traders(reference_frames["places"]).height, len(available_products(reference_frames))
    )
    places = build_places(reference_frames, draws, size.place_count)
    products = build_products(reference_frames, draws, size.product_count)
    planned = plan_cases(config, places, products, draws)
    active = active_cases(config, planned)
    legs = case_legs(active)
    cells = build_cells(size.cell_count, places, products, planned, legs, draws)
    return World(
        config=config,
        places=places,
        products=products,
        reporters=reporting_habits.build_reporters(config, places, planned, cells, draws),
        cells=cells,
        ground=build_ground(config.effects, cells, places, products, active, legs, draws),
        cases=active,
        valuation=reference_frames["valuation_by_reporter_year"],
        draws=draws,
    )


def world_truth(config: WorldConfig, reference_frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Truth tables that last over the periods: planted_case, reporter_error, cif_margin."""
    return lasting_truth(build_world(config, reference_frames))


def lasting_truth(world: World) -> dict[str, pl.DataFrame]:
    """`world_truth` of a world that is already built."""
    return {
        "planted_case": case_table(world.config, world.cases, world.places, world.products, world.draws),
        "reporter_error": reporting_habits.error_table(world.reporters, world.places),
        "cif_margin": margin_table(world.cells, world.places, world.products, world.config.effects),
    }


def iter_deliveries(config: WorldConfig, reference_frames: Mapping[str, pl.DataFrame]) -> Iterator[Delivery]:
    """Every delivery of a world, years first, then months, in time order; one period is held at a time.

    `reference_frames` maps seed names (REFERENCE_FRAMES) to frames, codes as text. Equal arguments give
    byte-identical frames, and `deliver` gives the same ones for a single period.
    """
    world = build_world(config, reference_frames)
    for frequency, period in config.periods():
        yield from deliver(world, frequency, period)


def deliver(world: World, frequency: Frequency, period: int) -> Iterator[Delivery]:
    """The deliveries of one period (2017 for 'A', 202101 for 'M'): one, or several parts of whole reporters."""
    moved = movements(world.cells, world.ground, frequency, period, world.config.effects, world.draws)
    parts = _parts(world, moved)
    key = f"{frequency}-{period}"
    for number, group in enumerate(parts, start=1):
        name = key if len(parts) == 1 else f"{key}-p{number:02d}"
        yield _delivery(world, frequency, period, moved, group, name)


def _delivery(world: World, frequency: str, period: int, moved: Movements, group: Flags, name: str) -> Delivery:
    context = _context(world, frequency, period, group)
    rows = period_rows(context, with_hidden_codes(context, filed_cells(context, moved)))
    truth = flow_table(world.cells, moved, world.places, world.products, world.ground, group[world.cells.exporter])
    keys = {"frequency": pl.lit(frequency), "period": pl.lit(str(period))}
    return Delivery(
        name=name,
        declared=declare(context, rows, world.config.with_descriptions),
        truth={"true_flow": truth.select(**keys, **{column: pl.col(column) for column in truth.columns})},
    )


def _context(world: World, frequency: str, period: int, group: Flags) -> PeriodContext:
    year = period if frequency == "A" else period // 100
    return PeriodContext(
        frequency=frequency,
        period=period,
        effects=world.config.effects,
        places=world.places,
        products=world.products,
        reporters=world.reporters,
        cells=world.cells,
        files=reporting_habits.files_period(
            world.config, world.reporters, world.places, frequency, period, world.draws
        ),
        group=group,
        edition=reporting_habits.edition_of(world.reporters, year),
        files_fob=reporting_habits.fob_importers(world.valuation, world.places, year, world.config),
        draws=world.draws,
    )


def _parts(world: World, moved: Movements) -> list[Flags]:
    """Cut the reporters into groups of about equal numbers of moved cells, each within the row limit."""
    count = world.places.trader_count
    moving = moved.fob_usd > 0
    load = np.bincount(world.cells.exporter[moving], minlength=count) + np.bincount(
        world.cells.importer[moving], minlength=count
    )
    wanted = max(1, int(np.ceil(moving.sum() * _ROWS_PER_MOVED_CELL / world.config.delivery_row_limit)))
    before: Ints = np.cumsum(load) - load
    group = np.minimum(before * wanted // max(int(load.sum()), 1), wanted - 1)
    return [group == number for number in range(wanted) if (group == number).any()]
