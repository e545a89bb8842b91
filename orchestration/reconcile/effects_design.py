"""A regression design of a few numbers and sets of effects, in memory that does not grow with the number of effects.

Belongs here: products with the design matrix that are never written out. Does not belong here: weights, or what the
columns mean. A hundred effects over a million rows would be a dense matrix of a gigabyte; sums by level are enough.
Sums over rows go through `einsum`, one thread: a matrix product splits them by the number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NO_LEVEL = -1


_entrants, _limits, _lock = 0, ExitStack(), Lock()


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Small solves in one thread: the same on any number of cores, and no threads that wait for each other.

    The limit holds for the process. Several fits may be in here at once: the first sets it, the last lifts it.
    """
    global _entrants
    with _lock:
        if _entrants == 0:
            _limits.enter_context(threadpool_limits(limits=1, user_api="blas"))
        _entrants += 1
    try:
        yield
    finally:
        with _lock:
            _entrants -= 1
            if _entrants == 0:
                _limits.close()


@dataclass(frozen=True)
class Design:
    """Numbers (rows x k) and one column of level numbers per set of effects; NO_LEVEL takes no effect of that set.

    Sums run down the columns: numbers that stand column after column (Fortran order) are added up in half the time.
    """

    numbers: Array
    levels: tuple[Index, ...]
    sizes: tuple[int, ...]

    @property
    def width(self) -> int:
        """Number of coefficients: numbers first, then the effects of each set."""
        return int(self.numbers.shape[1] + sum(self.sizes))

    @cached_property
    def _columns(self) -> list[Index]:
        """Column of each row's effect, set by set; the column one past the end is a dummy without meaning."""
        starts = self.numbers.shape[1] + np.concatenate([[0], np.cumsum(self.sizes)])
        return [
            np.where(level == NO_LEVEL, self.width, start + level).astype(np.int64)
            for level, start in zip(self.levels, starts, strict=False)
        ]

    @cached_property
    def _starts(self) -> list[int]:
        """First column of each set of effects."""
        return [self.numbers.shape[1] + sum(self.sizes[:number]) for number in range(len(self.sizes))]

    @cached_property
    def _meetings(self) -> list[list[Index]]:
        """Cell of each row in the table of two sets of effects (one line and column more: no level), for every set and
        those before it.
        """
        own = [np.where(level == NO_LEVEL, size, level) for level, size in zip(self.levels, self.sizes, strict=True)]
        return [
            [one * (size + 1) + other for other, size in zip(own[:number], self.sizes, strict=False)]
            for number, one in enumerate(own)
        ]

    def take(self, keep: Mask) -> Design:
        """The same design on some of its rows."""
        return Design(np.asfortranarray(self.numbers[keep]), tuple(level[keep] for level in self.levels), self.sizes)

    def apply(self, beta: Array) -> Array:
        """Fitted value of every row."""
        padded = np.append(beta, 0.0)
        fitted: Array = np.einsum("ij,j->i", self.numbers, beta[: self.numbers.shape[1]])
        for column in self._columns:
            fitted = fitted + padded[column]
        return fitted

    def cross(self, values: Array) -> Array:
        """X' v."""
        total = np.zeros(self.width + 1)
        total[: self.numbers.shape[1]] = np.einsum("ij,i->j", self.numbers, values)
        for column in self._columns:
            total += np.bincount(column, values, self.width + 1)
        return total[:-1]

    def gram(self, weight: Array) -> Array:
        """X' W X."""
        k, wide = self.numbers.shape[1], self.width + 1
        total = np.zeros((wide, wide))
        total[:k, :k] = np.einsum("ij,ik->jk", self.numbers * weight[:, None], self.numbers)
        columns = self._columns
        for column in columns:
            block = np.array([np.bincount(column, weight * number, wide) for number in self.numbers.T]).reshape(k, wide)
            total[:k, :] += block
            total[:, :k] += block.T
        for number, (one, start) in enumerate(zip(columns, self._starts, strict=True)):
            total[np.arange(wide), np.arange(wide)] += np.bincount(one, weight, wide)
            rows = slice(start, start + self.sizes[number])
            for other, met in enumerate(self._meetings[number]):
                shape = (self.sizes[number] + 1, self.sizes[other] + 1)
                block = np.bincount(met, weight, shape[0] * shape[1]).reshape(shape)[:-1, :-1]
                across = slice(self._starts[other], self._starts[other] + self.sizes[other])
                total[rows, across] += block
                total[across, rows] += block.T
        return total[:-1, :-1]

    def quadratic(self, matrix: Array) -> Array:
        """x' A x of every row, for a symmetric matrix of the coefficients."""
        k = self.numbers.shape[1]
        padded = np.zeros((self.width + 1, self.width + 1))
        padded[:-1, :-1] = matrix
        columns = self._columns
        value: Array = np.einsum("ij,jk,ik->i", self.numbers, padded[:k, :k], self.numbers, optimize=True)
        for column in columns:
            value = value + 2.0 * np.einsum("ij,ij->i", self.numbers, padded[column, :k])
        for one in columns:
            for other in columns:
                value = value + padded[one, other]
        return value

    def cluster_scores(self, values: Array, cluster: Index) -> Array:
        """Sum of x v within each cluster (clusters x coefficients)."""
        count, wide = int(cluster.max()) + 1 if cluster.size else 0, self.width + 1
        total = np.zeros((count, wide))
        for position, number in enumerate(self.numbers.T):
            total[:, position] = np.bincount(cluster, number * values, count)
        for column in self._columns:
            total += np.bincount(cluster * wide + column, values, count * wide).reshape(count, wide)
        return total[:, :-1]
