"""Biases and variances of one window of two-sided pairs, as plain arrays.

Belongs here: the equations of step S6 and their standard errors. Does not belong here: which pairs enter, names of
reporters, tables (`reliability`).

Model: L = b_i - c_j + g_chapter + u_i - w_j with Var L = s2x_i + s2m_j + extra. Identification: a constant can be moved
between b, c and g, and between all s2x and all s2m. It is pinned by sum b = sum c = 0 over reporters, by one common
prior for the variances of both roles, by a symmetric start and by a floor.

Where another fit knows the same reporters (months, for years), a window is fitted by itself first; then each variance
is drawn to what the other fit found (`leaning`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve

from orchestration.reconcile.arrival import PRIOR_ROWS, Arrivals, exporter_scale, pinned_groups, without_timing
from orchestration.reconcile.effects_design import Array, Design, Index, Mask, in_one_thread
from orchestration.reconcile.leaning import OtherFit, drawn_to
from orchestration.reconcile.reporting_distance import reporting_distances
from orchestration.reconcile.robust_regression import NORMAL_MEDIAN_ABSOLUTE

STUDENT_DEGREES = 4.0
# By how many pairs the variance of a chapter is drawn to that of the reporter (S6).
CHAPTER_PRIOR = 50.0
# Expected curvature of the Student likelihood in the logarithm of a variance, per pair (Lange and others 1989).
EXPECTED_CURVATURE = STUDENT_DEGREES / (2 * (STUDENT_DEGREES + 3))
# Variances of reporters differ by a factor of about e between one and the next: 2 / var(ln s2) pairs of weight.
PRIOR_COUNT = 2.0
# A variance of which the common one would make up more than this is not decided by its own pairs.
SHRUNK_SHARE = 0.1
COMMON_COUNT_CAP = 50.0
PRIOR_BIAS_VARIANCE = 0.05
SIGMA_FLOOR_LOG = 0.01
START_TIMING_VARIANCE, TIMING_FLOOR = 1e-3, 1e-8
START_FLOOR_LOG = 0.05
NORMAL_NINE_TENTHS, NORMAL_MEAN_ABSOLUTE = 1.6449, 0.7979
ITERATIONS = 60
TIMING_ITERATIONS = (1, 3, 6)
# A fit ends when no variance moves by more than a hundredth, or by more than a twentieth of its standard error.
TOLERANCE, TOLERANCE_OF_ERROR = 1e-2, 5e-2
LONGEST_STEP_LOG = 2.0
FEW_CLUSTERS = 5


@dataclass(frozen=True)
class Cells:
    """Rows that stand cell after cell: one exporter, importer and chapter each.

    Biases and variances are the same in all of a cell, so that what a pass adds up by reporter is added up by cell
    first, in one run through the rows, and by reporter from the few cells. starts: first row of each cell; length: its
    rows; i, j, g: its numbers.
    """

    starts: Index
    length: Index
    i: Index
    j: Index
    g: Index

    def total(self, values: Array) -> Array:
        """Sum of the rows of each cell."""
        sums: Array = np.add.reduceat(values, self.starts)
        return sums

    def spread(self, values: Array) -> Array:
        """The value of its cell for every row."""
        return np.repeat(values, self.length)

    def number(self) -> Index:
        """The number of its cell for every row."""
        return np.repeat(np.arange(self.starts.size), self.length)


def cells_of(i: Index, j: Index, g: Index) -> tuple[Index, Cells]:
    """The order in which rows stand cell after cell, each cell in its old order, and the cells."""
    key = (i * (int(j.max()) + 1) + j) * (int(g.max()) + 1) + g
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    first = order[starts]
    return order, Cells(starts, np.diff(starts, append=key.size), i[first], j[first], g[first])


@dataclass(frozen=True)
class _Late:
    """Rows, or cells, with a timing variance of their own: their places and their numbers."""

    is_by_cell: bool
    places: Index
    t: Index
    i: Index
    j: Index

    def of(self, by_row: Array, by_cell: Array) -> Array:
        """What is theirs of values of the rows, given their sums by cell too."""
        values: Array = (by_cell if self.is_by_cell else by_row)[self.places]
        return values


@dataclass
class VarianceFit:
    """State of the fit: the rows (cell after cell), current biases, effects and variances (all in logarithms)."""

    cells: Cells
    gap: Array
    extra: Array
    arrivals: Arrivals
    bias_x: Array
    bias_m: Array
    effect: Array
    var_x: Array
    var_m: Array
    counts: tuple[Array, Array]
    distances: tuple[Array, Array]
    var_t: Array = field(init=False)
    last_step: Array = field(init=False)
    design: Design = field(init=False, repr=False)
    _left: Array | None = field(init=False, repr=False, default=None)
    # Where the other fit draws each reporter's variance (logarithm, NaN: nowhere), and by how many pairs.
    drawn: tuple[Array, Array] | None = None
    calibration: float = 1.0

    def __post_init__(self) -> None:
        """Start without any timing."""
        cells = self.cells
        self.i, self.j, self.g = (np.repeat(number, cells.length) for number in (cells.i, cells.j, cells.g))
        self.design = Design(np.empty((cells.starts.size, 0)), (cells.i, cells.j, cells.g), self._sizes())
        self.var_t = np.where(pinned_groups(), 0.0, START_TIMING_VARIANCE)
        self.last_step = np.zeros(self.var_x.size + self.var_m.size + int(np.count_nonzero(~pinned_groups())))
        self._take_timing()

    def _take_timing(self) -> None:
        """What follows from the lag shares: moved gaps, variance groups, what is left of the exporters' variances."""
        share = self.arrivals.share()
        self.t = self.arrivals.group(share)
        self.moved_gap = self.gap + self.arrivals.shift()
        self.scale_x = exporter_scale(share) if share.any() else None
        self._late = self._late_sums()
        self._left = None
        self._take_variances()

    def _late_sums(self) -> _Late:
        """How rows with a timing variance of their own are added up.

        In years a group is a band of distance, the same in all of a cell: sums by cell are enough. In months it is
        the share moved, which is each row's own.
        """
        cells = self.cells
        first = self.t[cells.starts]
        if np.array_equal(self.t, np.repeat(first, cells.length)):
            late = np.flatnonzero(~pinned_groups()[first])
            return _Late(True, late, first[late], cells.i[late], cells.j[late])
        late = np.flatnonzero(~pinned_groups()[self.t])
        return _Late(False, late, self.t[late], self.i[late], self.j[late])

    def _take_variances(self) -> None:
        """What follows from the variances: the variance of each row's gap."""
        cells = self.cells
        if self.scale_x is None:
            total = cells.spread(self.var_x[cells.i] + self.var_m[cells.j])
        else:
            total = cells.spread(self.var_x[cells.i])
            total *= self.scale_x
            total += cells.spread(self.var_m[cells.j])
        total += self.var_t[self.t]
        total += self.extra
        self.total = total

    def scaled(self, values: Array) -> Array:
        """Values of the rows times what timing leaves of the exporters' variances."""
        return values if self.scale_x is None else values * self.scale_x

    def update_timing(self) -> None:
        """Lag shares by distance from the gaps as filed, everything else held."""
        unmoved = self.residual() - self.moved_gap + self.gap
        exporters = self.cells.spread(self.var_x[self.cells.i])
        self.arrivals.update(unmoved, exporters, self.total - self.scaled(exporters), STUDENT_DEGREES)
        self._take_timing()

    def residual(self) -> Array:
        """What biases and chapter effects leave of the gap."""
        if self._left is None:
            cells = self.cells
            common = self.bias_x[cells.i] - self.bias_m[cells.j] + self.effect[cells.g]
            left = cells.spread(common)
            self._left = np.subtract(self.moved_gap, left, out=left)
        return self._left

    def total_variance(self) -> Array:
        """Variance of each row's gap."""
        return self.total

    def precision(self) -> Array:
        """What a row counts in every mean: the weight of a Student t with few degrees of freedom, over its variance."""
        weight: Array = STUDENT_DEGREES * self.total
        weight += self.residual() ** 2
        np.divide(STUDENT_DEGREES + 1, weight, out=weight)
        return weight

    def _pull(self, total: Array, inverse: Array) -> Array:
        """Twice the slope of the Student likelihood in the variance of each row, given variances and 1 over them.

        ((nu + 1) r^2 / (nu S + r^2) - 1) / S, step by step in few arrays: every copy of the rows takes time.
        """
        square = self.residual() ** 2
        denominator = STUDENT_DEGREES * total
        denominator += square
        pull: Array = np.divide(square, denominator, out=square)
        pull *= STUDENT_DEGREES + 1
        pull -= 1.0
        pull *= inverse
        return pull

    def update_biases(self) -> None:
        """Biases and effects by robust weighted least squares, the biases drawn to zero by their prior.

        Solved at once, so that neither role goes first. The free chapter effects take up every common shift: the
        prior is then least where sum b = sum c = 0.
        """
        precision, design = self.precision(), self.design
        weight, weighed_gap = self.cells.total(precision), self.cells.total(precision * self.moved_gap)
        ridge = np.full(design.width, 1.0 / PRIOR_BIAS_VARIANCE)
        ridge[self.bias_x.size + self.bias_m.size :] = 0.0
        gram = design.gram(weight) + np.diag(ridge)
        beta = solve(gram, design.cross(weighed_gap), assume_a="pos", check_finite=False)
        self.bias_x, minus_bias_m, self.effect = np.split(beta, np.cumsum(self._sizes())[:2])
        self.bias_m = -minus_bias_m
        self._left = None

    def _sizes(self) -> tuple[int, int, int]:
        return self.bias_x.size, self.bias_m.size, self.effect.size

    def update_variances(self) -> float:
        """One step of Fisher scoring on the logarithms of all variances at once, the biases held.

        The point it ends at is the one of the expectation steps of S6, s2x <- mean of (s2x/S)^2 w r^2 + s2x
        (1 - s2x/S), which crawl where two variances can be exchanged. Every reporter's variance is drawn to the
        geometric mean of all as if by PRIOR_COUNT pairs. One figure for both roles: it pins how the variance is split
        between them. Geometric, so that a few bad reporters do not make the good ones look bad. Returns the largest
        change of a logarithm of a reporter's variance, or less where its standard error is large.
        """
        inverse = 1.0 / self.total
        pull = self._pull(self.total, inverse)
        variances, prior, counts = self._priors()
        score, information = self._score(pull), self._information(inverse)
        drawn = prior / variances
        score += 0.5 * counts * (drawn - 1.0)
        # The curvature of the prior; at least a little, so that a variance far above it does not overshoot.
        information[np.diag_indices_from(information)] += 0.5 * counts * np.maximum(drawn, 0.1)
        step = np.clip(
            solve(information, score, assume_a="pos", check_finite=False), -LONGEST_STEP_LOG, LONGEST_STEP_LOG
        )
        # A variance that is small beside its partners' has more curvature than expected: its steps go to and fro. Half
        # of such a step ends near the middle.
        step = np.where(step * self.last_step < 0, step / 2.0, step)
        self.last_step = step
        moved = np.abs(self._take_step(variances, step))
        of_error = moved * np.sqrt(np.diagonal(information)) * TOLERANCE / TOLERANCE_OF_ERROR
        return float(np.max(np.minimum(moved, of_error)[: self.var_x.size + self.var_m.size]))

    def _priors(self) -> tuple[Array, Array, Array]:
        """Variances of both roles and of the free timing groups, what each is drawn to, and by how many pairs."""
        reporters = np.concatenate([self.var_x, self.var_m])
        weights = np.minimum(np.concatenate(self.counts), COMMON_COUNT_CAP)
        common = float(np.exp(np.average(np.log(reporters), weights=weights)))
        free = self.var_t[~pinned_groups()]
        prior = np.concatenate([np.full(reporters.size, common), np.full(free.size, START_TIMING_VARIANCE)])
        counts = np.concatenate([self.prior_counts(), np.full(free.size, PRIOR_ROWS)])
        if self.drawn is not None:
            centre, _ = self.drawn
            own = np.flatnonzero(np.isfinite(centre))
            prior[own] = np.exp(centre[own])
        return np.concatenate([reporters, free]), prior, counts

    def prior_counts(self) -> Array:
        """By how many pairs each reporter's variance is drawn to what is known of it, exporters before importers.

        What stands in the other fit was drawn to its common variance already: it takes the place of the common one.
        """
        reporters = self.var_x.size + self.var_m.size
        own = np.zeros(reporters) if self.drawn is None else self.drawn[1]
        return np.maximum(own, PRIOR_COUNT)

    def own_pairs(self) -> Array:
        """How many pairs each reporter's variance rests on, exporters before importers.

        A pair tells little about the better of its two reporters: (s2 / S)^2 of a pair, not one.
        """
        cells, inverse = self.cells, 1.0 / self.total
        roles = ((cells.i, self.scaled(inverse), self.var_x), (cells.j, inverse, self.var_m))
        counts = [own**2 * np.bincount(index, cells.total(part**2), own.size) for index, part, own in roles]
        return np.concatenate(counts).astype(np.float64)

    def other_share(self, own_pairs: Array) -> Array:
        """How much of each variance comes from the other fit, 0 to 1, exporters before importers."""
        pull = np.zeros_like(own_pairs) if self.drawn is None else 0.5 * self.drawn[1]
        share: Array = pull / (pull + EXPECTED_CURVATURE * own_pairs + 1e-12)
        return share

    def lean_on(self, other: OtherFit) -> None:
        """Draw every variance to what another fit found of the same reporter, exporters before importers."""
        ln_variance = np.log(np.concatenate([self.var_x, self.var_m]))
        own_pairs = self.own_pairs()
        error = 1.0 / (EXPECTED_CURVATURE * np.maximum(own_pairs, 1e-12))
        self.drawn = drawn_to(other, ln_variance, error, ~is_shrunk(own_pairs))

    def _score(self, pull: Array) -> Array:
        """Slope of the Student likelihood in the logarithm of every variance.

        pull: twice the slope in the variance of each row. A variance is the same in all of a reporter's rows: it is
        multiplied in after they are added up.
        """
        cells, late, by_cell = self.cells, self._late, self.cells.total(pull)
        scaled = by_cell if self.scale_x is None else cells.total(self.scaled(pull))
        parts = (
            self.var_x * np.bincount(cells.i, scaled, self.var_x.size),
            self.var_m * np.bincount(cells.j, by_cell, self.var_m.size),
            (self.var_t * np.bincount(late.t, late.of(pull, by_cell), self.var_t.size))[~pinned_groups()],
        )
        slope: Array = np.concatenate([part.astype(np.float64) for part in parts])
        return slope / 2.0

    def _information(self, inverse: Array) -> Array:
        """Expected curvature: EXPECTED_CURVATURE times the products of the shares of each row's variance."""
        cells, late = self.cells, self._late
        sizes = (self.var_x.size, self.var_m.size, self.var_t.size)
        x, m, t = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:2])
        once = inverse**2
        scaled = self.scaled(once)
        by_cell = cells.total(once)
        across, own = (by_cell,) * 2 if scaled is once else (cells.total(scaled), cells.total(self.scaled(scaled)))
        matrix = np.zeros((sum(sizes), sum(sizes)))
        matrix[x, x] = np.bincount(cells.i, own, sizes[0])
        matrix[m, m] = np.bincount(cells.j, by_cell, sizes[1])
        matrix[t, t] = np.bincount(late.t, late.of(once, by_cell), sizes[2])
        met = _meetings(cells.j, cells.i, across, sizes[1], sizes[0])
        matrix[np.ix_(m, x)], matrix[np.ix_(x, m)] = met, met.T
        for number, values, size, place in (
            (late.i, late.of(scaled, across), sizes[0], x),
            (late.j, late.of(once, by_cell), sizes[1], m),
        ):
            met = _meetings(late.t, number, values, sizes[2], size)
            matrix[np.ix_(t, place)], matrix[np.ix_(place, t)] = met, met.T
        variances = np.concatenate([self.var_x, self.var_m, self.var_t])
        matrix *= variances[:, None] * variances
        kept = np.concatenate([np.ones(sizes[0] + sizes[1], dtype=np.bool_), ~pinned_groups()])
        curvature: Array = EXPECTED_CURVATURE * matrix[np.ix_(kept, kept)]
        return curvature

    def _take_step(self, variances: Array, step: Array) -> Array:
        """Move every logarithm of a variance by its step, not below the floor; returns how far each went."""
        reporters = self.var_x.size + self.var_m.size
        floor = np.where(np.arange(step.size) < reporters, SIGMA_FLOOR_LOG**2, TIMING_FLOOR)
        fresh = np.maximum(variances * np.exp(step), floor)
        self.var_x, self.var_m, self.var_t[~pinned_groups()] = np.split(fresh, [self.var_x.size, reporters])
        self._take_variances()
        moved: Array = np.log(fresh / variances)
        return moved

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
        self._take_variances()

    def tail_ratio(self) -> float:
        """How much wider than a normal's the middle nine tenths of the standardised residuals are; at least 1."""
        standard = np.abs(self.residual()) / np.sqrt(self.total_variance())
        return max(float(np.quantile(standard, 0.9)) / NORMAL_NINE_TENTHS, 1.0)

    def chapter_ratios(self, is_exporter: bool) -> tuple[Array, Index]:
        """By what factor each reporter's variance differs in each chapter, and its pairs (both reporters x chapters).

        One expectation step of S6 on the pairs of a chapter, beginning at the reporter's variance, with CHAPTER_PRIOR
        pairs more that say nothing else than it: a chapter of few pairs, or one whose pairs tell little of the
        reporter because the partners err more, stays near 1.
        """
        cells = self.cells
        index, own = (cells.i, self.var_x) if is_exporter else (cells.j, self.var_m)
        # The weights are those of the fit, before its scale was calibrated.
        fitted = self.total / self.calibration
        pull = self._pull(fitted, 1.0 / fitted)
        shape = (own.size, self.effect.size)
        place, size = index * shape[1] + cells.g, shape[0] * shape[1]
        moved = np.bincount(place, cells.total(self.scaled(pull) if is_exporter else pull), size).reshape(shape)
        count = np.bincount(place, cells.length, size).reshape(shape).astype(np.int64)
        ratio: Array = 1.0 + (own / self.calibration)[:, None] * moved / (count + CHAPTER_PRIOR)
        return ratio, count

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

    def sigma_errors(self, index: Index, variance: Array, cluster: Index, counts: Array) -> Array:
        """Standard errors of the sigmas of the groups `index`: sandwich of the robust equations, by cluster.

        counts: by how many pairs each variance is drawn to what is known of it (`prior_counts`).
        """
        fitted, own = self.total_variance() / self.calibration, variance / self.calibration
        square = self.residual() ** 2 / fitted
        score = 0.5 * self._pull(fitted, 1.0 / fitted)
        slope = STUDENT_DEGREES * (STUDENT_DEGREES + 1) * square / (STUDENT_DEGREES + square) ** 2
        prior = 0.5 * counts / own**2
        information = 0.5 * np.bincount(index, slope / fitted**2, own.size) + prior
        squares, clusters = _cluster_squares(index, own.size, cluster, score)
        sandwich = np.sqrt(squares * clusters / np.maximum(clusters - 1, 1) + prior) / information
        few = np.sqrt(2.0 / (clusters + counts)) * own
        error: Array = np.where(clusters < FEW_CLUSTERS, few, sandwich) * np.sqrt(self.calibration / own) / 2.0
        return error


