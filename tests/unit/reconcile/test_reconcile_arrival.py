"""Timing of arrival: lags are found where they are, not where exporters are noisy, and move the importer's report."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.arrival import BANDS, NEIGHBOURS, NO_DISTANCE, Arrivals, exporter_scale, share_of, shift_of
from orchestration.reconcile.arrival_frames import BY_DISTANCE, BY_SHARE, no_lags, with_arrival
from orchestration.reconcile.schema import ARRIVAL_LAGS, RELIABILITY_TRAINING, VALUED

ROWS, PLACES = 24_000, 12
FAR_KM, NEAR_KM = 12_000.0, 1_500.0


def _training(lag: float, sigma_x: float = 0.1, known: bool = True, seed: int = 5) -> pl.DataFrame:
    """Months of places that trade near (no lag) and far (the planted lag), true movements scattering by half."""
    random = np.random.default_rng(seed)
    i, j = random.integers(0, PLACES, (2, ROWS))
    far = random.uniform(size=ROWS) < 0.5
    now, before = np.exp(random.normal(0.0, 0.5, (2, ROWS)))
    lasting = random.normal(0.0, 0.3**0.5, ROWS)
    error, error_before = sigma_x * (lasting + random.normal(0.0, 0.7**0.5, (2, ROWS)))
    arriving = now + lag * far * (before - now)
    gap = np.log(now) + error - np.log(arriving) - random.normal(0.0, 0.1, ROWS)
    ratio = before * np.exp(error_before) / (now * np.exp(error))
    return pl.DataFrame(
        {
            "frequency": "M",
            "year": 2021,
            "exporter_code": [f"1{n:02d}" for n in i],
            "exporter_iso3": [f"X{n:02d}" for n in i],
            "importer_code": [f"2{n:02d}" for n in j],
            "importer_iso3": [f"M{n:02d}" for n in j],
            "chapter_code": "44",
            "gap_log_ratio": gap,
            "extra_variance": 0.0,
            "previous_month_ratio": ratio if known else [None] * ROWS,
            "distance_km": np.where(far, FAR_KM, NEAR_KM),
            "is_contiguous": False,
        },
        schema=dict(RELIABILITY_TRAINING),
    )


def _lags(model: reconcile.ReliabilityModel, distance_km: float) -> float:
    row = model.arrival_lags.filter(
        (pl.col("grouping") == BY_DISTANCE)
        & (pl.col("lower_bound") <= distance_km)
        & (pl.col("upper_bound") > distance_km)
    )
    return float(row["lag_share_ratio"].item())


@pytest.mark.parametrize("lag", [0.2, 0.5])
def test_a_planted_lag_is_found_at_its_distance_and_nowhere_else(lag: float) -> None:
    model = reconcile.fit_reliability(_training(lag))
    assert _lags(model, FAR_KM) == pytest.approx(lag, abs=0.03)
    assert _lags(model, NEAR_KM) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("sigma_x", [0.1, 0.3])
def test_noise_of_exporters_is_not_read_as_lag_when_nothing_is_late(sigma_x: float) -> None:
    assert _lags(reconcile.fit_reliability(_training(0.0, sigma_x)), FAR_KM) < 0.1


def test_importers_do_not_look_unreliable_when_goods_are_late() -> None:
    moved = reconcile.fit_reliability(_training(0.5)).reliability
    unmoved = reconcile.fit_reliability(_training(0.5, known=False).with_columns(is_contiguous=True)).reliability
    sigma = [t.filter(pl.col("role") == "importer")["sigma_log"].median() for t in (moved, unmoved)]
    assert sigma[0] == pytest.approx(0.1, abs=0.02)
    assert float(sigma[1] or 0) > 0.15


def test_distance_carries_the_variance_when_last_month_is_not_known() -> None:
    lags = reconcile.fit_reliability(_training(0.5, known=False)).arrival_lags
    far = lags.filter((pl.col("grouping") == BY_DISTANCE) & (pl.col("lower_bound") == 11_000.0)).row(0, named=True)
    assert far["sd_log"] > 0.1
    assert (far["lag_share_ratio"], far["shift_log"]) == (0.0, 0.0)


def test_a_report_moves_by_what_its_exporter_declared_last_month() -> None:
    # Half is late: nothing last month halves what arrives, three times as much doubles it.
    lag, ratio = np.array([0.5, 0.5, 0.5, 0.0]), np.array([0.0, 3.0, np.nan, 9.0])
    assert np.exp(shift_of(lag, ratio)).tolist() == pytest.approx([0.5, 2.0, 1.0, 1.0])
    assert share_of(lag, ratio).tolist() == pytest.approx([0.0, 0.75, 0.0, 0.0])


def test_an_error_in_both_months_counts_less_when_half_is_late() -> None:
    # By hand: all of the lasting 0.3, and of the passing 0.7 a quarter in each month.
    assert exporter_scale(np.array([0.0, 0.5])).tolist() == pytest.approx([1.0, 0.3 + 0.7 * 0.5])


def test_bands_tell_neighbours_from_places_without_distance() -> None:
    arrivals = Arrivals(np.full(3, np.nan), np.array([500.0, np.nan, 20_000.0]), np.array([True, False, False]))
    assert arrivals.band.tolist() == [NEIGHBOURS, NO_DISTANCE, NO_DISTANCE - 1]
    assert BANDS == NO_DISTANCE + 1


def _valued(*rows: tuple[str, str, float | None]) -> pl.DataFrame:
    """Pairs of March: exporter, product, exporter's value."""
    return pl.DataFrame(
        [
            dict.fromkeys(VALUED)
            | {"exporter_code": e, "importer_code": "616", "product_code": p}
            | {"exporter_value_usd": v, "exporter_fob_usd": v}
            for e, p, v in rows
        ],
        schema=dict(VALUED),
    )


