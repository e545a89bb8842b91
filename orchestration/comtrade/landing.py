"""Landing: filed rows as immutable Parquet, one file per reporter, frequency, period, classification and delivery.

Belongs here: how rows are cut into files, writing them so that a killed landing can start again, reading a period
back. Does not belong here: reading sources (`files`) or what a row means (`contract`).

`landed/<period key>/<reporter>_<classification>_<delivery>.parquet`; a part that cannot be read is named `unknown`.
Files are not flushed one by one (a delivery has thousands): a power cut may leave damaged ones, which the checksums
of the ledger find when they are read.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from orchestration.comtrade.contract.schema import LANDED
from orchestration.comtrade.files.model import Delivery
from orchestration.comtrade.ledger import LandedFile, LedgerEntry, is_landed, read_entry, write_entry
from orchestration.sums import amount, exact_sum

UNKNOWN = "unknown"
# Rows whose frequency or period cannot be read land here, so that their value is booked (as quarantine) and not lost.
UNREADABLE_PERIOD_KEY = "A-0000"
_FILES_AT_ONCE, _WRITERS = 64, 2
_KEY, _REPORTER, _CLASSIFICATION = "_period_key", "_reporter", "_classification"
_ALWAYS_WRITTEN = ("delivery_id", "source_line", "source_file", "source_format", "primaryValue")


class LandingError(Exception):
    """Landed files are missing or changed; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class _Part:
    """Rows of one landed file, its name below the landed folder and its finite value in USD."""

    path: str
    period_key: str
    delivery_id: str
    rows: pl.DataFrame
    value_usd: float


def period_key() -> pl.Expr:
    """The period key of a landed row, such as A-2017 or M-202101; UNREADABLE_PERIOD_KEY where it has none."""
    frequency, period = pl.col("freqCode"), pl.col("period")
    is_year = (frequency == "A") & period.str.contains(r"^[12]\d{3}$")
    is_month = (frequency == "M") & period.str.contains(r"^[12]\d{3}(0[1-9]|1[0-2])$")
    readable = (is_year | is_month).fill_null(False)
    return pl.when(readable).then(frequency + "-" + period).otherwise(pl.lit(UNREADABLE_PERIOD_KEY)).alias(_KEY)


def period_keys_of(rows: pl.DataFrame) -> list[str]:
    """Period keys of landed rows, sorted; every row has one."""
    return rows.select(period_key()).to_series().unique().sort().to_list()


def land_delivery(delivery: Delivery, landed_dir: Path, ledger_dir: Path) -> LedgerEntry:
    """Write what has not landed yet of a delivery, its ledger row last; returns the row.

    A delivery in the ledger is not touched, unless other readers read it. Files of an interrupted landing are kept
    when they hold the same rows.
    """
    earlier = read_entry(ledger_dir, delivery.delivery_id) if is_landed(ledger_dir, delivery.delivery_id) else None
    if earlier is not None and earlier.reader == delivery.reader:
        return earlier
    parts = _parts(delivery.rows)
    _remove_misread(earlier, parts, landed_dir)
    files = _written(parts, landed_dir)
    entry = LedgerEntry(
        delivery_id=delivery.delivery_id,
        source_file=delivery.source_file,
        source_format=delivery.source_format,
        released_on=delivery.released_on,
        row_count=delivery.rows.height,
        value_usd=float(delivery.rows.select(exact_sum(amount("primaryValue"))).item()),
        files=tuple(files),
        reader=delivery.reader,
    )
    write_entry(ledger_dir, entry)
    return entry


def land_data_sets(
    rows: pl.DataFrame, entries: Mapping[str, LedgerEntry], landed_dir: Path, ledger_dir: Path
) -> list[LedgerEntry]:
    """Write whole data sets that came in one answer, then a ledger row for each; returns the rows, by delivery.

    `rows` are in schema LANDED; `entries` name every delivery_id among them and lack only what is counted here: rows,
    value and files. Files of an interrupted landing are kept when they hold the same rows.
    """
    parts = _parts(rows)
    found: dict[str, list[LandedFile]] = {delivery_id: [] for delivery_id in entries}
    for part, file in zip(parts, _written(parts, landed_dir), strict=True):
        found[part.delivery_id].append(file)
    landed = []
    for delivery_id, files in sorted(found.items()):
        value = math.fsum(file.value_usd for file in files)
        count = sum(file.row_count for file in files)
        entry = replace(entries[delivery_id], row_count=count, value_usd=value, files=tuple(files))
        write_entry(ledger_dir, entry)
        landed.append(entry)
    return landed


