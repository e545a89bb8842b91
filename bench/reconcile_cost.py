"""What the reconciliation of a whole collection costs: `python -m bench.reconcile_cost --data data/files`.

Belongs here: the stopwatch around pairing, fitting and estimating, on declarations that an earlier run contracted.
Does not belong here: any verdict; figures with their command and machine stand in bench/README.md, and no test
measures time. Results are written to a temporary folder; the run's own folder is only read.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.pipeline.reconciliation import fit_parameters, pair_periods, reconcile_periods
from orchestration.reference import load_reference

SEEDS_DIR = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
_BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure(data: Path, scratch: Path) -> list[tuple[str, float, float, int]]:
    """(stage, CPU seconds, wall seconds, peak bytes of the process so far) of the three stages."""
    paths = DataPaths(scratch)
    (scratch / "contracted").symlink_to(data.resolve() / "contracted", target_is_directory=True)
    reference = load_reference(SEEDS_DIR)
    keys = with_rolled_up_years(path.stem for path in (data / "contracted" / "declarations").glob("*.parquet"))
    stages: dict[str, Callable[[], object]] = {
        "pair": lambda: pair_periods(paths, keys, keys, reference, "bench"),
        "fit": lambda: fit_parameters(paths, keys, reference, "bench"),
        "estimate": lambda: reconcile_periods(paths, keys, reference, "bench"),
    }
    found = []
    for stage, work in stages.items():
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_RSS_UNIT
        found.append((stage, time.process_time() - cpu, time.perf_counter() - wall, peak))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one data folder and print a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder of a run, with contracted/ in it")
    parser.add_argument("--keep", type=Path, help="write the results here instead of a temporary folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.keep or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        for stage, cpu, wall, peak in measure(options.data, scratch):
            sys.stdout.write(f"{stage:9s} cpu {cpu:7.1f} s  wall {wall:7.1f} s  peak {peak / 2**20:7.0f} MiB\n")


if __name__ == "__main__":
    main()
