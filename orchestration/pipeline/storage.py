"""Writing so that a killed run loses nothing, and knowing what need not be done again.

Belongs here: atomic writes, fingerprints, the stamp that says which input a result was made from.
Does not belong here: what the results mean.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow.parquet as pq

Result = TypeVar("Result")
Period = TypeVar("Period")
PERIODS_AT_ONCE = 2
_CHUNK_BYTES = 1 << 20


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes (hex)."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def combine(*parts: str) -> str:
    """One fingerprint (16 hex digits) of several texts; their order matters."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def fingerprint_of_frame(frame: pl.DataFrame) -> str:
    """SHA-256 (hex) of a frame's rows and columns in their order."""
    return hashlib.sha256(frame.write_ipc(None).getvalue()).hexdigest()


def fingerprint_of_tree(root: Path, patterns: Iterable[str]) -> str:
    """Fingerprint of the files below `root` that match the patterns: names and bytes, in a fixed order."""
    found = sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
    kept = (p for p in found if not {"target", "__pycache__", "logs"} & set(p.relative_to(root).parts))
    return combine(*(f"{path.relative_to(root)}:{sha256_of_file(path)}" for path in kept))


def write_bytes(path: Path, content: bytes) -> None:
    """Write under a temporary name and rename, so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame as zstd Parquet (level 1: a third less time, a twentieth more bytes) and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    frame.write_parquet(temporary, compression="zstd", compression_level=1, statistics=True)
    temporary.replace(path)


def rows_of(path: Path) -> int:
    """Number of rows of a Parquet file, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def each_period(
    work: Callable[[Period], Result], periods: Sequence[Period], alone: Collection[Period] = ()
) -> list[Result]:
    """Do the same work for every period, or batch of periods, two at a time; results in their order.

    Periods share nothing but parameter tables, so their order does not matter. Two at a time keeps two cores busy
    where frames are small, and memory at two periods; those of `alone`, which are large, come first and one by one.
    """
    large = {number: work(period) for number, period in enumerate(periods) if period in alone}
    others = [number for number in range(len(periods)) if number not in large]
    with ThreadPoolExecutor(PERIODS_AT_ONCE) as pool:
        done = large | dict(zip(others, pool.map(work, [periods[number] for number in others]), strict=True))
    return [done[number] for number in range(len(periods))]


class Stamps:
    """Which input each result of a stage was made from; written after the result, read before doing it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_current(self, key: str, fingerprint: str, results: Iterable[Path]) -> bool:
        """True when the stored fingerprint equals this one and every result is there."""
        stamp = self._folder / f"{key}.txt"
        return (
            stamp.is_file()
            and stamp.read_text(encoding="utf-8") == fingerprint
            and all(path.is_file() for path in results)
        )

    def write(self, key: str, fingerprint: str) -> None:
        """Say that the results of this key were made from this input."""
        write_bytes(self._folder / f"{key}.txt", fingerprint.encode())


def remove_temporaries(root: Path) -> int:
    """Remove what killed writes left behind below `root`; returns how many. Call it only while nobody writes there."""
    left = [
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if name.startswith(".") and name.endswith(".tmp")
    ]
    for path in left:
        path.unlink()
    return len(left)


def remove_other_files(folder: Path, keep: set[str]) -> int:
    """Remove files of periods that the source no longer holds; returns how many went."""
    if not folder.is_dir():
        return 0
    gone = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stem not in keep]
    for path in gone:
        path.unlink()
    return len(gone)
