"""Reliability: how far each reporter errs, as exporter and as importer.

Belongs here: the training rows, windows, tables of biases and sigmas per reporter and role, of chapter effects, and of
pooled sigmas. Does not belong here: the equations (`variance_fit`), what is done with the result (`estimate`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from orchestration.reconcile.arrival import Arrivals
from orchestration.reconcile.arrival_frames import arrival_table, no_lags
from orchestration.reconcile.effects_design import Index
from orchestration.reconcile.reporting_distance import reporting_distances
from orchestration.reconcile.schema import (
    ARRIVAL_LAGS,
    CHAPTER_EFFECTS,
    POOLED,
    RELIABILITY,
    RELIABILITY_TRAINING,
    VALUED,
    Schema,
    conform,
    require,
)
from orchestration.reconcile.variance_fit import PRIOR_BIAS_VARIANCE, VarianceFit, fit_variances

METHOD_NAME, METHOD_VERSION = "variance_components", "2"
WINDOW_YEARS = 3
DEFAULT_SIGMA_LOG = 0.5
SHRUNK_SHARE = 0.1
_GROUPS = ("exporter_code", "importer_code", "chapter_code")


@dataclass(frozen=True)
class ReliabilityModel:
    """Fitted reliability: per reporter and role, per chapter, and pooled for those never seen two-sided."""

    reliability: pl.DataFrame
    chapter_effects: pl.DataFrame
    pooled: pl.DataFrame
    arrival_lags: pl.DataFrame = field(default_factory=no_lags)


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
        previous_month_ratio=pl.col("exporter_previous_month_fob_usd") / pl.col("exporter_fob_usd"),
    )
    key = ("exporter_code", "importer_code", "chapter_code", "gap_log_ratio")
    return conform(rows, RELIABILITY_TRAINING, key)


def fit_reliability(training: pl.DataFrame) -> ReliabilityModel:
    """Fit every frequency and three-year trailing window of the training rows.

    Args: training (schema RELIABILITY_TRAINING) of all periods. Returns biases and sigmas in logarithms; a reporter
    never seen two-sided in a window has no row and takes the pooled sigma. Source: reconciliation step S6.
    """
    require(training, RELIABILITY_TRAINING, "the reliability training frame")
    # Sorted once: sums in floating point depend on order, and the order of rows must not matter. A window is then one
    # run of rows, so that overlapping windows are views and not copies.
    ordered = training.sort("frequency", "year", *_GROUPS, "gap_log_ratio", "extra_variance")
    tables = [
        _fit_window(ordered.slice(start, length), frequency, year)
        for frequency, year, start, length in _windows(ordered)
    ]
    keys = ("frequency", "window_end_year")
    return ReliabilityModel(
        reliability=_stack([t[0] for t in tables], RELIABILITY, (*keys, "role", "reporter_code")),
        chapter_effects=_stack([t[1] for t in tables], CHAPTER_EFFECTS, (*keys, "chapter_code")),
        pooled=_stack([t[2] for t in tables], POOLED, (*keys, "role")),
        arrival_lags=_stack([t[3] for t in tables], ARRIVAL_LAGS, (*keys, "measure", "group_number")),
    )


def _windows(ordered: pl.DataFrame) -> list[tuple[str, int, int, int]]:
    """(frequency, last year, first row, number of rows) of every window of rows sorted by frequency and year."""
    counts = ordered.group_by("frequency", "year", maintain_order=True).len().with_row_index("number")
    counts = counts.with_columns(start=pl.col("len").cum_sum() - pl.col("len"))
    found = []
    for frequency, year, start, length in counts.select("frequency", "year", "start", "len").iter_rows():
        own = counts.filter(
            (pl.col("frequency") == frequency) & pl.col("year").is_between(year - WINDOW_YEARS + 1, year)
        )
        first = int(own["start"].to_list()[0])
        found.append((frequency, year, first, start + length - first))
    return found


def _stack(frames: list[pl.DataFrame], schema: Schema, key: tuple[str, ...]) -> pl.DataFrame:
    return conform(pl.concat(frames) if frames else pl.DataFrame(schema=dict(schema)), schema, key)


def _codes(column: pl.Series) -> tuple[list[str], Index]:
    """Sorted distinct values and the number of each row's value among them."""
    names = column.unique().sort()
    codes = column.replace_strict(names, pl.Series(range(len(names)), dtype=pl.Int64), return_dtype=pl.Int64)
    return names.to_list(), codes.to_numpy()


