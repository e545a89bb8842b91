"""Reporting distances: how far each reporter lies from its partners, after Gaulier and Zignago.

Belongs here: the decomposition behind the `baci` estimator. Does not belong here: the variances of the default
estimator (`variance_fit`).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import solve

from orchestration.reconcile.effects_design import Array, Design, Index, in_one_thread

LEAST_DISTANCE_LOG = 0.01
RIDGE = 1e-3


def reporting_distances(i: Index, j: Index, g: Index, size: Array, count: Index) -> tuple[Array, Array]:
    """Distance of every exporter and of every importer (logarithm), at least LEAST_DISTANCE_LOG.

    Args: exporter, importer and chapter numbers of cells, with the sum of |ln(X / M_fob)| of their two-sided pairs and
    the number of these. Least squares on effects of exporter, importer and chapter; half the mean level goes to each
    role. Source: Gaulier and Zignago (2010), section 2.4 (there also weighted and by year).
    """
    sizes = (int(i.max()) + 1, int(j.max()) + 1, int(g.max()) + 1)
    design = Design(np.empty((size.size, 0)), (i, j, g), sizes)
    weight = count.astype(np.float64)
    level = math.fsum(size) / math.fsum(weight)
    gram = design.gram(weight) + RIDGE * np.eye(design.width)
    with in_one_thread():
        effects = solve(gram, design.cross(size - level * weight), assume_a="pos", check_finite=False)
    exporter, importer, _ = np.split(effects, np.cumsum(sizes)[:2])
    return _pinned(exporter, level), _pinned(importer, level)


def _pinned(effect: Array, level: float) -> Array:
    distance: Array = np.maximum(effect - np.mean(effect) + level / 2, LEAST_DISTANCE_LOG)
    return distance
