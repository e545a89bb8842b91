"""What the stand-in holds: declared rows, one data set per reporter, period and classification, with its versions.

Belongs here: cutting rows into data sets, their checksum and release dates, finding and revising them. Does not
belong here: queries within a data set (`query`) and how an answer is written (`answers`).

Nothing reads a clock: a data set is released so many days after its period as its reporter's code says, and each
revision comes thirty days after the version before.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from orchestration.comtrade.contract.schema import API_COLUMNS

# Texts repeat a great deal and whole numbers are small: an eighth of the memory that plain columns would take.
STORED = {
    name: pl.Categorical() if dtype == pl.String() else pl.Int32() if dtype == pl.Int64() else dtype
    for name, dtype in API_COLUMNS.items()
}
VALUE_COLUMNS = ("cifvalue", "fobvalue", "primaryValue")
DAYS_BETWEEN_VERSIONS = 30
_KEY_COLUMNS = ("typeCode", "freqCode", "period", "reporterCode", "classificationCode")
_CHECKSUM_LIMIT = 2**31
_FAMILIES = {"H": 1, "S": 2, "B": 3}


class HoldingsError(Exception):
    """Rows cannot be held; the text says what is wrong, why it matters and how to mend it."""


class DatasetKey(NamedTuple):
    """What one data set is: period is '2022' or '202201', reporter_code a number, classification_code such as 'H6'."""

    type_code: str
    freq_code: str
    period: str
    reporter_code: int
    classification_code: str


@dataclass(frozen=True, eq=False)
class DataSet:
    """One data set: its rows (types `STORED`), oldest version first; the last is the current one."""

    key: DatasetKey
    versions: tuple[pl.DataFrame, ...]

    @property
    def rows(self) -> pl.DataFrame:
        """The current version."""
        return self.versions[-1]

    @cached_property
    def search_code(self) -> str:
        """The family of editions, 'HS' for H0 to H6."""
        return self._first_text("classificationSearchCode") or "HS"

    @cached_property
    def checksum(self) -> int:
        """A number below 2^31 made from the current rows; their order does not matter."""
        hashes = self.rows.cast({pl.Categorical: pl.String}).hash_rows(seed=0).to_numpy()
        return int(hashes.sum()) % _CHECKSUM_LIMIT

    @cached_property
    def extended(self) -> frozenset[str]:
        """Columns whose codes go beyond the classic ones: other flows than M and X, other partners than World, a
        second partner, products finer than six digits, customs procedures, modes of transport.
        """
        product = pl.col("cmdCode").cast(pl.String)
        beyond = self.rows.select(
            flowCode=(~pl.col("flowCode").cast(pl.String).is_in(["M", "X"])).any(),
            partnerCode=(pl.col("partnerCode") != 0).any(),
            partner2Code=(pl.col("partner2Code") != 0).any(),
            cmdCode=((product != "TOTAL") & (product.str.len_chars() > 6)).any(),
            customsCode=(pl.col("customsCode").cast(pl.String) != "C00").any(),
            motCode=(pl.col("motCode") != 0).any(),
        ).row(0, named=True)
        return frozenset(name for name, is_beyond in beyond.items() if is_beyond)

    @cached_property
    def is_original(self) -> bool:
        """True when the reporter filed in this classification itself."""
        return bool(self.rows["isOriginalClassification"].any())

    @property
    def released(self) -> tuple[date, ...]:
        """The day of release of every version, oldest first."""
        first = first_release(self.key)
        return tuple(first + timedelta(days=DAYS_BETWEEN_VERSIONS * number) for number in range(len(self.versions)))

    @property
    def dataset_code(self) -> int:
        """17 digits as the source makes them: frequency, reporter, year, month, classification."""
        frequency = "20" if self.key.freq_code == "A" else "10"
        month = self.key.period[4:6] or "01"
        edition = self.key.classification_code
        family = _FAMILIES.get(edition[:1], 9)
        digit = edition[1:2] if edition[1:2].isdigit() else "0"
        return int(f"{frequency}{self.key.reporter_code:03d}{self.key.period[:4]}{month}10{family}{digit}00")

    def _first_text(self, column: str) -> str | None:
        known = self.rows[column].drop_nulls()
        return str(known[0]) if known.len() else None


def first_release(key: DatasetKey) -> date:
    """The day a data set was first released: some weeks after its period, an annual one three months later still."""
    year, month = int(key.period[:4]), int(key.period[4:6] or 12)
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return end + timedelta(days=30 + 37 * key.reporter_code % 90 + (90 if key.freq_code == "A" else 0))


class Holdings:
    """All data sets, safe to read and revise from several threads."""

    def __init__(self, data_sets: Iterable[DataSet]) -> None:
        self._lock = threading.Lock()
        self._sets = {one.key: one for one in sorted(data_sets, key=lambda one: _order(one.key))}

    @classmethod
    def from_frames(cls, frames: Iterable[pl.DataFrame]) -> Self:
        """Hold rows in API columns (any order of columns). A data set that comes in several frames has as many
        versions, the last frame's being the current one.

        Raises HoldingsError when a column is missing or unknown, a cell is of the wrong type or a key is empty.
        """
        versions: dict[DatasetKey, tuple[pl.DataFrame, ...]] = {}
        for frame in frames:
            for key, rows in _data_sets_of(frame):
                versions[key] = (*versions.get(key, ()), rows)
        return cls(DataSet(key, rows) for key, rows in versions.items())

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Hold the Parquet files of a folder, in the order of their names. Raises HoldingsError as `from_frames` does
        and when there is no such file.
        """
        files = sorted(folder.glob("**/*.parquet"))
        if not files:
            raise HoldingsError(
                f"the folder {folder} holds no Parquet file, so there is nothing to answer with; name the folder "
                "`sample/declared` of a run, or another one with rows in API columns"
            )
        return cls.from_frames(pl.read_parquet(path) for path in files)

    @property
    def row_count(self) -> int:
        """Rows of all current versions."""
        return sum(one.rows.height for one in self.data_sets())

    def data_sets(self) -> list[DataSet]:
        """Every data set, by type, frequency, period, reporter and classification."""
        with self._lock:
            return list(self._sets.values())

    def get(self, key: DatasetKey) -> DataSet:
        """One data set. Raises KeyError when it is not held."""
        with self._lock:
            return self._sets[key]

    def find(
        self,
        type_code: str,
        freq_code: str,
        classification: str,
        reporters: Collection[int] | None = None,
        periods: Collection[str] | None = None,
    ) -> list[DataSet]:
        """Data sets of these reporters and periods (None: all), by period, reporter and classification.

        `classification` is an edition (H6) or a family of them (HS).
        """
        return [
            one
            for one in self.data_sets()
            if (reporters is None or one.key.reporter_code in reporters)
            and (periods is None or one.key.period in periods)
            and one.key.type_code == type_code.upper()
            and one.key.freq_code == freq_code.upper()
            and classification.upper() in (one.key.classification_code, one.search_code)
        ]

    def revise(self, key: DatasetKey, rows: pl.DataFrame) -> DataSet:
        """Replace the rows of a data set by a new version, released later. Raises KeyError when it is not held and
        HoldingsError when the rows are not of this data set.
        """
        cut = _data_sets_of(rows)
        if [found for found, _ in cut] != [key]:
            raise HoldingsError(
                f"the new rows are of {[tuple(found) for found, _ in cut]} and not of {tuple(key)}; a version of "
                "another data set would hide this one; give rows of this data set only"
            )
        with self._lock:
            old = self._sets[key]
            self._sets[key] = DataSet(key, (*old.versions, cut[0][1]))
            return self._sets[key]

    def scale(self, key: DatasetKey, factor: float) -> DataSet:
        """Revise a data set by multiplying its values (CIF, FOB, primary) by a factor."""
        return self.revise(key, self.get(key).rows.with_columns(pl.col(VALUE_COLUMNS) * factor))

    def copy(self) -> Holdings:
        """The same data sets (rows are shared, not copied), to be revised apart."""
        return Holdings(replace(one) for one in self.data_sets())


