"""The margin model against margins that are known: coefficients, outliers, errors, fallback, card.

Belongs here: the fit on invented training rows. Does not belong here: which rows train, how a margin is applied.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.effects_design import Design
from orchestration.reconcile.robust_regression import cooks_distance, fit_huber
from orchestration.reconcile.schema import CIF_MODEL, VALUATION_TRAINING, FrameError
from tests.unit.reconcile.builders import (
    AUSTRALIA,
    CANADA,
    GERMANY,
    KAZAKHSTAN,
    KYRGYZSTAN,
    POLAND,
    RUSSIA,
    small_tables,
)

PLACES = (GERMANY, POLAND, CANADA, AUSTRALIA, KAZAKHSTAN, RUSSIA, KYRGYZSTAN)
TRUE = {"constant": -0.30, "ln_distance": 0.05, "contiguity": -0.03, "landlocked_importer": 0.06}
CHAPTERS = {"03": -0.02, "44": 0.02}
SHARES = pl.DataFrame({"cif_source": ["modelled", "observed", "reported"], "value_usd": [60.0, 30.0, 10.0]})


def _true_margin(tables: reconcile.ReconcileTables, rows: pl.DataFrame) -> pl.DataFrame:
    facts = tables.corridor_facts(rows)
    return rows.join(facts, on=["exporter_code", "importer_code"], how="left", maintain_order="left").with_columns(
        true_log=TRUE["constant"]
        + TRUE["ln_distance"] * pl.col("distance_km").log()
        + TRUE["contiguity"] * pl.col("is_contiguous").cast(pl.Float64)
        + TRUE["landlocked_importer"] * pl.col("is_landlocked_importer").cast(pl.Float64)
        + pl.col("chapter_code").replace_strict(CHAPTERS)
    )


def _training(count: int = 4_000, noise: float = 0.05, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    ends = random.integers(0, len(PLACES), (count, 2))
    ends[:, 1] = np.where(ends[:, 0] == ends[:, 1], (ends[:, 1] + 1) % len(PLACES), ends[:, 1])
    chapter = random.choice(list(CHAPTERS), count)
    rows = pl.DataFrame(
        {
            "frequency": ["A"] * count,
            "year": random.integers(2018, 2021, count),
            "exporter_code": [PLACES[i] for i in ends[:, 0]],
            "importer_code": [PLACES[i] for i in ends[:, 1]],
            "product_code": [f"{c}{n:04d}" for c, n in zip(chapter, random.integers(0, 20, count), strict=True)],
            "chapter_code": chapter,
            "unit_value_usd_kg": random.lognormal(1.0, 0.8, count),
            "weight": random.uniform(0.3, 1.0, count),
            "cif_source": ["modelled"] * count,
        }
    )
    true = _true_margin(small_tables(), rows)
    margins = true.with_columns(margin_log=pl.col("true_log") + pl.Series(random.normal(0, noise, count)))
    return margins.select(pl.col(name).cast(kind) for name, kind in VALUATION_TRAINING.items())


def _predicted(model: reconcile.ValuationModel, tables: reconcile.ReconcileTables, rows: pl.DataFrame) -> pl.DataFrame:
    true = _true_margin(tables, rows)
    return model.predict(rows, tables).with_columns(true_log=true["true_log"])


def test_margins_are_found_again_when_the_world_follows_the_model(tables: reconcile.ReconcileTables) -> None:
    training = _training()
    model = reconcile.fit_valuation(training, SHARES, "A", tables)
    assert model.coefficients["contiguity"] == pytest.approx(TRUE["contiguity"], abs=0.015)
    assert model.coefficients["landlocked_importer"] == pytest.approx(TRUE["landlocked_importer"], abs=0.015)
    found = _predicted(model, tables, training)
    assert (found["modelled_rate_log"] - found["true_log"]).abs().max() < 0.02


def test_chapter_effects_are_found_again_when_chapters_differ(tables: reconcile.ReconcileTables) -> None:
    model = reconcile.fit_valuation(_training(), SHARES, "A", tables)
    own = pl.DataFrame(
        {
            "year": [2019, 2019],
            "exporter_code": [GERMANY] * 2,
            "importer_code": [POLAND] * 2,
            "product_code": ["030000", "440000"],
            "chapter_code": ["03", "44"],
        }
    )
    low, high = model.predict(own, tables)["modelled_rate_log"]
    assert high - low == pytest.approx(CHAPTERS["44"] - CHAPTERS["03"], abs=0.015)


def test_gross_outliers_move_nothing_when_they_are_a_tenth_of_the_rows(tables: reconcile.ReconcileTables) -> None:
    clean = _training()
    spoiled = clean.with_columns(
        margin_log=pl.when(pl.int_range(pl.len()) % 10 == 0).then(6.9).otherwise(pl.col("margin_log"))
    )
    found = _predicted(reconcile.fit_valuation(spoiled, SHARES, "A", tables), tables, clean)
    assert (found["modelled_rate_log"] - found["true_log"]).abs().median() < 0.02


def test_outliers_are_dropped_and_counted_when_cooks_distance_is_large(tables: reconcile.ReconcileTables) -> None:
    spoiled = _training().with_columns(
        margin_log=pl.when(pl.int_range(pl.len()) % 100 == 0).then(6.9).otherwise(pl.col("margin_log"))
    )
    card = reconcile.fit_valuation(spoiled, SHARES, "A", tables).card
    assert 3_600 < card["observation_count"][0] <= 3_960


def test_cooks_distance_is_what_leaving_the_row_out_does_when_weights_are_plain() -> None:
    random = np.random.default_rng(3)
    numbers = np.column_stack([np.ones(40), random.normal(size=40)])
    numbers[0, 1] = 6.0
    design = Design(numbers, (np.arange(40) % 4,), (4,))
    target = numbers @ np.array([1.0, 0.5]) + random.choice([-0.1, 0.1], 40)
    plain, kind = np.ones(40), np.zeros(40, dtype=np.int64)
    ridge = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    fit = fit_huber(design, target, plain, kind, ridge)
    assert np.ptp(fit.weight) == 0.0  # nothing lies far out: the fit is least squares
    weight = fit.weight.copy()
    weight[0] = 0.0
    without = np.linalg.solve(design.gram(weight) + np.diag(ridge), design.cross(weight * target))
    moved, gram = fit.beta - without, design.gram(fit.weight) + np.diag(ridge)
    distance = cooks_distance(design, target, fit, plain, kind, ridge)
    assert distance[0] == pytest.approx(moved @ gram @ moved / design.width)
    assert distance.argmax() == 0


def test_products_of_the_design_agree_with_a_dense_matrix_when_levels_are_missing() -> None:
    random = np.random.default_rng(4)
    numbers, one = random.normal(size=(30, 2)), random.integers(-1, 3, 30)
    other, weight = random.integers(0, 5, 30), random.uniform(size=30)
    design = Design(numbers, (one, other), (3, 5))
    dense = np.hstack([numbers, one[:, None] == np.arange(3), other[:, None] == np.arange(5)])
    beta, square = random.normal(size=10), dense.T @ dense
    cluster = random.integers(0, 4, 30)
    sums = np.stack([(dense * weight[:, None])[cluster == c].sum(axis=0) for c in range(4)])
    assert design.width == 10
    np.testing.assert_allclose(design.apply(beta), dense @ beta)
    np.testing.assert_allclose(design.cross(weight), dense.T @ weight)
    np.testing.assert_allclose(design.gram(weight), dense.T @ (dense * weight[:, None]))
    np.testing.assert_allclose(design.quadratic(square), np.einsum("ij,jk,ik->i", dense, square, dense))
    np.testing.assert_allclose(design.cluster_scores(weight, cluster), sums)
    np.testing.assert_allclose(design.take(one >= 0).apply(beta), (dense @ beta)[one >= 0])


def test_rows_of_low_agreement_weigh_little_when_they_are_wrong(tables: reconcile.ReconcileTables) -> None:
    clean = _training()
    biased = clean.with_columns(
        margin_log=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("margin_log") + 0.05).otherwise("margin_log"),
        weight=pl.when(pl.int_range(pl.len()) % 3 == 0).then(0.001).otherwise("weight"),
    )
    found = _predicted(reconcile.fit_valuation(biased, SHARES, "A", tables), tables, clean)
    assert (found["modelled_rate_log"] - found["true_log"]).mean() == pytest.approx(0.0, abs=0.005)


def test_filed_margins_set_the_level_when_unit_values_are_biased(tables: reconcile.ReconcileTables) -> None:
    """Reporters of weights can err alike; an observed margin is evidence about the margin itself."""
    rows = _training(noise=0.2).with_columns(
        cif_source=pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("observed")).otherwise(pl.lit("modelled"))
    )
    true, observed = _true_margin(tables, rows)["true_log"], pl.col("cif_source") == "observed"
    rows = rows.with_columns(
        margin_log=pl.when(observed).then(true).otherwise(pl.col("margin_log") + 0.05),
        weight=pl.when(observed).then(1.0).otherwise("weight"),
    )
    found = _predicted(reconcile.fit_valuation(rows, SHARES, "A", tables), tables, rows)
    assert abs((found["modelled_rate_log"] - found["true_log"]).mean()) < 0.015


def test_one_importers_filed_margins_do_not_rule_when_they_are_many(tables: reconcile.ReconcileTables) -> None:
    rows = _training(noise=0.1)
    habit = rows.filter(pl.col("importer_code") == CANADA).with_columns(
        cif_source=pl.lit("observed"), margin_log=pl.lit(0.5), weight=pl.lit(1.0)
    )
    model = reconcile.fit_valuation(pl.concat([rows, *[habit] * 12]), SHARES, "A", tables)
    others = rows.filter(pl.col("importer_code") != CANADA)
    found = _predicted(model, tables, others)
    assert (found["modelled_rate_log"] - found["true_log"]).abs().median() < 0.08


def test_standard_errors_cover_the_truth_when_samples_are_drawn_again(tables: reconcile.ReconcileTables) -> None:
    own = _training(count=40, seed=99)
    hits = []
    for seed in range(20):
        model = reconcile.fit_valuation(_training(count=1_500, noise=0.3, seed=seed), SHARES, "A", tables)
        found = _predicted(model, tables, own)
        error = (found["modelled_rate_log"] - found["true_log"]).abs()
        hits.append((error < 1.645 * found["modelled_rate_se_log"]).mean())
    assert 0.7 < np.mean(hits) < 0.99


def test_standard_errors_grow_when_the_rows_of_a_corridor_err_together(tables: reconcile.ReconcileTables) -> None:
    rows = _training(count=2_000, noise=0.1)
    corridors = rows.select("exporter_code", "importer_code").unique().sort("exporter_code", "importer_code")
    shift = corridors.with_columns(shift=pl.Series(np.random.default_rng(5).normal(0, 0.2, corridors.height)))
    shared = rows.join(shift, on=["exporter_code", "importer_code"], how="left").with_columns(
        margin_log=pl.col("margin_log") + pl.col("shift")
    )
    plain = reconcile.fit_valuation(rows, SHARES, "A", tables).predict(rows, tables)["modelled_rate_se_log"].mean()
    alike = reconcile.fit_valuation(
        shared.select(rows.columns), SHARES, "A", tables
    ).predict(rows, tables)["modelled_rate_se_log"].mean()  # fmt: skip
    assert alike > 4 * plain


def test_an_unseen_year_and_chapter_take_no_effect_when_predicted(tables: reconcile.ReconcileTables) -> None:
    model = reconcile.fit_valuation(_training(), SHARES, "A", tables)
    own = _training(count=1).with_columns(year=pl.lit(1999), chapter_code=pl.lit("99"), product_code=pl.lit("999999"))
    facts = tables.corridor_facts(own).row(0, named=True)
    distance = np.log(facts["distance_km"])
    c = model.coefficients
    expected = (
        c["constant"] + c["ln_distance"] * distance + c["ln_distance_squared"] * distance**2
        + c["contiguity"] * facts["is_contiguous"] + c["landlocked_exporter"] * facts["is_landlocked_exporter"]
        + c["landlocked_importer"] * facts["is_landlocked_importer"]
        + c["ln_world_unit_value"] * model.default_ln_unit_value
    )  # fmt: skip
    assert model.predict(own, tables)["modelled_rate_log"][0] == pytest.approx(expected)


def test_the_published_model_stands_and_says_so_when_rows_are_few(tables: reconcile.ReconcileTables) -> None:
    model = reconcile.fit_valuation(_training(count=499), SHARES, "A", tables)
    assert model.coefficients["constant"] == 0.32
    assert set(model.card["method_name"]) == {"baci_2010_model_2"}
    assert model.card["standard_error"].null_count() == 7
    assert model.card["observation_count"].to_list() == [499] * 7
    assert model.predict(_training(count=1), tables)["modelled_rate_se_log"][0] == pytest.approx(0.03)


def test_only_its_own_frequency_trains_when_both_are_handed_over(tables: reconcile.ReconcileTables) -> None:
    months = _training(seed=2).with_columns(frequency=pl.lit("M"), margin_log=pl.lit(0.9))
    both = reconcile.fit_valuation(pl.concat([_training(), months]), SHARES, "A", tables)
    alone = reconcile.fit_valuation(_training(), SHARES, "A", tables)
    assert both.card.equals(alone.card)


def test_the_card_tells_terms_and_shares_when_the_model_is_fitted(tables: reconcile.ReconcileTables) -> None:
    card = reconcile.fit_valuation(_training(), SHARES, "A", tables).card
    assert dict(card.schema) == dict(CIF_MODEL)
    assert card["term"].to_list() == sorted(card["term"].to_list())
    assert card.select("reported_share_ratio", "observed_share_ratio", "modelled_share_ratio").row(0) == (0.1, 0.3, 0.6)
    published = dict(card.select("term", "published_coefficient").rows())
    assert published["ln_distance"] == -0.11
    assert card["residual_sd_log"][0] == pytest.approx(0.05, abs=0.005)
    assert (card["standard_error"] > 0).all()


def test_a_place_without_coordinates_takes_a_typical_distance_when_predicted(
    tables: reconcile.ReconcileTables,
) -> None:
    model = reconcile.fit_valuation(_training(), SHARES, "A", tables)
    nowhere = _training(count=1).with_columns(exporter_code=pl.lit("490"))
    assert model.predict(nowhere, tables)["modelled_rate_log"].is_finite().all()


def test_the_same_model_comes_out_when_training_rows_are_shuffled(tables: reconcile.ReconcileTables) -> None:
    rows = _training()
    one = reconcile.fit_valuation(rows, SHARES, "A", tables)
    two = reconcile.fit_valuation(rows.sample(fraction=1.0, shuffle=True, seed=8), SHARES, "A", tables)
    assert one.beta.tobytes() == two.beta.tobytes()
    assert one.card.equals(two.card)


def test_the_missing_columns_are_named_when_training_lacks_them(tables: reconcile.ReconcileTables) -> None:
    with pytest.raises(FrameError, match="the valuation training frame lacks the columns weight"):
        reconcile.fit_valuation(_training().drop("weight"), SHARES, "A", tables)


def test_a_place_that_no_table_knows_has_no_distance_and_no_neighbours(tables: reconcile.ReconcileTables) -> None:
    ends = pl.DataFrame({"exporter_code": [GERMANY, "no such"], "importer_code": ["no such", POLAND]})
    facts = tables.corridor_facts(ends)
    assert facts["distance_km"].to_list() == [None, None]
    assert not facts.select(pl.any_horizontal("^is_.*$").any()).item()


def test_a_corridor_that_stands_twice_is_refused(tables: reconcile.ReconcileTables) -> None:
    facts = {"exporter_code": [GERMANY] * 2, "importer_code": [POLAND] * 2, "distance_km": [500.0, 900.0]}
    twice = replace(tables, distances=pl.DataFrame(facts).with_columns(is_contiguous=pl.lit(True)))
    with pytest.raises(FrameError, match="name a place or a corridor twice"):
        twice.corridor_facts(pl.DataFrame({"exporter_code": [GERMANY], "importer_code": [POLAND]}))


def test_distance_and_neighbours_are_symmetric_when_looked_up(tables: reconcile.ReconcileTables) -> None:
    ends = pl.DataFrame({"exporter_code": [GERMANY, POLAND, GERMANY], "importer_code": [POLAND, GERMANY, KAZAKHSTAN]})
    facts = tables.corridor_facts(ends).select("exporter_code", "importer_code", "distance_km", "^is_.*$").rows()
    assert facts == [
        (GERMANY, KAZAKHSTAN, pytest.approx(4_690.0, rel=0.01), False, False, True),
        (GERMANY, POLAND, pytest.approx(517.0, rel=0.01), True, False, False),
        (POLAND, GERMANY, pytest.approx(517.0, rel=0.01), True, False, False),
    ]
