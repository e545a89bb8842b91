"""Biases and variances of one window of two-sided pairs, as plain arrays.

Belongs here: the equations of step S6 and their standard errors. Does not belong here: which pairs enter, names of
reporters, tables (`reliability`).

Model: L = b_i - c_j + g_chapter + u_i - w_j with Var L = s2x_i + s2m_j + extra. Identification: a constant can be moved
between b, c and g, and between all s2x and all s2m. It is pinned by sum b = sum c = 0 over reporters, by one common
prior for the variances of both roles, by a symmetric start and by a floor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from orchestration.reconcile.arrival import PRIOR_ROWS, Arrivals, exporter_scale, pinned_groups, without_timing
from orchestration.reconcile.effects_design import Array, Design, Index
from orchestration.reconcile.robust_regression import NORMAL_MEDIAN_ABSOLUTE

STUDENT_DEGREES = 4.0
# Variances of reporters differ by a factor of about e between one and the next: 2 / var(ln s2) pairs of weight.
PRIOR_COUNT = 2.0
COMMON_COUNT_CAP = 50.0
PRIOR_BIAS_VARIANCE = 0.05
SIGMA_FLOOR_LOG = 0.01
START_TIMING_VARIANCE, TIMING_FLOOR = 1e-3, 1e-8
START_FLOOR_LOG = 0.05
NORMAL_NINE_TENTHS = 1.6449
ITERATIONS = 60
TIMING_ITERATIONS = (1, 3, 5)
INNER_ITERATIONS = 3
TOLERANCE = 1e-3
LONGEST_STRETCH = 16.0
FEW_CLUSTERS = 5


@dataclass
class VarianceFit:
    """State of the fit: group indices of each row, current biases, effects and variances (all in logarithms)."""

    i: Index
    j: Index
    g: Index
    gap: Array
    extra: Array
    arrivals: Arrivals
    bias_x: Array
    bias_m: Array
    effect: Array
    var_x: Array
    var_m: Array
    counts: tuple[Array, Array]
    var_t: Array = field(init=False)
    calibration: float = 1.0

    def __post_init__(self) -> None:
        """Start without any timing."""
        self.var_t = np.where(pinned_groups(), 0.0, START_TIMING_VARIANCE)
        self._take_timing()

    def _take_timing(self) -> None:
        """What follows from the lag shares: moved gaps, variance groups, what is left of the exporters' variances."""
        self.t = self.arrivals.group()
        self.moved_gap = self.gap + self.arrivals.shift()
        self.scale_x = exporter_scale(self.arrivals.share())

    def update_timing(self) -> None:
        """Lag shares by distance from the gaps as filed, everything else held."""
        unmoved = self.residual() - self.moved_gap + self.gap
        rest = self.var_m[self.j] + self.var_t[self.t] + self.extra
        self.arrivals.update(unmoved, self.var_x[self.i], rest, STUDENT_DEGREES)
        self._take_timing()

    def residual(self) -> Array:
        """What biases and chapter effects leave of the gap."""
        return self.moved_gap - self.bias_x[self.i] + self.bias_m[self.j] - self.effect[self.g]

    def total_variance(self) -> Array:
        """Variance of each row's gap."""
        total: Array = self.scale_x * self.var_x[self.i] + self.var_m[self.j] + self.var_t[self.t] + self.extra
        return total

    def student(self, residual: Array, total: Array) -> Array:
        """Robust weight of each row: that of a Student t with few degrees of freedom."""
        weights: Array = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES + residual**2 / total)
        return weights

    def precision(self) -> Array:
        """Robust weight over variance: what a row counts in every mean."""
        total = self.total_variance()
        weight: Array = self.student(self.residual(), total) / total
        return weight

    def update_biases(self) -> None:
        """Biases and effects by robust weighted least squares, the biases drawn to zero by their prior.

        Solved at once, so that neither role goes first. The free chapter effects take up every common shift: the
        prior is then least where sum b = sum c = 0.
        """
        weight = self.precision()
        design = Design(np.empty((self.gap.size, 0)), (self.i, self.j, self.g), self._sizes())
        ridge = np.full(design.width, 1.0 / PRIOR_BIAS_VARIANCE)
        ridge[self.bias_x.size + self.bias_m.size :] = 0.0
        beta = np.linalg.solve(design.gram(weight) + np.diag(ridge), design.cross(weight * self.moved_gap))
        self.bias_x, minus_bias_m, self.effect = np.split(beta, np.cumsum(self._sizes())[:2])
        self.bias_m = -minus_bias_m

    def _sizes(self) -> tuple[int, int, int]:
        return self.bias_x.size, self.bias_m.size, self.effect.size

    def update_variances(self) -> float:
        """EM steps of S6 for both roles and the timing at once, with the biases held, until no variance moves.

        Returns the largest change of a logarithm of a reporter's variance.
        """
        free = ~pinned_groups()
        sizes = np.cumsum([self.var_x.size, self.var_m.size])
        start = np.log(np.concatenate([self.var_x, self.var_m, self.var_t[free]]))
        squared_gap, log_variance = self.residual() ** 2, start
        for _ in range(INNER_ITERATIONS):
            before = log_variance
            log_variance = _squarem(lambda logs: self._em_step(logs, squared_gap), before)
            if float(np.max(np.abs(log_variance - before))) < TOLERANCE:
                break
        self.var_x, self.var_m, self.var_t[free] = np.split(np.exp(log_variance), sizes)
        return float(np.max(np.abs(log_variance - start)[: sizes[1]]))

    def _em_step(self, log_variance: Array, squared_gap: Array) -> Array:
        """s2x <- mean of (s2x/S)^2 r^2 + s2x (1 - s2x/S) over the reporter's pairs, likewise s2m and the timing.

        Every mean of a reporter is drawn to the geometric mean of all variances as if by PRIOR_COUNT pairs. One
        figure for both roles: it pins how the variance is split between them. Geometric, so that a few bad reporters
        do not make the good ones look bad.
        """
        reporters = self.var_x.size + self.var_m.size
        counts = np.minimum(np.concatenate(self.counts), COMMON_COUNT_CAP)
        common = float(np.exp(np.average(log_variance[:reporters], weights=counts)))
        var_x, var_m, free_t = np.split(np.exp(log_variance), [self.var_x.size, reporters])
        var_t = np.zeros(self.var_t.size)
        free = ~pinned_groups()
        var_t[free] = free_t
        own_x, own_m, own_t = self.scale_x * var_x[self.i], var_m[self.j], var_t[self.t]
        total = own_x + own_m + own_t + self.extra
        robust = (STUDENT_DEGREES + 1) * squared_gap / (STUDENT_DEGREES + squared_gap / total)

        def expected(own: Array) -> Array:
            share = own / total
            value: Array = share**2 * robust + own * (1 - share)
            return value

        prior = PRIOR_COUNT * common
        fresh_x = np.bincount(self.i, expected(own_x) / self.scale_x, var_x.size)
        fresh_m = np.bincount(self.j, expected(own_m), var_m.size)
        fresh_t = np.bincount(self.t, expected(own_t), var_t.size)[free]
        rows_t = np.bincount(self.t, minlength=var_t.size)[free]
        fresh = np.concatenate(
            [
                (fresh_x + prior) / (self.counts[0] + PRIOR_COUNT),
                (fresh_m + prior) / (self.counts[1] + PRIOR_COUNT),
                (fresh_t + PRIOR_ROWS * START_TIMING_VARIANCE) / (rows_t + PRIOR_ROWS),
            ]
        )
        floor = np.where(np.arange(fresh.size) < reporters, SIGMA_FLOOR_LOG**2, TIMING_FLOOR)
        logs: Array = np.log(np.maximum(fresh, floor))
        return logs

    def calibrate(self) -> None:
        """Scale both variances so that half of the residuals lie within the normal's middle half.

        The Student weights fit a scale, not a variance; intervals are normal, so the scale is matched where most
        rows are.
        """
        middle = float(np.median(np.abs(self.residual()) / np.sqrt(self.total_variance())))
        self.calibration = max((middle / NORMAL_MEDIAN_ABSOLUTE) ** 2, 1e-6)
        self.var_x = np.maximum(self.var_x * self.calibration, SIGMA_FLOOR_LOG**2)
        self.var_m = np.maximum(self.var_m * self.calibration, SIGMA_FLOOR_LOG**2)
        self.var_t = self.var_t * self.calibration

    def tail_ratio(self) -> float:
        """How much wider than a normal's the middle nine tenths of the standardised residuals are; at least 1."""
        standard = np.abs(self.residual()) / np.sqrt(self.total_variance())
        return max(float(np.quantile(standard, 0.9)) / NORMAL_NINE_TENTHS, 1.0)

    def bias_errors(self, index: Index, size: int, cluster: Index, prior: float) -> Array:
        """Standard errors of the biases (or effects, prior 0) of the groups `index`.

        Sandwich of the robust equations, rows of one cluster erring together, never below what independent rows would
        give; a group of few clusters is judged by their number.
        """
        fitted = self.total_variance() / self.calibration
        residual = self.residual()
        square = residual**2 / fitted
        score = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES + square) * residual / fitted
        slope = (STUDENT_DEGREES + 1) * (STUDENT_DEGREES - square) / (STUDENT_DEGREES + square) ** 2 / fitted
        squares, clusters = _cluster_squares(index, size, cluster, score)
        rows = np.bincount(index, minlength=size)
        typical = np.bincount(index, self.total_variance(), size) / rows
        # Many far-out rows could turn the sum of slopes around: a tenth of full information is the least.
        information = np.maximum(np.bincount(index, slope, size), 0.1 * rows / typical) + prior
        sandwich = (squares * clusters / np.maximum(clusters - 1, 1) + prior) / information**2
        least = 1.0 / (rows / typical + prior)
        few = 1.0 / (clusters / typical + prior)
        error: Array = np.sqrt(np.where(clusters < FEW_CLUSTERS, few, np.maximum(sandwich, least)))
        return error

    def sigma_errors(self, index: Index, variance: Array, cluster: Index) -> Array:
        """Standard errors of the sigmas of the groups `index`: sandwich of the robust equations, by cluster."""
        fitted, own = self.total_variance() / self.calibration, variance / self.calibration
        square = self.residual() ** 2 / fitted
        score = 0.5 / fitted * ((STUDENT_DEGREES + 1) * square / (STUDENT_DEGREES + square) - 1.0)
        slope = STUDENT_DEGREES * (STUDENT_DEGREES + 1) * square / (STUDENT_DEGREES + square) ** 2
        prior = 0.5 * PRIOR_COUNT / own**2
        information = 0.5 * np.bincount(index, slope / fitted**2, own.size) + prior
        squares, clusters = _cluster_squares(index, own.size, cluster, score)
        sandwich = np.sqrt(squares * clusters / np.maximum(clusters - 1, 1) + prior) / information
        few = np.sqrt(2.0 / (clusters + PRIOR_COUNT)) * own
        error: Array = np.where(clusters < FEW_CLUSTERS, few, sandwich) * np.sqrt(self.calibration / own) / 2.0
        return error

    def prior_share(self, index: Index, variance: Array) -> Array:
        """How much of each sigma of the groups `index` comes from the common variance, 0 to 1.

        A pair tells little about the better of its two reporters: (s2 / S)^2 of a pair, not one.
        """
        count = np.bincount(index, (variance[index] / self.total_variance()) ** 2, variance.size)
        share: Array = PRIOR_COUNT / (count.astype(np.float64) + PRIOR_COUNT)
        return share


