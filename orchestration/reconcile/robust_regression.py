"""Robust linear regression: Huber weights, Cook's distance, errors by cluster.

Belongs here: the method, on any `Design`. Does not belong here: what the columns mean or which rows may enter.

Own code of a few lines because the prior weights (quantity agreement) must multiply the robust ones and each kind of
row needs a scale of its own, which the common libraries do not offer. The method is textbook: Huber (1964),
iteratively reweighted least squares; Cook (1977); sandwich errors by cluster (Liang and Zeger 1986).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from orchestration.reconcile.effects_design import Array, Design, Index

HUBER_TUNING = 1.345
NORMAL_MEDIAN_ABSOLUTE = 0.6745
SCALE_FLOOR_LOG = 0.005
ITERATIONS = 50
# A coefficient whose variance the others blow up by more than this cannot be told from them.
MOST_INFLATION = 1e8
TOLERANCE = 1e-6


@dataclass(frozen=True)
class HuberFit:
    """Coefficients, the inverse of the weighted normal equations, weights of the rows, scale of each kind of row."""

    beta: Array
    inverse: Array
    weight: Array
    scale: Array


def fit_huber(
    design: Design, target: Array, prior_weight: Array, kind: Index, ridge: Array, start: Array | None = None
) -> HuberFit:
    """Huber regression whose kinds of rows have scales of their own.

    Args: prior_weight multiplies the robust weight; kind numbers the kinds of rows from 0; ridge is added to the
    diagonal of the normal equations (inverse prior variance of each coefficient, 0 for a free one); start are weights
    of the rows to begin with, those of another fit of most of these rows.
    """
    count = int(kind.max()) + 1
    beta: Array = np.zeros(design.width)
    scale: Array = np.ones(count)
    weight: Array = (prior_weight if start is None else start).copy()
    inverse: Array = np.zeros((design.width, design.width))
    for _ in range(ITERATIONS):
        inverse = _inverse(design, weight, ridge)
        new: Array = inverse @ design.cross(weight * target)
        residual = target - design.apply(new)
        scale = np.array([_scale(residual[kind == number]) for number in range(count)], dtype=np.float64)
        own = scale[kind]
        weight = prior_weight / own**2 * np.minimum(1.0, HUBER_TUNING * own / np.maximum(np.abs(residual), 1e-12))
        moved = float(np.max(np.abs(new - beta)))
        beta = new
        if moved < TOLERANCE:
            break
    return HuberFit(beta, inverse, weight, scale)


def _inverse(design: Design, weight: Array, ridge: Array) -> Array:
    normal = design.gram(weight) + np.diag(ridge)
    try:
        inverse: Array = cho_solve(cho_factor(normal, check_finite=False), np.eye(design.width))
    except LinAlgError:
        return _least_inverse(normal)
    spread = np.diagonal(inverse) * np.diagonal(normal)
    if np.isfinite(inverse).all() and np.max(spread) < MOST_INFLATION:
        return inverse
    return _least_inverse(normal)


def _least_inverse(normal: Array) -> Array:
    """Inverse without the directions that the rows say nothing of: the solution is the least, each column in units of
    its own size. A column without any spread (no landlocked place, say) takes 0.
    """
    size = np.sqrt(np.diagonal(normal))
    size = np.outer(size, size) + (np.outer(size, size) == 0)
    inverse: Array = np.linalg.pinv(normal / size, rcond=1.0 / MOST_INFLATION, hermitian=True) / size
    return inverse


def _scale(residual: Array) -> float:
    """Normal-consistent median absolute residual."""
    if not residual.size:
        return 1.0
    return max(float(np.median(np.abs(residual))) / NORMAL_MEDIAN_ABSOLUTE, SCALE_FLOOR_LOG)


def cooks_distance(
    design: Design, target: Array, fit: HuberFit, prior_weight: Array, kind: Index, ridge: Array
) -> Array:
    """Cook's distance of every row: how far the coefficients would move without it, had it its whole prior weight.

    Residuals and scale are those of the robust fit, so that outliers do not hide each other; weights are those before
    the fit turned the outliers down, or none would stand out.
    """
    weight = prior_weight / fit.scale[kind] ** 2
    inverse = _inverse(design, weight, ridge)
    leverage = np.clip(weight * design.quadratic(inverse), 0.0, 0.999)
    squared = weight * (target - design.apply(fit.beta)) ** 2
    distance: Array = squared / design.width * leverage / (1.0 - leverage) ** 2
    return distance


def clustered_covariance(design: Design, target: Array, fit: HuberFit, cluster: Index) -> Array:
    """Covariance of the coefficients when rows of one cluster err together.

    Scores are those of the robust fit: weight times residual, already bounded by the Huber weight.
    """
    residual = target - design.apply(fit.beta)
    scores = design.cluster_scores(fit.weight * residual, cluster)
    # Squared after the product with the inverse: a variance then cannot come out negative by rounding.
    moves = scores @ fit.inverse
    count = max(scores.shape[0], 2)
    covariance: Array = moves.T @ moves * (count / (count - 1))
    return covariance
