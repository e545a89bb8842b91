"""A period cut into slices of exporters, so that a period of any size is worked through in bounded memory.

Belongs here: which exporters make a slice, cutting declarations on disk, Parquet files written slice by slice. Does not
belong here: what is done with a slice.

All rows of one exporter stand in one slice, whoever filed them, because both declarations of a flow must meet. Slices
are ranges of codes in order: results sorted by exporter are the same file, slice after slice, as they are in one piece.
A period of no more than ROWS_PER_SLICE rows is one slice and is never cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow.parquet as pq

from orchestration import reconcile
from orchestration.pipeline.storage import rows_of, write_frame
from orchestration.reconcile import schema
from orchestration.sums import exact_total

ROWS_PER_SLICE = 400_000
_BATCH_ROWS = 400_000


@dataclass(frozen=True)
class Slice:
    """Exporter codes from `low` on and below `high`; without an end where that is None."""

    low: str
    high: str | None

    def holds(self, exporter: pl.Expr | None = None) -> pl.Expr:
        """Whether a row belongs to the slice, by its exporter's code (default: column exporter_code)."""
        code = exporter if exporter is not None else pl.col("exporter_code")
        inside = code >= self.low
        return inside if self.high is None else inside & (code < self.high)


WHOLE = Slice("", None)


def cut(counts: pl.DataFrame, most: int | None = None) -> list[Slice]:
    """Slices of at most `most` rows each (default ROWS_PER_SLICE), or of one exporter that has more.

    Args: counts with exporter_code and rows. Returns: at least one slice; together they hold every code there is.
    """
    limit = most or ROWS_PER_SLICE
    starts, filled = [""], 0
    for code, rows in counts.sort("exporter_code").select("exporter_code", "rows").iter_rows():
        if filled and filled + rows > limit:
            starts.append(str(code))
            filled = 0
        filled += rows
    ends = [*starts[1:], None]
    return [Slice(low, high) for low, high in zip(starts, ends, strict=True)]


def slices_of(path: Path, most: int | None = None) -> list[Slice]:
    """Slices of a Parquet file with a column exporter_code."""
    if rows_of(path) <= (most or ROWS_PER_SLICE):
        return [WHOLE]
    rows = pl.scan_parquet(path)
    return cut(rows.group_by("exporter_code").agg(rows=pl.len()).collect(), most)


def read_slice(path: Path, part: Slice, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """One slice of a Parquet file with a column exporter_code, in its order."""
    if part == WHOLE:
        return pl.read_parquet(path, columns=list(columns) if columns is not None else None)
    rows = pl.scan_parquet(path).filter(part.holds())
    return (rows if columns is None else rows.select(list(columns))).collect()


class SlicedTable:
    """One Parquet file written frame by frame under a temporary name, renamed into place when it is whole.

    A single frame is written as `write_frame` writes it. Several become row groups of one file; their columns and
    types must agree. Nothing is renamed when the block ends with an error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._first: pl.DataFrame | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def add(self, frame: pl.DataFrame) -> None:
        """Append one frame."""
        if self._writer is None and self._first is None:
            self._first = frame
            return
        if self._first is not None:
            first, self._first = self._first, None
            self._append(first)
        self._append(frame)

    def _append(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is not None:
            self._temporary.unlink(missing_ok=True)
        elif self._writer is not None:
            self._temporary.replace(self._path)
        elif self._first is not None:
            write_frame(self._path, self._first)


@dataclass(frozen=True)
class PeriodDeclarations:
    """Declarations of one period (schema DECLARATIONS with is_rolled_up), slice by slice.

    facts: those of the whole period, None where the period is one slice and `pair` finds them itself.
    """

    facts: reconcile.PeriodFacts | None
    frames: Iterator[pl.DataFrame]


def declarations_of(own: Path, months: list[Path], year: int | None, folder: Path) -> PeriodDeclarations:
    """The declarations of a period: its own file and, for a year, the months that stand in it.

    Args: files of contracted declarations; year, None for a month; an empty folder that takes the cut declarations
    and that the caller removes.
    """
    columns = list(schema.DECLARATIONS)
    sources = [pl.scan_parquet(own).select(*columns, is_rolled_up=pl.lit(False))]
    complete = None
    if year is not None and months:
        # Of the months only what can stand in a year: the rest would be read for nothing.
        rollable = reconcile.can_roll_up(pl.scan_parquet(own))
        complete = reconcile.complete_sides(
            pl.concat(reconcile.months_filed(pl.scan_parquet(path)).collect() for path in months)
        )
        wanted = rollable & pl.col("account").is_in(["pair", "total", "special"])
        reporters = complete["reporter_code"].unique().sort()
        wanted = wanted & pl.col("reporter_code").is_in(reporters.implode())
        sources += [pl.scan_parquet(path).filter(wanted).select(columns) for path in months]

    def frame_of(number: int, rows: pl.DataFrame) -> pl.DataFrame:
        if number == 0 or complete is None or year is None:
            return rows
        return reconcile.as_year(rows, pl.lit(True), complete, year)

    rows = rows_of(own) + sum(source.select(pl.len()).collect().item() for source in sources[1:])
    if rows <= ROWS_PER_SLICE:
        read = [frame_of(number, source.collect()) for number, source in enumerate(sources)]
        return PeriodDeclarations(None, iter([pl.concat(read)]))
    counts = pl.concat(
        source.group_by(exporter_code=_exporter()).agg(rows=pl.len()).collect() for source in sources
    ).group_by("exporter_code")
    parts = cut(counts.agg(exact_total("rows").cast(pl.Int64)))
    starts = pl.Series([part.low for part in parts])
    facts = []
    for number, source in enumerate(sources):
        height = source.select(pl.len()).collect().item()
        for offset in range(0, height, _BATCH_ROWS):
            batch = frame_of(number, source.slice(offset, _BATCH_ROWS).collect())
            facts.append(reconcile.period_facts(batch))
            place = starts.search_sorted(batch.select(_exporter()).to_series(), side="right") - 1
            for (index,), piece in (
                batch.with_columns(_slice=place)
                .partition_by("_slice", as_dict=True, include_key=False, maintain_order=True)
                .items()
            ):
                write_frame(folder / f"{int(index):05d}" / f"{number:02d}-{offset:012d}.parquet", piece)
    found = sorted(folder.iterdir())
    return PeriodDeclarations(
        reconcile.join_facts(facts),
        (pl.concat(pl.read_parquet(path) for path in sorted(own_folder.iterdir())) for own_folder in found),
    )


def _exporter() -> pl.Expr:
    """The exporter's code of a filed row: of the reporter for exports of any kind, of the partner for imports."""
    return pl.when(reconcile.flow_side() == "exporter").then("reporter_code").otherwise("partner_code").fill_null("")
