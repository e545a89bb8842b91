"""What a run would do, known before it starts: its input, its id, its periods.

Belongs here: fingerprints of input and code, the run id, the list of periods. Does not belong here: doing it.
A run id is a fingerprint of input and code, not a time: the same input gives the same run and the same release.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration.comtrade.files import (
    RELEASE_DATES_FILE,
    FileRefusal,
    delivery_id_of,
    name_in,
    read_delivery,
    read_release_dates,
    reader_fingerprint,
    scan_folder,
)
from orchestration.comtrade.landing import period_keys_of
from orchestration.comtrade.ledger import LedgerEntry, by_newness
from orchestration.pipeline.availability import pulled_deliveries
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import combine, fingerprint_of_tree, sha256_of_file, write_bytes
from orchestration.reference import load_reference, reference_fingerprint
from orchestration.sample import WorldConfig
from orchestration.settings import PROJECT_DIR, Settings

CODE = (
    "orchestration/comtrade/**/*",
    "orchestration/reconcile/**/*.py",
    "orchestration/passages/**/*.py",
    "orchestration/sample/**/*.py",
    "orchestration/pipeline/**/*.py",
    "orchestration/release/**/*.py",
    "orchestration/reference.py",
    "orchestration/sums.py",
    "orchestration/distances.py",
    "requirements/lock.txt",
    "expectations/**/*",
    "dbt_project/*.yml",
    "dbt_project/models/**/*",
    "dbt_project/macros/**/*",
    "dbt_project/tests/**/*",
)
MONTHS_IN_A_YEAR = 12
LOG = logging.getLogger("mirror_warehouse")


class PlanError(Exception):
    """There is nothing to run on; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class RunPlan:
    """One run: source, fingerprint of its input and code, id, and the periods it holds (sorted keys)."""

    source: str
    input_fingerprint: str
    run_id: str
    period_keys: tuple[str, ...]


def world_config(settings: Settings) -> WorldConfig:
    """The planted world that the settings name. Raises PlanError when there is no such world."""
    makers = {
        "tiny": WorldConfig.tiny,
        "light": WorldConfig.light,
        "standard": WorldConfig.standard,
        "hard": WorldConfig.hard,
        "without_evasion": WorldConfig.without_evasion,
    }
    changes = {
        "size": settings.sample_rows,
        "start_year": settings.sample_start_year,
        "end_year": settings.sample_end_year,
        "frequencies": tuple(settings.sample_frequencies) if settings.sample_frequencies else None,
    }
    try:
        config = makers[settings.sample_world](seed=settings.sample_seed)
        config = replace(config, **{name: value for name, value in changes.items() if value is not None})
    except ValueError as error:
        raise PlanError(
            f"the planted world cannot be made: {error}; nothing can be declared without one; mend the settings "
            "MIRROR_SAMPLE_*"
        ) from error
    if not list(config.periods()):
        raise PlanError(
            f"the planted world holds no period: monthly data sets begin in {config.monthly_start_year} and the world "
            f"ends in {config.end_year}; there is nothing to reconcile; set a later MIRROR_SAMPLE_END_YEAR"
        )
    return config


def code_fingerprint(project_dir: Path = PROJECT_DIR) -> str:
    """Fingerprint of everything that decides what a run computes."""
    return fingerprint_of_tree(project_dir, CODE)


def input_fingerprint(settings: Settings) -> str:
    """Fingerprint of input, reference tables, method and code; equal fingerprints give equal releases.

    Raises PlanError when the source is `files` and the folder is missing or empty, or the API and nothing has landed.
    """
    shared = (reference_fingerprint(settings.seeds_dir, settings.distances), code_fingerprint(), settings.method)
    if settings.source == "sample":
        return combine("sample", repr(world_config(settings)), *shared)
    if settings.is_pulled:
        # Not by its id alone: a version may have landed with rows that were set right or quarantined.
        # In the order of their newness: the API may go back to a version that landed long ago.
        pulled = by_newness(_pulled(settings))
        landed = (combine(one.delivery_id, *(file.checksum for file in one.files)) for one in pulled)
        # What a pull could not settle stands in the release too, as a warning.
        unsettled = DataPaths(settings.data_folder).pull / "unsettled.json"
        extra = sha256_of_file(unsettled) if unsettled.is_file() else ""
        return combine(settings.source, extra, *landed, *shared)
    folder, files = source_files(settings)
    dates = folder / RELEASE_DATES_FILE
    extra = sha256_of_file(dates) if dates.is_file() else ""
    return combine("files", extra, *(f"{name_in(folder, path)}:{delivery_id_of(path)}" for path in files), *shared)


