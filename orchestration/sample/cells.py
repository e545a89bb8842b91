"""Which cells (exporter x importer x product) exist in the planted world, and what lasts about each of them.

Belongs here: the choice of cells, their size, growth, regularity, unit value, true CIF margin and shipping lag, and
the legs of the active passages appended to them. Does not belong here: what moves in a period (`truth`) and what
is declared of it (`reporting`).

Size of a cell: gravity in the two places' sizes and their distance, comparative advantage by chapter and product,
and a lognormal remainder, so that values are heavy-tailed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.sample.draws import Draws, Flags, Floats, Ints, Keys, Stream, keys_of
from orchestration.sample.evasion import Case, Legs
from orchestration.sample.places import MAX_ROUTE_DISTANCE_KM, PlaceTable
from orchestration.sample.products import GUN_SIGHT, ProductTable

_BASE_LOG = 4.6
_STORY_REGULARITY = 0.4
_OVERSAMPLING = 1.6
# Margin in logs, shaped like BACI's model II (Gaulier & Zignago 2010: dearer with distance and a landlocked
# importer, cheaper for neighbours and dear goods) and scaled to a mean of about 4-5 %. A soft floor keeps it positive.
_CIF_TERMS = {"constant": -0.035, "ln_d": 0.0125, "ln_uv": -0.006, "contiguous": -0.020,
              "landlocked_importer": 0.025, "landlocked_exporter": -0.006}  # fmt: skip
_CIF_SOFTNESS = 0.005
MAX_CIF_LOG = 0.25


@dataclass(frozen=True)
class Cells:
    """Cells of honest trade followed by the legs of the active passages; one row each.

    `ln_base` (log USD a year), `growth` (log a year) and `regularity` (chance of trade in a month) cover the honest
    cells only. `unit_value` is USD/kg, `cif_log` the log margin, `lag_share` the share of a month's goods that
    arrive in the next. `case` is the index of the active case, -1 for honest trade. `exporter_partner`,
    `exporter_product`, `importer_partner` and `importer_product` are what each side would declare (indices).
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
class _Triples:
    """Honest cells while they are being built: indices, and the annual size where it is prescribed (else nan)."""

    exporter: Ints
    importer: Ints
    product: Ints
    prescribed_usd: Floats


def build_cells(
    cell_count: int,
    places: PlaceTable,
    products: ProductTable,
    planned: tuple[Case, ...],
    legs: Legs,
    draws: Draws,
) -> Cells:
    """Draw about `cell_count` honest cells (the plan's corridors always among them) and append the legs."""
    honest = _honest_cells(cell_count, places, products, planned, draws)
    key = keys_of(places.code[honest.exporter], places.code[honest.importer], products.number[honest.product])
    ln_base = _base_values(honest, places, products, key, draws)
    is_story = _story_corridors(places)[honest.exporter, honest.importer] & (products.basket[honest.product] > 0)
    leg_key = keys_of(legs.number, places.code[legs.exporter], places.code[legs.importer], 1)
    every_key = np.concatenate([key, leg_key])
    exporter = np.concatenate([honest.exporter, legs.exporter])
    importer = np.concatenate([honest.importer, legs.importer])
    product = np.concatenate([honest.product, legs.product])
    unit_value = products.unit_value[product]
    unit_value[: key.size] *= draws.lognormal(Stream.CELL_UNIT_VALUE, key, 0.2)
    return Cells(
        honest_count=key.size,
        key=every_key,
        exporter=exporter,
        importer=importer,
        product=product,
        ln_base=ln_base,
        growth=0.02 + 0.05 * draws.normal(Stream.CELL_GROWTH, key),
        regularity=_regularity(ln_base, key, is_story, draws),
        unit_value=unit_value,
        cif_log=_cif_margin(places, exporter, importer, unit_value, every_key, draws),
        lag_share=_lag_share(places, exporter, importer),
        case=np.concatenate([np.full(key.size, -1), legs.case]),
        exporter_partner=_view(importer, legs.exporter_says_partner),
        exporter_product=_view(product, legs.exporter_says_product),
        importer_partner=exporter,
        importer_product=_view(product, legs.importer_says_product),
        import_factor=np.concatenate([np.ones(key.size), legs.import_factor]),
    )


def _view(natural: Ints, said: Ints) -> Ints:
    """What is declared: the truth, but for legs that say otherwise (`said` covers the last rows; -1 = truth)."""
    view = natural.copy()
    tail = view[view.size - said.size :]
    tail[said >= 0] = said[said >= 0]
    return view


