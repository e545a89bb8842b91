"""Planted worlds, contracted and reconciled into a folder of their own, as a run would leave them before dbt builds.

Belongs here: from a world's configuration to the Parquet files that the passages rest on, with the truth beside them.
Does not belong here: signals and leads (`orchestration.passages`, dbt), or any verdict (`bench.passages`).
"""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path

import polars as pl

from bench.accuracy_first import SEEDS_DIR, _landed, tables_of
from orchestration.comtrade.contract import apply_contract, with_completeness, year_completeness
from orchestration.pipeline.passages import find_passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.pipeline.reconciliation import fit_parameters, pair_periods, reconcile_periods
from orchestration.pipeline.storage import write_frame
from orchestration.reference import Reference, load_reference
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, iter_deliveries, world_truth

_CONTRACTED = ("declarations", "control_totals", "coverage")


def reconciled_world(config: WorldConfig, folder: Path, reference: Reference | None = None) -> DataPaths:
    """Make a world below `folder` (emptied first): contracted declarations, reconciled flows and the truth tables."""
    shutil.rmtree(folder, ignore_errors=True)
    paths = DataPaths(folder)
    known = reference if reference is not None else load_reference(SEEDS_DIR)
    frames = {name: getattr(known, name) for name in REFERENCE_FRAMES}
    contract, _ = tables_of(known)
    coverage = {}
    for key, parts in groupby(iter_deliveries(config, frames), key=lambda delivery: delivery.name.split("-p")[0]):
        made: dict[str, list[pl.DataFrame]] = {name: [] for name in _CONTRACTED}
        for delivery in parts:
            order = pl.DataFrame({"delivery_id": [delivery.name], "precedence": [1]})
            result = apply_contract(_landed(delivery.declared, delivery.name), contract, order)
            for name in _CONTRACTED:
                made[name].append(getattr(result, name))
        for name in ("declarations", "control_totals"):
            write_frame(paths.table("contracted", name, key), pl.concat(made[name]))
        coverage[key] = pl.concat(made["coverage"])
        write_frame(paths.table("contracted", "coverage_filed", key), coverage[key])
    presence = [frame.select("frequency", "period", "reporter_code") for frame in coverage.values()]
    years = year_completeness(pl.concat(presence).unique())
    write_frame(paths.contracted / "completeness.parquet", years)
    for key, frame in coverage.items():
        write_frame(paths.table("contracted", "coverage", key), with_completeness(frame, years))
    for name, table in world_truth(config, frames).items():
        write_frame(paths.sample_truth / f"{name}.parquet", table)
    keys = list(with_rolled_up_years(coverage))
    pair_periods(paths, keys, keys, known, "bench")
    fit_parameters(paths, keys, known, "bench")
    reconcile_periods(paths, keys, known, "bench")
    find_passages(paths, keys, known, "bench")
    return paths
