"""What the reconciliation costs by size: `python -m bench.speed --rows 5000000 --runs 5`.

Belongs here: planted declarations contracted once into a folder, the reconciliation of them in a process of its own
under a stopwatch, and reading plus writing the same Parquet as the floor. Does not belong here: verdicts; figures with
their command and machine stand in docs/speed.md, and no test measures time.

Up to 20 million rows the folder holds a planted world of that size (years 2017-2024 and months 2021-2024). Beyond, ten
years are each made of several copies of one planted year whose product codes are shifted within their chapters, so that
pairs, corridors and chapters grow with the rows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import polars as pl

from bench.accuracy_first import SEEDS_DIR, _landed, tables_of
from orchestration.comtrade.contract import apply_contract, year_completeness
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.pipeline.reconciliation import fit_parameters, pair_periods, reconcile_periods
from orchestration.pipeline.storage import write_frame
from orchestration.reference import load_reference
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, iter_deliveries

LARGEST_PLANTED = 20_000_000
COPIED_PERIODS = 10
_BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def make(rows: int, folder: Path) -> int:
    """Contract a planted world into `folder` unless it is there already; returns the number of declared rows."""
    count = folder / "rows.txt"
    if not count.exists():
        shutil.rmtree(folder, ignore_errors=True)
        paths = DataPaths(folder)
        made = _planted(rows, paths) if rows <= LARGEST_PLANTED else _copied(rows, paths)
        count.write_text(str(made), encoding="utf-8")
    return int(count.read_text(encoding="utf-8"))


def _planted(rows: int, paths: DataPaths) -> int:
    reference = load_reference(SEEDS_DIR)
    contract, _ = tables_of(reference)
    frames = {name: getattr(reference, name) for name in REFERENCE_FRAMES}
    presence, made = [], 0
    deliveries = iter_deliveries(replace(WorldConfig.standard(seed=7), size=rows), frames)
    # A large period is delivered in parts of whole reporters: A-2017-p01, A-2017-p02, ...
    for key, parts in groupby(deliveries, key=lambda delivery: delivery.name.split("-p")[0]):
        tables: dict[str, list[pl.DataFrame]] = {"declarations": [], "control_totals": [], "coverage_filed": []}
        for delivery in parts:
            order = pl.DataFrame({"delivery_id": [delivery.name], "precedence": [1]})
            result = apply_contract(_landed(delivery.declared, delivery.name), contract, order)
            made += delivery.declared.height
            tables["declarations"].append(result.declarations)
            tables["control_totals"].append(result.control_totals)
            tables["coverage_filed"].append(result.coverage)
        for name, frames_of_parts in tables.items():
            write_frame(paths.table("contracted", name, key), pl.concat(frames_of_parts))
        presence += [c.select("frequency", "period", "reporter_code") for c in tables["coverage_filed"]]
    years = year_completeness(pl.concat(presence).unique())
    write_frame(paths.contracted / "completeness.parquet", years)
    return made


def _copied(rows: int, paths: DataPaths) -> int:
    """Ten years of `rows` in all from one planted year, copy by copy with other product codes."""
    base = paths.root.with_name(f"{paths.root.name}-base")
    config = "A-2019"
    make(LARGEST_PLANTED // 4, base)
    tables = {
        name: pl.read_parquet(DataPaths(base).table("contracted", name, config))
        for name in ("declarations", "control_totals", "coverage_filed")
    }
    one = tables["declarations"]
    copies = max(round(rows / COPIED_PERIODS / one.height), 1)
    for year in range(2015, 2015 + COPIED_PERIODS):
        moved = {name: _moved_year(frame, year) for name, frame in tables.items()}
        shifted = [_shifted(moved["declarations"], copy) for copy in range(copies)]
        write_frame(paths.table("contracted", "declarations", f"A-{year}"), pl.concat(shifted))
        for name in ("control_totals", "coverage_filed"):
            write_frame(paths.table("contracted", name, f"A-{year}"), moved[name])
    complete = pl.read_parquet(DataPaths(base).contracted / "completeness.parquet").filter(pl.col("year") == 2019)
    years = pl.DataFrame({"new_year": list(range(2015, 2015 + COPIED_PERIODS))}, schema={"new_year": pl.Int64})
    full = complete.join(years, how="cross").with_columns(year=pl.col("new_year")).drop("new_year")
    write_frame(paths.contracted / "completeness.parquet", full.select(complete.columns))
    return one.height * copies * COPIED_PERIODS


def _moved_year(frame: pl.DataFrame, year: int) -> pl.DataFrame:
    """The same rows in another year."""
    changes = {"period": pl.lit(str(year)), "period_start": pl.date(year, 1, 1)}
    if "declaration_id" in frame.columns:
        changes["declaration_id"] = pl.col("declaration_id") + f"-{year}"
    return frame.with_columns(**{name: value for name, value in changes.items() if name in frame.columns})


def _shifted(frame: pl.DataFrame, copy: int) -> pl.DataFrame:
    """The same rows with product codes moved on within their chapter; a chapter and TOTAL stay."""
    if copy == 0:
        return frame
    code = pl.col("product_code")
    tail = ((code.str.slice(2).cast(pl.Int64, strict=False) + 1_237 * copy) % 10_000).cast(pl.String).str.zfill(4)
    return frame.with_columns(
        product_code=pl.when(code.str.len_chars() == 6).then(code.str.slice(0, 2) + tail).otherwise(code),
        declaration_id=pl.col("declaration_id") + f"-{copy}",
    ).filter(pl.col("product_level") == 6)


def floor(paths: DataPaths, keys: Sequence[str], out: Path) -> None:
    """Read what the reconciliation reads and write what it writes, period by period."""
    for key in keys:
        source = paths.table("contracted", "declarations", key)
        if source.exists():
            pl.read_parquet(source)
        for table in ("pairs", "sources", "valued", "mirror_flows"):
            made = paths.table("reconciled", table, key)
            if made.exists():
                write_frame(out / table / f"{key}.parquet", pl.read_parquet(made))


def peak_memory_bytes() -> int:
    """Most memory this process has held.

    Linux keeps in ru_maxrss what the parent held when it started the process, here the world that was made: its own
    peak stands in /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_RSS_UNIT