def fit_variances(
    i: Index,
    j: Index,
    g: Index,
    gap: Array,
    extra: Array,
    arrivals: Arrivals | None = None,
    other: OtherFit | None = None,
) -> VarianceFit:
    """Fit one window: alternate robust biases and variances until no variance moves, then calibrate.

    Args: exporter, importer and chapter numbers of each row (each numbered from 0 without holes), the gap
    L = ln X - ln M_fob, variance known beside the reporters' (of the margin), the timing of arrival (default: none),
    and what another fit found of the reporters, exporters before importers (default: nothing). Starts from the
    reporting distances, the same way for both roles.
    """
    order, cells = cells_of(i, j, g)
    gap = gap[order]
    distances = reporting_distances(cells.i, cells.j, cells.g, cells.total(np.abs(gap)), cells.length)
    floor = START_FLOOR_LOG**2 / 2
    exporters, importers, chapters = (int(index.max()) + 1 for index in (i, j, g))
    fit = VarianceFit(
        cells=cells,
        gap=gap,
        extra=extra[order],
        arrivals=(arrivals if arrivals is not None else without_timing(gap.size)).take(order),
        bias_x=np.zeros(exporters),
        bias_m=np.zeros(importers),
        effect=np.zeros(chapters),
        var_x=np.maximum((distances[0] / NORMAL_MEAN_ABSOLUTE) ** 2, floor),
        var_m=np.maximum((distances[1] / NORMAL_MEAN_ABSOLUTE) ** 2, floor),
        counts=(np.bincount(i).astype(np.float64), np.bincount(j).astype(np.float64)),
        distances=distances,
    )
    with in_one_thread():
        _settle(fit, TIMING_ITERATIONS if fit.arrivals.known().any() else ())
        if other is not None and other.known().any():
            fit.lean_on(other)
            _settle(fit, ())
    fit.calibrate()
    return fit


