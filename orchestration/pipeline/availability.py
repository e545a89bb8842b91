"""What the API's availability list said, kept beside the ledger, and which landed data sets count by it.

Belongs here: the lists in the data folder, and the pulled deliveries that a run reads. Does not belong here: asking for
the list and landing what it names (`pull`), or how a replaced data set is told (`orchestration.comtrade.ledger`).

Two lists are kept. `availability.json` is the last one, of what the settings ask for: a pull goes by it. `listed.json`
has for every reporter, frequency and period what the last list that named it said: a list narrowed by the settings,
shortened or empty leaves it as it was, so that no data set comes back or goes because the API was asked for less.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from orchestration.comtrade.api.requests import DataSet, Version
from orchestration.comtrade.ledger import LedgerEntry, pulled_entries, replaced_data_sets, without_replaced
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import write_bytes

LOG = logging.getLogger("mirror_warehouse")
_SHOWN = 10


def read_availability(paths: DataPaths) -> list[Version]:
    """The versions of the last look, sorted; [] before the first."""
    return _read(paths.pull / "availability.json")


def read_listed(paths: DataPaths) -> list[Version]:
    """The versions that the API is known to list, sorted: of each reporter, frequency and period those of the last look
    that named any; [] before the first look.
    """
    file = paths.pull / "listed.json"
    return _read(file) if file.is_file() else read_availability(paths)


def write_availability(paths: DataPaths, available: Sequence[Version]) -> None:
    """Keep the versions of a look, for `read_availability` and `read_listed`."""
    named = {_place_of(version) for version in available}
    earlier = (version for version in read_listed(paths) if _place_of(version) not in named)
    # A stop between the two leaves the older list for the next pull, which looks again before it asks for anything.
    write_bytes(paths.pull / "listed.json", _as_json(sorted([*earlier, *available])))
    write_bytes(paths.pull / "availability.json", _as_json(available))


def pulled_deliveries(paths: DataPaths) -> list[LedgerEntry]:
    """Ledger entries of what was pulled and counts, sorted by delivery: every version of each data set, but none of a
    data set that the API replaced by another one. Raises LedgerError when the ledger cannot be read.
    """
    return pulled_and_replaced(paths)[0]


def pulled_and_replaced(paths: DataPaths) -> tuple[list[LedgerEntry], dict[str, tuple[str, ...]]]:
    """What `pulled_deliveries` gives, and the landed data sets that do not count, by name, each with those that the API
    lists in its place (such as C-A-2017-012-H5: C-A-2017-012-H6). Reads the ledger once; raises LedgerError when it
    cannot be read.
    """
    versions = read_listed(paths)
    of_version = {version.delivery_id for version in versions}
    entries = [
        replace(entry, is_listed=True) if entry.delivery_id in of_version else entry
        for entry in pulled_entries(paths.ledger)
    ]
    listed = {version.data_set.name for version in versions}
    replaced = replaced_data_sets(entries, listed)
    return without_replaced(entries, replaced), replaced


def say_replaced(replaced: Mapping[str, Sequence[str]]) -> None:
    """Tell the log which landed data sets do not count, the first ten by name."""
    if not replaced:
        return
    LOG.info("%d landed data sets do not count, since the API lists another edition in their place", len(replaced))
    for name, successors in list(replaced.items())[:_SHOWN]:
        LOG.info("  %s: now %s", name, " and ".join(successors))


def _place_of(version: Version) -> tuple[str, str, str, str]:
    """What a data set is, but for its classification: of these another edition may take its place."""
    key = version.data_set
    return key.type_code, key.frequency, key.period, key.reporter_code


def _read(file: Path) -> list[Version]:
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))
    return [
        Version(DataSet(*row[:5]), row[5], row[6], *(date.fromisoformat(d) if d else None for d in row[7:9]))
        for row in rows
    ]


def _as_json(versions: Sequence[Version]) -> bytes:
    rows = [
        (
            *asdict(v.data_set).values(),
            v.checksum,
            v.row_count,
            *(d and d.isoformat() for d in (v.first_released, v.last_released)),
        )
        for v in versions
    ]
    return ("[" + ",\n".join(json.dumps(row) for row in rows) + "]").encode()
