"""Value and interval: weights, inflation, tails, one-sided and zero flows, parameters that are missing.

Belongs here: the estimator on parameters that are written down. Does not belong here: fitting them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.estimate import inflated_quantile
from orchestration.reconcile.schema import (
    CHAPTER_EFFECTS,
    MIRROR_FLOWS,
    POOLED,
    RELIABILITY,
    VALUED,
    FrameError,
)
from tests.unit.reconcile.builders import GERMANY, POLAND

Z90, Z50 = 1.6448536269514722, 0.6744897501960817


def _model(
    sigma: tuple[float, float] = (0.3, 0.4),
    bias: tuple[float, float] = (0.0, 0.0),
    effect: float = 0.0,
    year: int = 2019,
    tail: float = 1.0,
) -> reconcile.ReliabilityModel:
    """Germany as exporter and Poland as importer, with standard errors of zero."""
    roles = [("exporter", GERMANY, 0), ("importer", POLAND, 1)]
    window = {"frequency": "A", "window_start_year": year - 2, "window_end_year": year}
    reliability = [
        dict.fromkeys(RELIABILITY)
        | window
        | {"role": role, "reporter_code": code, "sigma_log": sigma[n], "bias_log": bias[n], "bias_se_log": 0.0}
        for role, code, n in roles
    ]
    pooled = [window | {"role": role, "sigma_log": 0.7, "chapter_effect_log": -0.1, "tail_ratio": tail}
              for role, _, _ in roles]  # fmt: skip
    chapters = [dict.fromkeys(CHAPTER_EFFECTS) | window | {"chapter_code": "44", "effect_log": effect}]
    return reconcile.ReliabilityModel(
        reliability=pl.DataFrame(reliability, schema=dict(RELIABILITY)),
        chapter_effects=pl.DataFrame(chapters, schema=dict(CHAPTER_EFFECTS)),
        pooled=pl.DataFrame(pooled, schema=dict(POOLED)),
    )


def _valued(x: float | None, m: float | None, **changes: Any) -> pl.DataFrame:
    plain = {
        "frequency": "A", "exporter_code": GERMANY, "importer_code": POLAND, "product_code": "440710",
        "chapter_code": "44", "exporter_value_usd": x, "importer_value_usd": m, "exporter_fob_usd": x,
        "importer_fob_usd": m, "cif_rate_se_log": None if m is None else 0.0,
    }  # fmt: skip
    row = dict.fromkeys(VALUED) | plain | changes
    return pl.DataFrame([row], schema=dict(VALUED)).with_columns(period_start=pl.date(2019, 1, 1))


def _flow(x: float | None, m: float | None, model: reconcile.ReliabilityModel, **changes: Any) -> dict[str, Any]:
    return reconcile.estimate(_valued(x, m, **changes), model).row(0, named=True)


def test_the_better_reporter_weighs_more_when_both_filed() -> None:
    row = _flow(100.0, 110.0, _model())
    weight = (1 / 0.09) / (1 / 0.09 + 1 / 0.16)
    assert row["exporter_weight_ratio"] == pytest.approx(weight)
    assert row["importer_weight_ratio"] == pytest.approx(1 - weight)
    assert row["reconciled_fob_usd"] == pytest.approx(100.0**weight * 110.0 ** (1 - weight))
    assert row["sd_log"] == pytest.approx(1 / math.sqrt(1 / 0.09 + 1 / 0.16))
    assert row["z_score"] == pytest.approx(math.log(100 / 110) / 0.5)
    assert row["p_value"] == pytest.approx(math.erfc(abs(row["z_score"]) / math.sqrt(2)))


def test_biases_are_taken_off_when_known() -> None:
    row = _flow(100.0, 110.0, _model(sigma=(0.3, 0.3), bias=(0.2, -0.1)))
    assert row["reconciled_fob_usd"] == pytest.approx(math.sqrt(100 * math.exp(-0.2) * 110 * math.exp(0.1)))
    assert (row["exporter_bias_log"], row["importer_bias_log"]) == (0.2, -0.1)


def test_the_chapter_effect_is_shared_by_both_sides_when_known() -> None:
    row = _flow(100.0, 100.0, _model(sigma=(0.3, 0.4), effect=0.1))
    weight = row["exporter_weight_ratio"]
    assert math.log(row["reconciled_fob_usd"] / 100) == pytest.approx(0.05 * (1 - 2 * weight))
    assert row["z_score"] == pytest.approx(-0.1 / 0.5)


def test_the_interval_is_normal_in_logarithms_when_reports_agree() -> None:
    row = _flow(100.0, 100.0, _model(tail=2.0))
    # sd_log holds max(1, |z|): the quantiles are those of e / max(1, |z|), by simulation 0.591 and 1.527.
    for name, z in {"p05": -1.5265, "p25": -0.5914, "p75": 0.5914, "p95": 1.5265}.items():
        assert row[f"reconciled_fob_usd_{name}"] == pytest.approx(100 * math.exp(z * row["sd_log"]), rel=1e-4)


def test_the_quantiles_cover_as_named_when_sd_holds_the_gap() -> None:
    e, z = np.random.default_rng(3).normal(size=(2, 400_000))
    scaled = np.abs(e) / np.maximum(1.0, np.abs(z))
    assert float((scaled < inflated_quantile(0.75)).mean()) == pytest.approx(0.5, abs=0.004)
    assert float((scaled < inflated_quantile(0.95)).mean()) == pytest.approx(0.9, abs=0.003)


def test_the_mean_for_sums_lies_half_the_expected_variance_below_when_reports_contradict() -> None:
    row = _flow(100.0, 1_000.0, _model())
    expected = 1 / (1 / 0.09 + 1 / 0.16)
    assert row["reconciled_mean_fob_usd"] == pytest.approx(row["reconciled_fob_usd"] * math.exp(-expected / 2))


def test_the_interval_widens_when_reports_contradict_each_other() -> None:
    near, far = _flow(100.0, 110.0, _model()), _flow(100.0, 1_000.0, _model())
    assert far["sd_log"] == pytest.approx(near["sd_log"] * abs(far["z_score"]))
    assert abs(far["z_score"]) > 1


def test_the_error_of_a_margin_counts_against_the_importer_when_modelled() -> None:
    row = _flow(100.0, 110.0, _model(sigma=(0.3, 0.3)), cif_rate_se_log=0.4)
    assert row["importer_weight_ratio"] == pytest.approx((1 / 0.25) / (1 / 0.09 + 1 / 0.25))


def test_the_error_of_a_bias_widens_the_interval_when_it_is_uncertain() -> None:
    model = _model()
    unsure = reconcile.ReliabilityModel(
        model.reliability.with_columns(bias_se_log=pl.lit(0.4)), model.chapter_effects, model.pooled
    )
    assert _flow(100.0, None, unsure)["sd_log"] == pytest.approx(0.5)
    assert _flow(100.0, None, model)["sd_log"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("x", "m", "sigma", "weights"), [(100.0, None, 0.3, (1.0, 0.0)), (None, 100.0, 0.4, (0.0, 1.0))]
)
def test_the_only_report_gives_value_and_width_when_a_flow_is_one_sided(
    x: float | None, m: float | None, sigma: float, weights: tuple[float, float]
) -> None:
    row = _flow(x, m, _model(tail=1.5))
    assert row["reconciled_fob_usd"] == pytest.approx(100.0)
    assert row["sd_log"] == pytest.approx(sigma)
    assert (row["exporter_weight_ratio"], row["importer_weight_ratio"]) == weights
    assert (row["z_score"], row["p_value"]) == (None, None)
    assert row["reconciled_fob_usd_p75"] == pytest.approx(100 * math.exp(Z50 * sigma))
    assert row["reconciled_fob_usd_p95"] == pytest.approx(100 * math.exp(Z90 * sigma * 1.5))


def test_a_flow_is_zero_without_doubt_when_both_sides_file_zero() -> None:
    row = _flow(0.0, 0.0, _model())
    assert [row[f"reconciled_fob_usd{q}"] for q in ("", "_p05", "_p25", "_p75", "_p95")] == [0.0] * 5
    assert (row["sd_log"], row["z_score"], row["exporter_weight_ratio"]) == (None, None, None)


def test_a_flow_rests_on_the_positive_side_when_the_other_files_zero() -> None:
    row = _flow(0.0, 50.0, _model())
    assert row["reconciled_fob_usd"] == pytest.approx(50.0)
    assert (row["exporter_weight_ratio"], row["z_score"]) == (0.0, None)


def test_the_pooled_sigma_and_a_wide_bias_are_taken_when_a_reporter_was_never_seen_two_sided() -> None:
    row = _flow(100.0, None, _model(), exporter_code="999")
    assert (row["exporter_sigma_log"], row["exporter_bias_log"]) == (0.7, 0.0)
    assert row["sd_log"] == pytest.approx(math.sqrt(0.49 + 0.05))


def test_the_typical_chapter_effect_is_taken_when_a_chapter_never_trained() -> None:
    assert _flow(100.0, 100.0, _model(), chapter_code="99")["chapter_effect_log"] == -0.1


def test_a_stated_default_is_taken_when_no_window_ends_in_the_year() -> None:
    row = _flow(100.0, 110.0, _model(year=2010))
    assert (row["exporter_sigma_log"], row["importer_sigma_log"], row["chapter_effect_log"]) == (0.5, 0.5, 0.0)


def test_months_do_not_borrow_from_years_when_only_years_were_fitted() -> None:
    assert _flow(100.0, None, _model(), frequency="M")["exporter_sigma_log"] == 0.5


def test_method_and_schema_stand_in_every_row_when_estimated() -> None:
    flows = reconcile.estimate(_valued(100.0, 110.0), _model())
    assert dict(flows.schema) == dict(MIRROR_FLOWS)
    assert flows.select("method_name", "method_version").rows() == [("variance_components", "3")]
    assert flows["nes_reallocated_fob_usd"].to_list() == [None]
    assert flows["reconciled_net_weight_kg"].to_list() == [None]  # quantities fill it


class _ExporterAlone:
    """An estimator of one's own: believe the exporter, else the importer."""

    name, version = "exporter_alone", "7"

    def estimate(self, valued: pl.DataFrame, model: reconcile.ReliabilityModel) -> pl.DataFrame:
        assert model.pooled.height
        names = ("exporter_weight_ratio", "importer_weight_ratio", "z_score")
        return valued.with_columns(
            pl.coalesce("exporter_fob_usd", "importer_fob_usd").log().alias("ln_value_log"),
            pl.lit(0.5).alias("sd_log"),
            pl.lit(1.0).alias("tail_ratio"),
            pl.lit(False).alias("is_sd_inflated"),
            *(pl.lit(None, pl.Float64).alias(name) for name in names),
        )


def test_another_estimator_is_used_and_named_when_given() -> None:
    flows = reconcile.estimate(_valued(100.0, 110.0), _model(), _ExporterAlone())
    assert flows.select("reconciled_fob_usd", "method_name", "method_version").rows() == [
        (pytest.approx(100.0), "exporter_alone", "7")
    ]


def test_the_missing_columns_are_named_when_valued_pairs_lack_them() -> None:
    with pytest.raises(FrameError, match="the valued pairs frame lacks the columns importer_fob_usd"):
        reconcile.estimate(_valued(1.0, 1.0).drop("importer_fob_usd"), _model())
