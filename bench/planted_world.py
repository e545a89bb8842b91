"""How fast and in how much memory the planted world is made: `python -m bench.planted_world --rows 1000000`.

Belongs here: the stopwatch around the generator. Does not belong here: any verdict; figures with their command
and machine stand in bench/README.md, and no test measures time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.speed import peak_memory_bytes
from orchestration.reference import load_seed
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, iter_deliveries

SEEDS_DIR = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"


@dataclass(frozen=True)
class Measurement:
    """One world: rows asked for and made, deliveries, rows of the largest one, and what it cost."""

    wanted_row_count: int
    row_count: int
    truth_row_count: int
    delivery_count: int
    largest_delivery_row_count: int
    parquet_bytes: int
    cpu_seconds: float
    wall_seconds: float
    peak_rss_bytes: int


def measure(rows: int, seed: int, folder: Path | None) -> Measurement:
    """Make the world once, one delivery at a time; each is written to `folder` when one is given.

    Peak memory is that of the process, so that each size wants a process of its own.
    """
    frames = {name: load_seed(SEEDS_DIR, name) for name in REFERENCE_FRAMES}
    config = WorldConfig(seed=seed, size=rows)
    made = truth = largest = count = written = 0
    cpu, wall = time.process_time(), time.perf_counter()
    for delivery in iter_deliveries(config, frames):
        count += 1
        made += delivery.declared.height
        truth += delivery.truth["true_flow"].height
        largest = max(largest, delivery.declared.height)
        if folder is not None:
            path = folder / f"{delivery.name}.parquet"
            delivery.declared.write_parquet(path, compression="zstd")
            written += path.stat().st_size
    return Measurement(
        wanted_row_count=rows,
        row_count=made,
        truth_row_count=truth,
        delivery_count=count,
        largest_delivery_row_count=largest,
        parquet_bytes=written,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.perf_counter() - wall,
        peak_rss_bytes=peak_memory_bytes(),
    )


def as_table(found: Measurement) -> str:
    """The measurement as a Markdown table with its head."""
    written = f"{found.parquet_bytes / 1e6:,.0f}" if found.parquet_bytes else "not written"
    cells = (
        f"{found.wanted_row_count:,}",
        f"{found.row_count:,}",
        f"{found.truth_row_count:,}",
        f"{found.delivery_count}",
        f"{found.largest_delivery_row_count:,}",
        f"{found.cpu_seconds:,.1f}",
        f"{found.wall_seconds:,.1f}",
        f"{found.peak_rss_bytes / 2**20:,.0f}",
        written,
    )
    head = (
        "rows asked", "declared rows", "true flows", "deliveries", "largest delivery", "CPU s", "wall s",
        "peak RSS MiB", "Parquet MB",
    )  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---:"] * len(head), cells))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one size and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.planted_world", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="declared rows wanted (default 1000000)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the world (default 7)")
    parser.add_argument(
        "--write", type=Path, default=None, help="scratch folder for Parquet; rows are only counted without it"
    )
    options = parser.parse_args(arguments)
    if options.write is not None:
        options.write.mkdir(parents=True, exist_ok=True)
    print(as_table(measure(options.rows, options.seed, options.write)))


if __name__ == "__main__":
    main()
