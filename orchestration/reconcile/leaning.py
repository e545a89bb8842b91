"""What the months of a reporter say of its years: variances of one fit drawn to those of another.

Belongs here: how near both are, and how strongly the one is drawn to the other. Does not belong here: the fit
(`variance_fit`), which windows lean on which (`reliability`).

A reporter that declares carelessly by the month hardly turns careful by the year, and months hold many more pairs. So
ln s2 of its years is taken to be ln s2 of its months, plus a shift that all reporters share (the errors of twelve
months partly cancel in a year), plus a scatter. Shift and scatter are estimated from the reporters that are well
measured in both: the method of moments of DerSimonian and Laird (1986), as in any empirical Bayes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.reconcile.effects_design import Array, Mask

# Fewer reporters than this say nothing certain of the scatter: then a spread of sigmas by about a quarter is assumed.
FEWEST_REPORTERS = 10
TYPICAL_SCATTER = 0.25
# Where the data show less scatter than this it is held against them: a year that was rolled up is its months, and must
# not count as new evidence without end. A reporter leans on its months as if by forty pairs at most.
LEAST_SCATTER = 0.05


@dataclass(frozen=True)
class OtherFit:
    """What another fit found of the same reporters, in their order; NaN where it has none of a reporter.

    ln_variance: logarithm of the variance; error_variance: its squared standard error; is_measured: its own pairs
    decide it.
    """

    ln_variance: Array
    error_variance: Array
    is_measured: Mask

    def known(self) -> Mask:
        """Reporters that the other fit has."""
        mask: Mask = np.isfinite(self.ln_variance) & np.isfinite(self.error_variance)
        return mask


def drawn_to(other: OtherFit, ln_variance: Array, error_variance: Array, is_measured: Mask) -> tuple[Array, Array]:
    """Where each variance is drawn to (logarithm), and by how many pairs.

    Args: the other fit; the logarithms of the variances found from a reporter's own pairs, their error variances, and
    whether these pairs decide them. Returns NaN and 0 for a reporter that the other fit does not have. A pull of n
    pairs has the curvature n / 2 in the logarithm: that of a normal prior of variance 2 / n.
    """
    known = other.known()
    apart = ln_variance - other.ln_variance
    noise = error_variance + other.error_variance
    sure = known & is_measured & other.is_measured
    scatter = (
        scatter_between(apart[sure], noise[sure]) if np.count_nonzero(sure) >= FEWEST_REPORTERS else TYPICAL_SCATTER
    )
    judged = sure if sure.any() else known
    shift = float(np.average(apart[judged], weights=1.0 / (noise[judged] + scatter))) if judged.any() else 0.0
    centre = np.where(known, other.ln_variance + shift, np.nan)
    pairs = np.where(known, 2.0 / (np.where(known, other.error_variance, 1.0) + scatter), 0.0)
    return centre, pairs


def scatter_between(apart: Array, noise: Array) -> float:
    """Variance of differences between two fits (logarithms) beyond their error variances; at least LEAST_SCATTER."""
    weight = 1.0 / noise
    spread = float(np.sum(weight * (apart - np.average(apart, weights=weight)) ** 2))
    units = float(np.sum(weight) - np.sum(weight**2) / np.sum(weight))
    return max((spread - (apart.size - 1)) / units, LEAST_SCATTER)
