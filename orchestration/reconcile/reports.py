"""Both reports of a flow with what is known about them: parameters joined, biases and timing taken off, variances.

Belongs here: which parameters a row takes, and the two corrected reports in logarithms. Does not belong here: how the
two become one value (`estimators`), fitting (`reliability`).
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.arrival import PASSING_SHARE
from orchestration.reconcile.arrival_frames import with_arrival
from orchestration.reconcile.editions import hs_variance
from orchestration.reconcile.reliability import ReliabilityModel
from orchestration.reconcile.window_parameters import WindowParameters, no_window

WORKING_COLUMNS = (
    *("_x", "_m", "_vx", "_vm", "_shared", "_share_moved", "_tail"),
    *("_exporter_bias_se", "_importer_bias_se", "_exporter_distance", "_importer_distance"),
)


def with_reports(valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
    """Add the parameters used, z_score, and the working columns of both corrected reports.

    _x, _m: logarithm of each report without its bias, half the chapter effect and the timing of arrival; NULL where
    it is absent or zero. _vx, _vm: their variances, with the standard errors of biases and margin; _shared: their
    covariance. z_score: the gap left over its standard deviation, exporter minus importer. Source: reconciliation
    step S7.
    """
    rows = with_parameters(valued, model)
    x = pl.when(pl.col("exporter_fob_usd") > 0).then(pl.col("exporter_fob_usd").log())
    m = pl.when(pl.col("importer_fob_usd") > 0).then(pl.col("importer_fob_usd").log())
    half = pl.col("chapter_effect_log") / 2
    # The importer's report is moved by the exporter's two months: it holds the passing error of both.
    passing = PASSING_SHARE * pl.col("_share_moved") * pl.col("exporter_sigma_log") ** 2
    rows = rows.with_columns(
        _x=x - pl.col("exporter_bias_log") - half,
        _m=m - pl.col("importer_bias_log") + half - pl.col("arrival_shift_log"),
        _vx=pl.col("exporter_sigma_log") ** 2 + pl.col("_exporter_bias_se") ** 2 + hs_variance("exporter"),
        _vm=pl.col("importer_sigma_log") ** 2
        + pl.col("_importer_bias_se") ** 2
        + pl.col("arrival_sd_log") ** 2
        + pl.col("cif_rate_se_log").fill_null(0.0) ** 2
        + hs_variance("importer")
        + 2 * pl.col("_share_moved") * passing,
        _shared=passing,
    )
    return rows.with_columns(z_score=(pl.col("_x") - pl.col("_m")) / gap_variance().sqrt())


def gap_variance() -> pl.Expr:
    """Variance of the gap between the two corrected reports."""
    return pl.col("_vx") + pl.col("_vm") - 2 * pl.col("_shared")


def with_parameters(valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
    """Biases, sigmas and chapter effects of the window that ends in the period's year."""
    if valued.is_empty():
        return _with_window(valued, no_window())
    year = valued["period_start"].dt.year().cast(pl.Int64)
    if _is_constant(year) and _is_constant(valued["frequency"]):
        # The rows of one period, as they come: they need not be taken apart.
        return _with_window(valued, model.window(valued["frequency"][0], year[0]))
    parts = [
        _with_window(part.drop("_year"), model.window(str(frequency), int(own)))
        for (frequency, own), part in valued.with_columns(_year=year).group_by(
            "frequency", "_year", maintain_order=True
        )
    ]
    return pl.concat(parts)


def _is_constant(column: pl.Series) -> bool:
    return bool((column == column.first()).all())


def _with_window(rows: pl.DataFrame, window: WindowParameters) -> pl.DataFrame:
    """Parameters of one frequency and window."""
    return with_arrival(rows, window.lags).with_columns(window.columns(rows))
