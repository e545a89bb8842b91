"""Reliability: how far each reporter errs, as exporter and as importer.

Belongs here: the training rows, windows, tables of biases and sigmas per reporter and role, of chapter effects, and of
pooled sigmas. Does not belong here: the equations (`variance_fit`), what is done with the result (`estimate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from orchestration.reconcile.arrival import Arrivals
from orchestration.reconcile.arrival_frames import arrival_table, no_lags
from orchestration.reconcile.editions import is_one_edition
from orchestration.reconcile.effects_design import Array, Index, in_one_thread
from orchestration.reconcile.leaning import OtherFit
from orchestration.reconcile.numbering import place_among
from orchestration.reconcile.schema import (
    ARRIVAL_LAGS,
    CHAPTER_EFFECTS,
    CHAPTER_SIGMAS,
    POOLED,
    RELIABILITY,
    RELIABILITY_TRAINING,
    Schema,
    conform,
    require,
    shape,
)
from orchestration.reconcile.variance_fit import PRIOR_BIAS_VARIANCE, VarianceFit, fit_variances, is_shrunk
from orchestration.reconcile.window_parameters import WindowParameters, no_window, windows_of

METHOD_NAME, METHOD_VERSION = "variance_components", "3"
WINDOW_YEARS = 3
# A chapter of a reporter with fewer pairs takes the reporter's sigma as it is.
LEAST_CHAPTER_PAIRS = 10
# Years lean on the months of the same three years: these hold more pairs of the same reporters.
LEANS_ON = {"A": "M"}
MOST_TRAINING_ROWS = 600_000
TRAINING_ROWS_PER_REPORTER = 1_000
TRAINING_NEEDS = (
    *("frequency", "period_start", "exporter_code", "exporter_iso3", "importer_code", "importer_iso3"),
    *("chapter_code", "status", "gap_log_ratio", "is_left_out", "is_confidential", "is_edition_mismatch"),
    *("hs_ambiguity_ratio", "cif_rate_se_log", "exporter_fob_usd", "exporter_previous_month_fob_usd"),
    *("distance_km", "is_contiguous"),
)
_GROUPS = ("exporter_code", "importer_code", "chapter_code")


@dataclass(frozen=True)
class ReliabilityModel:
    """Fitted reliability: per reporter and role, per chapter, and pooled for those never seen two-sided."""

    reliability: pl.DataFrame
    chapter_effects: pl.DataFrame
    pooled: pl.DataFrame
    arrival_lags: pl.DataFrame = field(default_factory=no_lags)
    chapter_sigmas: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(CHAPTER_SIGMAS)))

    def window(self, frequency: str, year: int) -> WindowParameters:
        """Parameters of the window of one frequency that ends in a year; defaults where none was fitted."""
        return self._windows.get((frequency, year)) or no_window()

    @cached_property
    def _windows(self) -> dict[tuple[str, int], WindowParameters]:
        """The parameters of every window: asked for in every period, made once."""
        return windows_of({part.name: getattr(self, part.name) for part in fields(self)})


def reliability_training(valued: pl.DataFrame) -> pl.DataFrame:
    """Two-sided pairs of one period that may train the model (schema RELIABILITY_TRAINING), in their order.

    Left out: watched products and suspect corridors (leave-out rule), confidential codes, zero values, and pairs
    whose editions differ. Source: reconciliation step S6.
    """
    require(valued, TRAINING_NEEDS, "the valued pairs frame")
    rows = (
        valued.select(TRAINING_NEEDS)
        .filter(
            (pl.col("status") == "two_sided")
            & pl.col("gap_log_ratio").is_not_null()
            & ~pl.col("is_left_out")
            & ~pl.col("is_confidential")
            & is_one_edition()
        )
        .with_columns(
            year=pl.col("period_start").dt.year().cast(pl.Int64),
            extra_variance=pl.col("cif_rate_se_log").fill_null(0.0) ** 2,
            previous_month_ratio=pl.col("exporter_previous_month_fob_usd") / pl.col("exporter_fob_usd"),
        )
    )
    return shape(rows, RELIABILITY_TRAINING)


def thin_reliability_training(training: pl.DataFrame) -> pl.DataFrame:
    """The training rows of one period (all its slices), fewer where there are more than MOST_TRAINING_ROWS.

    Of each exporter and of each importer about TRAINING_ROWS_PER_REPORTER rows stay, every n-th in key order and at
    least all of a reporter that has no more: a sigma of three such years has a standard error near one per cent, which
    more rows would hardly mend. Whether a row stays does not depend on its gap.
    """
    if training.height <= MOST_TRAINING_ROWS:
        return training

    def is_nth(role: str) -> pl.Expr:
        step = (pl.len() / TRAINING_ROWS_PER_REPORTER).ceil().cast(pl.Int64)
        return (pl.int_range(pl.len()) % step == 0).over(f"{role}_code")

    return training.filter(is_nth("exporter") | is_nth("importer"))


def fit_reliability(training: pl.DataFrame, months: ReliabilityModel | None = None) -> ReliabilityModel:
    """Fit every frequency and three-year trailing window of the training rows.

    Args: training (schema RELIABILITY_TRAINING) of all periods; the fitted months of the same measure, on which the
    variances of years lean (LEANS_ON; without it every frequency stands alone). Returns biases and sigmas in
    logarithms; a reporter never seen two-sided in a window has no row and takes the pooled sigma. Source:
    reconciliation step S6.
    """
    require(training, RELIABILITY_TRAINING, "the reliability training frame")
    names = {role: _names(training, role) for role in ("exporter", "importer")}
    chapters = training["chapter_code"].unique().sort()
    # Sorted once: sums in floating point depend on order, and the order of rows must not matter. A window is then one
    # run of rows, so that overlapping windows are views and not copies.
    numbered = training.select(
        "frequency",
        "year",
        *(_numbers(f"{role}_code", names[role]["code"]) for role in names),
        _numbers("chapter_code", chapters),
        *("gap_log_ratio", "extra_variance", "previous_month_ratio", "distance_km", "is_contiguous"),
    )
    # Text is let go of: the numbers of every row are all that is needed from here on.
    del training
    # Year, exporter, importer and chapter as one number: a sort by eight columns takes a third longer.
    sizes = [len(names[role]["code"]) for role in names] + [len(chapters)]
    cell = pl.col("year")
    for name, size in zip(_GROUPS, sizes, strict=True):
        cell = cell * size + pl.col(name)
    ordered = numbered.sort("frequency", cell, "gap_log_ratio", "extra_variance", "previous_month_ratio")
    del numbered
    columns = _columns(ordered)
    windows = _windows(ordered)
    del ordered
    tables: list[tuple[pl.DataFrame, ...]] = []
    # Held over all windows: to set and lift the limit takes as long as a pass of a small fit.
    with in_one_thread():
        for frequency, year, first, length in windows:
            rows = {name: values[first : first + length] for name, values in columns.items()}
            window = _Window(frequency, year, names["exporter"], names["importer"], chapters)
            tables.append(_fit_window(rows, window, months))
    keys = ("frequency", "window_end_year")
    return ReliabilityModel(
        reliability=_stack([t[0] for t in tables], RELIABILITY, (*keys, "role", "reporter_code")),
        chapter_effects=_stack([t[1] for t in tables], CHAPTER_EFFECTS, (*keys, "chapter_code")),
        pooled=_stack([t[2] for t in tables], POOLED, (*keys, "role")),
        arrival_lags=_stack([t[3] for t in tables], ARRIVAL_LAGS, (*keys, "grouping", "group_number")),
        chapter_sigmas=_stack([t[4] for t in tables], CHAPTER_SIGMAS, (*keys, "role", "reporter_code", "chapter_code")),
    )


def join_models(models: Sequence[ReliabilityModel]) -> ReliabilityModel:
    """One model from those of several frequencies, in the order of `fit_reliability` when frequencies are in order."""
    names = [part.name for part in fields(ReliabilityModel)]
    return ReliabilityModel(**{name: pl.concat(getattr(model, name) for model in models) for name in names})


@dataclass(frozen=True)
class _Window:
    """Frequency and last year of a window, with the names behind the numbers of its rows."""

    frequency: str
    year: int
    exporters: pl.DataFrame
    importers: pl.DataFrame
    chapters: pl.Series

    def columns(self) -> dict[str, object]:
        return {
            "frequency": self.frequency,
            "window_start_year": self.year - WINDOW_YEARS + 1,
            "window_end_year": self.year,
        }


def _names(training: pl.DataFrame, role: str) -> pl.DataFrame:
    """Sorted codes of one role with their names (code, iso3)."""
    places = training.select(code=f"{role}_code", iso3=f"{role}_iso3").unique()
    return places.sort("code", "iso3", nulls_last=True).unique("code", keep="first", maintain_order=True)


def _numbers(column: str, names: pl.Series) -> pl.Expr:
    """Place of each row's value among sorted names."""
    return place_among(names, pl.col(column), strict=True).alias(column)


