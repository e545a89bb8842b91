"""The robust regression beside a library's: the same loss must have the same minimum.

Belongs here: the method on small designs. Does not belong here: what the margin model puts in
(test_reconcile_margin_model).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from orchestration.reconcile.effects_design import Array, Design, Index
from orchestration.reconcile.robust_regression import HUBER_TUNING, HuberFit, clustered_covariance, fit_huber

TRUE_BETA = np.array([0.3, -0.1, 0.05])
ROW_COUNT = 400
FREE = np.zeros(3)


def _sample() -> tuple[Array, Array]:
    """A constant and two regressors; every tenth target is far too high."""
    random = np.random.default_rng(7)
    values = np.column_stack([np.ones(ROW_COUNT), random.normal(size=(ROW_COUNT, 2))])
    target = values @ TRUE_BETA + random.normal(scale=0.1, size=ROW_COUNT)
    target[::10] += 5.0
    return values, target


def _fit(values: Array, target: Array, prior_weight: Array, kind: Index) -> HuberFit:
    return fit_huber(Design(values, (), ()), target, prior_weight, kind, FREE)


def _one_kind(count: int) -> Index:
    return np.zeros(count, dtype=np.int64)


def _library(values: Array, target: Array, scale: Array) -> Array:
    """The least Huber loss as SciPy finds it; `scale` per row is given."""
    found = least_squares(
        lambda beta: (values @ beta - target) / scale,
        np.zeros(values.shape[1]),
        loss="huber",
        f_scale=HUBER_TUNING,
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
    )
    return np.asarray(found.x)


def test_coefficients_are_those_of_a_library_when_one_row_in_ten_is_far_off() -> None:
    values, target = _sample()
    fit = _fit(values, target, np.ones(ROW_COUNT), _one_kind(ROW_COUNT))
    assert fit.beta == pytest.approx(_library(values, target, np.full(ROW_COUNT, fit.scale[0])), abs=1e-6)
    assert np.abs(fit.beta - TRUE_BETA).max() < 0.03
    plain = np.linalg.lstsq(values, target, rcond=None)[0]
    assert np.abs(plain - TRUE_BETA).max() > 0.3


def test_a_prior_weight_of_two_is_a_row_twice_when_the_library_has_no_weights() -> None:
    values, target = _sample()
    twice = np.arange(ROW_COUNT) < ROW_COUNT // 2
    fit = _fit(values, target, 1.0 + twice, _one_kind(ROW_COUNT))
    repeated = np.concatenate([values, values[twice]]), np.concatenate([target, target[twice]])
    expected = _library(*repeated, np.full(repeated[1].size, fit.scale[0]))
    assert fit.beta == pytest.approx(expected, abs=1e-6)
    assert fit.beta != pytest.approx(_fit(values, target, np.ones(ROW_COUNT), _one_kind(ROW_COUNT)).beta, abs=1e-6)


def test_each_kind_of_row_has_a_scale_of_its_own_when_one_kind_is_noisier() -> None:
    values, target = _sample()
    random = np.random.default_rng(8)
    kind = (np.arange(ROW_COUNT) % 2).astype(np.int64)
    target = target + np.where(kind == 1, random.normal(scale=1.0, size=ROW_COUNT), 0.0)
    fit = _fit(values, target, np.ones(ROW_COUNT), kind)
    assert fit.scale[1] > 5.0 * fit.scale[0]
    # A library takes no weights, and an own scale is a weight beside the loss: rows of the noisier kind count less.
    gradient = values.T @ (fit.weight * (target - values @ fit.beta))
    assert np.abs(gradient).max() < 1e-3 * np.abs(values.T @ (fit.weight * target)).max()


def test_errors_are_wider_when_rows_of_a_cluster_err_together() -> None:
    values, target = _sample()
    cluster = np.repeat(np.arange(ROW_COUNT // 8), 8)
    shared = np.random.default_rng(9).normal(scale=0.3, size=ROW_COUNT // 8)[cluster]
    fit = _fit(values, target + shared, np.ones(ROW_COUNT), _one_kind(ROW_COUNT))
    design = Design(values, (), ())
    together = clustered_covariance(design, target + shared, fit, cluster)
    apart = clustered_covariance(design, target + shared, fit, np.arange(ROW_COUNT))
    assert together[0, 0] > 2.0 * apart[0, 0]


@pytest.mark.parametrize("useless", [np.zeros(ROW_COUNT), np.ones(ROW_COUNT), np.ones(ROW_COUNT) + 1e-9])
def test_a_column_that_says_nothing_of_its_own_changes_no_fitted_value(useless: Array) -> None:
    values, target = _sample()
    with_it = np.column_stack([values, useless])
    weight, kind = np.ones(ROW_COUNT), _one_kind(ROW_COUNT)
    fit = fit_huber(Design(with_it, (), ()), target, weight, kind, np.zeros(4))
    assert with_it @ fit.beta == pytest.approx(values @ _fit(values, target, weight, kind).beta, abs=1e-4)
    assert np.abs(fit.beta).max() < 1.0


def test_the_fit_ends_where_it_ends_whatever_weights_it_begins_with() -> None:
    values, target = _sample()
    plain, kind = np.ones(ROW_COUNT), _one_kind(ROW_COUNT)
    first = _fit(values, target, plain, kind)
    begun = fit_huber(Design(values, (), ()), target, plain, kind, FREE, np.linspace(0.1, 9.0, ROW_COUNT))
    assert begun.beta == pytest.approx(first.beta, abs=1e-5)
