"""The planted passages: who sends what by which route, when, for how much, and what each end declares.

Belongs here: the plan of the cases (a function of the seed alone, so that a world without evasion has the same
ground), the innocent look-alike they keep clear of, and the legs they add to the true flows, with the view each
declarant takes. Does not belong here: honest trade (`truth`) and honest errors (`reporting`).

Places are picked by role and distance from the reference tables, never by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from orchestration.sample.config import WorldConfig
from orchestration.sample.draws import Draws, Flags, Floats, Ints, Stream, keys_of
from orchestration.sample.places import DESTINATION_CODE, MAX_ROUTE_DISTANCE_KM, PlaceTable
from orchestration.sample.products import (
    DRONE,
    DRONE_PRICE_USD,
    GUN_SIGHT,
    SPRAYER,
    WATCH,
    ProductTable,
)

KINDS = ("roundabout", "lost_in_transit", "gun_sights", "decoy_drones", "undervaluation", "displacement")
TRUCK_DRONES = 14
TRANSIT_MARKUP = 1.12
CHINA_CODE = 156
_MEDIAN_MONTHLY_USD = {"roundabout": 900e3, "lost_in_transit": 450e3, "gun_sights": 150e3, "decoy_drones": 0.0,
                       "undervaluation": 400e3, "displacement": 700e3}  # fmt: skip
# First and last month of each kind. Gun sights start after seven silent years (the world starts in 2017).
_WINDOWS = {"roundabout": (2022, 6, 2024, 12), "lost_in_transit": (2022, 5, 2024, 12),
            "gun_sights": (2024, 1, 2024, 12), "decoy_drones": (2022, 9, 2024, 12),
            "undervaluation": (2022, 7, 2024, 12), "displacement": (2022, 5, 2024, 12)}  # fmt: skip
_DISPLACED = (2023, 7)
BOOM_MAX_MASS = 200.0


def month_number(year: int, month: int) -> int:
    """Months since year 0; a total order of months."""
    return year * 12 + month - 1


@dataclass(frozen=True)
class Case:
    """One planted passage; places and products are indices of the world's tables, months are month numbers."""

    case_id: str
    number: int
    kind: str
    origin: int
    transit: int
    second_transit: int
    destination: int
    product: int
    declared_product: int
    first_month: int
    last_month: int
    switch_month: int
    monthly_usd: float
    import_factor: float


@dataclass(frozen=True)
class Legs:
    """True movements of the cases, one row per leg.

    `case` counts within the active cases, `number` is the case's own. `-1` in a partner or product column means
    'as it is'.
    """

    case: Ints
    number: Ints
    exporter: Ints
    importer: Ints
    product: Ints
    exporter_says_partner: Ints
    exporter_says_product: Ints
    importer_says_product: Ints
    import_factor: Floats
    lag_months: Ints
    markup: Floats
    first_month: Ints
    last_month: Ints


def plan_cases(config: WorldConfig, places: PlaceTable, products: ProductTable, draws: Draws) -> tuple[Case, ...]:
    """Every case the seed knows, whether its kind is switched on or not; empty without a destination."""
    destination = places.index_of(DESTINATION_CODE)
    origins, transits = _origins(places, draws), _transits(places, draws)
    goods = _goods(products, draws)
    if not (0 <= destination < places.trader_count) or not origins or len(transits) < 2 or not goods:
        return ()
    cases: list[Case] = []
    for kind in KINDS:
        for rank in range(_count(kind, config.cases_per_kind)):
            number = len(cases) + 1
            start, end = _window(kind, rank)
            case = Case(
                case_id=f"{kind}-{rank + 1:02d}",
                number=number,
                kind=kind,
                origin=origins[number % len(origins)],
                transit=transits[number % len(transits)],
                second_transit=transits[(number + 1) % len(transits)] if kind == "displacement" else -1,
                destination=destination,
                product=goods[number % len(goods)],
                declared_product=-1,
                first_month=start,
                last_month=end,
                switch_month=month_number(*_DISPLACED) if kind == "displacement" else end + 1,
                monthly_usd=_monthly_usd(kind, number, draws) * config.passage_scale,
                import_factor=0.35 if kind == "undervaluation" else 1.0,
            )
            cases.append(_specialise(case, places, products))
    return tuple(cases)


