"""The pull against the stand-in: speed, calls, faults, kills, a spent quota.

    python -m bench.pull speed --folder FOLDER      # rows a second parsed and landed, memory by rows
    python -m bench.pull calls                      # calls used beside a perfect planner
    python -m bench.pull packing                    # seconds that packing takes, and how near its bound it comes
    python -m bench.pull faults --calls 1000        # a pull under mixed faults: every row once, no key anywhere
    python -m bench.pull kills --kills 100          # kill -9 at random moments of a pull
    python -m bench.pull quota                      # quota spent half-way: the same release in the end

FOLDER holds Parquet files in API columns, such as `sample/declared` of a data folder after a run of the source
`sample`. Exit status 1 when a promise is broken.

The perfect planner of `calls` is a bound that no planner can beat, not one that could be built: a call brings at most
cap - 1 rows that can be believed (an answer at the cap is cut off) and names at most twelve periods of one frequency.
For each frequency it therefore makes the larger of ceil(rows / (cap - 1)) and ceil(periods / 12) calls, and one more
for the availability list. It may cut data sets anywhere, and never wastes a row of room.

Belongs here: the entry, speed and calls. Does not belong here: tests of behaviour (`tests/unit/pipeline`).
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from bench.pull_faults import measure_faults
from bench.pull_ground import (
    AVAILABILITY,
    DATA,
    calls_of,
    declared,
    difference,
    landed,
    pull_once,
    settings_for,
    standing,
    table,
)
from bench.pull_kills import child, measure_kills
from bench.pull_quota import measure_quota
from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.packing import cost, pack
from orchestration.comtrade.api.requests import DataSet, Version
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.processes import collect_garbage_seldom
from orchestration.pipeline.pull import COMPLETE
from orchestration.settings import PROJECT_DIR

CAPS = (100_000, 5_000, 2_000, 500, 200)
_BAR = 1.1


def fewest_calls(rows: dict[str, int], periods: dict[str, int], cap: int, periods_a_call: int) -> int:
    """Data calls of the perfect planner, from rows and periods of each frequency."""
    return sum(max(math.ceil(rows[f] / (cap - 1)), math.ceil(periods[f] / periods_a_call)) for f in rows)


def measure_calls(folder: Path, work: Path, caps: Sequence[int] = CAPS) -> bool:
    """Calls of a full pull at several caps, by the stand-in's own record; True when all rows landed once."""
    served = declared(folder)
    counted = served.group_by("freqCode").agg(pl.len(), pl.col("period").n_unique()).sort("freqCode").rows()
    rows, periods = {f: n for f, n, _ in counted}, {f: n for f, _, n in counted}
    sets = ["freqCode", "period", "reporterCode", "classificationCode"]
    sizes = served.group_by(sets).len()["len"].to_list()
    found, well = [], True
    for cap in caps:
        with standing(folder, "--cap", str(cap)) as address:
            settings = settings_for(work / str(cap), address, api_rows_a_call=cap)
            done = pull_once(settings)
            calls = calls_of(address)
        of_data = sum(call["endpoint"] == DATA for call in calls)
        of_lists = sum(call["endpoint"] == AVAILABILITY for call in calls)
        cut_off = sum(call["endpoint"] == DATA and call["rows"] >= cap for call in calls)
        fewest = fewest_calls(rows, periods, cap, Limits().periods_a_call) + len(rows)
        lost, strange = difference(served, landed(DataPaths(settings.data_folder)))
        well &= done.status == COMPLETE and lost == strange == 0
        too_large = sum(size >= cap for size in sizes)
        ratio = f"{len(calls) / fewest:.3f}"
        found.append((cap, too_large, of_data, cut_off, of_lists, len(calls), fewest, ratio, lost, strange))
    head = "rows a call|data sets too large|data calls|of them cut off|lists|calls|perfect planner|ratio|lost|strange"
    print(table(head, found), flush=True)
    return well and float(str(found[0][7])) <= _BAR