def source_files(settings: Settings) -> tuple[Path, list[Path]]:
    """The declarations folder and its files, sorted. Raises PlanError when there are none."""
    folder = settings.declarations
    if folder is None or not folder.is_dir():
        raise PlanError(
            f"the declarations folder {folder} does not exist, so there is nothing to reconcile; "
            "name a folder of downloads with DECLARATIONS=<folder>"
        )
    files = scan_folder(folder)
    if not files:
        raise PlanError(f"the folder {folder} holds no file, so there is nothing to reconcile; put downloads into it")
    return folder, files


def folder_state(settings: Settings) -> str:
    """Fingerprint (as `combine` makes them) of what stands in the declarations folder: names, sizes in bytes and times
    of change of its files and of its release dates; reads none of them. A file that is being copied makes another one.

    Raises PlanError when there is no file.
    """
    folder, files = source_files(settings)
    dates = folder / RELEASE_DATES_FILE
    return combine(*(f"{name_in(folder, path)}:{_file_state(path)}" for path in (*files, dates)))


def _file_state(path: Path) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:  # No release dates, or renamed since the folder was read: then the next look differs.
        return "absent"
    return f"{found.st_size}:{found.st_mtime_ns}"


def _pulled(settings: Settings) -> list[LedgerEntry]:
    """Versions that pulls have landed and that count, by delivery. Raises PlanError when there are none."""
    found = pulled_deliveries(DataPaths(settings.data_folder))
    if not found:
        raise PlanError(
            "nothing has been pulled from the API yet, so there is nothing to reconcile; start a pull first with "
            f"make pull SOURCE={settings.source} (make run pulls by itself)"
        )
    return found


def run_id_of(fingerprint: str) -> str:
    """The id of the run with this input."""
    return f"run-{fingerprint}"


def make_plan(settings: Settings) -> RunPlan:
    """Everything known before a run starts; reads files of the source only where their periods are unknown."""
    fingerprint = input_fingerprint(settings)
    if settings.is_pulled:
        keys = {key for entry in _pulled(settings) for key in entry.period_keys}
    else:
        keys = _sample_keys(settings) if settings.source == "sample" else _file_keys(settings)
    return RunPlan(settings.source, fingerprint, run_id_of(fingerprint), with_rolled_up_years(keys))


def with_rolled_up_years(period_keys: Iterable[str]) -> tuple[str, ...]:
    """Add the year of every twelve months that are all there: such a year can be rolled up."""
    keys = set(period_keys)
    months: dict[str, int] = {}
    for key in keys:
        frequency, period = key.split("-", 1)
        if frequency == "M":
            months[period[:4]] = months.get(period[:4], 0) + 1
    years = {f"A-{year}" for year, count in months.items() if count == MONTHS_IN_A_YEAR}
    return tuple(sorted(keys | years))


def _sample_keys(settings: Settings) -> set[str]:
    return {f"{frequency}-{period}" for frequency, period in world_config(settings).periods()}


def _file_keys(settings: Settings) -> set[str]:
    """Periods of every file; read once per file content and remembered."""
    memory = DataPaths(settings.data_folder).root / "discovered"
    places = load_reference(settings.seeds_dir).places
    reader = reader_fingerprint(places)
    keys: set[str] = set()
    folder, files = source_files(settings)
    dates = read_release_dates(folder)
    for number, path in enumerate(files, start=1):
        note = memory / f"{delivery_id_of(path)}_{reader}.json"
        if not note.is_file():
            name = name_in(folder, path)
            LOG.info("looking into %s (%d of %d)", name, number, len(files))
            delivery = read_delivery(path, places, dates.get(name), name)
            found = [] if isinstance(delivery, FileRefusal) else period_keys_of(delivery.rows)
            write_bytes(note, json.dumps(found).encode())
        keys |= set(json.loads(note.read_text(encoding="utf-8")))
    if not keys:
        answers = [read_delivery(path, places, None, name_in(folder, path)) for path in files]
        reasons = [f"{a.source_file}: {a.what}" for a in answers if isinstance(a, FileRefusal)]
        raise PlanError(
            f"no file of {folder} holds a declaration, so there is nothing to reconcile; put downloads into it that "
            f"do; of the {len(files)} files some were refused: {'; '.join(reasons[:5]) or 'none, they have no rows'}"
        )
    return keys