def _honest_cells(
    cell_count: int, places: PlaceTable, products: ProductTable, planned: tuple[Case, ...], draws: Draws
) -> _Triples:
    """Unique cells, sorted by index: drawn by gravity, the story's corridors, and the plan's baselines."""
    parts = [_gravity_cells(cell_count, places, products, draws), _story_cells(places, products, draws)]
    forced = _baselines(planned)
    count, goods = places.trader_count, products.product_count
    ident = np.concatenate([(p.exporter * count + p.importer) * goods + p.product for p in (*parts, forced)])
    unique = np.unique(ident)
    prescribed = np.full(unique.size, np.nan)
    prescribed[np.searchsorted(unique, ident[ident.size - forced.product.size :])] = forced.prescribed_usd
    pair, product = np.divmod(unique, goods)
    exporter, importer = np.divmod(pair, count)
    keep = (exporter != importer) & ~_must_be_silent(exporter, importer, product, products, planned)
    return _Triples(exporter[keep], importer[keep], product[keep], prescribed[keep])


def _gravity_cells(cell_count: int, places: PlaceTable, products: ProductTable, draws: Draws) -> _Triples:
    """Partners and products drawn per exporter with replacement; doubles are dropped by the caller."""
    count = places.trader_count
    weight = places.mass**0.45
    wanted = np.rint(_OVERSAMPLING * cell_count * weight / weight.sum()).astype(np.int64) + 4
    partner_weight = places.mass[None, :] ** 0.9 * places.distance_km**-1.0 * (1.0 + places.contiguous)
    np.fill_diagonal(partner_weight, 0.0)
    popularity = draws.lognormal(Stream.PRODUCT_SIZE, products.keys, 0.7)
    exporters, importers, goods = [], [], []
    for index in range(count):
        number = int(wanted[index])
        key = keys_of(places.code[index], np.arange(number))
        advantage = np.exp(0.8 * _advantage(places.code[index], products, draws))
        exporters.append(np.full(number, index, dtype=np.int64))
        importers.append(_pick(partner_weight[index], draws.uniform(Stream.CELL_PARTNER, key)))
        goods.append(_pick(popularity * advantage, draws.uniform(Stream.CELL_PRODUCT, key)))
    product = np.concatenate(goods)
    return _Triples(np.concatenate(exporters), np.concatenate(importers), product, np.full(product.size, np.nan))


def _pick(weight: Floats, uniform: Floats) -> Ints:
    """Index by inverse distribution function, one per uniform number."""
    cumulative = np.cumsum(weight)
    index: Ints = np.searchsorted(cumulative, uniform * cumulative[-1]).clip(0, weight.size - 1)
    return index


def _advantage(exporter_code: int, products: ProductTable, draws: Draws) -> Floats:
    """Comparative advantage of one exporter in every product (log scale, standard deviation 1)."""
    chapter = draws.normal(Stream.ADVANTAGE_CHAPTER, keys_of(exporter_code, products.chapter))
    product = draws.normal(Stream.ADVANTAGE_PRODUCT, keys_of(exporter_code, products.number))
    advantage: Floats = 0.8 * chapter + 0.6 * product
    return advantage


def _story_corridors(places: PlaceTable) -> Flags:
    """Producers to the destinations and to transit candidates near them, and those transit candidates onward."""
    producer = places.is_producer
    near = places.distance_km[:, places.is_destination].min(axis=1, initial=np.inf) <= MAX_ROUTE_DISTANCE_KM
    transit = places.is_transit & near & ~producer
    onward = transit[:, None] & places.is_destination[None, :]
    corridors: Flags = (producer[:, None] & (places.is_destination | transit)[None, :]) | onward
    return corridors


def _story_cells(places: PlaceTable, products: ProductTable, draws: Draws) -> _Triples:
    """Watched, decoy and placebo goods on the story's corridors, each with a chance of its own."""
    exporter, importer = np.nonzero(_story_corridors(places))
    goods = np.flatnonzero(products.basket > 0)
    chance = np.where(places.is_destination[importer], 0.10, 0.02)
    key = keys_of(places.code[exporter][:, None], places.code[importer][:, None], products.number[goods][None, :])
    pair, column = np.nonzero(draws.uniform(Stream.STORY_CELLS, key) < chance[:, None])
    return _Triples(exporter[pair], importer[pair], goods[column], np.full(pair.size, np.nan))


