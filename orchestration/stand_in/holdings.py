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
from pathlib import Path
from typing import Any, NamedTuple, Self

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
class Version:
    """One version of a data set and what the list of availability says of it.

    Its rows are `row_count` rows of `block` from `offset` on: neighbours share a block, so that many data sets are
    read as one. `checksum` is a number below 2^31 made from the rows, whatever their order; `extended` names the
    columns whose codes go beyond the classic ones (flows M and X, partner World, six digits, all procedures and modes).
    """

    block: pl.DataFrame
    offset: int
    row_count: int
    checksum: int
    search_code: str
    is_original: bool
    extended: frozenset[str]
    tariff_line_count: int

    @property
    def rows(self) -> pl.DataFrame:
        """The rows, types `STORED`, in the order they were filed."""
        return self.block.slice(self.offset, self.row_count)


@dataclass(frozen=True, eq=False)
class DataSet:
    """One data set, oldest version first; the last is the current one."""

    key: DatasetKey
    versions: tuple[Version, ...]

    @property
    def current(self) -> Version:
        """The version that is answered with."""
        return self.versions[-1]

    @property
    def rows(self) -> pl.DataFrame:
        """The rows of the current version."""
        return self.current.rows

    @property
    def checksum(self) -> int:
        """The checksum of the current version."""
        return self.current.checksum

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


def first_release(key: DatasetKey) -> date:
    """The day a data set was first released: some weeks after its period, an annual one three months later still."""
    year, month = int(key.period[:4]), int(key.period[4:6] or 12)
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return end + timedelta(days=30 + 37 * key.reporter_code % 90 + (90 if key.freq_code == "A" else 0))


class Holdings:
    """All data sets, safe to read and revise from several threads."""

    def __init__(self, data_sets: Iterable[DataSet]) -> None:
        self._lock = threading.Lock()
        self._sets = {one.key: one for one in sorted(data_sets, key=lambda one: one.key)}
        self._of_period: dict[str, list[DatasetKey]] = {}
        for key in self._sets:
            self._of_period.setdefault(key.period, []).append(key)

    @classmethod
    def from_frames(cls, frames: Iterable[pl.DataFrame]) -> Self:
        """Hold rows in API columns (any order of columns). A data set that comes in several frames has as many
        versions, the last frame's being the current one.

        Raises HoldingsError when a column is missing or unknown, a cell is of the wrong type or a key is empty.
        """
        versions: dict[DatasetKey, tuple[Version, ...]] = {}
        for frame in frames:
            for key, version in _versions_of(frame):
                versions[key] = (*versions.get(key, ()), version)
        return cls(DataSet(key, found) for key, found in versions.items())

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
        return sum(one.current.row_count for one in self.data_sets())

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
        if periods is None:
            candidates = self.data_sets()
        else:
            with self._lock:
                candidates = [self._sets[key] for period in sorted(periods) for key in self._of_period.get(period, ())]
        return [
            one
            for one in candidates
            if (reporters is None or one.key.reporter_code in reporters)
            and one.key.type_code == type_code.upper()
            and one.key.freq_code == freq_code.upper()
            and classification.upper() in (one.key.classification_code, one.current.search_code)
        ]

    def revise(self, key: DatasetKey, rows: pl.DataFrame) -> DataSet:
        """Replace the rows of a data set by a new version, released later. Raises KeyError when it is not held and
        HoldingsError when the rows are not of this data set.
        """
        cut = _versions_of(rows)
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


def _versions_of(frame: pl.DataFrame) -> Sequence[tuple[DatasetKey, Version]]:
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
    plain = stored.cast({pl.Categorical: pl.String})
    order = plain.select(_KEY_COLUMNS).with_row_index("_row").sort(_KEY_COLUMNS, maintain_order=True)["_row"]
    block = stored[order]
    facts = (
        plain[order]
        .with_columns(_hash=plain.hash_rows(seed=0)[order] % _CHECKSUM_LIMIT)
        .group_by(_KEY_COLUMNS, maintain_order=True)
        .agg(**_facts(pl.col("cmdCode").str.len_chars()))
        .with_columns(offset=pl.col("row_count").cum_sum() - pl.col("row_count"))
    )
    return [_version(said, block) for said in facts.iter_rows(named=True)]


def _facts(digits: pl.Expr) -> dict[str, pl.Expr]:
    is_beyond = {
        "flowCode": ~pl.col("flowCode").is_in(["M", "X"]),
        "partnerCode": pl.col("partnerCode") != 0,
        "partner2Code": pl.col("partner2Code") != 0,
        "cmdCode": digits > 6,
        "customsCode": pl.col("customsCode") != "C00",
        "motCode": pl.col("motCode") != 0,
    }
    return {
        "row_count": pl.len(),
        "checksum": pl.col("_hash").cast(pl.Int64).sum() % _CHECKSUM_LIMIT,
        "search_code": pl.col("classificationSearchCode").drop_nulls().first(),
        "is_original": pl.col("isOriginalClassification").any(),
        "tariff_line_count": (digits == 6).sum(),
        "extended": pl.concat_list(pl.when(beyond.any()).then(pl.lit(name)) for name, beyond in is_beyond.items()),
    }


def _version(said: dict[str, Any], block: pl.DataFrame) -> tuple[DatasetKey, Version]:
    return DatasetKey(*(said[name] for name in _KEY_COLUMNS)), Version(
        block=block,
        offset=said["offset"],
        row_count=said["row_count"],
        checksum=said["checksum"],
        search_code=said["search_code"] or "HS",
        is_original=bool(said["is_original"]),
        extended=frozenset(name for name in said["extended"] if name is not None),
        tariff_line_count=said["tariff_line_count"],
    )
