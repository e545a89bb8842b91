"""Reliability: how far each reporter errs, as exporter and as importer.

Belongs here: the training rows, biases and variances per reporter and role with standard errors, chapter effects.
Does not belong here: what is done with them (`estimate`).

Model, on two-sided pairs with L = ln X - ln M_fob:  L = b_i - c_j + g_chapter + u_i - w_j,
Var L = s2x_i + s2m_j + extra.  Identification: a constant can be moved between b, c and g, and between s2x and s2m;
it is pinned by sum b = sum c = 0 over reporters, by a symmetric start of the variances and by a floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from orchestration.reconcile.schema import (
    CHAPTER_EFFECTS,
    POOLED,
    RELIABILITY,
    RELIABILITY_TRAINING,
    VALUED,
    conform,
    require,
)

METHOD_NAME, METHOD_VERSION = "variance_components", "1"
WINDOW_YEARS = 3
STUDENT_DEGREES = 4.0
SHRINKAGE_COUNT = 50.0
PRIOR_COUNT = 10.0
PRIOR_BIAS_VARIANCE = 0.05
SIGMA_FLOOR_LOG = 0.01
DEFAULT_SIGMA_LOG = 0.5
ITERATIONS = 60
NORMAL_MEDIAN_ABSOLUTE = 0.6745
Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReliabilityModel:
    """Fitted reliability: per reporter and role, per chapter, and pooled for those never seen two-sided."""

    reliability: pl.DataFrame
    chapter_effects: pl.DataFrame
    pooled: pl.DataFrame


def reliability_training(valued: pl.DataFrame) -> pl.DataFrame:
    """Two-sided pairs of one period that may train the model (schema RELIABILITY_TRAINING).

    Left out: watched products and suspect corridors (leave-out rule), confidential codes, zero values, and pairs
    whose editions differ. Source: reconciliation step S6.
    """
    require(valued, VALUED, "the valued pairs frame")
    rows = valued.filter(
        (pl.col("status") == "two_sided")
        & pl.col("gap_log_ratio").is_not_null()
        & ~pl.col("is_left_out")
        & ~pl.col("is_confidential")
        & ~pl.col("is_edition_mismatch")
    ).with_columns(
        year=pl.col("period_start").dt.year().cast(pl.Int64),
        extra_variance=pl.col("cif_rate_se_log").fill_null(0.0) ** 2,
    )
    key = ("exporter_code", "importer_code", "chapter_code", "gap_log_ratio")
    return conform(rows, RELIABILITY_TRAINING, key)


def fit_reliability(training: pl.DataFrame) -> ReliabilityModel:
    """Fit every frequency and three-year trailing window of the training rows.

    Args: training (schema RELIABILITY_TRAINING) of all periods. Returns biases and sigmas in logarithms; a reporter
    never seen two-sided in a window has no row and takes the pooled sigma. Source: reconciliation step S6.
    """
    require(training, RELIABILITY_TRAINING, "the reliability training frame")
    # Sorted once: sums in floating point depend on order, and the order of rows must not matter.
    ordered = training.sort("frequency", "year", "exporter_code", "importer_code", "chapter_code", "gap_log_ratio")
    tables: list[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]] = []
    for frequency, year in ordered.select("frequency", "year").unique().sort("frequency", "year").iter_rows():
        window = ordered.filter(
            (pl.col("frequency") == frequency) & pl.col("year").is_between(year - WINDOW_YEARS + 1, year)
        )
        tables.append(_fit_window(window, frequency, year))
    return ReliabilityModel(
        reliability=_stack(
            [t[0] for t in tables], RELIABILITY, ("frequency", "window_end_year", "role", "reporter_code")
        ),
        chapter_effects=_stack(
            [t[1] for t in tables], CHAPTER_EFFECTS, ("frequency", "window_end_year", "chapter_code")
        ),
        pooled=_stack([t[2] for t in tables], POOLED, ("frequency", "window_end_year", "role")),
    )


def _stack(frames: list[pl.DataFrame], schema: dict[str, pl.DataType] | object, key: tuple[str, ...]) -> pl.DataFrame:
    assert isinstance(schema, dict)
    frame = pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema=schema)
    return conform(frame, schema, key)


def _codes(column: pl.Series) -> tuple[list[str], Index]:
    names = column.unique().sort().to_list()
    lookup = pl.DataFrame({"name": names, "code": list(range(len(names)))}, schema_overrides={"code": pl.Int64})
    codes = column.to_frame("name").join(lookup, on="name", how="left", maintain_order="left")["code"]
    return names, codes.to_numpy().astype(np.int64)


@dataclass
class _Fit:
    """State of the fit of one window: group indices of each row, current biases, effects and variances."""

    i: Index
    j: Index
    g: Index
    gap: Array
    extra: Array
    bias_x: Array
    bias_m: Array
    effect: Array
    var_x: Array
    var_m: Array

    def residual(self) -> Array:
        return self.gap - self.bias_x[self.i] + self.bias_m[self.j] - self.effect[self.g]

    def total_variance(self) -> Array:
        total: Array = self.var_x[self.i] + self.var_m[self.j] + self.extra
        return total

    def student(self, residual: Array, total: Array) -> Array:
        weights: Array = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES + residual**2 / total)
        return weights

    def update_biases(self) -> None:
        """One round of shrunken, robust group means: effects first, then exporters, then importers."""
        weight = self.student(self.residual(), total := self.total_variance()) / total
        self.effect = _group_mean(self.g, self.residual() + self.effect[self.g], weight, self.effect.size, 0.0)
        prior = 1.0 / PRIOR_BIAS_VARIANCE
        self.bias_x = _group_mean(self.i, self.residual() + self.bias_x[self.i], weight, self.bias_x.size, prior)
        self.bias_m = _group_mean(self.j, self.bias_m[self.j] - self.residual(), weight, self.bias_m.size, prior)
        shift_x, shift_m = float(self.bias_x.mean()), float(self.bias_m.mean())
        self.bias_x, self.bias_m = self.bias_x - shift_x, self.bias_m - shift_m
        self.effect = self.effect + shift_x - shift_m

    def update_variances(self) -> None:
        """One EM step of S6, shrunk to the pooled variance and floored."""
        residual, total = self.residual(), self.total_variance()
        squared = self.student(residual, total) * residual**2
        for index, own in ((self.i, self.var_x), (self.j, self.var_m)):
            share = own[index] / total
            expected = share**2 * squared + own[index] * (1 - share)
            count = np.bincount(index, minlength=own.size)
            pooled = float(expected.mean())
            new = (np.bincount(index, expected, own.size) + PRIOR_COUNT * pooled) / (count + PRIOR_COUNT)
            own[:] = np.maximum(new, SIGMA_FLOOR_LOG**2)

    def calibrate(self) -> None:
        """Scale both variances so that half of the residuals lie within the normal's middle half.

        The Student weights fit a scale, not a variance; intervals are normal, so the scale is matched where most
        rows are.
        """
        middle = float(np.median(np.abs(self.residual()) / np.sqrt(self.total_variance())))
        factor = max((middle / NORMAL_MEDIAN_ABSOLUTE) ** 2, 1e-6)
        self.var_x = np.maximum(self.var_x * factor, SIGMA_FLOOR_LOG**2)
        self.var_m = np.maximum(self.var_m * factor, SIGMA_FLOOR_LOG**2)


def _group_mean(index: Index, value: Array, weight: Array, size: int, prior: float) -> Array:
    mean: Array = np.bincount(index, value * weight, size) / (np.bincount(index, weight, size) + prior)
    return mean


def _fit_window(rows: pl.DataFrame, frequency: str, year: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    exporters, i = _codes(rows["exporter_code"])
    importers, j = _codes(rows["importer_code"])
    chapters, g = _codes(rows["chapter_code"])
    gap = rows["gap_log_ratio"].to_numpy().astype(np.float64)
    start = max(float(np.median(np.abs(gap - np.median(gap)))) / NORMAL_MEDIAN_ABSOLUTE, 0.05) ** 2 / 2
    fit = _Fit(
        i=i,
        j=j,
        g=g,
        gap=gap,
        extra=rows["extra_variance"].to_numpy().astype(np.float64),
        bias_x=np.zeros(len(exporters)),
        bias_m=np.zeros(len(importers)),
        effect=np.zeros(len(chapters)),
        var_x=np.full(len(exporters), start),
        var_m=np.full(len(importers), start),
    )
    for _ in range(ITERATIONS):
        fit.update_biases()
        fit.update_variances()
    fit.calibrate()
    window = {"frequency": frequency, "window_start_year": year - WINDOW_YEARS + 1, "window_end_year": year}
    names = {
        role: dict(rows.select(f"{role}_code", f"{role}_iso3").unique().sort(f"{role}_code").iter_rows())
        for role in ("exporter", "importer")
    }
    by_role = [
        _role_table(fit, "exporter", exporters, i, fit.bias_x, fit.var_x, names["exporter"], window),
        _role_table(fit, "importer", importers, j, fit.bias_m, fit.var_m, names["importer"], window),
    ]
    return pl.concat(by_role), _chapter_table(fit, chapters, window), _pooled_table(fit, window)


def _role_table(
    fit: _Fit,
    role: str,
    codes: list[str],
    index: Index,
    bias: Array,
    variance: Array,
    iso3: dict[str, str],
    window: dict[str, object],
) -> pl.DataFrame:
    total = fit.total_variance()
    weight = fit.student(fit.residual(), total) / total
    information = np.bincount(index, weight, len(codes)) + 1.0 / PRIOR_BIAS_VARIANCE
    effective = np.maximum(np.bincount(index, variance[index] / total, len(codes)), 1.0)
    count = np.bincount(index, minlength=len(codes))
    sigma = np.sqrt(variance)
    return pl.DataFrame(
        {
            "reporter_code": codes,
            "reporter_iso3": [iso3.get(c) for c in codes],
            "bias_log": bias,
            "bias_se_log": 1.0 / np.sqrt(information),
            "sigma_log": sigma,
            "sigma_se_log": sigma / np.sqrt(2.0 * effective),
            "pair_count": count.astype(np.int64),
            "is_shrunk": count < SHRINKAGE_COUNT,
        },
        schema_overrides={"reporter_iso3": pl.String},
    ).with_columns(
        *(pl.lit(value).alias(name) for name, value in window.items()),
        role=pl.lit(role),
        method_name=pl.lit(METHOD_NAME),
        method_version=pl.lit(METHOD_VERSION),
    )


def _chapter_table(fit: _Fit, chapters: list[str], window: dict[str, object]) -> pl.DataFrame:
    weight = fit.student(fit.residual(), total := fit.total_variance()) / total
    information = np.maximum(np.bincount(fit.g, weight, len(chapters)), 1e-12)
    return pl.DataFrame(
        {
            "chapter_code": chapters,
            "effect_log": fit.effect,
            "effect_se_log": 1.0 / np.sqrt(information),
            "pair_count": np.bincount(fit.g, minlength=len(chapters)).astype(np.int64),
        }
    ).with_columns(pl.lit(value).alias(name) for name, value in window.items())


def _pooled_table(fit: _Fit, window: dict[str, object]) -> pl.DataFrame:
    """Sigma of a reporter never seen two-sided: the root mean square over rows, so that big reporters weigh more."""
    sigma = {"exporter": np.sqrt(fit.var_x[fit.i].mean()), "importer": np.sqrt(fit.var_m[fit.j].mean())}
    return pl.DataFrame(
        {
            "role": list(sigma),
            "sigma_log": [float(v) for v in sigma.values()],
            "chapter_effect_log": [float(np.median(fit.effect[fit.g]))] * 2,
        }
    ).with_columns(
        pl.lit(window["frequency"]).alias("frequency"),
        pl.lit(window["window_end_year"]).alias("window_end_year"),
    )
