"""From a source to declarations after the contract: preparing, landing, contracting.

Belongs here: the loop over files and periods, what is skipped because it is unchanged. Does not belong here: how
a format is read and what the contract says (`orchestration.comtrade`).
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

import polars as pl

from orchestration.comtrade.contract import (
    ContractTables,
    apply_contract,
    reported_presence,
    with_completeness,
    year_completeness,
)
from orchestration.comtrade.files import (
    FileRefusal,
    delivery_id_of,
    name_in,
    read_delivery,
    read_release_dates,
    reader_fingerprint,
    scan_folder,
)
from orchestration.comtrade.landing import UNREADABLE_PERIOD_KEY, land_delivery, read_period
from orchestration.comtrade.ledger import (
    LedgerEntry,
    doubtful_entries,
    is_landed,
    landed_fingerprint,
    precedence,
    read_ledger,
)
from orchestration.pipeline.availability import pulled_and_replaced, pulled_deliveries, say_replaced
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import world_config
from orchestration.pipeline.pull import read_unsettled
from orchestration.pipeline.storage import Stamps, combine, each_period, remove_other_files, write_bytes, write_frame
from orchestration.reference import Reference
from orchestration.sample import REFERENCE_FRAMES, iter_deliveries, world_truth
from orchestration.settings import Settings
from orchestration.sums import exact_sum

LOG = logging.getLogger("mirror_warehouse")
CONTRACTED_TABLES = ("declarations", "control_totals", "revisions", "coverage")
BATCH_ROWS = 60_000
SMALL_FILE_BYTES = 4_000_000


@dataclass(frozen=True)
class LandingSummary:
    """What a landing found: deliveries of this run, files that could not be read, rows and value in USD; `replaced` are
    pulled data sets that do not count, each with those that took its place.
    """

    delivery_ids: tuple[str, ...]
    refusals: tuple[FileRefusal, ...]
    newly_landed_count: int
    row_count: int
    value_usd: float
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PeriodSummary:
    """What one stage made of one period."""

    period_key: str
    row_count: int
    value_usd: float
    was_current: bool


def contract_tables(reference: Reference) -> ContractTables:
    """The reference tables that the contract needs."""
    return ContractTables(
        places=reference.places,
        flows=reference.flows,
        hs_codes=reference.hs_codes,
        customs_procedures=reference.customs_procedures,
        transport_modes=reference.transport_modes,
        quantity_units=reference.quantity_units,
        modes_of_supply=reference.modes_of_supply,
    )


def declare_planted_world(settings: Settings, paths: DataPaths, reference: Reference, fingerprint: str) -> Path:
    """Write the deliveries and the truth of the planted world; nothing is done when they are current."""
    stamps = Stamps(paths.root / "sample" / "stamps")
    if stamps.is_current("world", fingerprint, [paths.sample_declared]) or (
        paths.sample_declared.is_dir() and stamps.is_current("world", fingerprint, [])
    ):
        return paths.sample_declared
    shutil.rmtree(paths.sample_declared.parent, ignore_errors=True)
    frames = {name: getattr(reference, name) for name in REFERENCE_FRAMES}
    config = world_config(settings)
    for delivery in iter_deliveries(config, frames):
        write_frame(paths.sample_declared / f"{delivery.name}.parquet", delivery.declared)
        for name, table in delivery.truth.items():
            write_frame(paths.sample_truth / name / f"{delivery.name}.parquet", table)
    for name, table in world_truth(config, frames).items():
        write_frame(paths.sample_truth / f"{name}.parquet", table)
    stamps.write("world", fingerprint)
    return paths.sample_declared


def land(settings: Settings, paths: DataPaths, reference: Reference, fingerprint: str) -> LandingSummary:
    """Land every file of the source that has not landed yet; what is pulled from the API has landed before the run.

    A file that cannot be read is refused with its reason and the others go on; the reasons are kept in
    refusals.json beside the ledger, where the gate reads them. Of what is pulled, doubts.json says which data sets may
    lack rows.
    """
    if settings.is_pulled:
        return _pulled_summary(paths)
    if settings.source == "sample":
        folder = declare_planted_world(settings, paths, reference, fingerprint)
    else:
        assert settings.declarations is not None
        folder = settings.declarations
    dates = read_release_dates(folder)
    reader = reader_fingerprint(reference.places)
    files = scan_folder(folder)

    def land_file(path: Path) -> _Landed:
        delivery_id, name = delivery_id_of(path), name_in(folder, path)
        if is_landed(paths.ledger, delivery_id, reader):
            return _Landed(delivery_id)
        delivery = read_delivery(path, reference.places, dates.get(name), name)
        if isinstance(delivery, FileRefusal):
            LOG.warning("refused %s: %s", name, delivery.what)
            return _Landed(delivery_id, refusal=delivery)
        land_delivery(delivery, paths.landed, paths.ledger)
        if settings.source == "files":
            LOG.info("landed %s (one of %d files, %d rows)", name, len(files), delivery.rows.height)
        return _Landed(delivery_id, is_new=True)

    found = _small_ones_together(land_file, files)
    refusals = [one.refusal for one in found if one.refusal is not None]
    ids = {one.delivery_id for one in found if one.refusal is None}
    _write_list(paths.refusals, [asdict(refusal) for refusal in refusals])
    entries = entries_of(paths, ids)
    return LandingSummary(
        delivery_ids=tuple(sorted(ids)),
        refusals=tuple(refusals),
        newly_landed_count=len({one.delivery_id for one in found if one.is_new}),
        row_count=sum(entry.row_count for entry in entries),
        value_usd=sum(entry.value_usd for entry in entries),
    )


def _pulled_summary(paths: DataPaths) -> LandingSummary:
    """What pulls have landed and what of it counts; data sets that stayed doubtful are refused with their reason."""
    entries, replaced = pulled_and_replaced(paths)
    refusals = read_unsettled(paths)
    say_replaced(replaced)
    _write_list(paths.refusals, [asdict(refusal) for refusal in refusals])
    # Written here, where the ledger is read anyway: its rows are tens of thousands, and the gate should not read them.
    _write_list(paths.doubts, [_doubt(entry) for entry in doubtful_entries(entries)])
    return LandingSummary(
        delivery_ids=tuple(entry.delivery_id for entry in entries),
        refusals=refusals,
        newly_landed_count=0,
        row_count=sum(entry.row_count for entry in entries),
        value_usd=math.fsum(entry.value_usd for entry in entries),
        replaced=replaced,
    )


def _doubt(entry: LedgerEntry) -> dict[str, object]:
    return {
        "source_file": entry.source_file,
        "what": entry.note,
        "row_count": entry.row_count,
        "stated_row_count": entry.stated_row_count,
        "value_usd": entry.value_usd,
    }


def _write_list(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_bytes(path, json.dumps(rows, indent=1).encode())


@dataclass(frozen=True)
class _Landed:
    """What became of one file: it had landed, landed now, or was refused."""

    delivery_id: str
    is_new: bool = False
    refusal: FileRefusal | None = None


def _small_ones_together(land_file: Callable[[Path], _Landed], files: Sequence[Path]) -> list[_Landed]:
    """Land small files two at a time, and large ones, which fill the memory, alone; results in the files' order.

    Copies of one file, which are one delivery, are never landed at the same time.
    """
    first: dict[str, Path] = {}
    for path in files:
        first.setdefault(delivery_id_of(path), path)
    small = [path for path in first.values() if path.stat().st_size <= SMALL_FILE_BYTES]
    done = dict(zip(small, each_period(land_file, small), strict=True))
    return [done[path] if path in done else land_file(path) for path in files]


def entries_of(paths: DataPaths, delivery_ids: Iterable[str]) -> list[LedgerEntry]:
    """Ledger entries of these deliveries, sorted by delivery."""
    wanted = set(delivery_ids)
    return [entry for entry in read_ledger(paths.ledger) if entry.delivery_id in wanted]


def deliveries_of_run(settings: Settings, paths: DataPaths) -> list[LedgerEntry]:
    """Ledger entries of the files that stand in the source now; earlier ones stay landed but are not read. Of what is
    pulled every version counts: the newest is current, the others are what it revised; a data set that the API replaced
    by another edition of the same trade does not.
    """
    if settings.is_pulled:
        return pulled_deliveries(paths)
    folder = paths.sample_declared if settings.source == "sample" else settings.declarations
    assert folder is not None
    dates, released_on = read_release_dates(folder), dict[str, date | None]()
    for path in scan_folder(folder):
        released_on.setdefault(delivery_id_of(path), dates.get(name_in(folder, path)))
    # The dates stated now count, not those of the day a file landed.
    return [replace(e, released_on=released_on[e.delivery_id]) for e in entries_of(paths, released_on)]


def contract_periods(
    paths: DataPaths,
    entries: Sequence[LedgerEntry],
    period_keys: Sequence[str],
    all_period_keys: Sequence[str],
    reference: Reference,
    fingerprint: str,
) -> list[PeriodSummary]:
    """Apply the contract to each period and give every coverage row its completeness.

    Periods whose landed files, tables and code are unchanged are not done again; periods that the source no longer
    holds are removed.
    """
    tables, order = contract_tables(reference), precedence(list(entries))
    stamps = Stamps(paths.contracted / "_stamps")
    keep = set(all_period_keys)
    for table in (*CONTRACTED_TABLES, "coverage_filed"):
        remove_other_files(paths.contracted / table, keep)
    of_period: dict[str, list[LedgerEntry]] = {key: [] for key in period_keys}
    for entry in entries:
        for key in entry.period_keys:
            if key in of_period:
                of_period[key].append(entry)
    wanted = {key: _contract_fingerprint(found, key, order, fingerprint) for key, found in of_period.items()}
    stale = [key for key in period_keys if not stamps.is_current(key, wanted[key], _outputs(paths, key).values())]

    def contract(keys: tuple[str, ...]) -> None:
        deliveries = {entry.delivery_id: entry for key in keys for entry in of_period[key]}
        _contract_batch(paths, list(deliveries.values()), keys, tables, order)
        for key in keys:
            stamps.write(key, wanted[key])

    each_period(contract, _batches(stale, of_period))
    _complete_coverage(paths, all_period_keys)
    return [_summary(paths, key, key not in stale) for key in period_keys]


def _outputs(paths: DataPaths, key: str) -> dict[str, Path]:
    outputs = {name: paths.table("contracted", name, key) for name in CONTRACTED_TABLES}
    return outputs | {"coverage": paths.table("contracted", "coverage_filed", key)}


def _contract_fingerprint(entries: list[LedgerEntry], key: str, order: pl.DataFrame, code: str) -> str:
    """What the contract of a period is made from. Of the order only that among this period's deliveries counts:
    another file of other periods changes nothing here. Whether a version is whole counts too: it decides what the
    version withdraws.
    """
    present = pl.Series("delivery_id", [entry.delivery_id for entry in entries], dtype=pl.String)
    ranked = order.filter(pl.col("delivery_id").is_in(present.implode())).sort("precedence")
    order_text = ",".join(f"{name}:{is_whole}" for name, is_whole in ranked.select("delivery_id", "is_whole").rows())
    return combine(landed_fingerprint(entries, key), order_text, code)


def _batches(keys: Sequence[str], of_period: Mapping[str, Sequence[LedgerEntry]]) -> list[tuple[str, ...]]:
    """Periods to contract at once: several small ones together, because most of a small period's time goes into
    planning its queries. Rows whose period nobody could read stand alone: what they hold is not theirs.
    """
    batches: list[tuple[str, ...]] = []
    room = 0
    for key in keys:
        rows = sum(f.row_count for entry in of_period[key] for f in entry.files if f.period_key == key)
        if batches and rows <= room and UNREADABLE_PERIOD_KEY not in (key, *batches[-1]):
            batches[-1] = (*batches[-1], key)
            room -= rows
        else:
            batches.append((key,))
            room = BATCH_ROWS - rows
    return batches


def _contract_batch(
    paths: DataPaths, entries: list[LedgerEntry], keys: Sequence[str], tables: ContractTables, order: pl.DataFrame
) -> None:
    landed = pl.concat(read_period(entries, paths.landed, key) for key in keys)
    result = apply_contract(landed, tables, order)
    for key in keys:
        for name, path in _outputs(paths, key).items():
            frame = getattr(result, name)
            write_frame(path, frame if len(keys) == 1 else _of_period(frame, key))


def _of_period(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    frequency, period = key.split("-", 1)
    return frame.filter((pl.col("frequency") == frequency) & (pl.col("period") == period))


def _summary(paths: DataPaths, key: str, was_current: bool) -> PeriodSummary:
    declarations = pl.scan_parquet(_outputs(paths, key)["declarations"])
    rows, value = declarations.select(pl.len(), exact_sum("value_usd")).collect().row(0)
    return PeriodSummary(key, int(rows), float(value or 0.0), was_current)


def _complete_coverage(paths: DataPaths, period_keys: Sequence[str]) -> None:
    """Whether a reporter's period is complete depends on the other months: filled once all are contracted."""
    filed = {key: paths.table("contracted", "coverage_filed", key) for key in period_keys}
    frames = {key: pl.read_parquet(path) for key, path in filed.items() if path.is_file()}
    if not frames:
        return
    completeness = year_completeness(pl.concat(reported_presence(frame) for frame in frames.values()))
    for key, frame in frames.items():
        target = paths.table("contracted", "coverage", key)
        completed = with_completeness(frame, completeness)
        if not (target.is_file() and pl.read_parquet(target).equals(completed)):
            write_frame(target, completed)
    write_frame(paths.contracted / "completeness.parquet", completeness)
