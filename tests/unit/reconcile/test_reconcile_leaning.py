"""Years that lean on months: how near both are found to be, and what a fit makes of it.

Belongs here: `leaning` and the fit of years beside fitted months, on invented gaps. Does not belong here: the fit of
one frequency (test_reconcile_reliability).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.leaning import (
    FEWEST_REPORTERS,
    LEAST_SCATTER,
    TYPICAL_SCATTER,
    OtherFit,
    drawn_to,
)
from tests.unit.reconcile.builders import gaps_between

PLACES = [f"{n:03d}" for n in range(1, 31)]
FEW = 12
ROLES = ("exporter", "importer")


def _other(ln_variance: np.ndarray, error: float = 0.01) -> OtherFit:
    return OtherFit(ln_variance, np.full(ln_variance.size, error), np.isfinite(ln_variance))


def test_the_shift_that_all_reporters_share_is_no_scatter() -> None:
    random = np.random.default_rng(1)
    months = random.normal(size=40)
    centre, pairs = drawn_to(_other(months), months - 0.8, np.full(40, 0.01), np.ones(40, dtype=np.bool_))
    assert centre == pytest.approx(months - 0.8)
    assert pairs == pytest.approx(2.0 / (0.01 + LEAST_SCATTER))


def test_the_scatter_between_months_and_years_is_found_again() -> None:
    random = np.random.default_rng(2)
    months, noise = random.normal(size=4_000), 0.05
    years = months + random.normal(scale=np.sqrt(0.6), size=4_000) + random.normal(scale=np.sqrt(noise), size=4_000)
    seen = months + random.normal(scale=0.1, size=4_000)
    _, pairs = drawn_to(_other(seen), years, np.full(4_000, noise), np.ones(4_000, dtype=np.bool_))
    assert 2.0 / pairs[0] - 0.01 == pytest.approx(0.6, rel=0.05)


def test_months_that_say_nothing_of_years_hardly_pull_them() -> None:
    random = np.random.default_rng(3)
    years = random.normal(scale=1.5, size=100)
    _, alike = drawn_to(_other(years), years, np.full(100, 0.01), np.ones(100, dtype=np.bool_))
    unlike_months = random.normal(scale=1.5, size=100)
    _, unlike = drawn_to(_other(unlike_months), years, np.full(100, 0.01), np.ones(100, dtype=np.bool_))
    assert unlike.max() < 0.05 * alike.min()


def test_few_reporters_measured_in_both_do_not_tell_the_scatter() -> None:
    count = FEWEST_REPORTERS - 1
    months = np.linspace(-3.0, -1.0, count)
    centre, pairs = drawn_to(_other(months), months + 0.5, np.full(count, 0.01), np.ones(count, dtype=np.bool_))
    assert pairs == pytest.approx(2.0 / (0.01 + TYPICAL_SCATTER))
    assert centre == pytest.approx(months + 0.5)


def test_a_reporter_without_months_is_not_drawn() -> None:
    months = np.linspace(-3.0, -1.0, 20)
    months[4] = np.nan
    centre, pairs = drawn_to(_other(months), np.full(20, -2.0), np.full(20, 0.01), np.ones(20, dtype=np.bool_))
    assert np.isnan(centre[4])
    assert pairs[4] == 0.0
    assert np.isfinite(np.delete(centre, 4)).all()


def test_well_measured_months_pull_more_than_poorly_measured_ones() -> None:
    errors = np.where(np.arange(20) < 10, 0.01, 0.5)
    other = OtherFit(np.full(20, -2.0), errors, np.ones(20, dtype=np.bool_))
    _, pairs = drawn_to(other, np.full(20, -2.0), np.full(20, 0.01), np.ones(20, dtype=np.bool_))
    assert pairs[:10].min() > 5 * pairs[10:].max()


def _gaps(
    frequency: str, sigma: dict[str, np.ndarray], seed: int, rows: int, few_rows: int | None = None
) -> pl.DataFrame:
    """Everybody trades with everybody; importers of the last FEW places have `few_rows` pairs with the first places."""
    random, size = np.random.default_rng(seed), len(PLACES)
    i, j = (index.ravel() for index in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    kept = i != j
    if few_rows is not None:
        kept &= (j < size - FEW) | (i < few_rows)
    i, j = np.repeat(i[kept], rows), np.repeat(j[kept], rows)
    if few_rows is not None:
        # One pair of each of these corridors.
        alone = (j < size - FEW) | (np.arange(i.size) % rows == 0)
        i, j = i[alone], j[alone]
    gap = sigma["exporter"][i] * random.normal(size=i.size) - sigma["importer"][j] * random.normal(size=i.size)
    return gaps_between(i, j, ["10"] * i.size, gap, frequency)


def _true() -> dict[str, np.ndarray]:
    spread = np.exp(np.random.default_rng(5).normal(-2.0, 0.7, (2, len(PLACES))))
    return dict(zip(ROLES, spread, strict=True))


def _sigmas(model: reconcile.ReliabilityModel, role: str) -> np.ndarray:
    rows = model.reliability.filter(pl.col("role") == role).sort("reporter_code")
    return rows["sigma_log"].to_numpy()


def test_importers_of_few_annual_pairs_are_told_apart_by_their_months() -> None:
    true = _true()
    months = reconcile.fit_reliability(_gaps("M", true, seed=1, rows=12))
    years = _gaps("A", true, seed=2, rows=6, few_rows=3)
    alone, leaning = reconcile.fit_reliability(years), reconcile.fit_reliability(years, months)
    wrong = {
        name: np.sqrt(np.mean((np.log(_sigmas(model, "importer")) - np.log(true["importer"]))[-FEW:] ** 2))
        for name, model in (("alone", alone), ("leaning", leaning))
    }
    assert wrong["leaning"] < 0.5 * wrong["alone"], wrong
    own = leaning.reliability.filter(pl.col("role") == "importer").sort("reporter_code")["months_weight_ratio"]
    assert own.to_numpy()[-FEW:].min() > 0.7 > 0.5 > np.median(own.to_numpy()[:-FEW])


def test_errors_that_cancel_in_a_year_do_not_make_years_look_as_bad_as_months() -> None:
    true = _true()
    months = reconcile.fit_reliability(_gaps("M", {role: 2.0 * sigma for role, sigma in true.items()}, seed=1, rows=12))
    leaning = reconcile.fit_reliability(_gaps("A", true, seed=2, rows=6, few_rows=3), months)
    for role in ROLES:
        assert np.median(np.log(_sigmas(leaning, role)) - np.log(true[role])) == pytest.approx(0.0, abs=0.1)


def test_a_reporter_bad_only_as_exporter_is_so_in_years_that_lean() -> None:
    true = _true()
    bad = {**true, "exporter": true["exporter"] * np.where(np.arange(len(PLACES)) == 4, 5.0, 1.0)}
    fitted = []
    for sigma in (true, bad):
        months = reconcile.fit_reliability(_gaps("M", sigma, seed=1, rows=12))
        fitted.append(reconcile.fit_reliability(_gaps("A", sigma, seed=2, rows=6, few_rows=3), months))
    exporter, importer = (np.log(_sigmas(fitted[1], role) / _sigmas(fitted[0], role)) for role in ROLES)
    assert exporter[4] == pytest.approx(np.log(5.0), abs=0.2)
    assert np.abs(np.delete(exporter, 4)).max() < 0.1
    assert np.abs(importer).max() < 0.15


def test_months_lean_on_nothing_and_years_only_on_months_of_the_same_years() -> None:
    true = _true()
    gaps = {name: _gaps(name, true, seed=1, rows=2) for name in ("A", "M")}
    models = {name: reconcile.fit_reliability(rows) for name, rows in gaps.items()}
    months = reconcile.fit_reliability(gaps["M"], models["M"]).reliability
    assert months.equals(models["M"].reliability)
    later = reconcile.fit_reliability(gaps["M"].with_columns(year=pl.lit(2020, dtype=pl.Int64)))
    assert reconcile.fit_reliability(gaps["A"], later).reliability.equals(models["A"].reliability)
    assert models["A"].reliability["months_weight_ratio"].to_list() == [0.0] * models["A"].reliability.height
    assert not reconcile.fit_reliability(gaps["A"], models["M"]).reliability.equals(models["A"].reliability)
