"""The ledger: one JSON row per landed delivery, written after its files, and what can be read from it.

Belongs here: the row, its reading and writing, which periods and files a delivery has, which of two deliveries is
newer. Does not belong here: writing landed files (`landing`) or reading sources (`files`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from orchestration.comtrade.contract.schema import PRECEDENCE

PULLED_FORMAT = "api"
"""Format of rows that a pull landed; downloads of API answers that people keep are `api_json`."""


class LedgerError(Exception):
    """A ledger row cannot be used; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class LandedFile:
    """One landed Parquet file: `path` below the landed folder, rows, finite value in USD, SHA-256 of its bytes."""

    path: str
    period_key: str
    row_count: int
    value_usd: float
    checksum: str


@dataclass(frozen=True)
class LedgerEntry:
    """One landed delivery: where it came from, what it holds (value in USD as filed) and its landed files.

    `reader` is the fingerprint of the readers that read it. A data set pulled from the API also has the `request` that
    brought it (never with a key), the SHA-256 of the answer's body, the `pull_id`, the number of rows that the
    availability list stated, how many rows repeat another one, and a `note` where the answer was not believed at once.
    `is_listed` never stands in the ledger: it says of an entry at hand that the API lists this very version.
    """

    delivery_id: str
    source_file: str
    source_format: str
    released_on: date | None
    row_count: int
    value_usd: float
    files: tuple[LandedFile, ...]
    reader: str = ""
    request: str = ""
    answer_checksum: str = ""
    pull_id: str = ""
    note: str = ""
    stated_row_count: int | None = None
    repeated_row_count: int = 0
    is_listed: bool = False

    @property
    def is_whole(self) -> bool:
        """False when a data set of the API landed with another number of rows than was stated, or with repeated ones:
        each of these may stand in the place of a row that is missing.

        The note alone does not tell: it also says that repeated rows were dropped, after which the number was right.
        Where no number stands in the row, any note is a doubt.
        """
        if self.stated_row_count is None:
            return not self.note
        return self.row_count == self.stated_row_count and self.repeated_row_count == 0

    @property
    def period_keys(self) -> tuple[str, ...]:
        """Period keys the delivery holds, sorted."""
        return tuple(sorted({file.period_key for file in self.files}))


def is_landed(ledger_dir: Path, delivery_id: str, reader: str | None = None) -> bool:
    """True once the ledger row of the delivery stands; it is written after the last of its files.

    With `reader` it must also have been read by these readers: rows that older ones misread are not kept for ever.
    """
    standing = _row_path(ledger_dir, delivery_id).is_file()
    return standing and (reader is None or read_entry(ledger_dir, delivery_id).reader == reader)


