"""What truly moves in a month or year of the planted world, and the truth tables that tests and benchmarks read.

Belongs here: the month-by-month function (season, growth, shocks, embargo, innocent boom, passages), the sum of
months to years, and the truth tables. Does not belong here: anything a declarant adds (`reporting`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.cells import Cells
from orchestration.sample.config import Effects
from orchestration.sample.draws import Draws, Flags, Floats, Stream, keys_of
from orchestration.sample.evasion import Case, Legs, boom_place, leg_values, month_number
from orchestration.sample.places import PlaceTable
from orchestration.sample.products import WATCH, ProductTable

EMBARGO_MONTH = month_number(2022, 3)
EMBARGO_LOG = -2.8  # about 6 % of coalition exports of watched goods to the destination remains
BOOM_MONTH = month_number(2022, 5)
BOOM_LOG = 0.45
TROUGH_MONTHS = range(month_number(2020, 4), month_number(2020, 10))
TROUGH_LOG = -0.18
_GROWTH_ORIGIN = month_number(2020, 7)


@dataclass(frozen=True)
class Ground:
    """What the month-by-month function needs besides the cells; all of it lasts through the world."""

    is_embargoed: Flags
    is_booming: Flags
    season_phase: Floats
    cases: tuple[Case, ...]
    legs: Legs


@dataclass(frozen=True)
class Movements:
    """True movements of one period, aligned with the cells: FOB value sent, FOB value arriving, kg sent."""

    fob_usd: Floats
    arriving_usd: Floats
    kg: Floats


def build_ground(
    effects: Effects,
    cells: Cells,
    places: PlaceTable,
    products: ProductTable,
    active: tuple[Case, ...],
    legs: Legs,
    draws: Draws,
) -> Ground:
    """Embargo, boom and season of the honest cells; `legs` belong to the active cases."""
    honest = slice(0, cells.honest_count)
    exporter, importer, product = cells.exporter[honest], cells.importer[honest], cells.product[honest]
    embargoed = places.is_coalition[exporter] & places.is_destination[importer] & (products.basket[product] == WATCH)
    boom = boom_place(places, draws)
    return Ground(
        is_embargoed=embargoed & effects.embargo,
        is_booming=((exporter == boom) | (importer == boom)) & effects.innocent_boom,
        season_phase=12.0 * draws.uniform(Stream.SEASON, keys_of(products.chapter[product])),
        cases=active,
        legs=legs,
    )


def month_values(cells: Cells, ground: Ground, month: int, draws: Draws) -> Floats:
    """True FOB value (USD) of every cell in one month (a month number)."""
    year, season = divmod(month, 12)
    key = cells.key[: cells.honest_count]
    ln_value = (
        cells.ln_base
        - np.log(12.0 * cells.regularity)
        + cells.growth * ((month - _GROWTH_ORIGIN) / 12.0)
        + 0.22 * draws.normal(Stream.YEAR_SHOCK, key, year)
        + 0.12 * np.sin(2.0 * np.pi * (season + ground.season_phase) / 12.0)
        + 0.35 * draws.normal(Stream.MONTH_NOISE, key, month)
        + (TROUGH_LOG if month in TROUGH_MONTHS else 0.0)
        + (EMBARGO_LOG if month >= EMBARGO_MONTH else 0.0) * ground.is_embargoed
        + (BOOM_LOG if month >= BOOM_MONTH else 0.0) * ground.is_booming
    )
    active = draws.below(Stream.MONTH_ACTIVE, key, cells.regularity, month)
    honest = np.where(active, np.exp(ln_value), 0.0)
    return np.concatenate([honest, leg_values(ground.cases, ground.legs, month, draws)])


def months_of(frequency: str, period: int) -> list[int]:
    """Month numbers of a year (2017) or a month (202101)."""
    if frequency == "M":
        return [month_number(period // 100, period % 100)]
    return [month_number(period, month) for month in range(1, 13)]


def movements(cells: Cells, ground: Ground, frequency: str, period: int, effects: Effects, draws: Draws) -> Movements:
    """True movements of a year (2017) or month (202101); a year is the sum of its months."""
    months = months_of(frequency, period)
    total = np.zeros(cells.key.size)
    last = total
    for month in months:
        last = month_values(cells, ground, month, draws)
        total = total + last
    arriving = total
    if effects.timing_lag:
        before = month_values(cells, ground, months[0] - 1, draws)
        arriving = np.maximum(total + cells.lag_share * (before - last), 0.0)
    return Movements(fob_usd=total, arriving_usd=arriving, kg=total / cells.unit_value)


def flow_table(
    cells: Cells, moved: Movements, places: PlaceTable, products: ProductTable, ground: Ground, rows: Flags
) -> pl.DataFrame:
    """Truth table `true_flow` without its period keys: one row per exporter, importer and product that moved.

    `rows` says which cells to take. Sums are made in thousandths of a dollar, so that their order does not matter.
    """
    taken = np.flatnonzero((moved.fob_usd > 0) & rows)
    passage = cells.case[taken] >= 0
    usd = np.rint(moved.fob_usd[taken] * 1000.0).astype(np.int64)
    frame = pl.DataFrame(
        {
            "exporter": cells.exporter[taken],
            "importer": cells.importer[taken],
            "product": cells.product[taken],
            "usd": usd,
            "passage_usd": np.where(passage, usd, 0),
            "grams": np.rint(moved.kg[taken] * 1000.0).astype(np.int64),
            "case": np.where(passage, cells.case[taken], len(ground.cases)),
        }
    )
    summed = frame.group_by("exporter", "importer", "product").agg(
        pl.col("usd", "passage_usd", "grams").sum(), pl.col("case").min()
    )
    code = place_codes(places)
    case_ids = pl.Series([case.case_id for case in ground.cases] + [None], dtype=pl.String)
    return summed.select(
        exporter_code=code.gather(summed["exporter"]),
        importer_code=code.gather(summed["importer"]),
        product_code=pl.Series(products.code).gather(summed["product"]),
        true_fob_usd=pl.col("usd") / 1000.0,
        true_kg=pl.col("grams") / 1000.0,
        passage_fob_usd=pl.col("passage_usd") / 1000.0,
        is_passage=pl.col("passage_usd") > 0,
        case_id=case_ids.gather(summed["case"]),
    ).sort("exporter_code", "importer_code", "product_code")


def margin_table(cells: Cells, places: PlaceTable, products: ProductTable, effects: Effects) -> pl.DataFrame:
    """Truth table `cif_margin`: ln(CIF/FOB) of every honest cell; 0 where the effect is off."""
    honest = slice(0, cells.honest_count)
    code = place_codes(places)
    return pl.DataFrame(
        {
            "exporter_code": code.gather(cells.exporter[honest]),
            "importer_code": code.gather(cells.importer[honest]),
            "product_code": pl.Series(products.code).gather(cells.product[honest]),
            "cif_margin_log": cells.cif_log[honest] * effects.cif_margin,
            "lag_share_ratio": cells.lag_share[honest] * effects.timing_lag,
        }
    ).sort("exporter_code", "importer_code", "product_code")


def place_codes(places: PlaceTable) -> pl.Series:
    """Comtrade codes as text of three digits, by place index."""
    return pl.Series([f"{number:03d}" for number in places.code.tolist()], dtype=pl.String)