def measure_packing() -> bool:
    """Seconds to pack 30,000 data sets of 180 reporters, at several caps and with shares of them landed already."""
    draw = random.Random(1)
    periods = [("A", str(2000 + n)) for n in range(26)]
    periods += [("M", f"{2010 + n // 12}{n % 12 + 1:02d}") for n in range(192)]
    available = []
    for frequency, period in periods:
        for reporter in range(180):
            if draw.random() < 0.77:
                rows = 1 + int((60_000 if frequency == "A" else 15_000) * draw.lognormvariate(0.0, 1.5))
                key = DataSet("C", frequency, period, f"{4 * reporter + 4:03d}", "H4")
                available.append(Version(key, "1", rows, None, None))
    found = []
    for cap in (100_000, 250_000, 2_000_000):
        for share in (0.0, 0.5, 0.97):
            landed_ones = [version for version in available if draw.random() < share]
            known = set(landed_ones)
            wanted = [version for version in available if version not in known]
            limits = Limits(rows_a_call=cap)
            began = time.process_time()
            requests = pack(wanted, landed_ones, limits)
            seconds = time.process_time() - began
            calls = cost(wanted, requests, limits, 500).calls
            rows = {f: sum(v.row_count for v in wanted if v.data_set.frequency == f) for f in ("A", "M")}
            named = {f: len({v.data_set.period for v in wanted if v.data_set.frequency == f}) for f in ("A", "M")}
            fewest = fewest_calls(rows, named, cap, limits.periods_a_call)
            found.append((cap, len(wanted), len(landed_ones), calls, fewest, f"{calls / fewest:.2f}", f"{seconds:.2f}"))
    print(table("rows a call|wanted|landed|calls at best|perfect planner|ratio|CPU s", found), flush=True)
    return all(float(str(row[-1])) < 1.0 for row in found)


def measure_speed(folder: Path, work: Path) -> bool:
    """Rows a second that one core parses and lands, and the peak of memory, against a server on the other core."""
    print("| rows | data sets | calls | wall s | CPU s | rows a CPU s | rows a wall s | peak MiB | load |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    files = sorted(folder.glob("*.parquet"))
    for share in (0.25, 0.5, 1.0):
        part = work / f"part-{share}"
        part.mkdir(parents=True)
        for path in files[: max(1, math.ceil(share * len(files)))]:
            (part / path.name).symlink_to(path.resolve())
        with standing(part, core=0) as address:
            one = [sys.executable, "-m", "bench.pull", "one", "--address", address, "--work", str(work / f"d{share}")]
            outcome = subprocess.run(
                ["taskset", "-c", "1", *one],
                cwd=PROJECT_DIR,
                env=os.environ | {"POLARS_MAX_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
        print(f"{outcome.stdout.strip().splitlines()[-1]} {os.getloadavg()[0]:.1f} |", flush=True)
    return True


def one_pull(address: str, work: Path) -> bool:
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
    return True


def main() -> int:
    """Entry point; 0 when every promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "one", "child", "calls", "packing", "faults", "kills", "quota"])
    parser.add_argument("--folder", type=Path, default=PROJECT_DIR / "data/sample/sample/declared")
    parser.add_argument("--address", default="")
    parser.add_argument("--work", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--calls", type=int, default=1000, help="faults to play")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cap", type=int, default=200, help="rows a call, for faults, kills and quota")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", default="tiny", help="planted world of `quota`")
    given = parser.parse_args()
    if given.what in ("one", "child"):
        return 0 if (one_pull if given.what == "one" else child)(given.address, given.work) else 1
    with tempfile.TemporaryDirectory(prefix="mirror-pull-") as temporary:
        work = given.work or Path(temporary)
        well = {
            "speed": lambda: measure_speed(given.folder, work),
            "calls": lambda: measure_calls(given.folder, work),
            "packing": measure_packing,
            "faults": lambda: measure_faults(given.folder, work, given.calls, given.cap, given.seed),
            "kills": lambda: measure_kills(given.folder, work, given.kills, given.cap, given.seed),
            "quota": lambda: measure_quota(work, given.world, given.cap),
        }[given.what]()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