def _fit_window(rows: pl.DataFrame, frequency: str, year: int) -> tuple[pl.DataFrame, ...]:
    exporters, i = _codes(rows["exporter_code"])
    importers, j = _codes(rows["importer_code"])
    chapters, g = _codes(rows["chapter_code"])
    gap, extra = (rows[name].to_numpy().astype(np.float64) for name in ("gap_log_ratio", "extra_variance"))
    ratio, distance = (
        rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("previous_month_ratio", "distance_km")
    )
    arrivals = Arrivals(ratio, distance, rows["is_contiguous"].fill_null(False).to_numpy())
    fit = fit_variances(i, j, g, gap, extra, arrivals)
    # The same goods of the same corridor err alike month after month: they are one cluster.
    cells = (i * len(importers) + j) * len(chapters) + g
    cluster = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    window = {"frequency": frequency, "window_start_year": year - WINDOW_YEARS + 1, "window_end_year": year}
    by_role = []
    distance_x, distance_m = reporting_distances(i, j, g, gap)
    for role, codes, index, bias, variance, far in (
        ("exporter", exporters, i, fit.bias_x, fit.var_x, distance_x),
        ("importer", importers, j, fit.bias_m, fit.var_m, distance_m),
    ):
        names = dict(rows.select(f"{role}_code", f"{role}_iso3").unique().sort(f"{role}_code").iter_rows())
        table = pl.DataFrame(
            {
                "reporter_code": codes,
                "reporter_iso3": [names.get(code) for code in codes],
                "bias_log": bias,
                "bias_se_log": fit.bias_errors(index, len(codes), cluster, 1.0 / PRIOR_BIAS_VARIANCE),
                "sigma_log": np.sqrt(variance),
                "sigma_se_log": fit.sigma_errors(index, variance, cluster),
                "distance_log": far,
                "pair_count": np.bincount(index, minlength=len(codes)).astype(np.int64),
                "is_shrunk": fit.prior_share(index, variance) > SHRUNK_SHARE,
            },
            schema_overrides={"reporter_iso3": pl.String},
        )
        by_role.append(
            table.with_columns(
                *(pl.lit(value).alias(name) for name, value in window.items()),
                role=pl.lit(role),
                method_name=pl.lit(METHOD_NAME),
                method_version=pl.lit(METHOD_VERSION),
            )
        )
    return (
        pl.concat(by_role),
        _chapter_table(fit, chapters, window, cluster),
        _pooled_table(fit, window),
        arrival_table(fit, window),
    )


def _chapter_table(fit: VarianceFit, chapters: list[str], window: dict[str, object], cluster: Index) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "chapter_code": chapters,
            "effect_log": fit.effect,
            "effect_se_log": fit.bias_errors(fit.g, len(chapters), cluster, 0.0),
            "pair_count": np.bincount(fit.g, minlength=len(chapters)).astype(np.int64),
        }
    ).with_columns(pl.lit(value).alias(name) for name, value in window.items())


def _pooled_table(fit: VarianceFit, window: dict[str, object]) -> pl.DataFrame:
    """What holds for everybody in a window: the sigma of a reporter never seen two-sided (the root mean square over
    rows, so that big reporters weigh more), the typical chapter effect, how heavy the tails are.
    """
    sigma = {"exporter": np.sqrt(np.mean(fit.var_x[fit.i])), "importer": np.sqrt(np.mean(fit.var_m[fit.j]))}
    return pl.DataFrame(
        {
            "role": list(sigma),
            "sigma_log": [float(v) for v in sigma.values()],
            "chapter_effect_log": [float(np.median(fit.effect[fit.g]))] * 2,
            "tail_ratio": [fit.tail_ratio()] * 2,
        }
    ).with_columns(
        pl.lit(window["frequency"]).alias("frequency"),
        pl.lit(window["window_end_year"]).alias("window_end_year"),
    )
