"""Random numbers that are a function of their name, not of the order in which they are asked for.

Belongs here: the counter-based generator (seed, stream, period, key) -> number, its distributions, and the list
of streams. Does not belong here: what the numbers are used for.

Every planted effect has a stream of its own and every cell a key of its own. So any period can be made alone, a
chunk equals the same rows of the whole, and switching one effect on or off leaves the numbers of all others as
they were. The mixer is splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1
_TO_UNIT = 2.0**-53


class Stream(IntEnum):
    """One stream per use; numbers are never reused, so that adding a stream changes nothing else."""

    PLACE_MASS = 1
    PLACE_ORDER = 2
    PRODUCT_ORDER = 3
    PRODUCT_SIZE = 4
    UNIT_VALUE = 5
    PIECE_WEIGHT = 6
    ADVANTAGE_CHAPTER = 7
    ADVANTAGE_PRODUCT = 8
    CELL_PARTNER = 10
    CELL_PRODUCT = 11
    CELL_VALUE = 12
    CELL_GROWTH = 13
    CELL_UNIT_VALUE = 14
    CELL_REGULARITY = 15
    STORY_CELLS = 16
    YEAR_SHOCK = 20
    MONTH_NOISE = 21
    MONTH_ACTIVE = 22
    SEASON = 23
    CIF_NOISE = 24
    SIGMA_EXPORTER = 30
    SIGMA_IMPORTER = 31
    ONE_ROLE = 32
    BIAS_EXPORTER = 33
    BIAS_IMPORTER = 34
    ERROR_EXPORTER = 35
    ERROR_IMPORTER = 36
    LASTING_EXPORTER = 37
    LASTING_IMPORTER = 38
    WEIGHT_EXPORTER = 39
    WEIGHT_IMPORTER = 40
    GROSS_EXPORTER = 41
    GROSS_IMPORTER = 42
    THRESHOLD = 43
    CONFIDENTIAL_REPORTER = 44
    CONFIDENTIAL_PRODUCT = 45
    CONFIDENTIAL_MODE = 46
    NES_REPORTER = 47
    NES_EXPORTER = 48
    NES_IMPORTER = 49
    NES_CODE = 50
    EDITION = 51
    HUB_SHARE = 52
    HUB_STYLE = 53
    ORIGIN_REPORTER = 54
    ORIGIN_CELL = 55
    NEVER_REPORTS = 60
    ANNUAL_ONLY = 61
    YEAR_GAP = 62
    MONTH_GAP = 63
    LATE = 64
    PARTIAL_YEAR = 65
    ROLLED_UP_YEAR = 66
    BREAKDOWN_REPORTER = 70
    BREAKDOWN_SHARE = 71
    LEVEL_STYLE = 72
    UNSD_BUILT = 73
    QUANTITY_STYLE = 74
    QUANTITY_ESTIMATED = 75
    QUANTITY_MISSING = 76
    BOTH_VALUES = 77
    ABSENT_AS_ZERO = 78
    SELF_TRADE = 79
    PADDED_CODE = 80
    RE_IMPORT = 81
    CASE_ROUTE = 90
    CASE_VALUE = 91
    CASE_MONTH = 92
    CASE_PRICE = 93
    BOOM_PLACE = 94


def _mix_int(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)


def _mix(values: Keys) -> Keys:
    mixed = values + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX_1)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX_2)
    return mixed ^ (mixed >> np.uint64(31))


def keys_of(*codes: npt.ArrayLike) -> Keys:
    """One 64-bit key per row from up to several non-negative integer columns (broadcast against each other)."""
    total: Keys = np.zeros(1, dtype=np.uint64)
    for code in codes:
        total = _mix(total ^ np.asarray(code, dtype=np.int64).astype(np.uint64))
    return total


class Draws:
    """The random numbers of one world; holds the seed and nothing that changes."""

    def __init__(self, seed: int) -> None:
        self._seed = _mix_int(seed)

    def _hash(self, stream: Stream, period: int, keys: Keys) -> Keys:
        base = _mix_int(_mix_int(self._seed ^ int(stream)) ^ period)
        return _mix(keys ^ np.uint64(base))

    def uniform(self, stream: Stream, keys: Keys, period: int = 0) -> Floats:
        """Uniform numbers in the open interval (0, 1), one per key."""
        return _unit(self._hash(stream, period, keys))

    def normal(self, stream: Stream, keys: Keys, period: int = 0) -> Floats:
        """Standard normal numbers (Box and Muller 1958), one per key."""
        first = self._hash(stream, period, keys)
        radius = np.sqrt(-2.0 * np.log(_unit(first)))
        angle: Floats = np.cos(2.0 * np.pi * _unit(_mix(first)))
        return radius * angle

    def lognormal(self, stream: Stream, keys: Keys, sd_log: float, period: int = 0) -> Floats:
        """Lognormal numbers with median 1."""
        numbers: Floats = np.exp(sd_log * self.normal(stream, keys, period))
        return numbers

    def below(self, stream: Stream, keys: Keys, probability: npt.ArrayLike, period: int = 0) -> Flags:
        """True with the given probability (a number or one per key)."""
        flags: Flags = self.uniform(stream, keys, period) < np.asarray(probability)
        return flags

    def order(self, stream: Stream, keys: Keys, period: int = 0) -> Ints:
        """A permutation of 0..n-1; keys must be distinct."""
        return np.argsort(self._hash(stream, period, keys), kind="stable").astype(np.int64)


def _unit(hashed: Keys) -> Floats:
    numbers: Floats = ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) * _TO_UNIT
    return numbers
