"""The pull against the stand-in: speed, calls, faults, kills, a spent quota, a revision.

    python -m bench.pull speed --folder FOLDER      # rows a second parsed and landed, memory by rows
    python -m bench.pull calls                      # calls used beside a perfect planner
    python -m bench.pull faults --calls 1000        # a pull under mixed faults: every row once, no key anywhere
    python -m bench.pull kills --kills 100          # kill -9 at random moments of a pull
    python -m bench.pull quota                      # quota spent half-way: the same landed bytes and plan in the end

Belongs here: measuring, and comparing what landed with what is served. Does not belong here: tests of behaviour
(`tests/unit/pipeline/test_pull.py`).
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from orchestration.comtrade.api.bodies import DESCRIBING
from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.quota import CallBook, key_name_of
from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.processes import collect_garbage_seldom
from orchestration.pipeline.pull import COMPLETE, PullSummary, limits_of, pull
from orchestration.reference import load_reference
from orchestration.settings import PROJECT_DIR, Settings

KEY = "bench-key-that-must-stand-nowhere-5b1f"
UNLIMITED = 10_000_000


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


def pull_once(settings: Settings, first_wait_seconds: float = 0.01, **limits: object) -> PullSummary:
    """One pull with these settings; waits between attempts are short, since the server is at hand."""
    from dataclasses import replace

    paths = DataPaths(settings.data_folder)
    chosen = replace(limits_of(settings), first_wait_seconds=first_wait_seconds, **limits)  # type: ignore[arg-type]
    book = CallBook(settings.api_call_book or paths.pull / "calls.sqlite", chosen, key_name_of(KEY))
    with Client(book, chosen, KEY, settings.api_address) as client:
        return pull(settings, paths, load_reference(settings.seeds_dir), client, book, "bench")


@contextmanager
def standing(folder: Path, *arguments: str, core: int | None = None) -> Iterator[str]:
    """A stand-in process that serves `folder`; gives its address."""
    command = [sys.executable, "-m", "orchestration.stand_in", "--folder", str(folder), *arguments]
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    environment = os.environ | {"MIRROR_STAND_IN_KEY": KEY}
    process = subprocess.Popen([*pinned, *command], cwd=PROJECT_DIR, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
    finally:
        process.terminate()
        process.wait()


def declared(folder: Path) -> pl.DataFrame:
    """The rows that are served, as the API gives them: without descriptions."""
    frame = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    return frame.with_columns(pl.lit(None, dtype=API_COLUMNS[name]).alias(name) for name in DESCRIBING)


def landed(paths: DataPaths) -> pl.DataFrame:
    """Every landed row in API columns."""
    found = [
        pl.read_parquet(path, columns=None) for path in sorted(paths.landed.rglob("*.parquet")) if path.name[0] != "."
    ]
    whole = [
        frame.select(pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name) for name, dtype in
                     API_COLUMNS.items())
        for frame in found
    ]  # fmt: skip
    return pl.concat(whole) if whole else pl.DataFrame(schema=API_COLUMNS)


def difference(served: pl.DataFrame, got: pl.DataFrame) -> tuple[int, int]:
    """Rows served that did not land, and rows landed that were not served or landed twice (multisets compared)."""
    columns = [name for name in API_COLUMNS if name not in DESCRIBING]
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


def measure_speed(folder: Path, work: Path) -> None:
    """Rows a second that one core parses and lands, and the peak of memory, against a server on the other core."""
    print("| rows | data sets | calls | wall s | CPU s | rows a CPU s | rows a wall s | peak MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    sizes = sorted(folder.glob("*.parquet"))
    for share in (0.25, 0.5, 1.0):
        part = work / f"part-{share}"
        part.mkdir(parents=True)
        for path in sizes[: max(1, math.ceil(share * len(sizes)))]:
            (part / path.name).symlink_to(path)
        with standing(part, core=0) as address:
            command = [
                sys.executable,
                "-m",
                "bench.pull",
                "one",
                "--address",
                address,
                "--work",
                str(work / f"d{share}"),
            ]
            environment = os.environ | {"POLARS_MAX_THREADS": "1"}
            outcome = subprocess.run(
                ["taskset", "-c", "1", *command],
                cwd=PROJECT_DIR,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
        print(outcome.stdout.strip().splitlines()[-1], flush=True)


def one_pull(address: str, work: Path) -> None:
    """A whole pull, measured within its own process; prints a row of the table of `speed`."""
    collect_garbage_seldom()
    settings = settings_for(work, address)
    began, cpu = time.perf_counter(), time.process_time()
    done = pull_once(settings)
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert done.status == COMPLETE, done
    rows = done.row_count
    print(
        f"| {rows:,} | {len(done.landed):,} | {done.calls} | {wall:.1f} | {used:.1f} | {rows / used:,.0f} | "
        f"{rows / wall:,.0f} | {peak:.0f} |"
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "one", "calls", "faults", "kills", "quota"])
    parser.add_argument("--folder", type=Path, default=PROJECT_DIR / "data/sample/sample/declared")
    parser.add_argument("--address", default="")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    given = parser.parse_args()
    if given.what == "one":
        one_pull(given.address, given.work)
        return
    with tempfile.TemporaryDirectory(prefix="mirror-pull-") as folder:
        if given.what == "speed":
            measure_speed(given.folder, Path(folder))


if __name__ == "__main__":
    main()
