"""The true world: which cells trade, how large they are, and what moved in each month.

Belongs here: cells (exporter x importer x product), their size, regularity, true CIF margin and shipping lag, the
embargo and the innocent boom, and the sum of months to years. Does not belong here: anything a declarant adds
(`reporters`, `reporting`) and the plan of the passages (`evasion`).

Value of a cell: gravity in the two sizes and the distance, comparative advantage by chapter and product, a
lognormal remainder; it lasts over the years with growth, yearly shocks, a season and irregular months.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.config import WorldConfig
from orchestration.sample.draws import Draws, Flags, Floats, Ints, Keys, Stream, keys_of
from orchestration.sample.evasion import Case, Legs, leg_values, month_number
from orchestration.sample.places import PlaceTable
from orchestration.sample.products import DECOY, GUN_SIGHT, PLACEBO, WATCH, ProductTable

EMBARGO_MONTH = month_number(2022, 3)
EMBARGO_LOG = -2.8  # what remains of coalition exports of watched goods to the destination: about 6 %
BOOM_MONTH = month_number(2022, 5)
BOOM_LOG = 0.45
TROUGH_MONTHS = range(month_number(2020, 4), month_number(2020, 10))
TROUGH_LOG = -0.18
MAX_CIF_LOG = 0.25
_BASE_LOG = 6.3
_STORY_REGULARITY = 0.55


@dataclass(frozen=True)
class Cells:
    """Cells of honest trade followed by the legs of the active passages; arrays of one length unless said.

    `ln_base` (log USD a year), `growth` (log a year), `regularity` (chance of trade in a month) cover honest cells
    only. `case` is the index of the active case, -1 for honest trade. `exporter_partner`, `exporter_product`,
    `importer_partner`, `importer_product` are what each side would declare (indices), `import_factor` what the
    importer's value is multiplied by.
    """

    honest_count: int
    key: Keys
    exporter: Ints
    importer: Ints
    product: Ints
    ln_base: Floats
    growth: Floats
    regularity: Floats
    unit_value: Floats
    cif_log: Floats
    lag_share: Floats
    case: Ints
    exporter_partner: Ints
    exporter_product: Ints
    importer_partner: Ints
    importer_product: Ints
    import_factor: Floats


@dataclass(frozen=True)
class Movements:
    """True movements of one period, aligned with the cells: FOB value, the value arriving in it, and weight."""

    fob_usd: Floats
    arriving_usd: Floats
    kg: Floats


@dataclass(frozen=True)
class Ground:
    """What the month-by-month function needs besides the cells; all of it lasts through the world."""

    is_embargoed: Flags
    is_booming: Flags
    season_phase: Floats
    cases: tuple[Case, ...]
    legs: Legs


def build_cells(
    config: WorldConfig,
    cell_count: int,
    places: PlaceTable,
    products: ProductTable,
    planned: tuple[Case, ...],
    legs: Legs,
    draws: Draws,
) -> Cells:
    """Draw the honest cells (the plan's corridors always among them) and append the legs of active passages."""
    exporter, importer, product = _honest_cells(cell_count, places, products, planned, draws)
    key = _cell_key(places, products, exporter, importer, product)
    ln_base = _base_values(places, products, exporter, importer, product, key, draws)
    story = _is_story(places, products, exporter, importer, product)
    ln_base = _with_baselines(ln_base, exporter, importer, product, planned)
    regularity = _regularity(ln_base, key, story, draws)
    leg_key = keys_of(keys_of(legs.case, legs.exporter, legs.importer), legs.product, 1)
    all_key = np.concatenate([key, leg_key]) if legs.case.size else key
    every = [np.concatenate(pair) for pair in (
        (exporter, legs.exporter), (importer, legs.importer), (product, legs.product))]  # fmt: skip
    unit_value = products.unit_value[every[2]] * np.where(
        np.arange(all_key.size) < key.size,
        np.exp(0.2 * draws.normal(Stream.CELL_UNIT_VALUE, all_key)),
        1.0,
    )
    honest = np.arange(all_key.size) < key.size
    return Cells(
        honest_count=key.size,
        key=all_key,
        exporter=every[0],
        importer=every[1],
        product=every[2],
        ln_base=ln_base,
        growth=0.02 + 0.05 * draws.normal(Stream.CELL_GROWTH, key),
        regularity=regularity,
        unit_value=unit_value,
        cif_log=_cif_margin(places, every[0], every[1], unit_value, all_key, draws),
        lag_share=_lag_share(places, every[0], every[1]),
        case=np.concatenate([np.full(key.size, -1), legs.case]),
        exporter_partner=_view(every[1], honest, legs.exporter_says_partner),
        exporter_product=_view(every[2], honest, legs.exporter_says_product),
        importer_partner=every[0],
        importer_product=_view(every[2], honest, legs.importer_says_product),
        import_factor=np.concatenate([np.ones(key.size), legs.import_factor]),
    )


def build_ground(
    config: WorldConfig,
    cells: Cells,
    places: PlaceTable,
    products: ProductTable,
    planned: tuple[Case, ...],
    active: tuple[Case, ...],
    legs: Legs,
    draws: Draws,
) -> Ground:
    """Embargo, boom and season flags of the honest cells."""
    count = cells.honest_count
    exporter, importer, product = cells.exporter[:count], cells.importer[:count], cells.product[:count]
    embargoed = (
        places.is_coalition[exporter] & places.is_destination[importer] & (products.basket[product] == WATCH)
    )
    boom = boom_place(places, planned, draws)
    return Ground(
        is_embargoed=embargoed & config.effects.embargo,
        is_booming=((exporter == boom) | (importer == boom)) & config.effects.innocent_boom,
        season_phase=12.0 * draws.uniform(Stream.SEASON, keys_of(products.chapter[product])),
        cases=active,
        legs=legs,
    )


def boom_place(places: PlaceTable, planned: tuple[Case, ...], draws: Draws) -> int:
    """The transit candidate that grows innocently: one that no planned passage uses; -1 when none is left."""
    used = {case.transit for case in planned} | {case.second_transit for case in planned}
    order = draws.order(Stream.BOOM_PLACE, places.keys)
    small = places.mass < 200.0
    fit = [int(i) for i in order if places.is_transit[i] and small[i] and not places.is_hub[i] and int(i) not in used]
    return fit[0] if fit else -1


def month_values(cells: Cells, ground: Ground, month: int, draws: Draws) -> Floats:
    """True FOB value (USD) of every cell in one month (a month number)."""
    year, season = divmod(month, 12)
    count = cells.honest_count
    key = cells.key[:count]
    active = draws.below(Stream.MONTH_ACTIVE, key, cells.regularity, month)
    ln_value = (
        cells.ln_base
        - np.log(12.0 * cells.regularity)
        + cells.growth * ((month - month_number(2020, 7)) / 12.0)
        + 0.22 * draws.normal(Stream.YEAR_SHOCK, key, year)
        + 0.12 * np.sin(2.0 * np.pi * (season + ground.season_phase) / 12.0)
        + 0.35 * draws.normal(Stream.MONTH_NOISE, key, month)
    )
    if month in TROUGH_MONTHS:
        ln_value = ln_value + TROUGH_LOG
    if month >= EMBARGO_MONTH:
        ln_value = ln_value + EMBARGO_LOG * ground.is_embargoed
    if month >= BOOM_MONTH:
        ln_value = ln_value + BOOM_LOG * ground.is_booming
    honest = np.where(active, np.exp(ln_value), 0.0)
    return np.concatenate([honest, leg_values(ground.cases, ground.legs, month, draws)])


def movements(cells: Cells, ground: Ground, frequency: str, period: int, draws: Draws) -> Movements:
    """True movements of a year (2017) or month (202101); a year is the sum of its months."""
    if frequency == "M":
        months = [month_number(*divmod(period, 100))]
    else:
        months = [month_number(period, month) for month in range(1, 13)]
    before = month_values(cells, ground, months[0] - 1, draws)
    total = np.zeros(cells.key.size)
    last = before
    for month in months:
        last = month_values(cells, ground, month, draws)
        total += last
    arriving = np.maximum(total + cells.lag_share * (before - last), 0.0)
    return Movements(fob_usd=total, arriving_usd=arriving, kg=total / cells.unit_value)


def flow_table(cells: Cells, moved: Movements, places: PlaceTable, products: ProductTable, ground: Ground) -> pl.DataFrame:
    """Truth table `true_flow` without its period keys: one row per exporter, importer and product that moved."""
    rows = np.flatnonzero(moved.fob_usd > 0)
    passage = cells.case[rows] >= 0
    usd = np.rint(moved.fob_usd[rows] * 1000.0).astype(np.int64)
    frame = pl.DataFrame(
        {
            "exporter": cells.exporter[rows],
            "importer": cells.importer[rows],
            "product": cells.product[rows],
            "usd": usd,
            "passage_usd": np.where(passage, usd, 0),
            "grams": np.rint(moved.kg[rows] * 1000.0).astype(np.int64),
            "case": np.where(passage, cells.case[rows], len(ground.cases)),
        }
    )
    summed = frame.group_by("exporter", "importer", "product").agg(
        pl.col("usd", "passage_usd", "grams").sum(), pl.col("case").min()
    )
    code = pl.Series([f"{number:03d}" for number in places.code.tolist()])
    identity = pl.Series([case.case_id for case in ground.cases] + [None], dtype=pl.String)
    return summed.sort("exporter", "importer", "product").select(
        exporter_code=code.gather(summed.sort("exporter", "importer", "product")["exporter"]),
        importer_code=code.gather(summed.sort("exporter", "importer", "product")["importer"]),
    ) if False else _named_flows(summed, code, pl.Series(products.code), identity)


def _named_flows(summed: pl.DataFrame, code: pl.Series, product: pl.Series, identity: pl.Series) -> pl.DataFrame:
    return summed.select(
        exporter_code=code.gather(summed["exporter"]),
        importer_code=code.gather(summed["importer"]),
        product_code=product.gather(summed["product"]),
        true_fob_usd=pl.col("usd") / 1000.0,
        true_kg=pl.col("grams") / 1000.0,
        passage_fob_usd=pl.col("passage_usd") / 1000.0,
        is_passage=pl.col("passage_usd") > 0,
        case_id=identity.gather(summed["case"]),
    ).sort("exporter_code", "importer_code", "product_code")
