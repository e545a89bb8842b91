"""Reliability against errors that are known: biases and sigmas by role, standard errors, windows, leave-out.

Belongs here: the fit on invented two-sided pairs. Does not belong here: what is made of it (test_reconcile_estimate).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.schema import (
    CHAPTER_EFFECTS,
    POOLED,
    RELIABILITY,
    RELIABILITY_TRAINING,
    VALUED,
    FrameError,
)
from orchestration.reconcile.variance_fit import fit_variances
from tests.unit.reconcile.builders import gaps_between

PLACES = [f"{n:03d}" for n in range(1, 25)]


def _gaps(
    seed: int = 1,
    rows_per_corridor: int = 12,
    sigma: dict[str, np.ndarray] | None = None,
    bias: dict[str, np.ndarray] | None = None,
    years: tuple[int, ...] = (2019,),
) -> pl.DataFrame:
    """Every place trades with every other; errors are normal with the sigmas and biases given (default 0.1 and 0)."""
    random, size = np.random.default_rng(seed), len(PLACES)
    sigma = {"exporter": np.full(size, 0.1), "importer": np.full(size, 0.1)} | (sigma or {})
    bias = {"exporter": np.zeros(size), "importer": np.zeros(size)} | (bias or {})
    i, j = (index.ravel() for index in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    i, j = np.repeat(i[i != j], rows_per_corridor), np.repeat(j[i != j], rows_per_corridor)
    # Drawn per row in a fixed order, so that changing one place's sigma leaves all other errors as they were.
    x, m = random.normal(size=i.size), random.normal(size=i.size)
    chapter = np.arange(i.size) % 12
    gap = bias["exporter"][i] + sigma["exporter"][i] * x - bias["importer"][j] - sigma["importer"][j] * m
    year = np.array(years)[np.arange(i.size) % len(years)]
    return gaps_between(i, j, [f"{c:02d}" for c in chapter], gap, year=year)


def _role(model: reconcile.ReliabilityModel, role: str, column: str) -> np.ndarray:
    rows = model.reliability.filter(pl.col("role") == role).sort("reporter_code")
    return rows[column].to_numpy()


def _spread(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.04, 0.5, len(PLACES))


def _both_roles() -> dict[str, np.ndarray]:
    """The same sigmas in both roles at different places: how much of all variance is whose is a convention."""
    return {"exporter": _spread(2), "importer": _spread(2)[::-1].copy()}


def test_sigmas_of_both_roles_are_found_again_when_they_differ_by_place() -> None:
    true = _both_roles()
    model = reconcile.fit_reliability(_gaps(sigma=true, rows_per_corridor=60))
    for role in ("exporter", "importer"):
        assert _role(model, role, "sigma_log") == pytest.approx(true[role], rel=0.2, abs=0.02)


def test_biases_of_both_roles_are_found_again_when_they_sum_to_zero() -> None:
    random = np.random.default_rng(4)
    true = {role: random.normal(0, 0.15, len(PLACES)) for role in ("exporter", "importer")}
    true = {role: values - values.mean() for role, values in true.items()}
    model = reconcile.fit_reliability(_gaps(bias=true))
    for role in ("exporter", "importer"):
        assert _role(model, role, "bias_log") == pytest.approx(true[role], abs=0.03)
        assert _role(model, role, "bias_log").sum() == pytest.approx(0.0, abs=1e-9)


def test_a_common_shift_becomes_a_chapter_effect_when_nobody_can_own_it() -> None:
    model = reconcile.fit_reliability(_gaps().with_columns(pl.col("gap_log_ratio") + 0.3))
    assert model.chapter_effects["effect_log"].to_numpy() == pytest.approx(0.3, abs=0.03)
    assert np.abs(_role(model, "exporter", "bias_log")).max() < 0.05


def test_only_its_exporter_sigma_moves_when_a_country_is_bad_only_as_exporter() -> None:
    bad = {"exporter": np.full(len(PLACES), 0.1)}
    bad["exporter"][5] = 0.8
    before, after = reconcile.fit_reliability(_gaps()), reconcile.fit_reliability(_gaps(sigma=bad))
    moved = {
        role: np.log(_role(after, role, "sigma_log") / _role(before, role, "sigma_log"))
        for role in ("exporter", "importer")
    }
    assert moved["exporter"][5] == pytest.approx(np.log(8.0), abs=0.25)
    assert abs(moved["importer"][5]) < 0.05
    assert np.abs(np.delete(moved["exporter"], 5)).max() < 0.1
    assert np.abs(moved["importer"]).max() < 0.15


def test_only_its_importer_sigma_moves_when_a_country_is_bad_only_as_importer() -> None:
    bad = {"importer": np.full(len(PLACES), 0.1)}
    bad["importer"][5] = 0.8
    before, after = reconcile.fit_reliability(_gaps()), reconcile.fit_reliability(_gaps(sigma=bad))
    assert _role(after, "importer", "sigma_log")[5] > 5 * _role(before, "importer", "sigma_log")[5]
    assert _role(after, "exporter", "sigma_log") == pytest.approx(_role(before, "exporter", "sigma_log"), rel=0.15)


def test_roles_mirror_each_other_when_exporters_and_importers_are_swapped() -> None:
    gaps = _gaps(sigma={"exporter": _spread(2), "importer": _spread(3)}, bias={"exporter": _spread(5)})
    swapped = gaps.select(
        "frequency", "year", "chapter_code", "extra_variance", gap_log_ratio=-pl.col("gap_log_ratio"),
        exporter_code="importer_code", importer_code="exporter_code", exporter_iso3="importer_iso3",
        importer_iso3="exporter_iso3", previous_month_ratio="previous_month_ratio", distance_km="distance_km",
        is_contiguous="is_contiguous",
    )  # fmt: skip
    one, two = reconcile.fit_reliability(gaps), reconcile.fit_reliability(swapped)
    for column in ("bias_log", "sigma_log", "bias_se_log", "sigma_se_log"):
        assert _role(one, "exporter", column) == pytest.approx(_role(two, "importer", column), rel=1e-6, abs=1e-9)
        assert _role(one, "importer", column) == pytest.approx(_role(two, "exporter", column), rel=1e-6, abs=1e-9)
    assert one.chapter_effects["effect_log"].to_numpy() == pytest.approx(
        -two.chapter_effects["effect_log"].to_numpy(), abs=1e-9
    )


def test_gross_errors_move_sigma_little_when_they_are_few() -> None:
    gaps = _gaps()
    spoiled = gaps.with_columns(
        gap_log_ratio=pl.when(pl.int_range(pl.len()) % 50 == 0)
        .then(pl.col("gap_log_ratio") + 6.9)
        .otherwise("gap_log_ratio")
    )
    clean = _role(reconcile.fit_reliability(gaps), "exporter", "sigma_log")
    assert _role(reconcile.fit_reliability(spoiled), "exporter", "sigma_log").mean() < 1.25 * clean.mean()


def test_one_reporters_gross_errors_do_not_make_all_its_reports_worthless_when_they_are_few() -> None:
    mistaken = (pl.col("exporter_code") == PLACES[0]) & (pl.int_range(pl.len()) % 25 == 0)
    spoiled = _gaps().with_columns(
        gap_log_ratio=pl.when(mistaken).then(pl.col("gap_log_ratio") + 6.9).otherwise("gap_log_ratio")
    )
    sigma = _role(reconcile.fit_reliability(spoiled), "exporter", "sigma_log")
    assert 0.1 < sigma[0] < 0.3  # counted in full, they would make it 1.4


def test_half_of_the_standardised_gaps_lie_in_the_normals_middle_when_fitted() -> None:
    gaps = _gaps(sigma={"exporter": _spread(2)})
    fit = _fitted(gaps)
    standard = np.abs(fit.residual()) / np.sqrt(fit.total_variance())
    assert (standard < 0.6745).mean() == pytest.approx(0.5, abs=0.005)


def _fitted(gaps: pl.DataFrame) -> Any:
    codes = [gaps[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in
             ("exporter_code", "importer_code", "chapter_code")]  # fmt: skip
    return fit_variances(*codes, gaps["gap_log_ratio"].to_numpy(), gaps["extra_variance"].to_numpy())


def test_tails_are_seen_when_errors_are_not_normal() -> None:
    gaps = _gaps()
    heavy = gaps.with_columns(gap_log_ratio=pl.Series(np.random.default_rng(6).standard_t(2, gaps.height) * 0.1))
    assert reconcile.fit_reliability(gaps).pooled["tail_ratio"][0] == pytest.approx(1.0, abs=0.03)
    assert reconcile.fit_reliability(heavy).pooled["tail_ratio"][0] == pytest.approx(
        2.92 / 0.816 * 0.6745 / 1.645, rel=0.08
    )


def test_variance_known_beforehand_is_not_charged_to_reporters_when_stated() -> None:
    gaps = _gaps()
    noisy = gaps.with_columns(
        gap_log_ratio=pl.col("gap_log_ratio") + pl.Series(np.random.default_rng(7).normal(0, 0.3, gaps.height))
    )
    stated = reconcile.fit_reliability(noisy.with_columns(extra_variance=pl.lit(0.09)))
    unstated = reconcile.fit_reliability(noisy)
    assert _role(stated, "importer", "sigma_log").mean() < 0.15
    assert _role(unstated, "importer", "sigma_log").mean() > 0.2


def test_standard_errors_cover_the_truth_when_samples_are_drawn_again() -> None:
    random = np.random.default_rng(8)
    bias = {role: random.normal(0, 0.15, len(PLACES)) for role in ("exporter", "importer")}
    bias = {role: values - values.mean() for role, values in bias.items()}
    sigma = _both_roles()
    hits: dict[str, list[float]] = {"bias": [], "sigma": []}
    for seed in range(6):
        model = reconcile.fit_reliability(_gaps(seed=seed, rows_per_corridor=12, sigma=sigma, bias=bias))
        for role in ("exporter", "importer"):
            for what, true in (("bias", bias[role]), ("sigma", sigma[role])):
                error = np.abs(_role(model, role, f"{what}_log") - true) / _role(model, role, f"{what}_se_log")
                hits[what].append(float((error < 1.645).mean()))
    assert 0.8 < np.mean(hits["bias"]) < 0.99
    assert 0.8 < np.mean(hits["sigma"]) < 0.99


def test_standard_errors_do_not_shrink_when_the_same_gaps_come_month_after_month() -> None:
    gaps = _gaps(rows_per_corridor=4)
    one = reconcile.fit_reliability(gaps)
    many = reconcile.fit_reliability(pl.concat([gaps] * 12))
    ratio = _role(many, "exporter", "bias_se_log") / _role(one, "exporter", "bias_se_log")
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)  # twelve copies as independent rows would give 0.29


def test_a_reporter_with_few_pairs_is_drawn_to_the_others_and_says_so_when_fitted() -> None:
    gaps = _gaps(sigma={"exporter": np.full(len(PLACES), 0.2)})
    first = pl.col("exporter_code") == PLACES[0]
    few = pl.concat([gaps.filter(~first), gaps.filter(first).head(3).with_columns(gap_log_ratio=pl.lit(0.0))])
    rows = reconcile.fit_reliability(few).reliability.filter(pl.col("role") == "exporter").sort("reporter_code")
    assert rows["pair_count"][0] == 3
    assert rows["is_shrunk"].to_list() == [True] + [False] * 23
    assert 0.05 < rows["sigma_log"][0] < 0.2
    assert rows["bias_se_log"][0] > 3 * rows["bias_se_log"][1]


def test_sigma_stays_above_its_floor_when_gaps_vanish() -> None:
    model = reconcile.fit_reliability(_gaps().with_columns(gap_log_ratio=pl.lit(0.0)))
    assert (model.reliability["sigma_log"] >= 0.01).all()
    assert model.reliability["sigma_log"].is_finite().all()


def test_a_window_holds_its_year_and_the_two_before_when_several_years_train() -> None:
    gaps = _gaps(years=(2015, 2016, 2017, 2018))
    model = reconcile.fit_reliability(gaps)
    windows = model.pooled.select("frequency", "window_end_year").unique().sort("window_end_year").rows()
    assert windows == [("A", 2015), ("A", 2016), ("A", 2017), ("A", 2018)]
    alone = reconcile.fit_reliability(gaps.filter(pl.col("year").is_between(2016, 2018)))
    last = pl.col("window_end_year") == 2018
    assert model.reliability.filter(last).equals(alone.reliability.filter(last))
    assert set(model.reliability.filter(last)["window_start_year"]) == {2016}


def test_frequencies_are_fitted_apart_when_both_train() -> None:
    months = _gaps(seed=9, sigma={"exporter": np.full(len(PLACES), 0.6)}).with_columns(frequency=pl.lit("M"))
    both = reconcile.fit_reliability(pl.concat([months, _gaps()]))
    alone = reconcile.fit_reliability(_gaps())
    assert both.reliability.filter(pl.col("frequency") == "A").equals(alone.reliability)


def test_the_same_tables_come_out_when_rows_are_shuffled() -> None:
    gaps = _gaps(sigma={"exporter": _spread(2)}, years=(2018, 2019))
    one = reconcile.fit_reliability(gaps)
    two = reconcile.fit_reliability(gaps.sample(fraction=1.0, shuffle=True, seed=3))
    for name in ("reliability", "chapter_effects", "pooled"):
        assert getattr(one, name).equals(getattr(two, name))


def test_schemas_hold_when_nothing_trains() -> None:
    model = reconcile.fit_reliability(pl.DataFrame(schema=dict(RELIABILITY_TRAINING)))
    assert dict(model.reliability.schema) == dict(RELIABILITY)
    assert dict(model.chapter_effects.schema) == dict(CHAPTER_EFFECTS)
    assert dict(model.pooled.schema) == dict(POOLED)


def test_the_missing_columns_are_named_when_training_lacks_them() -> None:
    with pytest.raises(FrameError, match="the reliability training frame lacks the columns gap_log_ratio"):
        reconcile.fit_reliability(_gaps().drop("gap_log_ratio"))


def _valued(**changes: Any) -> pl.DataFrame:
    plain = {
        "status": "two_sided", "gap_log_ratio": 0.1, "is_left_out": False, "is_confidential": False,
        "is_edition_mismatch": False, "cif_rate_se_log": 0.2, "frequency": "A", "exporter_code": "001",
        "importer_code": "002", "chapter_code": "44",
    }  # fmt: skip
    row = dict.fromkeys(VALUED) | plain | changes
    return pl.DataFrame([row], schema=dict(VALUED)).with_columns(period_start=pl.date(2019, 1, 1))


def test_a_two_sided_pair_trains_with_the_error_of_its_margin_when_nothing_forbids_it() -> None:
    row = reconcile.reliability_training(_valued()).row(0, named=True)
    assert (row["year"], row["gap_log_ratio"], row["extra_variance"]) == (2019, 0.1, pytest.approx(0.04))


@pytest.mark.parametrize(
    "change",
    [
        {"is_left_out": True},  # otherwise evasion only makes a country look unreliable
        {"is_confidential": True},
        {"is_edition_mismatch": True},
        {"status": "exporter_only_partner_silent", "gap_log_ratio": None},
        {"gap_log_ratio": None},  # a side filed zero
    ],
)
def test_a_pair_does_not_train_when_the_rules_leave_it_out(change: dict[str, Any]) -> None:
    assert reconcile.reliability_training(_valued(**change)).height == 0
