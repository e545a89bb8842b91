"""How well reporters are put in order of their errors, and how well anybody could: the rank part of `bench.accuracy`.

Belongs here: rank correlations of estimated and true sigma, and those of a reader who is told everything about a
reporter's partners. Does not belong here: errors of flows (`accuracy`), the page (`accuracy_page`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from orchestration.reconcile.effects_design import Array
from orchestration.reconcile.quantities import VALUE
from orchestration.reconcile.reliability import WINDOW_YEARS

SIGMA_GRID = np.geomspace(0.01, 1.5, 120)
# A gap of more than this many standard deviations counts as that many: mistakes must not decide.
CLIPPED_AT = 3.0
OTHER = {"exporter": "importer", "importer": "exporter"}


def rank_correlations(reliability: pl.DataFrame, reporter_error: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Spearman of estimated and true sigma in the last window.

    Per frequency and role: of all reporters (reporter_count, spearman_all), of those not resting on the prior
    (measured_count, spearman_measured), and of all when the reader is told (`told_sigmas`, spearman_told).
    """
    both = reliability.filter(pl.col("measure") == VALUE).join(
        reporter_error, on=["reporter_code", "role"], suffix="_true"
    )
    last = both.filter(pl.col("window_end_year") == pl.col("window_end_year").max().over("frequency"))
    last = last.join(told_sigmas(flows, reporter_error), on=["frequency", "role", "reporter_code"], how="left")
    spearman = pl.corr("sigma_log", "sigma_log_true", method="spearman")
    told = pl.corr("sigma_told_log", "sigma_log_true", method="spearman")
    every = last.group_by("frequency", "role").agg(reporter_count=pl.len(), spearman_all=spearman, spearman_told=told)
    own = last.filter(~pl.col("is_shrunk")).group_by("frequency", "role")
    measured = own.agg(measured_count=pl.len(), spearman_measured=spearman)
    return every.join(measured, on=["frequency", "role"], how="left").sort("frequency", "role")


def told_sigmas(flows: pl.DataFrame, reporter_error: pl.DataFrame) -> pl.DataFrame:
    """Most likely sigma of each reporter for a reader who is told every true bias and every partner's true sigma.

    Args: flows (schema MIRROR_FLOWS), reporter_error (role, reporter_code, bias_log, sigma_log). Returns: frequency,
    role, reporter_code, sigma_told_log. From two-sided flows of the last window; margin, chapter effect and timing as
    estimated. No prior is used: an estimator that draws few pairs to what is common may put reporters in better order.
    """
    rows = flows.filter(
        (pl.col("status") == "two_sided")
        & pl.col("gap_log_ratio").is_not_null()
        & ~pl.col("is_left_out")
        & ~pl.col("is_confidential")
        & ~pl.col("is_edition_mismatch")
    ).with_columns(_year=pl.col("period_start").dt.year())
    rows = rows.filter(pl.col("_year") > pl.col("_year").max().over("frequency") - WINDOW_YEARS)
    for role in OTHER:
        true = reporter_error.filter(pl.col("role") == role)
        named = true.select(pl.col("reporter_code").alias(f"{role}_code"), _b="bias_log", _s="sigma_log")
        rows = rows.join(named.rename({"_b": f"_{role}_bias", "_s": f"_{role}_sigma"}), on=f"{role}_code")
    gap = pl.col("gap_log_ratio") + pl.col("arrival_shift_log") - pl.col("chapter_effect_log")
    rows = rows.with_columns(
        _left=gap - pl.col("_exporter_bias") + pl.col("_importer_bias"),
        _extra=pl.col("arrival_sd_log") ** 2 + pl.col("cif_rate_se_log").fill_null(0.0) ** 2,
    )
    rows = rows.with_columns(pl.col("_left") - pl.col("_left").median().over("frequency"))
    found = [
        _most_likely(part, role).with_columns(frequency=pl.lit(frequency), role=pl.lit(role))
        for (frequency,), part in rows.group_by("frequency", maintain_order=True)
        for role in OTHER
    ]
    return pl.concat(found).select("frequency", "role", "reporter_code", "sigma_told_log")


def _most_likely(rows: pl.DataFrame, role: str) -> pl.DataFrame:
    """Sigma of the highest normal likelihood, gaps clipped, on a grid."""
    codes = rows[f"{role}_code"].unique().sort()
    number = rows[f"{role}_code"].cast(pl.Enum(codes)).to_physical().to_numpy().astype(np.int64)
    left = rows["_left"].to_numpy()
    partner = rows[f"_{OTHER[role]}_sigma"].to_numpy() ** 2 + rows["_extra"].to_numpy()
    losses = np.array([_loss(sigma, number, left, partner, len(codes)) for sigma in SIGMA_GRID])
    best = SIGMA_GRID[np.argmin(losses, axis=0)]
    return pl.DataFrame({"reporter_code": codes, "sigma_told_log": best})


def _loss(sigma: float, number: np.ndarray, left: Array, partner: Array, count: int) -> Array:
    total = sigma**2 + partner
    square = np.minimum(left**2 / total, CLIPPED_AT**2)
    loss: Array = np.bincount(number, (np.log(total) + square) / 2.0, count)
    return loss
