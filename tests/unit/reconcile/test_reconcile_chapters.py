"""Sigmas of a reporter by chapter: found where they differ, drawn to the reporter's, taken by the flows of the chapter.

Belongs here: `chapter_ratios`, the table chapter_sigmas, `window_parameters`. Does not belong here: sigmas of reporters
(test_reconcile_reliability).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.reliability import LEAST_CHAPTER_PAIRS
from orchestration.reconcile.reports import with_parameters
from orchestration.reconcile.schema import CHAPTER_SIGMAS
from orchestration.reconcile.variance_fit import CHAPTER_PRIOR, STUDENT_DEGREES, fit_variances
from orchestration.reconcile.window_parameters import DEFAULT_SIGMA_LOG, no_window
from tests.unit.reconcile.builders import gaps_between

PLACES = [f"{n:03d}" for n in range(1, 25)]
CHAPTERS = ("03", "10", "84")
BAD, SIGMA = 4, 0.2


def _gaps(factor: float, rows_per_chapter: int, seed: int = 1) -> pl.DataFrame:
    """Everybody trades with everybody in three chapters; one exporter errs by `factor` times more in the first."""
    random, size = np.random.default_rng(seed), len(PLACES)
    i, j = (index.ravel() for index in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    i, j = i[i != j], j[i != j]
    repeats = rows_per_chapter * len(CHAPTERS)
    i, j = np.repeat(i, repeats), np.repeat(j, repeats)
    chapter = np.arange(i.size) % len(CHAPTERS)
    own = np.where((i == BAD) & (chapter == 0), factor * SIGMA, SIGMA)
    gap = own * random.normal(size=i.size) - SIGMA * random.normal(size=i.size)
    return gaps_between(i, j, [CHAPTERS[c] for c in chapter], gap)


def _ratios(model: reconcile.ReliabilityModel, role: str) -> pl.DataFrame:
    """Sigma of each chapter over that of the reporter."""
    country = model.reliability.filter(pl.col("role") == role).select("reporter_code", own="sigma_log")
    found = model.chapter_sigmas.filter(pl.col("role") == role).join(country, on="reporter_code")
    return found.select("reporter_code", "chapter_code", ratio=pl.col("sigma_log") / pl.col("own"))


def test_a_chapter_in_which_a_reporter_errs_more_is_found_and_moves_nobody_else() -> None:
    ratios = _ratios(reconcile.fit_reliability(_gaps(4.0, 20)), "exporter")
    bad = dict(ratios.filter(pl.col("reporter_code") == PLACES[BAD]).select("chapter_code", "ratio").iter_rows())
    assert bad["03"] > 1.2 > 1.0 > max(bad["10"], bad["84"])
    others = ratios.filter(pl.col("reporter_code") != PLACES[BAD])
    assert (others["ratio"] - 1.0).abs().max() < 0.12
    importers = _ratios(reconcile.fit_reliability(_gaps(4.0, 20)), "importer")
    assert (importers["ratio"] - 1.0).abs().max() < 0.15


def test_chapters_that_do_not_differ_keep_the_reporters_sigma() -> None:
    ratios = _ratios(reconcile.fit_reliability(_gaps(1.0, 20)), "exporter")
    assert ratios.height == len(PLACES) * len(CHAPTERS)
    assert ratios["ratio"].mean() == pytest.approx(1.0, abs=0.01)
    assert (ratios["ratio"] - 1.0).abs().max() < 0.12


def test_fewer_pairs_are_drawn_nearer_to_the_reporters_sigma() -> None:
    def bad(rows: int) -> float:
        ratios = _ratios(reconcile.fit_reliability(_gaps(4.0, rows)), "exporter")
        own = (pl.col("reporter_code") == PLACES[BAD]) & (pl.col("chapter_code") == "03")
        return float(ratios.filter(own)["ratio"].item())

    assert 1.0 < bad(1) < bad(4) < bad(30)


def test_a_chapter_of_too_few_pairs_has_no_row_of_its_own() -> None:
    gaps = _gaps(1.0, 2)
    few = (pl.col("exporter_code") == PLACES[0]) & (pl.col("chapter_code") == "10")
    kept = pl.concat([gaps.filter(~few), gaps.filter(few).head(LEAST_CHAPTER_PAIRS - 1)])
    sigmas = reconcile.fit_reliability(kept).chapter_sigmas.filter(pl.col("role") == "exporter")
    own = sigmas.filter(pl.col("reporter_code") == PLACES[0])
    assert own["chapter_code"].to_list() == ["03", "84"]
    assert sigmas["pair_count"].min() >= LEAST_CHAPTER_PAIRS
    assert dict(sigmas.schema) == dict(CHAPTER_SIGMAS)


def test_the_factor_is_one_expectation_step_with_fifty_pairs_at_the_reporters_variance() -> None:
    gaps = _gaps(3.0, 3)
    i, j, g = (
        gaps[name].cast(pl.Enum(gaps[name].unique().sort())).to_physical().cast(pl.Int64).to_numpy()
        for name in ("exporter_code", "importer_code", "chapter_code")
    )
    fit = fit_variances(i, j, g, gaps["gap_log_ratio"].to_numpy(), np.zeros(i.size))
    ratio, count = fit.chapter_ratios(is_exporter=True)
    mine = (fit.i == BAD) & (fit.g == 0)
    variance = fit.var_x[BAD] / fit.calibration
    total = fit.total[mine] / fit.calibration
    square = fit.residual()[mine] ** 2
    weight = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES + square / total)
    step = (variance / total) ** 2 * weight * square + variance * (1.0 - variance / total)
    expected = (np.sum(step) + CHAPTER_PRIOR * variance) / (np.count_nonzero(mine) + CHAPTER_PRIOR)
    assert ratio[BAD, 0] == pytest.approx(expected / variance)
    assert count[BAD, 0] == np.count_nonzero(mine)


def _rows(*flows: tuple[str, str, str]) -> pl.DataFrame:
    """Flows of 2019: exporter, importer, chapter."""
    exporter, importer, chapter = zip(*flows, strict=True)
    return (
        pl.DataFrame({"exporter_code": exporter, "importer_code": importer, "chapter_code": chapter, "frequency": "A"})
        .with_columns(
            pl.lit(None, dtype=pl.Float64).alias(name)
            for name in ("exporter_fob_usd", "exporter_previous_month_fob_usd", "distance_km")
        )
        .with_columns(period_start=pl.date(2019, 1, 1), is_contiguous=pl.lit(True))
    )


def test_a_flow_takes_the_sigma_of_its_chapter_and_the_reporters_where_there_is_none() -> None:
    model = reconcile.fit_reliability(_gaps(4.0, 20))
    bad = PLACES[BAD]
    kept = model.chapter_sigmas.filter(~((pl.col("reporter_code") == bad) & (pl.col("chapter_code") == "10")))
    model = replace(model, chapter_sigmas=kept)
    found = with_parameters(
        _rows((bad, "001", "03"), (bad, "001", "10"), (bad, "001", "99"), ("no", "001", "03")), model
    )
    of_chapter = kept.filter(
        (pl.col("role") == "exporter") & (pl.col("reporter_code") == bad) & (pl.col("chapter_code") == "03")
    )["sigma_log"].item()
    country = model.reliability.filter((pl.col("role") == "exporter") & (pl.col("reporter_code") == bad))
    pooled = model.pooled.filter(pl.col("role") == "exporter")["sigma_log"].item()
    own = country["sigma_log"].item()
    assert found["exporter_sigma_log"].to_list() == [of_chapter, own, own, pooled]
    assert of_chapter > own
    bias = country["bias_log"].item()
    assert found["exporter_bias_log"].to_list() == [bias, bias, bias, 0.0]
    typical = model.pooled["chapter_effect_log"][0]
    assert found["chapter_effect_log"].to_list()[2] == typical


def test_rows_of_several_windows_take_each_their_own() -> None:
    both = [_gaps(4.0, 4), _gaps(1.0, 4, seed=2).with_columns(year=pl.lit(2030, dtype=pl.Int64))]
    model = reconcile.fit_reliability(pl.concat(both))
    early = _rows((PLACES[BAD], "001", "03"))
    late = early.with_columns(period_start=pl.date(2030, 1, 1))
    unknown = early.with_columns(period_start=pl.date(1990, 1, 1))
    mixed = with_parameters(pl.concat([early, late, unknown]), model).sort("period_start")
    alone = pl.concat([with_parameters(rows, model) for rows in (unknown, early, late)])
    assert mixed.equals(alone)
    assert mixed["exporter_sigma_log"][0] == DEFAULT_SIGMA_LOG
    assert mixed["exporter_sigma_log"][1] > 1.3 * mixed["exporter_sigma_log"][2]


def test_no_window_holds_defaults_for_any_row() -> None:
    columns = {column.name: column.to_list() for column in no_window().columns(_rows(("004", "008", "03")))}
    assert columns["exporter_sigma_log"] == columns["importer_sigma_log"] == [DEFAULT_SIGMA_LOG]
    assert columns["exporter_bias_log"] == columns["chapter_effect_log"] == [0.0]