def fit_variances(
    i: Index, j: Index, g: Index, gap: Array, extra: Array, arrivals: Arrivals | None = None
) -> VarianceFit:
    """Fit one window: alternate robust biases and EM variances until no variance moves, then calibrate.

    Args: exporter, importer and chapter numbers of each row (each numbered from 0 without holes), the gap
    L = ln X - ln M_fob, and variance known beside the reporters' (of the margin).
    """
    middle = float(np.median(np.abs(gap - np.median(gap)))) / NORMAL_MEDIAN_ABSOLUTE
    start = max(middle, START_FLOOR_LOG) ** 2 / 2
    exporters, importers, chapters = (int(index.max()) + 1 for index in (i, j, g))
    fit = VarianceFit(
        i=i,
        j=j,
        g=g,
        gap=gap,
        extra=extra,
        arrivals=arrivals if arrivals is not None else without_timing(gap.size),
        bias_x=np.zeros(exporters),
        bias_m=np.zeros(importers),
        effect=np.zeros(chapters),
        var_x=np.full(exporters, start),
        var_m=np.full(importers, start),
        counts=(np.bincount(i).astype(np.float64), np.bincount(j).astype(np.float64)),
    )
    for number in range(ITERATIONS):
        fit.update_biases()
        if number in TIMING_ITERATIONS and fit.arrivals.known().any():
            fit.update_timing()
        if fit.update_variances() < TOLERANCE and number >= TIMING_ITERATIONS[-1]:
            break
    fit.calibrate()
    return fit


def _squarem(step: Callable[[Array], Array], start: Array) -> Array:
    """One cycle of a fixed-point iteration, stretched along its own path (SQUAREM, Varadhan and Roland 2008).

    EM moves little in each step where two variances can be exchanged; the stretch takes many steps at once.
    """
    first = step(start)
    second = step(first)
    move, bend = first - start, second - 2.0 * first + start
    if float(np.max(np.abs(bend))) < 1e-12:
        return second
    stretch = min(max(float(np.linalg.norm(move) / np.linalg.norm(bend)), 1.0), LONGEST_STRETCH)
    return step(start + 2.0 * stretch * move + stretch**2 * bend)


def _cluster_squares(index: Index, size: int, cluster: Index, score: Array) -> tuple[Array, Index]:
    """Sum over the clusters of each group of the squared sum of scores, and their number.

    A cluster lies within one group.
    """
    sums = np.bincount(cluster, score)
    group = np.zeros(sums.size, dtype=np.int64)
    group[cluster] = index
    squares: Array = np.bincount(group, sums**2, size).astype(np.float64)
    return squares, np.bincount(group, minlength=size).astype(np.int64)
