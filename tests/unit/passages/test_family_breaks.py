"""A break is found where it was put, with the sureness that series without a break allow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from orchestration.passages.breaks import FALL, RISE, SHORTEST_SIDE, f_scores, simulated_scores, strongest


def noise(rows: int, months: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, months))


def test_f_is_that_of_an_analysis_of_variance_when_a_series_is_cut_in_two() -> None:
    series = noise(3, 24)
    series[1, [2, 7]] = np.nan
    f, shift = f_scores(series)
    for row in range(3):
        for place in (6, 12, 18):
            left, right = series[row, :place], series[row, place:]
            left, right = left[~np.isnan(left)], right[~np.isnan(right)]
            assert f[row, place - 1] == pytest.approx(f_oneway(left, right).statistic)
            assert shift[row, place - 1] == pytest.approx(right.mean() - left.mean())


@pytest.mark.parametrize(("direction", "step"), [(RISE, 5.0), (FALL, -5.0)])
def test_a_planted_break_is_found_in_its_month_and_direction(direction: str, step: float) -> None:
    series = noise(40, 48)
    series[:, 17:] += step
    f, at, shift, _ = strongest(series, direction)
    assert np.all(np.abs(at - 17) <= 1)
    assert np.all(np.sign(shift) == np.sign(step))
    other, _, _, _ = strongest(series, FALL if direction == RISE else RISE)
    assert np.median(f) > 20 * np.median(other)


def test_a_route_that_closes_again_still_shows_its_rise() -> None:
    series = noise(20, 48)
    series[:, 16:30] += 4.0
    f, at, _, end = strongest(series, RISE)
    assert np.median(np.abs(at - 16)) <= 1
    assert np.median(end) == pytest.approx(30, abs=2)
    assert np.all(f > np.quantile(simulated_scores(48), 0.99))


def test_no_place_is_asked_near_an_end() -> None:
    f, _ = f_scores(noise(1, 20))
    assert np.isnan(f[0, : SHORTEST_SIDE - 1]).all()
    assert np.isnan(f[0, -(SHORTEST_SIDE - 1) :]).all()
    assert not np.isnan(f[0, SHORTEST_SIDE - 1])


def test_simulated_scores_hold_their_level_on_series_without_a_break() -> None:
    null = simulated_scores(36)
    fresh = strongest(noise(4_000, 36, seed=99), RISE)[0]
    share = np.mean(fresh > np.quantile(null, 0.95))
    assert share == pytest.approx(0.05, abs=0.015)


def test_a_flat_series_has_a_finite_score() -> None:
    series = np.zeros((1, 30))
    series[0, 15:] = 3.0
    f, at, shift, _ = strongest(series, RISE)
    assert np.isfinite(f[0])
    assert (at[0], shift[0]) == (15, 3.0)
