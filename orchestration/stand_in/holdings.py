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
    """One version of a data set: its rows (types `STORED`) and what the list of availability says of them.

    `checksum` is a number below 2^31 made from the rows, whatever their order; `extended` names the columns whose
    codes go beyond the classic ones (flows M and X, partner World, six digits, all procedures, all modes).
    """

    rows: pl.DataFrame
    checksum: int
    search_code: str
    is_original: bool
    extended: frozenset[str]
    tariff_line_count: int


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
        self._sets = {one.key: one for one in sorted(data_sets, key=lambda one: _order(one.key))}

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


def _order(key: DatasetKey) -> tuple[str, str, str, int, str]:
    return key.type_code, key.freq_code, key.period, key.reporter_code, key.classification_code


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
    keys = pl.col(_KEY_COLUMNS).cast(pl.String).name.prefix("_")
    marked = stored.with_columns(keys)
    names = [f"_{name}" for name in _KEY_COLUMNS]
    parts = marked.partition_by(names, maintain_order=True, include_key=False)
    plain = stored.cast({pl.Categorical: pl.String})
    facts = (
        plain.with_columns(keys, _hash=plain.hash_rows(seed=0) % _CHECKSUM_LIMIT)
        .group_by(names, maintain_order=True)
        .agg(**_facts(pl.col("cmdCode").str.len_chars()))
    )
    return [_version(row, rows) for row, rows in zip(facts.iter_rows(named=True), parts, strict=True)]


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
        "checksum": pl.col("_hash").cast(pl.Int64).sum() % _CHECKSUM_LIMIT,
        "search_code": pl.col("classificationSearchCode").drop_nulls().first(),
        "is_original": pl.col("isOriginalClassification").any(),
        "tariff_line_count": (digits == 6).sum(),
        "extended": pl.concat_list(pl.when(beyond.any()).then(pl.lit(name)) for name, beyond in is_beyond.items()),
    }


def _version(facts: dict[str, Any], rows: pl.DataFrame) -> tuple[DatasetKey, Version]:
    type_code, freq_code, period, reporter, classification = (facts[f"_{name}"] for name in _KEY_COLUMNS)
    return DatasetKey(type_code, freq_code, period, int(reporter), classification), Version(
        rows=rows,
        checksum=facts["checksum"],
        search_code=facts["search_code"] or "HS",
        is_original=bool(facts["is_original"]),
        extended=frozenset(name for name in facts["extended"] if name is not None),
        tariff_line_count=facts["tariff_line_count"],
    )
