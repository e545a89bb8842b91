"""Timing of arrival: what leaves in one month and is counted by the importer in the next.

Belongs here: the share of a month's goods that arrives a month later, by distance; how far it moves an importer's
report; what is left unexplained. Does not belong here: the alternation with biases and variances (`variance_fit`).

An importer counts (1 - lag) of this month's goods and lag of last month's. With `ratio` the exporter's last month over
this one, its report is moved by ln(1 + lag (ratio - 1)): goods that never arrived and goods that only arrive later are
then told apart by what the exporter itself declared. Where the exporter's last month is not known, the report is not
moved and its variance says so. Years hold all but the goods on the way at both ends: not moved, with a variance by
distance. The idea of a lag by distance is the one of the timing of records in the IMF's Direction of Trade Statistics
and in Hummels and Schaur (2013, Time as a Trade Barrier).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import isotonic_regression

from orchestration.reconcile.effects_design import Array, Index, Mask

# Inner edges of the bands of distance, km; band 0 are neighbours on land, the last is what has no distance.
BAND_EDGES_KM = np.array([1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0, 9500.0, 11000.0, 13000.0])
BAND_MIDDLES_KM = np.array(
    [500.0, 1500.0, 2500.0, 3500.0, 4500.0, 5500.0, 6500.0, 7500.0, 8750.0, 10250.0, 12000.0, 15000.0]
)
NEIGHBOURS, NO_DISTANCE = 0, BAND_MIDDLES_KM.size + 1
BANDS = NO_DISTANCE + 1
# Inner edges of the share of last month's goods in what arrives; below the first nothing is moved.
SHARE_EDGES = np.array([0.02, 0.05, 0.10, 0.20, 0.35, 0.50, 0.75])
GROUPS = SHARE_EDGES.size + 1 + BANDS
# The share of a reporter's error in one month that is new in that month; the rest comes back month after month.
PASSING_SHARE = 0.7
LAG_GRID = np.linspace(0.0, 0.9, 31)
# Once a lag is known it is sought again this many grid points to either side.
LAG_REACH = 4
ROWS_PER_BAND = 5_000
FEWEST_ROWS = 50
LARGEST_RATIO = 100.0
PRIOR_ROWS = 20.0


@dataclass
class Arrivals:
    """Timing of the rows of one fit: the exporter's last month over this one (NaN: not known) and the distance."""

    ratio: Array
    distance_km: Array
    is_contiguous: Mask
    band: Index = field(init=False)
    lag_by_band: Array = field(init=False)
    lag: Array = field(init=False)
    _window: Index | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        """Start without any lag."""
        self.ratio = np.minimum(self.ratio, LARGEST_RATIO)
        self.band = bands(self.distance_km, self.is_contiguous)
        self.lag_by_band, self.lag = np.zeros(BANDS), np.zeros(self.ratio.size)

    def take(self, rows: Index) -> Arrivals:
        """Timing of these rows, in this order, without any lag yet."""
        return Arrivals(self.ratio[rows], self.distance_km[rows], self.is_contiguous[rows])

    def known(self) -> Mask:
        """Rows whose exporter's last month is known."""
        mask: Mask = ~np.isnan(self.ratio)
        return mask

    def shift(self) -> Array:
        """By how much each importer's report is moved (logarithm); 0 where the last month is not known."""
        return shift_of(self.lag, self.ratio)

    def share(self) -> Array:
        """Share of last month's goods in what arrives; 0 where not known."""
        return share_of(self.lag, self.ratio)

    def group(self, share: Array) -> Index:
        """Variance group of every row, from its `share()`."""
        return groups(share, self.band, self.known())

    def update(self, residual: Array, var_x: Array, var_rest: Array, degrees: float) -> None:
        """Best lag per band, given the residuals of the unmoved gap and the variances of both sides.

        Student-t likelihood on a grid, then made monotone in distance. The exporter's passing error stands in this
        month and in last month's declaration: the variance of the moved gap falls with the share moved, and counting
        that keeps noise of exporters from being read as lag.
        """
        rows = self._sample()
        if rows.size == 0:
            return
        band, ratio = self.band[rows], self.ratio[rows]
        # The first time on the whole grid; later around the grid point where each band ended.
        width = LAG_GRID.size if self._window is None else 2 * LAG_REACH + 1
        window = np.zeros(BANDS, dtype=np.int64) if self._window is None else self._window
        losses = np.empty((width, BANDS))
        for number in range(width):
            lags = LAG_GRID[window + number][band]
            total = var_x[rows] * exporter_scale(share_of(lags, ratio)) + var_rest[rows]
            moved = residual[rows] + shift_of(lags, ratio)
            loss = (degrees + 1) / 2 * np.log1p(moved**2 / (degrees * total)) + np.log(total) / 2
            losses[number] = np.bincount(band, loss, BANDS)
        counts = np.bincount(band, minlength=BANDS).astype(np.float64)
        at, best = _lowest(losses, window)
        self._window = np.clip(at - LAG_REACH, 0, LAG_GRID.size - 2 * LAG_REACH - 1)
        best[counts < FEWEST_ROWS] = 0.0
        inner = slice(NEIGHBOURS + 1, NO_DISTANCE)
        weights = np.where(counts < FEWEST_ROWS, 1e-6, counts)[inner]
        best[inner] = isotonic_regression(best[inner], weights=weights).x
        self.lag_by_band = best
        self.lag = lag_of(best, self.distance_km, self.is_contiguous)

    def _sample(self) -> Index:
        """Known rows, at most ROWS_PER_BAND of each band, evenly spaced: the same every time."""
        known = np.flatnonzero(self.known())
        order = np.argsort(self.band[known], kind="stable")
        sorted_band = self.band[known][order]
        counts = np.bincount(sorted_band, minlength=BANDS)
        place = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
        step = np.maximum(-(-counts // ROWS_PER_BAND), 1)
        return np.sort(known[order][place % step[sorted_band] == 0])


def without_timing(count: int) -> Arrivals:
    """Timing of rows that all stand on neighbours: nothing moves."""
    return Arrivals(np.full(count, np.nan), np.full(count, np.nan), np.ones(count, dtype=np.bool_))


def bands(distance_km: Array, is_contiguous: Mask) -> Index:
    """Number of the distance band of each row."""
    inner = np.digitize(distance_km, BAND_EDGES_KM) + 1
    return np.where(is_contiguous, NEIGHBOURS, np.where(np.isnan(distance_km), NO_DISTANCE, inner)).astype(np.int64)


def lag_of(lag_by_band: Array, distance_km: Array, is_contiguous: Mask) -> Array:
    """Lag share of each row, between the middles of the bands on a straight line."""
    inner = np.interp(distance_km, BAND_MIDDLES_KM, lag_by_band[NEIGHBOURS + 1 : NO_DISTANCE])
    far = np.where(np.isnan(distance_km), lag_by_band[NO_DISTANCE], inner)
    lag: Array = np.where(is_contiguous, lag_by_band[NEIGHBOURS], far)
    return lag


def shift_of(lag: Array, ratio: Array) -> Array:
    """ln(1 + lag (ratio - 1)): by how much an importer's report is moved; 0 where the ratio is not known."""
    shift: Array = np.nan_to_num(np.log1p(lag * (np.minimum(ratio, LARGEST_RATIO) - 1.0)), nan=0.0)
    return shift


def share_of(lag: Array, ratio: Array) -> Array:
    """Share of last month's goods in what arrives; 0 where the ratio is not known."""
    late = lag * np.minimum(ratio, LARGEST_RATIO)
    share: Array = np.nan_to_num(late / (1.0 - lag + late), nan=0.0)
    return share


def exporter_scale(share: Array) -> Array:
    """What is left of the exporter's variance in a moved gap: its passing error enters both months.

    (1 - a)^2 + a^2 of the passing part and all of the lasting part, a the share moved.
    """
    scale: Array = 1.0 - 2.0 * PASSING_SHARE * share * (1.0 - share)
    return scale


def groups(share: Array, band: Index, known: Mask) -> Index:
    """Variance group: by share moved where the last month is known, by distance band where it is not."""
    group: Index = np.where(known, np.digitize(share, SHARE_EDGES), SHARE_EDGES.size + 1 + band).astype(np.int64)
    return group


def pinned_groups() -> Mask:
    """Groups without timing variance of their own: nothing moved, neighbours, the nearest band.

    They fix the level of the importers' variances; all others are measured against them.
    """
    pinned = np.zeros(GROUPS, dtype=np.bool_)
    pinned[[0, SHARE_EDGES.size + 1 + NEIGHBOURS, SHARE_EDGES.size + 2 + NEIGHBOURS]] = True
    return pinned


def _lowest(losses: Array, first: Index) -> tuple[Index, Array]:
    """Grid point of the lowest loss of every column, and the same refined by the parabola through its neighbours.

    Line n of a column is the loss at grid point first + n.
    """
    step = float(LAG_GRID[1] - LAG_GRID[0])
    at = np.argmin(losses, axis=0)
    middle = np.clip(at, 1, losses.shape[0] - 2)
    columns = np.arange(losses.shape[1])
    low, mid, high = (losses[middle + d, columns] for d in (-1, 0, 1))
    bend = low - 2.0 * mid + high
    off = np.where(bend > 0, 0.5 * (low - high) / np.where(bend > 0, bend, 1.0), 0.0)
    refined = LAG_GRID[first + middle] + np.clip(off, -1.0, 1.0) * step
    best: Array = np.where(at == middle, refined, LAG_GRID[first + at])
    return first + at, best