def is_shrunk(own_pairs: Array) -> Mask:
    """Variances of which the common one, had they nothing else, would make up more than SHRUNK_SHARE."""
    mask: Mask = PRIOR_COUNT / (own_pairs + PRIOR_COUNT) > SHRUNK_SHARE
    return mask


def _settle(fit: VarianceFit, timing: tuple[int, ...]) -> None:
    """Alternate until no variance moves, with the timing of arrival in these passes."""
    last = timing[-1] if timing else 0
    for number in range(ITERATIONS):
        fit.update_biases()
        if number in timing:
            fit.update_timing()
        if fit.update_variances() < TOLERANCE and number >= last:
            break


def _meetings(one: Index, other: Index, values: Array, size: int, other_size: int) -> Array:
    """Sums of values by two numbers (size x other_size)."""
    sums: Array = np.bincount(one * other_size + other, values, size * other_size).astype(np.float64)
    return sums.reshape(size, other_size)


def _cluster_squares(index: Index, size: int, cluster: Index, score: Array) -> tuple[Array, Index]:
    """Sum over the clusters of each group of the squared sum of scores, and their number.

    A cluster lies within one group.
    """
    sums = np.bincount(cluster, score)
    group = np.zeros(sums.size, dtype=np.int64)
    group[cluster] = index
    squares: Array = np.bincount(group, sums**2, size).astype(np.float64)
    return squares, np.bincount(group, minlength=size).astype(np.int64)
