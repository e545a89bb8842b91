"""What the reconciliation of a whole collection costs: `python -m bench.reconcile_cost --data data/files`.

Belongs here: the stopwatch around pairing, fitting and estimating, on declarations that an earlier run contracted.
Does not belong here: any verdict; figures with their command and machine stand in bench/README.md, and no test
measures time. Results are written to a temporary folder; the run's own folder is only read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.speed import stopwatch
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.pipeline.reconciliation import fit_parameters, pair_periods, reconcile_periods
from orchestration.reference import load_reference

SEEDS_DIR = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"


def measure(data: Path, scratch: Path) -> list[dict[str, float | str]]:
    """CPU and wall seconds of the three stages, and the peak of the process after each."""
    paths = DataPaths(scratch)
    (scratch / "contracted").symlink_to(data.resolve() / "contracted", target_is_directory=True)
    reference = load_reference(SEEDS_DIR)
    keys = with_rolled_up_years(path.stem for path in (data / "contracted" / "declarations").glob("*.parquet"))
    stages: dict[str, Callable[[], object]] = {
        "pair": lambda: pair_periods(paths, keys, keys, reference, "bench"),
        "fit": lambda: fit_parameters(paths, keys, reference, "bench"),
        "estimate": lambda: reconcile_periods(paths, keys, reference, "bench"),
    }
    return stopwatch(stages)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one data folder and print a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder of a run, with contracted/ in it")
    parser.add_argument("--keep", type=Path, help="write the results here instead of a temporary folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.keep or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        for stage in measure(options.data, scratch):
            sys.stdout.write(
                f"{stage['stage']:9s} cpu {stage['cpu_s']:7.1f} s  wall {stage['wall_s']:7.1f} s  "
                f"peak {stage['peak_mib']:7.0f} MiB\n"
            )


if __name__ == "__main__":
    main()
