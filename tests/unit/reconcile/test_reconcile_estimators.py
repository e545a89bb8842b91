"""The five estimators: what each believes, by hand on one pair, and that each names itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.reporting_distance import LEAST_DISTANCE_LOG, reporting_distances
from orchestration.reconcile.schema import CHAPTER_EFFECTS, MIRROR_FLOWS, POOLED, RELIABILITY, VALUED

X, M = 100.0, 130.0
OTHERS = sorted(set(reconcile.ESTIMATORS) - {"variance_components"})


def _model(distances: tuple[float, float] = (0.1, 0.3)) -> reconcile.ReliabilityModel:
    window = {"frequency": "A", "window_start_year": 2017, "window_end_year": 2019}
    roles = [("exporter", "276", 0.3, distances[0]), ("importer", "616", 0.4, distances[1])]
    rows = [
        dict.fromkeys(RELIABILITY)
        | window
        | {"role": role, "reporter_code": code, "sigma_log": sigma, "bias_log": 0.2, "bias_se_log": 0.0}
        | {"distance_log": distance}
        for role, code, sigma, distance in roles
    ]
    return reconcile.ReliabilityModel(
        pl.DataFrame(rows, schema=dict(RELIABILITY)),
        pl.DataFrame(schema=dict(CHAPTER_EFFECTS)),
        pl.DataFrame(schema=dict(POOLED)),
    )


def _valued(x: float | None, m: float | None) -> pl.DataFrame:
    row = dict.fromkeys(VALUED) | {
        "mirror_flow_id": "f", "frequency": "A", "period": "2019", "exporter_code": "276", "importer_code": "616",
        "product_code": "440710", "chapter_code": "44", "exporter_fob_usd": x, "importer_fob_usd": m,
    }  # fmt: skip
    return pl.DataFrame([row], schema=dict(VALUED)).with_columns(period_start=pl.date(2019, 1, 1))


def _flow(name: str, x: float | None = X, m: float | None = M, **distances: Any) -> dict[str, Any]:
    estimator = reconcile.ESTIMATORS[name]()
    return reconcile.estimate(_valued(x, m), _model(**distances), estimator).row(0, named=True)


def test_five_estimators_stand_behind_one_interface() -> None:
    assert set(reconcile.ESTIMATORS) == {
        "variance_components", "baci", "exporter_first", "importer_first", "geometric_mean",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected", "weight"),
    [
        ("exporter_first", X, 1.0),
        ("importer_first", M, 0.0),
        ("geometric_mean", math.sqrt(X * M), 0.5),
        # Distances 0.1 and 0.3: the exporter weighs three times as much, in an arithmetic mean.
        ("baci", 0.75 * X + 0.25 * M, 0.75),
    ],
)
def test_each_takes_the_value_by_its_rule_when_both_filed(name: str, expected: float, weight: float) -> None:
    row = _flow(name)
    assert row["reconciled_fob_usd"] == pytest.approx(expected)
    assert row["exporter_weight_ratio"] == pytest.approx(weight)
    assert row["importer_weight_ratio"] == pytest.approx(1 - weight)


@pytest.mark.parametrize("name", sorted(reconcile.ESTIMATORS))
def test_each_names_itself_and_fills_the_schema(name: str) -> None:
    flows = reconcile.estimate(_valued(X, M), _model(), reconcile.ESTIMATORS[name]())
    assert dict(flows.schema) == dict(MIRROR_FLOWS)
    assert flows["method_name"].to_list() == [name]
    assert flows["method_version"].null_count() == 0


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("x", "m"), [(X, None), (None, X), (X, 0.0), (0.0, X)])
def test_the_only_report_is_taken_as_filed_when_one_side_is_missing_or_zero(
    name: str, x: float | None, m: float | None
) -> None:
    assert _flow(name, x, m)["reconciled_fob_usd"] == pytest.approx(X)


@pytest.mark.parametrize("name", OTHERS)
def test_the_signal_is_the_same_whatever_the_method(name: str) -> None:
    assert _flow(name)["z_score"] == pytest.approx(_flow("variance_components")["z_score"])


def test_the_interval_of_a_plain_mean_has_the_variance_of_its_weights() -> None:
    assert _flow("exporter_first")["sd_log"] == pytest.approx(0.3)
    assert _flow("importer_first")["sd_log"] == pytest.approx(0.4)
    assert _flow("geometric_mean")["sd_log"] == pytest.approx(0.25)


def test_reporting_distances_are_largest_for_the_reporter_that_errs_most() -> None:
    random = np.random.default_rng(4)
    i, j = random.integers(0, 6, (2, 30_000))
    sigma_x = np.array([0.1, 0.1, 0.8, 0.1, 0.1, 0.1])
    gap = random.normal(size=i.size) * np.sqrt(sigma_x[i] ** 2 + 0.1**2)
    alone = np.ones(i.size, dtype=np.int64)
    exporter, importer = reporting_distances(i, j, np.zeros(i.size, dtype=np.int64), np.abs(gap), alone)
    assert int(np.argmax(exporter)) == 2
    assert exporter[2] > 4 * np.median(exporter)
    # The published decomposition is additive: a bad partner must not look like a bad reporter of the other role.
    assert float(np.ptp(importer)) < 0.02
    assert exporter.min() >= LEAST_DISTANCE_LOG