def _columns(ordered: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    numbers = {name: ordered[name].to_numpy() for name in _GROUPS}
    figures = {
        name: ordered[name].fill_null(np.nan).to_numpy()
        for name in ("gap_log_ratio", "extra_variance", "previous_month_ratio", "distance_km")
    }
    return numbers | figures | {"is_contiguous": ordered["is_contiguous"].fill_null(False).to_numpy()}


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


def _present(numbers: Index, size: int) -> tuple[Index, Index]:
    """Which of `size` numbers occur, and each row's place among them."""
    present = np.flatnonzero(np.bincount(numbers, minlength=size))
    place = np.zeros(size, dtype=np.int64)
    place[present] = np.arange(present.size)
    return present, place[numbers]


def _other_fit(months: ReliabilityModel | None, window: _Window, taken: dict[str, Index]) -> OtherFit | None:
    """What the same reporters' months of the same three years say; None where the window leans on nothing."""
    other = LEANS_ON.get(window.frequency)
    if months is None or other is None:
        return None
    found = months.reliability.filter((pl.col("frequency") == other) & (pl.col("window_end_year") == window.year))
    wanted = [
        names[taken[role]].select(reporter_code="code", role=pl.lit(role))
        for role, names in (("exporter", window.exporters), ("importer", window.importers))
    ]
    own = pl.concat(wanted).join(found, on=["reporter_code", "role"], how="left", maintain_order="left")
    sigma, error = (own[name].fill_null(np.nan).to_numpy() for name in ("sigma_log", "sigma_se_log"))
    return OtherFit(
        ln_variance=2.0 * np.log(sigma),
        error_variance=(2.0 * error / sigma) ** 2,
        is_measured=(~own["is_shrunk"]).fill_null(False).to_numpy(),
    )


def _fit_window(
    rows: dict[str, np.ndarray[Any, Any]], window: _Window, months: ReliabilityModel | None
) -> tuple[pl.DataFrame, ...]:
    """Tables of one window; nothing of another window of its frequency enters."""
    sizes = (window.exporters.height, window.importers.height, len(window.chapters))
    (exporters, i), (importers, j), (chapters, g) = (
        _present(rows[name], size) for name, size in zip(_GROUPS, sizes, strict=True)
    )
    arrivals = Arrivals(rows["previous_month_ratio"], rows["distance_km"], rows["is_contiguous"])
    taken = {"exporter": exporters, "importer": importers}
    other = _other_fit(months, window, taken)
    fit = fit_variances(i, j, g, rows["gap_log_ratio"], rows["extra_variance"], arrivals, other)
    # The same goods of the same corridor err alike month after month: the cells of the fit are the clusters.
    cluster, own_pairs = fit.cells.number(), fit.own_pairs()
    by_role = [
        _role_table(fit, window, role, own, cluster, distance, own_pairs)
        for (role, own), distance in zip(taken.items(), fit.distances, strict=True)
    ]
    return (
        pl.concat(by_role),
        _chapter_table(fit, window.chapters.gather(chapters).to_list(), window.columns(), cluster),
        _pooled_table(fit, window.columns()),
        arrival_table(fit, window.columns()),
        pl.concat(_chapter_sigmas(fit, window, role, own, chapters) for role, own in taken.items()),
    )


def _role_table(
    fit: VarianceFit, window: _Window, role: str, taken: Index, cluster: Index, distance: Array, own_pairs: Array
) -> pl.DataFrame:
    """Reliability of one role in one window."""
    is_exporter = role == "exporter"
    index, bias, variance = (fit.i, fit.bias_x, fit.var_x) if is_exporter else (fit.j, fit.bias_m, fit.var_m)
    names = (window.exporters if is_exporter else window.importers)[taken]
    # Both roles stand in one array, exporters before importers.
    here = slice(fit.var_x.size) if is_exporter else slice(fit.var_x.size, None)
    table = pl.DataFrame(
        {
            "reporter_code": names["code"],
            "reporter_iso3": names["iso3"],
            "bias_log": bias,
            "bias_se_log": fit.bias_errors(index, taken.size, cluster, 1.0 / PRIOR_BIAS_VARIANCE),
            "sigma_log": np.sqrt(variance),
            "sigma_se_log": fit.sigma_errors(index, variance, cluster, fit.prior_counts()[here]),
            "distance_log": distance,
            "pair_count": np.bincount(index, minlength=taken.size).astype(np.int64),
            "is_shrunk": is_shrunk(own_pairs)[here],
            "months_weight_ratio": fit.other_share(own_pairs)[here],
        }
    )
    named = window.columns() | {"role": role, "method_name": METHOD_NAME, "method_version": METHOD_VERSION}
    return table.with_columns(pl.lit(value).alias(name) for name, value in named.items())


def _chapter_sigmas(fit: VarianceFit, window: _Window, role: str, taken: Index, chapters: Index) -> pl.DataFrame:
    """Sigmas of one role by chapter, of chapters in which the reporter has LEAST_CHAPTER_PAIRS and more."""
    is_exporter = role == "exporter"
    names = (window.exporters if is_exporter else window.importers)["code"][taken]
    variance = fit.var_x if is_exporter else fit.var_m
    ratio, count = fit.chapter_ratios(is_exporter)
    reporter, chapter = np.nonzero(count >= LEAST_CHAPTER_PAIRS)
    table = pl.DataFrame(
        {
            "reporter_code": names.gather(reporter),
            "chapter_code": window.chapters.gather(chapters[chapter]),
            "sigma_log": np.sqrt(variance[reporter] * ratio[reporter, chapter]),
            "pair_count": count[reporter, chapter],
        }
    )
    named = window.columns() | {"role": role}
    return table.with_columns(pl.lit(value).alias(name) for name, value in named.items())


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
