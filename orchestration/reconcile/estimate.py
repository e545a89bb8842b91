"""Value and interval: the best estimate of each flow, with what it rests on.

Belongs here: the estimator interface and the default estimator. Does not belong here: fitting reliability.
Every estimator takes the same frame and returns the same columns, so that a user can choose and compare.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import erfc, ndtri

from orchestration.reconcile.reliability import DEFAULT_SIGMA_LOG, ReliabilityModel
from orchestration.reconcile.schema import MIRROR_FLOWS, PAIR_KEY, VALUED, conform, require
from orchestration.reconcile.variance_fit import PRIOR_BIAS_VARIANCE

METHOD_VERSION = "1"
QUANTILES = {"p05": 0.05, "p25": 0.25, "p75": 0.75, "p95": 0.95}


class Estimator(Protocol):
    """What every estimator gives: a name, a version, and its columns beside the valued pairs."""

    name: str
    version: str

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add ln_value_log, sd_log, tail_ratio, both weight ratios, z_score and the biases, effects and sigmas used.

        tail_ratio widens the 90 % interval over that of a normal with sd_log.
        """


class VarianceComponents:
    """Precision-weighted mean, in logarithms, of the two bias-corrected reports.

    The chapter effect is a property of neither side and is split evenly. sd^2 = max(1, z^2) / (1/s2x + 1/s2m): two
    reports that contradict each other more than their variances allow widen the interval. One-sided: that reporter's
    own sigma, and for the 90 % interval the tails that two-sided pairs of the window show, since nothing contradicts
    a report that stands alone. The variances hold the standard errors of the biases. Source: reconciliation step S7.
    """

    name = "variance_components"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        rows = _with_parameters(valued, model)
        x = pl.when(pl.col("exporter_fob_usd") > 0).then(pl.col("exporter_fob_usd").log())
        m = pl.when(pl.col("importer_fob_usd") > 0).then(pl.col("importer_fob_usd").log())
        half = pl.col("chapter_effect_log") / 2
        rows = rows.with_columns(
            _x=x - pl.col("exporter_bias_log") - half,
            _m=m - pl.col("importer_bias_log") + half,
            _vx=pl.col("exporter_sigma_log") ** 2 + pl.col("_exporter_bias_se") ** 2,
            _vm=pl.col("importer_sigma_log") ** 2
            + pl.col("_importer_bias_se") ** 2
            + pl.col("cif_rate_se_log").fill_null(0.0) ** 2,
        )
        both = pl.col("_x").is_not_null() & pl.col("_m").is_not_null()
        weight = (1 / pl.col("_vx")) / (1 / pl.col("_vx") + 1 / pl.col("_vm"))
        z = pl.when(both).then((pl.col("_x") - pl.col("_m")) / (pl.col("_vx") + pl.col("_vm")).sqrt())
        rows = rows.with_columns(
            z_score=z,
            exporter_weight_ratio=pl.when(both)
            .then(weight)
            .when(pl.col("_x").is_not_null())
            .then(1.0)
            .when(pl.col("_m").is_not_null())
            .then(0.0),
        ).with_columns(importer_weight_ratio=1.0 - pl.col("exporter_weight_ratio"))
        inflation = pl.max_horizontal(pl.lit(1.0), pl.col("z_score").abs())
        return (
            rows.with_columns(
                ln_value_log=pl.when(both)
                .then(pl.col("exporter_weight_ratio") * pl.col("_x") + pl.col("importer_weight_ratio") * pl.col("_m"))
                .otherwise(pl.coalesce("_x", "_m")),
                sd_log=pl.when(both)
                .then(inflation / (1 / pl.col("_vx") + 1 / pl.col("_vm")).sqrt())
                .when(pl.col("_x").is_not_null())
                .then(pl.col("_vx").sqrt())
                .when(pl.col("_m").is_not_null())
                .then(pl.col("_vm").sqrt()),
                tail_ratio=pl.when(both).then(pl.lit(1.0)).otherwise("_tail"),
            )
            .drop("_tail")
            .drop("_x", "_m", "_vx", "_vm", "_exporter_bias_se", "_importer_bias_se")
        )