def _written(parts: Sequence[_Part], landed_dir: Path) -> list[LandedFile]:
    batches = [parts[start : start + _FILES_AT_ONCE] for start in range(0, len(parts), _FILES_AT_ONCE)]
    with ThreadPoolExecutor(_WRITERS) as writers:
        written = writers.map(partial(_write_parts, landed_dir=landed_dir), batches)
        return [file for batch in written for file in batch]


def read_period(entries: Iterable[LedgerEntry], landed_dir: Path, period_key: str) -> pl.DataFrame:
    """Landed rows (schema LANDED) of these deliveries in one period, by delivery and file; empty when there is none.

    Raises LandingError when a file of the ledger is missing or its bytes changed.
    """
    files = [f for e in sorted(entries, key=lambda e: e.delivery_id) for f in e.files if f.period_key == period_key]
    if not files:
        return pl.DataFrame(schema=LANDED)
    sources = [_verified(file, landed_dir) for file in files]
    return pl.scan_parquet(sources, schema=LANDED, missing_columns="insert").collect()


def _verified(file: LandedFile, landed_dir: Path) -> bytes:
    path = landed_dir / file.path
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != file.checksum:
        state = "has changed since it landed" if content else "is missing or empty"
        raise LandingError(
            f"the landed file {path} {state}; declared value would be lost or altered; remove the ledger row that "
            "names it and run again, the delivery then lands anew"
        )
    return content


def _remove_misread(earlier: LedgerEntry | None, parts: Sequence[_Part], landed_dir: Path) -> None:
    """Remove files that other readers made of the delivery and these do not; until its ledger row is replaced at the
    end the delivery does not count as landed.
    """
    kept = {part.path for part in parts}
    for file in earlier.files if earlier is not None else ():
        if file.path not in kept:
            (landed_dir / file.path).unlink(missing_ok=True)


def _parts(rows: pl.DataFrame) -> list[_Part]:
    """Rows cut by period, reporter, classification and delivery, in the order of the source within each part."""
    names = (_KEY, _REPORTER, _CLASSIFICATION, "delivery_id")
    classification = pl.col("classificationCode")
    is_plain = classification.str.contains("^[A-Za-z0-9]{1,8}$").fill_null(False)
    keyed = rows.with_columns(
        period_key(),
        pl.col("reporterCode").cast(pl.String).str.zfill(3).fill_null(UNKNOWN).alias(_REPORTER),
        pl.when(is_plain).then(classification).otherwise(pl.lit(UNKNOWN)).alias(_CLASSIFICATION),
    ).sort(names, maintain_order=True)
    figures = keyed.group_by(names, maintain_order=True).agg(pl.len(), exact_sum(amount("primaryValue")))
    kept, parts, start = keyed.select(rows.columns), [], 0
    for key, reporter, classified, delivery_id, count, value in figures.iter_rows():
        path = f"{key}/{reporter}_{classified}_{delivery_id}.parquet"
        parts.append(_Part(path, key, delivery_id, _without_empty_columns(kept.slice(start, count)), float(value)))
        start += count
    return parts


def _without_empty_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns that hold nothing are not written: they come back as NULL when the period is read."""
    empty = rows.null_count().row(0)
    named = zip(rows.columns, empty, strict=True)
    return rows[[name for name, nulls in named if nulls < rows.height or name in _ALWAYS_WRITTEN]]


def _write_parts(parts: Sequence[_Part], landed_dir: Path) -> list[LandedFile]:
    for folder in sorted({(landed_dir / part.path).parent for part in parts}):
        folder.mkdir(parents=True, exist_ok=True)
    standing = {part.path for part in parts if _holds(landed_dir / part.path, part.rows)}
    encoded = _encoded([part for part in parts if part.path not in standing])
    files = []
    for part in parts:
        path = landed_dir / part.path
        content = encoded.get(part.path)
        if content is None:
            content = path.read_bytes()
        else:
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_bytes(content)
            temporary.replace(path)
        checksum = hashlib.sha256(content).hexdigest()
        files.append(LandedFile(part.path, part.period_key, part.rows.height, part.value_usd, checksum))
    return files


def _encoded(parts: Sequence[_Part]) -> dict[str, bytes]:
    """Parquet bytes of each part; encoded side by side, which is several times faster than one by one."""
    sinks = {part.path: io.BytesIO() for part in parts}
    pl.collect_all(
        [
            part.rows.lazy().sink_parquet(sinks[part.path], compression="zstd", statistics=False, lazy=True)
            for part in parts
        ]
    )
    return {path: sink.getvalue() for path, sink in sinks.items()}


def _holds(path: Path, rows: pl.DataFrame) -> bool:
    """True when an interrupted landing already left exactly these rows here."""
    if not path.is_file():
        return False
    try:
        return pl.read_parquet(path.read_bytes()).equals(rows)
    except pl.exceptions.PolarsError:  # Damaged by a power cut before its delivery was booked: written anew.
        return False
