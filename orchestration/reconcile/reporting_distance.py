"""Reporting distances: how far each reporter lies from its partners, after Gaulier and Zignago.

Belongs here: the decomposition behind the `baci` estimator. Does not belong here: the variances of the default
estimator (`variance_fit`).
"""

from __future__ import annotations

import numpy as np

from orchestration.reconcile.effects_design import Array, Design, Index, in_one_thread

LEAST_DISTANCE_LOG = 0.01
RIDGE = 1e-3


def reporting_distances(i: Index, j: Index, g: Index, gap: Array) -> tuple[Array, Array]:
    """Distance of every exporter and of every importer (logarithm), at least LEAST_DISTANCE_LOG.

    |ln(X / M_fob)| of two-sided pairs by least squares on effects of exporter, importer and chapter; half the mean
    level goes to each role. Source: Gaulier and Zignago (2010), section 2.4 (there also weighted and by year).
    """
    size = np.abs(gap)
    sizes = (int(i.max()) + 1, int(j.max()) + 1, int(g.max()) + 1)
    design = Design(np.empty((gap.size, 0)), (i, j, g), sizes)
    level = float(np.mean(size))
    gram = design.gram(np.ones(gap.size)) + RIDGE * np.eye(design.width)
    with in_one_thread():
        effects = np.linalg.solve(gram, design.cross(size - level))
    exporter, importer, _ = np.split(effects, np.cumsum(sizes)[:2])
    return _pinned(exporter, level), _pinned(importer, level)


def _pinned(effect: Array, level: float) -> Array:
    distance: Array = np.maximum(effect - np.mean(effect) + level / 2, LEAST_DISTANCE_LOG)
    return distance