def _order(key: DatasetKey) -> tuple[str, str, str, int, str]:
    return key.type_code, key.freq_code, key.period, key.reporter_code, key.classification_code


def _data_sets_of(frame: pl.DataFrame) -> Sequence[tuple[DatasetKey, pl.DataFrame]]:
    missing, unknown = set(API_COLUMNS) - set(frame.columns), set(frame.columns) - set(API_COLUMNS)
    if missing or unknown:
        raise HoldingsError(
            f"the rows lack the columns {sorted(missing)} and have {sorted(unknown)} that the API does not; an answer "
            "made of them would have another shape; give exactly the columns of API_COLUMNS"
        )
    try:
        stored = frame.select(pl.col(name).cast(dtype) for name, dtype in STORED.items())
    except pl.exceptions.InvalidOperationError as error:
        raise HoldingsError(
            f"a cell is not of its column's type ({error}); it could not be answered as the API does; mend the rows"
        ) from error
    empty = [name for name in _KEY_COLUMNS if stored[name].null_count()]
    if empty:
        raise HoldingsError(
            f"the columns {empty} have empty cells; which data set those rows belong to is not known; fill them"
        )
    parts = stored.with_columns(pl.col(_KEY_COLUMNS).cast(pl.String).name.prefix("_")).partition_by(
        [f"_{name}" for name in _KEY_COLUMNS], maintain_order=True, include_key=False, as_dict=True
    )
    return [
        (DatasetKey(str(key[0]), str(key[1]), str(key[2]), int(str(key[3])), str(key[4])), rows)
        for key, rows in parts.items()
    ]