def write_entry(ledger_dir: Path, entry: LedgerEntry) -> None:
    """Write the ledger row under a temporary name and rename it."""
    ledger_dir.mkdir(parents=True, exist_ok=True)
    path = _row_path(ledger_dir, entry.delivery_id)
    temporary = path.with_name(f".{path.name}.tmp")
    # A pull lands thousands of data sets: on one line, and without copying the row first, it is written many times
    # faster than set out in lines.
    said = {**vars(entry), "files": [vars(file) for file in entry.files]}
    del said["is_listed"]
    temporary.write_text(json.dumps(said, default=_iso, sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def read_entry(ledger_dir: Path, delivery_id: str) -> LedgerEntry:
    """The ledger row of one landed delivery. Raises LedgerError when it is absent or damaged."""
    path = _row_path(ledger_dir, delivery_id)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        released_on = date.fromisoformat(said["released_on"]) if said["released_on"] else None
        files = tuple(LandedFile(**file) for file in said["files"])
        return LedgerEntry(**{**said, "released_on": released_on, "files": files})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(
            f"the ledger row {path} cannot be read ({error}); what landed with this delivery is not known; "
            "remove the row and run again, the delivery then lands anew"
        ) from error


def read_ledger(ledger_dir: Path) -> list[LedgerEntry]:
    """Every ledger row, sorted by delivery. Raises LedgerError as `read_entry` does."""
    if not ledger_dir.is_dir():
        return []
    return [read_entry(ledger_dir, path.stem) for path in sorted(ledger_dir.glob("[!.]*.json"))]


def pulled_entries(ledger_dir: Path) -> list[LedgerEntry]:
    """Ledger rows of every version that pulls from the API landed, superseded and replaced ones too, sorted by
    delivery.
    """
    return [entry for entry in read_ledger(ledger_dir) if entry.source_format == PULLED_FORMAT]


def replaced_data_sets(entries: Iterable[LedgerEntry], listed: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Data sets that others took the place of, by name, each with its successors in order.

    `entries` are pulled versions; `listed` the names of the data sets that the API lists, such as C-A-2017-012-H6. A
    data set is replaced when it is not listed and another one of the same reporter, frequency and period, in another
    edition, is listed and has landed. One that vanished without a successor is not: a list may be short. Nor is one
    whose successor is still to land: its reporter would have no trade at all until then.
    """
    landed = {data_set_name(entry) for entry in entries}
    listed_names = set(listed)
    successors: dict[str, list[str]] = {}
    for name in sorted(landed & listed_names):
        successors.setdefault(_without_edition(name), []).append(name)
    return {
        name: tuple(successors[_without_edition(name)])
        for name in sorted(landed - listed_names)
        if _without_edition(name) in successors
    }


def without_replaced(entries: Sequence[LedgerEntry], replaced: Container[str]) -> list[LedgerEntry]:
    """Those of the pulled versions, in their order, whose data set is none of `replaced` (`replaced_data_sets`): two
    editions of the same trade would count twice.
    """
    return [entry for entry in entries if data_set_name(entry) not in replaced]


def doubtful_entries(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Of versions pulled from the API: those that are not whole and were not replaced by a newer one; by name."""
    newest: dict[str, LedgerEntry] = {}
    for entry in by_newness(entries):
        newest[data_set_name(entry)] = entry
    return sorted((entry for entry in newest.values() if not entry.is_whole), key=lambda entry: entry.source_file)


def data_set_name(entry: LedgerEntry) -> str:
    """The name of the data set without its version, such as C-A-2017-012-H5; a checksum may be a negative number."""
    return "-".join(entry.source_file.split("-")[:5])


def _without_edition(data_set: str) -> str:
    return data_set.rsplit("-", 1)[0]


def landed_fingerprint(entries: Iterable[LedgerEntry], period_key: str) -> str:
    """Fingerprint (16 hex digits) of what these deliveries landed in one period: their files and bytes."""
    found = sorted(
        (entry.delivery_id, file.path, file.checksum)
        for entry in entries
        for file in entry.files
        if file.period_key == period_key
    )
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def precedence(entries: Sequence[LedgerEntry]) -> pl.DataFrame:
    """Which delivery is newer where two hold the same data set: delivery_id, precedence (higher is newer), and of what
    was pulled data_set (its name) and is_whole (schema PRECEDENCE).

    A stated release date (vintages.csv) decides; a delivery without one counts as older than any that has one. Where
    dates do not decide, the data do: reporters file late, complete and revise upwards far more often than they
    withdraw, so of two downloads the later one reaches further in time, holds more (reporter, period) sets and more
    rows - asked in this order. The last resort is the delivery id, which is chance but the same chance every time.
    Only the order matters, and only between deliveries that hold the same cell.

    Of the versions of a pulled data set the one that the API lists (`is_listed`) is the newest, whatever its date and
    rows: it may be released twice on one day, or taken back to an earlier version. A pulled version of a data set lands
    with all rows or with a doubt, so one that is whole tells what is no longer filed. A download may be any part of
    anything; of it data_set and is_whole are NULL.
    """
    ordered = by_newness(entries)
    is_pulled = [entry.source_format == PULLED_FORMAT for entry in ordered]
    rows = {
        "delivery_id": [entry.delivery_id for entry in ordered],
        "precedence": list(range(1, len(ordered) + 1)),
        "data_set": [data_set_name(e) if pulled else None for e, pulled in zip(ordered, is_pulled, strict=True)],
        "is_whole": [e.is_whole if pulled else None for e, pulled in zip(ordered, is_pulled, strict=True)],
    }
    return pl.DataFrame(rows, schema=PRECEDENCE).sort("delivery_id")


def by_newness(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """The deliveries from the oldest to the newest, as `precedence` ranks them."""
    ordered = sorted(entries, key=_newness)
    newest = {data_set_name(entry): _newness(entry) for entry in ordered if entry.source_format == PULLED_FORMAT}
    return sorted(
        ordered,
        key=lambda entry: (newest[data_set_name(entry)], 1) if entry.is_listed else (_newness(entry), 0),
    )


def _newness(entry: LedgerEntry) -> tuple[date, str, int, int, str]:
    last_month = max((_last_month(key) for key in entry.period_keys), default="")
    return entry.released_on or date.min, last_month, len(entry.files), entry.row_count, entry.delivery_id


def _last_month(period_key: str) -> str:
    frequency, period = period_key.split("-", 1)
    return period + "12" if frequency == "A" else period


def _row_path(ledger_dir: Path, delivery_id: str) -> Path:
    return ledger_dir / f"{delivery_id}.json"


def _iso(value: object) -> str:
    assert isinstance(value, date), value
    return value.isoformat()
