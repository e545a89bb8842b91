"""How much a finer fit of real years is worth: `python -m bench.held_back --data data/files`.

Belongs here: half of the corridors of a run's years held back, the other half fitted alone, leaning on months, and with
sigmas by chapter, and how likely each fit makes the gaps held back. Does not belong here: worlds whose truth is known
(`accuracy`), verdicts. The run's folder is only read. Where years were rolled up from the same months, the months have
seen what is held back: `--chapter` keeps to chapters that are filed annually.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from orchestration import reconcile
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.slices import WHOLE, read_slice
from orchestration.reconcile import schema
from orchestration.reconcile.leaning import scatter_between
from orchestration.reconcile.variance_fit import STUDENT_DEGREES

ROLES = ("exporter", "importer")
FEW_PAIRS = 30
KEY = list(schema.PAIR_KEY)


def training_of(paths: DataPaths, frequency: str) -> pl.DataFrame:
    """Training rows (schema RELIABILITY_TRAINING) of all periods of one frequency of a run."""
    parts = []
    for path in sorted((paths.reconciled / "valued").glob(f"{frequency}-*.parquet")):
        pairs = read_slice(paths.table("reconciled", "pairs", path.stem), WHOLE)
        beside = read_slice(path, WHOLE).drop(KEY)
        parts.append(reconcile.reliability_training(pairs.hstack(beside)))
    return pl.concat(parts)


def likelihoods(model: reconcile.ReliabilityModel, rows: pl.DataFrame, end: int) -> pl.DataFrame:
    """Rows of the window that ends in a year whose reporters the model has: log_likelihood of the gap (Student), fewest
    (pairs of the less known reporter).
    """
    found = rows.filter(pl.col("year").is_between(end - 2, end)).with_row_index("row")
    for role in ROLES:
        own = model.reliability.filter((pl.col("window_end_year") == end) & (pl.col("role") == role))
        pairs = own.select(pl.col("reporter_code").alias(f"{role}_code"), pl.col("pair_count").alias(f"{role}_pairs"))
        found = found.join(pairs, on=f"{role}_code")
    found = found.with_columns(model.window("A", end).columns(found))
    left = pl.col("gap_log_ratio") - pl.col("exporter_bias_log") + pl.col("importer_bias_log")
    left = left - pl.col("chapter_effect_log")
    variance = pl.col("exporter_sigma_log") ** 2 + pl.col("importer_sigma_log") ** 2 + pl.col("extra_variance")
    square = left**2 / (STUDENT_DEGREES * variance)
    return found.select(
        "row",
        log_likelihood=-(STUDENT_DEGREES + 1) / 2 * square.log1p() - variance.log() / 2,
        fewest=pl.min_horizontal(f"{role}_pairs" for role in ROLES),
    ).sort("row")


def without_chapters(model: reconcile.ReliabilityModel) -> reconcile.ReliabilityModel:
    """The same model with one sigma per reporter and role."""
    return replace(model, chapter_sigmas=model.chapter_sigmas.clear())


def _scatter(years: reconcile.ReliabilityModel, months: reconcile.ReliabilityModel, end: int) -> float:
    """How far variances of years fitted alone scatter about those of months, among reporters measured in both."""
    own = [
        model.reliability.filter((pl.col("window_end_year") == end) & ~pl.col("is_shrunk")).select(
            "role",
            "reporter_code",
            ln=2.0 * pl.col("sigma_log").log(),
            se=2.0 * pl.col("sigma_se_log") / pl.col("sigma_log"),
        )
        for model in (years, months)
    ]
    both = own[0].join(own[1], on=["role", "reporter_code"], suffix="_months")
    apart, noise = both["ln"] - both["ln_months"], both["se"] ** 2 + both["se_months"] ** 2
    return scatter_between(apart.to_numpy(), noise.to_numpy())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per window of years that has months."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder of a run, with reconciled/ in it")
    parser.add_argument("--chapter", nargs="*", help="only years of these chapters (default: all)")
    options = parser.parse_args(arguments)
    paths = DataPaths(options.data)
    months = reconcile.fit_reliability(training_of(paths, "M"))
    years = training_of(paths, "A")
    if options.chapter:
        years = years.filter(pl.col("chapter_code").is_in(options.chapter))
    corridors = years.select(schema.CORRIDOR).unique().sort(schema.CORRIDOR)
    held = np.random.default_rng(7).random(corridors.height) < 0.5
    back = corridors.filter(pl.Series(held))
    kept = years.join(back, on=list(schema.CORRIDOR), how="anti")
    rest = years.join(back, on=list(schema.CORRIDOR), how="semi")
    chapters, leaning = reconcile.fit_reliability(kept), reconcile.fit_reliability(kept, months)
    alone = without_chapters(chapters)
    sys.stdout.write("what is added to the mean log likelihood of a gap held back, by leaning and by chapters\n")
    for end in months.reliability["window_end_year"].unique().sort():
        one = likelihoods(alone, rest, end)
        few = one["fewest"] < FEW_PAIRS
        gains = [
            likelihoods(model, rest, end)["log_likelihood"] - one["log_likelihood"]
            for model in (without_chapters(leaning), chapters)
        ]
        own = leaning.reliability.filter((pl.col("window_end_year") == end) & (pl.col("months_weight_ratio") > 0))
        sys.stdout.write(
            f"{end}: leaning {gains[0].mean():+.4f} of {few.len():,}, reporters of fewer than {FEW_PAIRS} pairs "
            f"{gains[0].filter(few).mean():+.4f} of {few.sum():,}, weight of months, median "
            f"{own['months_weight_ratio'].median():.2f}, scatter {_scatter(alone, months, end):.2f}; "
            f"chapters {gains[1].mean():+.4f}\n"
        )


if __name__ == "__main__":
    main()
