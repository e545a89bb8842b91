"""Timing of arrival in frames: last month's exports beside this month's pairs, the table of lags, what a flow takes.

Belongs here: joins and tables. Does not belong here: the formulas (`arrival`), the fit (`variance_fit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from orchestration.reconcile.arrival import (
    BAND_EDGES_KM,
    BANDS,
    GROUPS,
    SHARE_EDGES,
    bands,
    groups,
    lag_of,
    share_of,
    shift_of,
)
from orchestration.reconcile.effects_design import Array
from orchestration.reconcile.schema import ARRIVAL_LAGS, PAIR_KEY, VALUED, conform, require

if TYPE_CHECKING:
    from orchestration.reconcile.variance_fit import VarianceFit

BY_DISTANCE, BY_SHARE = "distance_band", "share_moved"


def with_previous_month(valued: pl.DataFrame, previous: pl.DataFrame | None) -> pl.DataFrame:
    """Fill exporter_previous_month_fob_usd of a month's valued pairs (schema VALUED) from the month before.

    Args: `previous` the pairs of the month before (exporter_code, importer_code, product_code, exporter_value_usd);
    None where the run does not hold it. An exporter that filed last month but not this cell declared nothing: 0.
    An exporter that did not file last month is not known: NULL.
    """
    require(valued, VALUED, "the valued pairs frame")
    if previous is None:
        return valued.with_columns(exporter_previous_month_fob_usd=pl.lit(None, dtype=pl.Float64))
    filed = previous.filter(pl.col("exporter_value_usd").is_not_null())
    before = filed.select(*PAIR_KEY, _before="exporter_value_usd")
    known = filed.select("exporter_code").unique().with_columns(_known=pl.lit(True))
    return (
        valued.join(before, on=list(PAIR_KEY), how="left", maintain_order="left")
        .join(known, on="exporter_code", how="left", maintain_order="left")
        .with_columns(exporter_previous_month_fob_usd=pl.when("_known").then(pl.col("_before").fill_null(0.0)))
        .drop("_before", "_known")
    )


def arrival_table(fit: VarianceFit, window: dict[str, object]) -> pl.DataFrame:
    """Lags and unexplained spread of one window (schema ARRIVAL_LAGS): by distance band, and by share moved."""
    arrivals, counts = fit.arrivals, np.bincount(fit.t, minlength=GROUPS)
    shift, spread = _unknown_month(fit)
    by_distance = pl.DataFrame(
        {
            "group_number": np.arange(BANDS),
            "lower_bound": [None, 0.0, *BAND_EDGES_KM, None],
            "upper_bound": [None, *BAND_EDGES_KM, None, None],
            "lag_share_ratio": arrivals.lag_by_band,
            "shift_log": shift,
            "sd_log": np.sqrt(spread),
            "pair_count": np.bincount(arrivals.band, minlength=BANDS),
        }
    ).with_columns(grouping=pl.lit(BY_DISTANCE))
    known = SHARE_EDGES.size + 1
    by_share = pl.DataFrame(
        {
            "group_number": np.arange(known),
            "lower_bound": [0.0, *SHARE_EDGES],
            "upper_bound": [*SHARE_EDGES, 1.0],
            "sd_log": np.sqrt(fit.var_t[:known]),
            "pair_count": counts[:known],
        }
    ).with_columns(grouping=pl.lit(BY_SHARE))
    table = pl.concat([by_distance, by_share], how="diagonal_relaxed")
    return table.with_columns(pl.lit(value).alias(name) for name, value in window.items())


def _unknown_month(fit: VarianceFit) -> tuple[Array, Array]:
    """Per band: typical shift and variance of a report whose exporter's last month is not known.

    Where months are known, what the shifts of the band scatter about their median (its middle half) and what they
    leave unexplained; else what the fit found for the band.
    """
    arrivals = fit.arrivals
    known, all_shifts = arrivals.known(), arrivals.shift()
    shift, spread = np.zeros(BANDS), fit.var_t[SHARE_EDGES.size + 1 :].copy()
    for band in range(BANDS):
        own = known & (arrivals.band == band)
        if own.any():
            low, middle, high = np.quantile(all_shifts[own], [0.25, 0.5, 0.75])
            shift[band] = middle
            spread[band] = ((high - low) / 1.349) ** 2 + float(np.mean(fit.var_t[fit.t[own]]))
    return shift, spread


def with_arrival(rows: pl.DataFrame, lags: pl.DataFrame) -> pl.DataFrame:
    """Add arrival_shift_log, arrival_sd_log and _share_moved to the rows of one frequency and year.

    Args: rows with exporter_fob_usd, exporter_previous_month_fob_usd, distance_km, is_contiguous; `lags` (schema
    ARRIVAL_LAGS) of that frequency and window, empty where no window was fitted: nothing moves then.
    """
    if lags.is_empty():
        nothing = {"arrival_shift_log": 0.0, "arrival_sd_log": 0.0, "_share_moved": 0.0}
        return rows.with_columns(pl.lit(value).alias(name) for name, value in nothing.items())
    by_distance = lags.filter(pl.col("grouping") == BY_DISTANCE).sort("group_number")
    by_share = lags.filter(pl.col("grouping") == BY_SHARE).sort("group_number")
    facts = rows.select(
        ratio=pl.when(pl.col("exporter_fob_usd") > 0).then(
            pl.col("exporter_previous_month_fob_usd") / pl.col("exporter_fob_usd")
        ),
        distance="distance_km",
        contiguous=pl.col("is_contiguous").fill_null(False),
    )
    ratio, distance = (facts[n].cast(pl.Float64).fill_null(np.nan).to_numpy() for n in ("ratio", "distance"))
    contiguous = facts["contiguous"].to_numpy()
    band, known = bands(distance, contiguous), ~np.isnan(ratio)
    lag = lag_of(by_distance["lag_share_ratio"].to_numpy(), distance, contiguous)
    share = share_of(lag, ratio)
    group = groups(share, band, known)
    sd = np.concatenate([by_share["sd_log"].to_numpy(), by_distance["sd_log"].to_numpy()])[group]
    shift = np.where(known, shift_of(lag, ratio), by_distance["shift_log"].to_numpy()[band])
    return rows.with_columns(
        arrival_shift_log=pl.Series(shift), arrival_sd_log=pl.Series(sd), _share_moved=pl.Series(share)
    )


def no_lags() -> pl.DataFrame:
    """The table of lags before anything was fitted."""
    return conform(pl.DataFrame(schema=dict(ARRIVAL_LAGS)), ARRIVAL_LAGS, ("group_number",))