def estimate(valued: pl.DataFrame, model: ReliabilityModel, estimator: Estimator | None = None) -> pl.DataFrame:
    """Reconciled flows of one period.

    Args: valued pairs (schema VALUED), the reliability model, an estimator (default `VarianceComponents`).
    Returns: schema MIRROR_FLOWS; values FOB in USD with the 50 % and 90 % interval, z and its two-sided normal
    p-value. A flow both sides file as zero is zero with an interval of zero width; a zero beside a positive value
    rests on the positive one. Weight columns are NULL: `reconcile_quantities` fills them.
    """
    require(valued, VALUED, "the valued pairs frame")
    chosen = estimator if estimator is not None else VarianceComponents()
    rows = chosen.estimate(valued, model)
    filed_zero = pl.col("ln_value_log").is_null()
    centre = pl.when(filed_zero).then(0.0).otherwise(pl.col("ln_value_log").exp())
    quantiles = {
        f"reconciled_fob_usd_{name}": pl.when(filed_zero)
        .then(0.0)
        .otherwise((pl.col("ln_value_log") + float(ndtri(q)) * pl.col("sd_log") * _widening(q)).exp())
        for name, q in QUANTILES.items()
    }
    z = rows["z_score"].to_numpy().astype(np.float64)
    return conform(
        rows.with_columns(
            reconciled_fob_usd=centre,
            **quantiles,
            p_value=pl.Series(_two_sided_p(z)).fill_nan(None),
            method_name=pl.lit(chosen.name),
            method_version=pl.lit(chosen.version),
        ),
        MIRROR_FLOWS,
        PAIR_KEY,
    )


def _widening(quantile: float) -> pl.Expr:
    """Only the outer quantiles feel heavy tails; the middle half is where the variances were calibrated."""
    return pl.col("tail_ratio") if abs(quantile - 0.5) > 0.4 else pl.lit(1.0)


def _two_sided_p(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    p: npt.NDArray[np.float64] = np.asarray(erfc(np.abs(z) / np.sqrt(2.0)), dtype=np.float64)
    return p


def _with_parameters(valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
    """Biases, sigmas and chapter effects of the window that ends in the period's year."""
    rows = valued.with_columns(_year=pl.col("period_start").dt.year().cast(pl.Int64))
    for role in ("exporter", "importer"):
        own = model.reliability.filter(pl.col("role") == role).select(
            "frequency",
            pl.col("window_end_year").alias("_year"),
            pl.col("reporter_code").alias(f"{role}_code"),
            pl.col("bias_log").alias(f"{role}_bias_log"),
            pl.col("bias_se_log").alias(f"_{role}_bias_se"),
            pl.col("sigma_log").alias(f"{role}_sigma_log"),
        )
        pool = model.pooled.filter(pl.col("role") == role).select(
            "frequency", pl.col("window_end_year").alias("_year"), pl.col("sigma_log").alias("_pooled")
        )
        rows = (
            rows.join(own, on=["frequency", "_year", f"{role}_code"], how="left")
            .join(pool, on=["frequency", "_year"], how="left")
            .with_columns(
                pl.col(f"{role}_bias_log").fill_null(0.0),
                pl.col(f"_{role}_bias_se").fill_null(PRIOR_BIAS_VARIANCE**0.5),
                pl.coalesce(f"{role}_sigma_log", "_pooled", pl.lit(DEFAULT_SIGMA_LOG)).alias(f"{role}_sigma_log"),
            )
            .drop("_pooled")
        )
    effects = model.chapter_effects.select(
        "frequency",
        "chapter_code",
        pl.col("window_end_year").alias("_year"),
        pl.col("effect_log").alias("chapter_effect_log"),
    )
    default = model.pooled.filter(pl.col("role") == "exporter").select(
        "frequency",
        pl.col("window_end_year").alias("_year"),
        pl.col("chapter_effect_log").alias("_default"),
        pl.col("tail_ratio").alias("_tail"),
    )
    return (
        rows.join(effects, on=["frequency", "_year", "chapter_code"], how="left")
        .join(default, on=["frequency", "_year"], how="left")
        .with_columns(
            pl.coalesce("chapter_effect_log", "_default", pl.lit(0.0)).alias("chapter_effect_log"),
            pl.col("_tail").fill_null(1.0),
        )
        .drop("_year", "_default")
    )