def _baselines(planned: tuple[Case, ...]) -> _Triples:
    """The trade that every planned passage grows out of: the direct route large, its own legs small."""
    rows: list[tuple[int, int, int, float]] = []
    for case in planned:
        yearly = 12.0 * case.monthly_usd
        if case.kind == "decoy_drones":
            rows.append((case.origin, case.transit, case.declared_product, 300e3))
            rows.append((case.transit, case.destination, case.declared_product, 150e3))
            continue
        rows.append((case.origin, case.destination, case.product, yearly / 0.6))
        for transit in {case.transit, case.second_transit} - {-1}:
            rows.append((case.origin, transit, case.product, max(yearly * 0.06, 60e3)))
            rows.append((transit, case.destination, case.product, max(yearly * 0.02, 30e3)))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    exporter, importer, product = table[:, :3].astype(np.int64).T
    return _Triples(exporter, importer, product, table[:, 3])


def _must_be_silent(
    exporter: Ints, importer: Ints, product: Ints, products: ProductTable, planned: tuple[Case, ...]
) -> Flags:
    """The country of the gun-sight case never trades anything of that family before."""
    sight = products.index_of(GUN_SIGHT)
    family = products.family[sight] if sight >= 0 else None
    in_family = np.array([name == family for name in products.family])[product]
    countries = [case.transit for case in planned if case.kind == "gun_sights"]
    silent: Flags = in_family & (np.isin(exporter, countries) | np.isin(importer, countries))
    return silent


def _base_values(cells: _Triples, places: PlaceTable, products: ProductTable, key: Keys, draws: Draws) -> Floats:
    """Log of a cell's yearly value in USD."""
    chapter = draws.normal(
        Stream.ADVANTAGE_CHAPTER, keys_of(places.code[cells.exporter], products.chapter[cells.product])
    )
    product = draws.normal(
        Stream.ADVANTAGE_PRODUCT, keys_of(places.code[cells.exporter], products.number[cells.product])
    )
    gravity = (
        0.75 * np.log(places.mass[cells.exporter])
        + 0.65 * np.log(places.mass[cells.importer])
        - 0.9 * np.log(places.distance_km[cells.exporter, cells.importer] / 1000.0)
        + 0.4 * places.contiguous[cells.exporter, cells.importer]
    )
    size = np.log(draws.lognormal(Stream.PRODUCT_SIZE, products.keys, 0.7))[cells.product]
    remainder = 1.1 * draws.normal(Stream.CELL_VALUE, key)
    drawn = _BASE_LOG + gravity + 0.6 * chapter + 0.5 * product + size + remainder
    return np.where(np.isnan(cells.prescribed_usd), drawn, np.log(np.fmax(cells.prescribed_usd, 1.0)))


def _regularity(ln_base: Floats, key: Keys, is_story: Flags, draws: Draws) -> Floats:
    """Chance that a cell trades in a month: large cells nearly always, small ones now and then."""
    score = (ln_base - 15.9) / 1.5 + 0.5 * draws.normal(Stream.CELL_REGULARITY, key)
    chance = np.clip(1.0 / (1.0 + np.exp(-score)), 0.05, 0.97)
    return np.where(is_story, np.maximum(chance, _STORY_REGULARITY), chance)


def _cif_margin(
    places: PlaceTable, exporter: Ints, importer: Ints, unit_value: Floats, key: Keys, draws: Draws
) -> Floats:
    """True margin ln(CIF/FOB) of every cell."""
    ln_d = np.log(places.distance_km[exporter, importer])
    margin = (
        _CIF_TERMS["constant"]
        + _CIF_TERMS["ln_d"] * ln_d
        + _CIF_TERMS["ln_uv"] * np.log(unit_value)
        + _CIF_TERMS["contiguous"] * places.contiguous[exporter, importer]
        + _CIF_TERMS["landlocked_importer"] * places.landlocked[importer]
        + _CIF_TERMS["landlocked_exporter"] * places.landlocked[exporter]
        + 0.010 * draws.normal(Stream.CIF_NOISE, key)
    )
    positive: Floats = np.minimum(_CIF_SOFTNESS * np.logaddexp(0.0, margin / _CIF_SOFTNESS), MAX_CIF_LOG)
    return positive


def _lag_share(places: PlaceTable, exporter: Ints, importer: Ints) -> Floats:
    """Share of a month's goods that arrive in the next month: none nearby, up to 60 % over the oceans."""
    share = np.clip((places.distance_km[exporter, importer] - 1_500.0) / 16_000.0, 0.0, 0.6)
    return np.where(places.contiguous[exporter, importer], 0.0, share)
