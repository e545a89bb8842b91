"""Which places trade in the planted world, how large they are and how far apart.

Belongs here: the choice of places, their size, distances, contiguity and roles as arrays. Does not belong here:
how a place reports (`reporters`) or what flows between places (`truth`).

The codes, names and coordinates are real; the sizes are round orders of magnitude that only make the world look
like the world. Nothing said about a place here is a statement about that place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.draws import Draws, Flags, Floats, Ints, Keys, Stream, keys_of

WORLD_CODE = 0
DESTINATION_CODE = 643  # Russian Federation
BELARUS_CODE = 112
NEVER_FILES_A_TOTAL_ROW = 51  # Armenia's vehicle series is published by mode of transport only
EARTH_RADIUS_KM = 6371.0
MAX_ROUTE_DISTANCE_KM = 3_500.0
_PRODUCER_MASS = 5_000.0

# Comtrade code -> size in thousand million USD, round and invented. The order is the order of choice: a smaller
# world takes the first ones.
_MASS: dict[int, float] = {
    643: 1900, 112: 70, 417: 12, 398: 230, 51: 22, 268: 27, 860: 85, 792: 1000, 156: 17500, 276: 4200,
    616: 750, 440: 75, 842: 25000, 344: 380, 784: 480, 392: 4300, 410: 1700, 36: 1600, 251: 2900, 528: 1050,
    490: 750, 699: 3400, 124: 2100, 428: 43, 246: 295, 757: 850, 579: 480, 381: 2150, 516: 13, 710: 390,
    233: 40, 484: 1600, 56: 610, 702: 470, 826: 3200, 724: 1500, 752: 590, 208: 400, 40: 500, 203: 310,
    703: 125, 348: 190, 642: 310, 688: 70, 31: 72, 762: 11, 496: 18, 76: 2050, 458: 400, 764: 510,
    704: 420, 360: 1300, 682: 1000, 376: 510, 818: 390, 12: 210, 504: 140, 404: 110, 152: 310, 554: 245,
    795: 55, 498: 15, 100: 95, 300: 225, 620: 265, 372: 520, 804: 170, 364: 400, 586: 340, 50: 430,
    608: 410, 32: 600,
}  # fmt: skip


@dataclass(frozen=True)
class PlaceTable:
    """Traders first (index 0..trader_count-1), then every other place a partner code may name.

    Arrays over all places: `code` (Comtrade number), `iso3`, `name`. Arrays over traders: `mass` (thousand
    million USD), `landlocked`, role flags. Matrices over traders: `distance_km`, `contiguous`.
    """

    trader_count: int
    code: Ints
    iso3: pl.Series
    name: pl.Series
    latitude: Floats
    longitude: Floats
    mass: Floats
    landlocked: Flags
    distance_km: Floats
    contiguous: Flags
    is_coalition: Flags
    is_transit: Flags
    is_hub: Flags
    is_destination: Flags

    @property
    def keys(self) -> Keys:
        """Random-number keys of the traders."""
        return keys_of(self.code[: self.trader_count])

    @property
    def is_producer(self) -> Flags:
        """Traders that make the watched goods themselves: coalition members and very large third countries."""
        flags: Flags = self.is_coalition | (self.is_transit & (self.mass > _PRODUCER_MASS))
        return flags

    def index_of(self, code: int) -> int:
        """Index of a place by its Comtrade number; -1 when the world has no such place."""
        found = np.flatnonzero(self.code == code)
        return int(found[0]) if found.size else -1

    def has_trader(self, code: int) -> bool:
        """True when the place trades in this world."""
        return 0 <= self.index_of(code) < self.trader_count


def available_traders(places: pl.DataFrame) -> pl.DataFrame:
    """Places of today that can stand in a pair and have coordinates, by code."""
    still_valid = pl.col("valid_to").cast(pl.String).fill_null("") == ""
    located = _float("latitude_deg").is_not_null() & _float("longitude_deg").is_not_null()
    return places.filter(
        (pl.col("mirror_role") == "pair") & (pl.col("place_kind") != "historic") & still_valid & located
    ).sort("place_code")


def build_places(reference_frames: Mapping[str, pl.DataFrame], draws: Draws, place_count: int) -> PlaceTable:
    """Choose `place_count` traders and lay out all places (frames: places, place_borders, place_roles)."""
    places = reference_frames["places"]
    traders = _choose_traders(available_traders(places), draws, place_count)
    others = places.filter(~pl.col("place_code").is_in(traders["place_code"].implode())).sort("place_code")
    everyone = pl.concat([traders.select(others.columns), others])
    code = _codes(everyone)
    count = traders.height
    latitude = everyone.select(_float("latitude_deg").fill_null(0.0)).to_series().to_numpy()
    longitude = everyone.select(_float("longitude_deg").fill_null(0.0)).to_series().to_numpy()
    roles = {role: _role_flags(reference_frames["place_roles"], code[:count], role) for role in _ROLES}
    return PlaceTable(
        trader_count=count,
        code=code,
        iso3=everyone["iso3"],
        name=everyone["place_name"],
        latitude=latitude,
        longitude=longitude,
        mass=_mass(code[:count], draws),
        landlocked=_landlocked(traders),
        distance_km=_distances(latitude[:count], longitude[:count]),
        contiguous=_contiguity(reference_frames["place_borders"], code[:count]),
        is_coalition=roles["coalition"],
        is_transit=roles["transit_candidate"],
        is_hub=roles["reexport_hub"],
        is_destination=roles["destination"],
    )


_ROLES = ("coalition", "transit_candidate", "reexport_hub", "destination")


def _float(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64, strict=False)


def _codes(places: pl.DataFrame) -> Ints:
    return places["place_code"].cast(pl.Int64).to_numpy()


def _choose_traders(available: pl.DataFrame, draws: Draws, place_count: int) -> pl.DataFrame:
    """The places of `_MASS` in their order, then the remaining ones in an order drawn from the seed."""
    code = _codes(available)
    rank = np.full(code.size, 10_000, dtype=np.int64)
    rank[draws.order(Stream.PLACE_ORDER, keys_of(code))] += np.arange(code.size)
    listed = {listed_code: position for position, listed_code in enumerate(_MASS)}
    rank = np.array([listed.get(int(c), int(r)) for c, r in zip(code, rank, strict=True)])
    chosen: list[int] = np.argsort(rank, kind="stable")[:place_count].tolist()
    return available.select(pl.all().gather(chosen))


def _mass(code: Ints, draws: Draws) -> Floats:
    drawn = 15.0 * draws.lognormal(Stream.PLACE_MASS, keys_of(code), 1.2)
    return np.array([_MASS.get(int(c), float(m)) for c, m in zip(code, drawn, strict=True)])


def _landlocked(traders: pl.DataFrame) -> Flags:
    text = traders["is_landlocked"].cast(pl.String).str.to_lowercase()
    return (text == "true").fill_null(False).to_numpy()


def _distances(latitude: Floats, longitude: Floats) -> Floats:
    """Great-circle distances in km (haversine); 100 km at least."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    half = (
        np.sin((lat[:, None] - lat[None, :]) / 2) ** 2
        + np.cos(lat[:, None]) * np.cos(lat[None, :]) * np.sin((lon[:, None] - lon[None, :]) / 2) ** 2
    )
    distances: Floats = np.maximum(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))), 100.0)
    return distances


def _contiguity(borders: pl.DataFrame, code: Ints) -> Flags:
    index = {int(c): i for i, c in enumerate(code)}
    matrix = np.zeros((code.size, code.size), dtype=np.bool_)
    for one, other in borders.select("place_code", "neighbour_code").iter_rows():
        i, j = index.get(int(one)), index.get(int(other))
        if i is not None and j is not None:
            matrix[i, j] = matrix[j, i] = True
    return matrix


def _role_flags(place_roles: pl.DataFrame, code: Ints, role: str) -> Flags:
    members = place_roles.filter(pl.col("role") == role)["place_code"].cast(pl.Int64).to_numpy()
    flags: Flags = np.isin(code, members)
    return flags
