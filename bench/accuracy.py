"""Estimators x worlds x sizes against known truth: `python -m bench.accuracy`; writes docs/accuracy.md and its plots.

Belongs here: which worlds are judged, the measures of each estimator, the page. Does not belong here: making and
reconciling a world (`accuracy_first`), verdicts (the tests). The plots need the packages of requirements/bench.txt.
Each world is judged in a process of its own, so that memory is given back; figures are kept beside the page
(docs/accuracy.csv), so that one world can be measured again without the others (`--only standard-1000000`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from bench.accuracy_first import COMPARED_COLUMNS, SMALLEST_TRUE_USD, judge_world
from bench.accuracy_ranks import rank_correlations
from orchestration import reconcile
from orchestration.reconcile.arrival import PASSING_SHARE
from orchestration.sample import WorldConfig

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES = DOCS / "accuracy.csv"
WORLDS = ("standard", "hard")
SIZES = (1_000_000, 5_000_000)
SEEDS = (7, 1, 2, 3, 4)
DEFAULT = "variance_components"
KEY = ["frequency", "period", "exporter_code", "importer_code", "product_code"]
SIDES = {"two_sided": "two-sided", "one_sided": "one-sided"}


def measures(flows: pl.DataFrame, true_flows: pl.DataFrame) -> pl.DataFrame:
    """Per method, frequency (A, M, AM for both) and sides, of true flows over 5,000 USD.

    Returns flow_count, median_error_log (median of |ln estimate - ln truth|), total_bias_ratio (of the estimate and
    of the mean for sums), total_spread_ratio (standard error of a total whose flows err by their own expected spreads,
    those of one exporter, importer and product alike by the part that lasts), coverage_90_ratio and coverage_50_ratio.
    """
    true = pl.col("true_fob_usd")
    # The mean for sums lies below the estimate by half the variance that it was expected to have.
    log_variance = 2.0 * (pl.col("reconciled_fob_usd") / pl.col("reconciled_mean_fob_usd")).log().fill_nan(0.0)
    spread_usd = true * (log_variance.exp() - 1.0).clip(0.0).sqrt()
    both = flows.filter(~pl.col("is_confidential")).join(true_flows.filter(true > SMALLEST_TRUE_USD), on=KEY)
    both = both.with_columns(
        sides=pl.when(pl.col("status") == "two_sided").then(pl.lit("two_sided")).otherwise(pl.lit("one_sided"))
    )
    both = pl.concat([both, both.with_columns(frequency=pl.lit("AM"))]).with_columns(_spread=spread_usd)
    lasting = pl.col("_spread").sum().over("method_name", "frequency", "sides", *KEY[2:]) * pl.col("_spread")
    both = both.with_columns(_square=PASSING_SHARE * pl.col("_spread") ** 2 + (1.0 - PASSING_SHARE) * lasting)
    return (
        both.group_by("method_name", "frequency", "sides")
        .agg(
            flow_count=pl.len(),
            median_error_log=(pl.col("reconciled_fob_usd") / true).log().abs().median(),
            total_bias_ratio=pl.col("reconciled_fob_usd").sum() / true.sum() - 1.0,
            mean_total_bias_ratio=pl.col("reconciled_mean_fob_usd").sum() / true.sum() - 1.0,
            total_spread_ratio=pl.col("_square").sum().sqrt() / true.sum(),
            coverage_90_ratio=true.is_between("reconciled_fob_usd_p05", "reconciled_fob_usd_p95").mean(),
            coverage_50_ratio=true.is_between("reconciled_fob_usd_p25", "reconciled_fob_usd_p75").mean(),
        )
        .sort("method_name", "frequency", "sides")
    )


def judge(world: str, size: int, seed: int, frequencies: str) -> pl.DataFrame:
    """All figures of one world in one long frame: world, size, seed, method, frequency, sides, measure, figure."""
    config = replace(getattr(WorldConfig, world)(seed=seed), size=size, frequencies=tuple(frequencies))
    others = [name for name in reconcile.ESTIMATORS if name != DEFAULT]
    judged = judge_world(config, others)
    flows = pl.concat([judged.flows.select(COMPARED_COLUMNS), judged.other_methods])
    by_method = measures(flows, judged.true_flows)
    if len(frequencies) == 1:
        by_method = by_method.filter(pl.col("frequency") != "AM")
    long = by_method.unpivot(
        index=["method_name", "frequency", "sides"], variable_name="measure", value_name="figure"
    ).with_columns(pl.col("figure").cast(pl.Float64))
    ranks = (
        rank_correlations(judged.reliability, judged.reporter_error, judged.flows)
        .rename({"role": "sides"})
        .with_columns(method_name=pl.lit(DEFAULT))
        .unpivot(index=["method_name", "frequency", "sides"], variable_name="measure", value_name="figure")
        .with_columns(pl.col("figure").cast(pl.Float64))
    )
    named = {"world": world, "size": size, "seed": seed}
    return pl.concat([long, ranks]).select(
        *(pl.lit(value).alias(name) for name, value in named.items()),
        *("method_name", "frequency", "sides", "measure", "figure"),
    )


def plan() -> list[tuple[str, int, int, str]]:
    """World, size, seed and frequencies of every run: both sizes with the first seed, years alone with the others."""
    full = [(world, size, SEEDS[0], "AM") for size in SIZES for world in WORLDS]
    return full + [(world, SIZES[0], seed, "A") for seed in SEEDS[1:] for world in WORLDS]


def _measure(only: str | None) -> None:
    """Run what is asked for, each world in its own process, and keep the figures of the others."""
    for world, size, seed, frequencies in plan():
        if only and only != f"{world}-{size}":
            continue
        sys.stdout.write(f"judging the {world} world, {size:,} rows, seed {seed}, {frequencies}\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", "bench.accuracy", "--one", world, str(size), str(seed), frequencies]
        subprocess.run(command, check=True)


def _keep(figures: pl.DataFrame) -> None:
    key = ["world", "size", "seed"]
    if FIGURES.exists():
        old = pl.read_csv(FIGURES, schema=figures.schema)
        figures = pl.concat([old.join(figures.select(key).unique(), on=key, how="anti"), figures])
    figures = figures.with_columns(pl.col("figure").round(5))
    figures.sort(*key, "method_name", "frequency", "sides", "measure").write_csv(FIGURES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one world and size, such as standard-1000000")
    parser.add_argument("--one", nargs=4, metavar=("WORLD", "SIZE", "SEED", "FREQUENCIES"), help="one run, no page")
    parser.add_argument("--page", action="store_true", help="write the page from the figures on disk")
    options = parser.parse_args(arguments)
    if options.one:
        world, size, seed, frequencies = options.one
        _keep(judge(world, int(size), int(seed), frequencies))
        return
    if not options.page:
        _measure(options.only)
    from bench.accuracy_page import write_page

    for path in write_page(pl.read_csv(FIGURES), DOCS):
        sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
