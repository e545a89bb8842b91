"""Value and interval: the best estimate of each flow, with what it rests on.

Belongs here: the interval around an estimate, the mean for sums, the row that is published. Does not belong here:
how two reports become one (`estimators`), what is taken off them before (`reports`), fitting reliability.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import brentq
from scipy.special import erfc, ndtr, ndtri

from orchestration.reconcile.estimators import METHOD_VERSION, Estimator, VarianceComponents
from orchestration.reconcile.reliability import ReliabilityModel
from orchestration.reconcile.schema import MIRROR_FLOWS, PAIR_KEY, VALUED, conform, require

__all__ = ["METHOD_VERSION", "QUANTILES", "estimate", "estimated_columns", "inflated_quantile"]
QUANTILES = {"p05": 0.05, "p25": 0.25, "p75": 0.75, "p95": 0.95}


def estimate(valued: pl.DataFrame, model: ReliabilityModel, estimator: Estimator | None = None) -> pl.DataFrame:
    """Reconciled flows of one period.

    Args: valued pairs (schema VALUED), the reliability model, an estimator (default `VarianceComponents`).
    Returns: schema MIRROR_FLOWS; values FOB in USD with the 50 % and 90 % interval, z and its two-sided normal
    p-value. A flow both sides file as zero is zero with an interval of zero width; a zero beside a positive value
    rests on the positive one. Weight columns are NULL: `reconcile_quantities` fills them.
    """
    require(valued, VALUED, "the valued pairs frame")
    chosen = estimator if estimator is not None else VarianceComponents()
    rows = estimated_columns(valued, model, chosen)
    z = rows["z_score"].to_numpy().astype(np.float64)
    named = rows.with_columns(
        p_value=pl.Series(_two_sided_p(z)).fill_nan(None),
        method_name=pl.lit(chosen.name),
        method_version=pl.lit(chosen.version),
    )
    return conform(named, MIRROR_FLOWS, PAIR_KEY)


def estimated_columns(
    valued: pl.DataFrame, model: ReliabilityModel, estimator: Estimator | None = None
) -> pl.DataFrame:
    """The rows in their order with what the estimator gives, the value with its interval and the mean for sums.

    Args: as `estimate`, but only the columns that an estimator looks at need be there.
    """
    chosen = estimator if estimator is not None else VarianceComponents()
    rows = chosen.estimate(valued, model)
    filed_zero = pl.col("ln_value_log").is_null()
    centre = pl.when(filed_zero).then(0.0).otherwise(pl.col("ln_value_log").exp())
    quantiles = {
        f"reconciled_fob_usd_{name}": pl.when(filed_zero)
        .then(0.0)
        .otherwise((pl.col("ln_value_log") + _standard_quantile(q) * pl.col("sd_log")).exp())
        for name, q in QUANTILES.items()
    }
    return rows.with_columns(
        reconciled_fob_usd=centre, **quantiles, reconciled_mean_fob_usd=centre * (-_expected_variance() / 2).exp()
    )


def _expected_variance() -> pl.Expr:
    """Variance that the error of the estimate was expected to have before the two reports were seen.

    exp of an estimate with normal error of variance V overstates by exp(V / 2) on average (Goldberger 1968): taken off
    each flow, sums over many flows are not overstated. Without this sd_log's max(1, |z|), which looks at the gap.
    """
    inflated = pl.max_horizontal(pl.lit(1.0), pl.col("z_score").abs())
    inflation = pl.when(pl.col("is_sd_inflated")).then(inflated).otherwise(1.0)
    return (pl.col("sd_log") / inflation).pow(2).fill_null(0.0)


def _standard_quantile(quantile: float) -> pl.Expr:
    """Quantile of the error over sd_log.

    Not inflated (one-sided, or another estimator): the normal's; only the outer quantiles feel heavy tails, the middle
    half is where the variances were calibrated. Inflated: sd_log holds max(1, |z|), so that a normal's quantiles
    would cover too much.
    """
    tail = pl.col("tail_ratio") if abs(quantile - 0.5) > 0.4 else pl.lit(1.0)
    normal = pl.lit(float(ndtri(quantile))) * tail
    return pl.when(pl.col("is_sd_inflated")).then(inflated_quantile(quantile)).otherwise(normal)


@cache
def inflated_quantile(quantile: float) -> float:
    """Quantile q of e / max(1, |z|) for two independent standard normals e and z.

    The error of a precision-weighted mean is independent of the gap between the two reports: with sd_log =
    max(1, |z|) sd, the error over sd_log has this distribution and not the normal's.
    """
    grid = np.linspace(1.0, 9.0, 8001)
    density = np.sqrt(2.0 / np.pi) * np.exp(-(grid**2) / 2.0)

    def missing(width: float) -> float:
        outside = float(np.trapezoid(ndtr(width * grid) * density, grid))
        return float(ndtr(width)) * float(2.0 * ndtr(1.0) - 1.0) + outside - quantile

    return float(brentq(missing, -6.0, 6.0))


def _two_sided_p(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    p: npt.NDArray[np.float64] = np.asarray(erfc(np.abs(z) / np.sqrt(2.0)), dtype=np.float64)
    return p
