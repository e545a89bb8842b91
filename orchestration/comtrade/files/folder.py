"""The folder of downloads: its files, their names and identities, and the dates of release stated beside them.

Belongs here: what counts as a download and what it is called. Does not belong here: reading one.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

from orchestration.comtrade.files.model import FolderError

RELEASE_DATES_FILE = "vintages.csv"
RELEASE_DATES_HEADER = ["file", "released_on"]
DOCUMENTATION_SUFFIXES = (".md", ".markdown")
_DELIVERY_ID_DIGITS = 12


def scan_folder(folder: Path) -> list[Path]:
    """Every download below the folder, sorted by its name in the folder.

    Documentation is left out: hidden files and folders, README files, *.md and the folder's own vintages.csv. All
    else is read, and refused with a reason when it holds no declarations.
    """
    found = [path for path in _files_below(folder) if _is_download(name_in(folder, path))]
    return sorted(found, key=lambda path: name_in(folder, path))


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file, through linked folders too; a folder that is reached twice is entered once."""
    entered: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(root)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        yield from (path for path in (Path(root) / name for name in files) if path.is_file())


def name_in(folder: Path, path: Path) -> str:
    """The name of a file in its folder, sub-folders included, with forward slashes: distinct for every file."""
    return path.relative_to(folder).as_posix()


def _is_download(name: str) -> bool:
    parts = name.split("/")
    last = parts[-1].lower()
    hidden = any(part.startswith(".") for part in parts)
    documentation = last.endswith(DOCUMENTATION_SUFFIXES) or last.split(".")[0] == "readme"
    return not (hidden or documentation or name == RELEASE_DATES_FILE)


def delivery_id_of(path: Path) -> str:
    """The identity of a file's content: the first 12 hex digits of its SHA-256.

    Asked for again it is not computed again, unless size or time of change differ.
    """
    state = path.stat()
    return _content_id(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _content_id(path: Path, _size: int, _changed_ns: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:_DELIVERY_ID_DIGITS]


def read_release_dates(folder: Path) -> dict[str, date]:
    """Release dates stated in the folder's vintages.csv (file,released_on), by name in the folder; {} without it.

    Raises FolderError when the file is malformed, names a file that is not there or names one twice.
    """
    path = folder / RELEASE_DATES_FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as handle:
        lines = [line for line in csv.reader(handle) if line]
    if not lines or [cell.strip() for cell in lines[0]] != RELEASE_DATES_HEADER:
        raise _malformed(path, f"its header is not {','.join(RELEASE_DATES_HEADER)}")
    dates: dict[str, date] = {}
    for number, cells in enumerate(lines[1:], start=2):
        name, released_on = _release_date(path, number, [cell.strip() for cell in cells])
        if name in dates:
            raise _malformed(path, f"row {number} names {name} a second time")
        if not (folder / name).is_file():
            raise _malformed(path, f"row {number} names {name}, which is not in the folder")
        dates[name] = released_on
    return dates


def _release_date(path: Path, number: int, cells: list[str]) -> tuple[str, date]:
    if len(cells) != len(RELEASE_DATES_HEADER):
        raise _malformed(path, f"row {number} has {len(cells)} cells instead of {len(RELEASE_DATES_HEADER)}")
    try:
        return cells[0], date.fromisoformat(cells[1])
    except ValueError as error:
        raise _malformed(path, f"row {number} has the date {cells[1]!r}, which is not YYYY-MM-DD") from error


def _malformed(path: Path, what: str) -> FolderError:
    return FolderError(
        f"{path} cannot be used: {what}; without its dates an older download could stand as the current one; "
        "mend the row, with the file's name as it stands below the folder, or remove vintages.csv"
    )