def test_last_month_is_zero_when_the_exporter_filed_without_the_cell_and_unknown_when_it_did_not_file() -> None:
    march = _valued(("276", "440710", 4.0), ("276", "440720", 4.0), ("156", "440710", 4.0))
    february = _valued(("276", "440710", 7.0), ("156", "440710", None))
    found = reconcile.with_previous_month(march, february)["exporter_previous_month_fob_usd"].to_list()
    assert found == [7.0, 0.0, None]
    assert reconcile.with_previous_month(march, None)["exporter_previous_month_fob_usd"].to_list() == [None] * 3


def test_nothing_moves_when_no_window_was_fitted() -> None:
    rows = with_arrival(_valued(("276", "440710", 4.0)), no_lags())
    assert rows.select("arrival_shift_log", "arrival_sd_log").row(0) == (0.0, 0.0)


def test_the_moved_report_meets_the_other_when_all_of_the_gap_is_timing() -> None:
    lags = reconcile.fit_reliability(_training(0.5)).arrival_lags
    rows = _valued(("100", "440710", 100.0)).with_columns(
        frequency=pl.lit("M"), exporter_previous_month_fob_usd=pl.lit(0.0), distance_km=pl.lit(FAR_KM),
    )  # fmt: skip
    moved = with_arrival(rows, lags).row(0, named=True)
    assert moved["arrival_shift_log"] == pytest.approx(math.log(0.5), abs=0.06)
    assert moved["arrival_sd_log"] == 0.0


def test_the_table_of_lags_has_its_schema_and_both_measures() -> None:
    lags = reconcile.fit_reliability(_training(0.2)).arrival_lags
    assert dict(lags.schema) == dict(ARRIVAL_LAGS)
    assert set(lags["grouping"]) == {BY_DISTANCE, BY_SHARE}
    assert lags.filter(pl.col("grouping") == BY_SHARE)["pair_count"].sum() == ROWS
