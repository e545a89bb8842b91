"""Common ground of the benchmarks of the pull: a stand-in to pull from, one pull, what is served and what landed.

Belongs here: starting and steering the stand-in, comparing rows. Does not belong here: any measurement (`bench.pull`,
`bench.pull_faults`, `bench.pull_kills`, `bench.pull_quota`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from orchestration.comtrade.api.bodies import DESCRIBING
from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.quota import CallBook, key_name_of
from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.pull import PullSummary, limits_of, pull
from orchestration.reference import load_reference
from orchestration.settings import PROJECT_DIR, Settings

KEY = "bench-key-that-must-stand-nowhere-5b1f"
UNLIMITED = 10_000_000
DATA, AVAILABILITY = "data/v1/get", "data/v1/getda"
FILED = [name for name in API_COLUMNS if name not in DESCRIBING]
"""Columns that an answer fills when no descriptions are asked for."""
_SECONDS_A_DAY = 86_400


def settings_for(data_dir: Path, address: str, **changes: object) -> Settings:
    """Settings of a pull against the stand-in at `address`."""
    given: dict[str, object] = {
        "source": "api",
        "api_key": KEY,
        "api_address": address,
        "data_dir": data_dir,
        "api_calls_a_second": 10_000.0,
        "api_calls_a_day": UNLIMITED,
        "api_longest_wait_seconds": 2.0,
    }
    return Settings(**(given | changes))  # type: ignore[arg-type]


def pull_once(settings: Settings, first_wait_seconds: float = 0.01, days_later: int = 0) -> PullSummary:
    """One pull with these settings; waits between attempts are short, since the server is at hand."""
    paths = DataPaths(settings.data_folder)
    limits = replace(limits_of(settings), first_wait_seconds=first_wait_seconds)
    book = CallBook(
        settings.api_call_book or paths.pull / "calls.sqlite",
        limits,
        key_name_of(KEY),
        now=lambda: time.time() + days_later * _SECONDS_A_DAY,
    )
    with Client(book, limits, KEY, settings.api_address) as client:
        return pull(settings, paths, load_reference(settings.seeds_dir), client, book, "bench")


@contextmanager
def standing(
    folder: Path | None, *arguments: str, core: int | None = None, more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A stand-in process that serves `folder` (None: the planted world that the variables in `more` name); gives its
    address.
    """
    command = [sys.executable, "-m", "orchestration.stand_in", *arguments]
    served = ["--folder", str(folder)] if folder is not None else []
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    environment = os.environ | {"MIRROR_STAND_IN_KEY": KEY} | dict(more or {})
    process = subprocess.Popen(
        [*pinned, *command, *served], cwd=PROJECT_DIR, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.wait()


def calls_of(address: str) -> list[dict[str, Any]]:
    """Every call that the stand-in answered, by its own record."""
    found: list[dict[str, Any]] = httpx.get(f"{address}/stand-in/calls", timeout=60.0).json()
    return found


def declared(folder: Path) -> pl.DataFrame:
    """The rows that are served, in the columns that an answer fills."""
    return pl.concat([pl.read_parquet(path, columns=FILED) for path in sorted(folder.glob("*.parquet"))])


def landed_files(paths: DataPaths) -> list[Path]:
    """Every landed file, sorted; temporary ones are none."""
    return sorted(path for path in paths.landed.rglob("*.parquet") if not path.name.startswith("."))


def landed_rows(path: Path) -> pl.DataFrame:
    """The rows of a landed file in the columns that an answer fills, and the reader's flags."""
    frame = pl.read_parquet(path)
    flags = {"quarantine_field": pl.String(), "quarantine_value": pl.String()}
    types = {name: API_COLUMNS[name] for name in FILED} | flags
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name) for name, dtype in types.items()
    )


def landed(paths: DataPaths) -> pl.DataFrame:
    """Every landed row in the columns that an answer fills."""
    return pl.concat([landed_rows(path).select(FILED) for path in landed_files(paths)])


def difference(served: pl.DataFrame, got: pl.DataFrame) -> tuple[int, int]:
    """Rows served that did not land, and rows landed that were not served or landed twice (multisets compared)."""
    columns = served.columns
    counted = [frame.select(columns).group_by(columns).len() for frame in (served, got)]
    both = counted[0].join(counted[1], on=columns, how="full", nulls_equal=True, coalesce=True, suffix="_got")
    missing = pl.col("len").fill_null(0).cast(pl.Int64) - pl.col("len_got").fill_null(0).cast(pl.Int64)
    return (
        int(both.select(missing.clip(lower_bound=0).sum()).item()),
        int(both.select((-missing).clip(lower_bound=0).sum()).item()),
    )


def files_with_key(root: Path) -> list[str]:
    """Files below `root` in which the key stands."""
    needle = KEY.encode()
    return [str(path) for path in sorted(root.rglob("*")) if path.is_file() and needle in path.read_bytes()]


def table(head: str, rows: list[tuple[object, ...]]) -> str:
    """A Markdown table; numbers are set to the right."""
    names = [name.strip() for name in head.split("|")]
    is_number = [isinstance(cell, int | float) for cell in rows[0]] if rows else [False] * len(names)
    lines = ["| " + " | ".join(names) + " |", "|" + "|".join("---:" if n else "---" for n in is_number) + "|"]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