def active_cases(config: WorldConfig, cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """The cases whose kind is switched on."""
    return tuple(case for case in cases if getattr(config.evasion, case.kind))


def case_legs(cases: tuple[Case, ...]) -> Legs:
    """The legs of the cases in a fixed order; `Legs.case` counts within `cases`."""
    rows = [(position, case.number, *leg) for position, case in enumerate(cases) for leg in _legs_of(case)]
    table = np.array(rows, dtype=np.float64).reshape(-1, 13)
    whole = table.astype(np.int64)
    return Legs(
        case=whole[:, 0],
        number=whole[:, 1],
        exporter=whole[:, 2],
        importer=whole[:, 3],
        product=whole[:, 4],
        exporter_says_partner=whole[:, 5],
        exporter_says_product=whole[:, 6],
        importer_says_product=whole[:, 7],
        import_factor=table[:, 8],
        lag_months=whole[:, 9],
        markup=table[:, 10],
        first_month=whole[:, 11],
        last_month=whole[:, 12],
    )


def leg_values(cases: tuple[Case, ...], legs: Legs, month: int, draws: Draws) -> Floats:
    """True FOB value (USD) of every leg in one month (a month number)."""
    values = np.zeros(legs.case.size)
    for position, case in enumerate(cases):
        for row in np.flatnonzero(legs.case == position):
            sent = month - int(legs.lag_months[row])
            if legs.first_month[row] <= sent <= legs.last_month[row]:
                values[row] = _case_value(case, sent, draws) * legs.markup[row]
    return values


def case_table(
    config: WorldConfig, cases: tuple[Case, ...], places: PlaceTable, products: ProductTable, draws: Draws
) -> pl.DataFrame:
    """Truth table `planted_case`, one row per case: route, product, family, window and value (USD, first leg).

    Window and value are those inside the span of the world; a case that lies outside it is not listed.
    """
    span = _span(config)
    cases = tuple(case for case in cases if case.first_month <= span[-1] and case.last_month >= span[0])
    code = [f"{number:03d}" for number in places.code.tolist()]
    rows = [
        {
            "case_id": case.case_id,
            "kind": case.kind,
            "origin_code": code[case.origin],
            "transit_code": code[case.transit],
            "second_transit_code": code[case.second_transit] if case.second_transit >= 0 else None,
            "destination_code": code[case.destination],
            "product_code": products.code[case.product],
            "declared_product_code": products.code[
                case.declared_product if case.declared_product >= 0 else case.product
            ],
            "family_code": products.family[case.product],
            "window_start": _first_day(max(case.first_month, span[0])),
            "window_end": _first_day(min(case.last_month, span[-1])),
            "switch_date": _first_day(case.switch_month) if case.kind == "displacement" else None,
            "value_fob_usd": round(sum(_case_value(case, month, draws) for month in _sent(case, span)), 3),
        }
        for case in cases
    ]
    return pl.DataFrame(rows, schema=CASE_SCHEMA)


CASE_SCHEMA = pl.Schema(
    {"case_id": pl.String, "kind": pl.String, "origin_code": pl.String, "transit_code": pl.String,
     "second_transit_code": pl.String, "destination_code": pl.String, "product_code": pl.String,
     "declared_product_code": pl.String, "family_code": pl.String, "window_start": pl.Date, "window_end": pl.Date,
     "switch_date": pl.Date, "value_fob_usd": pl.Float64}
)  # fmt: skip


def _span(config: WorldConfig) -> range:
    """Month numbers that the world's periods cover."""
    first = config.start_year if "A" in config.frequencies else max(config.start_year, config.monthly_start_year)
    return range(month_number(first, 1), month_number(config.end_year, 12) + 1)


def _sent(case: Case, span: range) -> range:
    """Month numbers of the span in which the case sends goods."""
    return range(max(case.first_month, span[0]), min(case.last_month, span[-1]) + 1)


def _first_day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _count(kind: str, cases_per_kind: int) -> int:
    if kind == "gun_sights":
        return 1
    return 2 * cases_per_kind if kind == "roundabout" else cases_per_kind


def _window(kind: str, rank: int) -> tuple[int, int]:
    """The months of a case; every second drone case is one truckload in one month."""
    if kind == "decoy_drones" and rank % 2 == 1:
        single = month_number(2023, 5)
        return single, single
    year, month, last_year, last_month = _WINDOWS[kind]
    return month_number(year, month), month_number(last_year, last_month)


def _origins(places: PlaceTable, draws: Draws) -> list[int]:
    """Coalition members that are no hub and of some size, in an order drawn from the seed."""
    fit = places.is_coalition & ~places.is_hub & (places.mass >= 40.0)
    order = draws.order(Stream.CASE_ROUTE, places.keys, period=1)
    return [int(index) for index in order if fit[index]]


def _transits(places: PlaceTable, draws: Draws) -> list[int]:
    """Places that passages may lead through, in drawn order; the one that booms innocently is kept clear of them."""
    fit = _is_near_transit(places)
    order = draws.order(Stream.CASE_ROUTE, places.keys, period=2)
    boom = boom_place(places, draws)
    return [int(index) for index in order if fit[index] and int(index) != boom]


def boom_place(places: PlaceTable, draws: Draws) -> int:
    """The small transit candidate that grows innocently and that no passage uses; -1 when there is none."""
    fit = _is_near_transit(places) & (places.mass < BOOM_MAX_MASS)
    order = draws.order(Stream.BOOM_PLACE, places.keys)
    return next((int(index) for index in order if fit[index]), -1)


def _is_near_transit(places: PlaceTable) -> Flags:
    """Transit candidates that are no hub, near the destination and not the drones' origin."""
    destination = places.index_of(DESTINATION_CODE)
    if not (0 <= destination < places.trader_count):
        return np.zeros(places.trader_count, dtype=np.bool_)
    near = places.distance_km[:, destination] <= MAX_ROUTE_DISTANCE_KM
    fit: Flags = places.is_transit & ~places.is_hub & near & (places.code[: places.trader_count] != CHINA_CODE)
    return fit


def _goods(products: ProductTable, draws: Draws) -> list[int]:
    """Watched products outside the drone and sight families (these have kinds of their own), in drawn order."""
    own = {products.family[i] for i in (products.index_of(DRONE), products.index_of(GUN_SIGHT)) if i >= 0}
    order = draws.order(Stream.CASE_ROUTE, products.keys, period=3)
    return [int(i) for i in order if products.basket[i] == WATCH and products.family[i] not in {"", *own}]


def _monthly_usd(kind: str, number: int, draws: Draws) -> float:
    spread = draws.lognormal(Stream.CASE_VALUE, keys_of([number]), 0.8)
    return float(_MEDIAN_MONTHLY_USD[kind] * spread[0])


def _specialise(case: Case, places: PlaceTable, products: ProductTable) -> Case:
    """Goods and origins that the kind prescribes."""
    if case.kind == "gun_sights":
        return replace(case, product=products.index_of(GUN_SIGHT))
    if case.kind == "decoy_drones":
        china = places.index_of(CHINA_CODE)
        origin = china if 0 <= china < places.trader_count else case.origin
        drone, sprayer = products.index_of(DRONE), products.index_of(SPRAYER)
        return replace(case, origin=origin, product=drone, declared_product=sprayer)
    return case


_Leg = tuple[int, int, int, int, int, int, float, int, float, int, int]


def _legs_of(case: Case) -> Iterator[_Leg]:
    """exporter, importer, product, exporter's partner and product, importer's product, factor, lag, markup, window."""
    start, end, switch = case.first_month, case.last_month, case.switch_month
    origin, to, goods, said = case.origin, case.destination, case.product, case.declared_product
    if case.kind == "lost_in_transit":
        yield origin, to, goods, case.transit, -1, -1, 1.0, 0, 1.0, start, end
        return
    stages = [(case.transit, start, min(end, switch - 1))]
    if case.second_transit >= 0:
        stages.append((case.second_transit, switch, end))
    for transit, first, last in stages:
        yield origin, transit, goods, -1, -1, said, case.import_factor, 0, 1.0, first, last
        yield transit, to, goods, -1, said, said, 1.0, 1, TRANSIT_MARKUP, first, last


def _case_value(case: Case, month: int, draws: Draws) -> float:
    """USD that leave the origin in a month: a ramp of three months, then a noisy level."""
    key = keys_of([case.number])
    if case.kind == "decoy_drones":
        trucks = 1 + int(3 * draws.uniform(Stream.CASE_MONTH, key, month)[0]) * (case.last_month > case.first_month)
        price = DRONE_PRICE_USD * float(draws.lognormal(Stream.CASE_PRICE, key, 0.05, month)[0])
        return TRUCK_DRONES * trucks * price
    ramp = min(1.0, (month - case.first_month + 1) / 3)
    return case.monthly_usd * ramp * float(draws.lognormal(Stream.CASE_MONTH, key, 0.3, month)[0])