def stopwatch(work: dict[str, Callable[[], object]]) -> list[dict[str, float | str]]:
    """CPU seconds of the process, wall seconds and its peak memory after each stage."""
    found: list[dict[str, float | str]] = []
    for stage, run in work.items():
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        peak = peak_memory_bytes()
        found.append(
            {"stage": stage, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
            | {"peak_mib": peak / 2**20}
        )
    return found


def keys_of(paths: DataPaths) -> list[str]:
    """Period keys in a folder, with the years that roll up from months."""
    return list(with_rolled_up_years(path.stem for path in (paths.contracted / "declarations").glob("*.parquet")))


def measure(folder: Path, what: str) -> list[dict[str, float | str]]:
    """Run one thing in this process and time it: `reconcile` or `floor`."""
    paths = DataPaths(folder)
    keys = keys_of(paths)
    if what == "floor":
        return stopwatch({"read and write": lambda: floor(paths, keys, folder / "floor")})
    shutil.rmtree(paths.reconciled, ignore_errors=True)
    reference = load_reference(SEEDS_DIR)
    return stopwatch(
        {
            "pair": lambda: pair_periods(paths, keys, keys, reference, "bench"),
            "fit": lambda: fit_parameters(paths, keys, reference, "bench"),
            "estimate": lambda: reconcile_periods(paths, keys, reference, "bench"),
        }
    )


def hash_of(folder: Path) -> str:
    """One hash of all Parquet files that the reconciliation wrote."""
    digest = hashlib.sha256()
    for path in sorted((folder / "reconciled").rglob("*.parquet")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _in_a_process(folder: Path, what: str) -> list[dict[str, float | str]]:
    command = [sys.executable, "-m", "bench.speed", "--run", what, "--folder", str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    stages: list[dict[str, float | str]] = json.loads(answer.splitlines()[-1])
    return stages


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, measure and print one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="declared rows wanted")
    parser.add_argument("--folder", type=Path, help="keep the contracted rows here between runs")
    parser.add_argument("--run", choices=["reconcile", "floor"], help="one measurement in this process")
    parser.add_argument("--runs", type=int, default=1, help="measure so often, tell the medians and compare every byte")
    options = parser.parse_args(arguments)
    folder = options.folder or Path("data") / "speed" / str(options.rows)
    if options.run:
        sys.stdout.write(json.dumps(measure(folder, options.run)) + "\n")
        return
    sys.stdout.write(f"{make(options.rows, folder):,} declared rows\n")
    found, hashes = [], []
    for _ in range(options.runs):
        stages = _in_a_process(folder, "reconcile")
        hashes.append(hash_of(folder))
        # The floor is measured anew beside every run: what else the machine does changes from minute to minute.
        least = _in_a_process(folder, "floor")[0]
        for stage in [*stages, least]:
            sys.stdout.write(
                f"{stage['stage']:>15} cpu {stage['cpu_s']:8.2f} s  wall {stage['wall_s']:8.2f} s  "
                f"peak {stage['peak_mib']:7.0f} MiB\n"
            )
        cpu, wall = (sum(float(s[k]) for s in stages) for k in ("cpu_s", "wall_s"))
        peak = max(float(s["peak_mib"]) for s in stages)
        found.append((cpu, wall, peak, float(least["cpu_s"]), cpu / float(least["cpu_s"])))
        sys.stdout.write(_told(found[-1]))
        sys.stdout.flush()
    middle = tuple(statistics.median(column) for column in zip(*found, strict=True))
    sys.stdout.write(f"median of {options.runs}: {_told(middle)}hashes {hashes}\n")


def _told(figures: tuple[float, ...]) -> str:
    cpu, wall, peak, least, multiple = figures
    return (
        f"reconciliation: {cpu:.2f} CPU-s, {wall:.2f} s, {peak:.0f} MiB; floor {least:.2f} CPU-s; "
        f"{multiple:.1f} x read and write\n"
    )


if __name__ == "__main__":
    main()
