"""Weights and unit values: what counts as reported, the estimate and its width, slips of units, properties.

Belongs here: the weight columns of a flow and the training rows of quantities. Does not belong here: the machinery
itself (`test_reconcile_estimate`, `test_reconcile_reliability`).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration import reconcile
from orchestration.reconcile.schema import (
    CHAPTER_EFFECTS,
    MIRROR_FLOWS,
    POOLED,
    RELIABILITY,
    VALUED,
    FrameError,
)
from tests.unit.reconcile.builders import AUSTRALIA, CANADA, GERMANY, POLAND, complete, frame, reconciled, small_tables
from tests.unit.reconcile.test_reconcile_properties import WORLD, worlds

Z90 = 1.6448536269514722
TABLES = small_tables()
QUANTILES = ("_p05", "_p25", "", "_p75", "_p95")
WEIGHT_COLUMNS = tuple(f"reconciled_net_weight_kg{q}" for q in QUANTILES)
UNIT_VALUE_COLUMNS = tuple(f"reconciled_unit_value_fob_usd_per_kg{q}" for q in QUANTILES)


def _model(sigma: tuple[float, float], bias: tuple[float, float] = (0.0, 0.0)) -> reconcile.ReliabilityModel:
    """Germany as exporter and Poland as importer, with standard errors of zero and a tail ratio of 1.5."""
    window = {"frequency": "A", "window_start_year": 2017, "window_end_year": 2019}
    roles = [("exporter", GERMANY, 0), ("importer", POLAND, 1)]
    known = {"bias_se_log": 0.0}
    reliability = [
        dict.fromkeys(RELIABILITY)
        | window
        | known
        | {"role": role, "reporter_code": code, "sigma_log": sigma[n], "bias_log": bias[n]}
        for role, code, n in roles
    ]
    pooled = [
        window | {"role": role, "sigma_log": 0.7, "chapter_effect_log": 0.0, "tail_ratio": 1.5} for role, *_ in roles
    ]
    return reconcile.ReliabilityModel(
        reliability=pl.DataFrame(reliability, schema=dict(RELIABILITY)),
        chapter_effects=pl.DataFrame(schema=dict(CHAPTER_EFFECTS)),
        pooled=pl.DataFrame(pooled, schema=dict(POOLED)),
    )


MODELS = {reconcile.NET_WEIGHT: _model((0.3, 0.4)), reconcile.UNIT_VALUE: _model((0.2, 0.2))}


def _valued(x_kg: float | None, m_kg: float | None, **changes: Any) -> pl.DataFrame:
    """A two-sided pair of 100 and 100 USD with these weights, both reported."""
    plain = {
        "status": "two_sided", "frequency": "A", "exporter_code": GERMANY, "importer_code": POLAND,
        "product_code": "440710", "chapter_code": "44", "exporter_fob_usd": 100.0, "importer_fob_usd": 100.0,
        "gap_log_ratio": 0.0, "cif_rate_se_log": 0.1, "exporter_net_weight_kg": x_kg, "importer_net_weight_kg": m_kg,
        "exporter_is_weight_estimated": False, "importer_is_weight_estimated": False, "is_left_out": False,
        "is_confidential": False, "is_edition_mismatch": False,
    }  # fmt: skip
    row = dict.fromkeys(VALUED) | plain | changes
    return pl.DataFrame([row], schema=dict(VALUED)).with_columns(period_start=pl.date(2019, 1, 1))


def _flow(x_kg: float | None, m_kg: float | None, **changes: Any) -> dict[str, Any]:
    flows = reconcile.estimate(_valued(x_kg, m_kg, **changes), _model((0.5, 0.5)))
    return reconcile.reconcile_quantities(flows, MODELS).row(0, named=True)


def test_the_better_reporter_of_weights_weighs_more_when_both_report() -> None:
    row, weight = _flow(100.0, 110.0), (1 / 0.09) / (1 / 0.09 + 1 / 0.16)
    assert row["reconciled_net_weight_kg"] == pytest.approx(100.0**weight * 110.0 ** (1 - weight))
    assert row["net_weight_sd_log"] == pytest.approx(0.3 * 0.4 / 0.5)
    assert row["net_weight_z_score"] == pytest.approx(math.log(100 / 110) / 0.5)
    # As for values: quantiles of e / max(1, |z|), since the spread holds max(1, |z|).
    for name, z in {"p05": -1.5265, "p25": -0.5914, "p75": 0.5914, "p95": 1.5265}.items():
        expected = row["reconciled_net_weight_kg"] * math.exp(z * row["net_weight_sd_log"])
        assert row[f"reconciled_net_weight_kg_{name}"] == pytest.approx(expected, rel=1e-4)


def test_a_bias_of_weights_is_taken_off_when_known() -> None:
    models = MODELS | {reconcile.NET_WEIGHT: _model((0.3, 0.3), bias=(0.2, -0.2))}
    flows = reconcile.reconcile_quantities(reconcile.estimate(_valued(100.0, 100.0), _model((0.5, 0.5))), models)
    assert flows["net_weight_z_score"][0] == pytest.approx(-0.4 / math.sqrt(0.18))
    assert flows["reconciled_net_weight_kg"][0] == pytest.approx(100.0)


def test_one_weight_has_its_reporters_width_when_only_one_is_reported() -> None:
    row = _flow(100.0, 500.0, importer_is_weight_estimated=True)
    assert row["reconciled_net_weight_kg"] == pytest.approx(100.0)
    assert row["net_weight_sd_log"] == pytest.approx(0.3)
    assert row["reconciled_net_weight_kg_p95"] == pytest.approx(100 * math.exp(Z90 * 0.3 * 1.5))
    assert (row["net_weight_z_score"], row["unit_value_z_score"], row["is_weight_unit_suspect"]) == (None,) * 3


@pytest.mark.parametrize(
    ("x", "m", "x_estimated", "m_estimated"),
    [(None, None, False, False), (0.0, None, False, False), (4.0, 9.0, True, True), (4.0, 0.0, True, False)],
)
def test_nothing_is_said_of_weights_when_none_is_reported(
    x: float | None, m: float | None, x_estimated: bool, m_estimated: bool
) -> None:
    row = _flow(x, m, exporter_is_weight_estimated=x_estimated, importer_is_weight_estimated=m_estimated)
    assert {row[name] for name in (*WEIGHT_COLUMNS, *UNIT_VALUE_COLUMNS, "is_weight_unit_suspect")} == {None}
    assert row["reconciled_fob_usd"] == pytest.approx(100.0)


def test_the_z_of_unit_values_has_the_sign_of_exporter_minus_importer_when_the_exporter_is_dearer() -> None:
    row = _flow(50.0, 100.0)  # 2 USD against 1 USD a kilogram
    assert row["unit_value_z_score"] == pytest.approx(math.log(2.0) / math.sqrt(0.04 + 0.04 + 0.01))
    assert row["net_weight_z_score"] < 0
    weight = (1 / 0.04) / (1 / 0.04 + 1 / 0.05)
    assert row["reconciled_unit_value_fob_usd_per_kg"] == pytest.approx(2.0**weight)
    assert row["unit_value_sd_log"] == pytest.approx(row["unit_value_z_score"] * math.sqrt(0.04 * 0.05 / 0.09))


@pytest.mark.parametrize(
    ("x_kg", "m_kg", "changes", "expected"),
    [
        (1.0, 1_000.0, {}, True),
        (2_500.0, 2.0, {}, True),
        (1.0, 400.0, {}, False),
        (1.0, 2_100.0, {}, False),
        (1.0, 1.0, {}, False),
        (1.0, 1_000.0, {"gap_log_ratio": 0.8}, False),  # the values do not agree: more than a slip of units
        (1.0, 1_000.0, {"gap_log_ratio": None}, None),
    ],
)
def test_a_slip_of_units_is_seen_when_weights_lie_a_thousand_apart_and_values_agree(
    x_kg: float, m_kg: float, changes: dict[str, Any], expected: bool | None
) -> None:
    assert _flow(x_kg, m_kg, **changes)["is_weight_unit_suspect"] is expected


def test_a_pair_trains_both_quantities_when_both_sides_report_weights() -> None:
    rows = reconcile.quantity_training(_valued(100.0, 200.0))
    weight, unit_value = rows[reconcile.NET_WEIGHT], rows[reconcile.UNIT_VALUE]
    assert weight.select("gap_log_ratio", "extra_variance").row(0) == (pytest.approx(math.log(0.5)), 0.0)
    assert unit_value.select("gap_log_ratio", "extra_variance").row(0) == (
        pytest.approx(math.log(2.0)),
        pytest.approx(0.01),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"is_left_out": True},  # otherwise evasion only makes a country's weights look unreliable
        {"is_confidential": True},
        {"is_edition_mismatch": True},
        {"status": "exporter_only_partner_silent", "importer_net_weight_kg": None},
        {"importer_is_weight_estimated": True},
        {"exporter_is_weight_estimated": True},
        {"exporter_net_weight_kg": 0.0},
        {"importer_net_weight_kg": None},
    ],
)
def test_a_pair_trains_no_quantity_when_the_rules_leave_it_out(change: dict[str, Any]) -> None:
    rows = reconcile.quantity_training(_valued(100.0, 200.0, **change))
    assert [frame.height for frame in rows.values()] == [0, 0]


def test_models_come_back_when_stacked_and_taken_apart() -> None:
    models = {reconcile.VALUE: _model((0.5, 0.6)), **MODELS}
    stacked = reconcile.stack_models(models)
    assert stacked["reliability"].group_by("measure", maintain_order=True).len().rows() == [
        (measure, 2) for measure in reconcile.MEASURES
    ]
    for measure in reconcile.MEASURES:
        for name in reconcile.MODEL_TABLES:
            assert getattr(reconcile.model_of(stacked, measure), name).equals(getattr(models[measure], name))


def test_the_missing_columns_are_named_when_flows_were_not_estimated() -> None:
    with pytest.raises(FrameError, match="the reconciled flows frame lacks the columns reconciled_fob_usd"):
        reconcile.reconcile_quantities(_valued(1.0, 1.0), MODELS)


def _flows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return reconciled(frame(*rows), complete(GERMANY, POLAND, AUSTRALIA, incomplete=[CANADA]), TABLES).flows


def _close(left: pl.Series, right: pl.Series) -> None:
    assert left.is_null().to_list() == right.is_null().to_list()
    assert left.drop_nulls().to_numpy() == pytest.approx(right.drop_nulls().to_numpy(), rel=1e-6, abs=1e-9)


@WORLD
@given(rows=worlds(free_on_board=True), factor=st.floats(1e-3, 1e3))
def test_an_estimated_weight_never_matters_when_it_changes(rows: list[dict[str, Any]], factor: float) -> None:
    """Values are filed FOB here: the model of margins takes its world unit values from all weights."""
    if not rows:
        return
    estimated = [bool(row["is_net_weight_estimated"] and row["net_weight_kg"]) for row in rows]
    changed = [
        row | {"net_weight_kg": row["net_weight_kg"] * factor} if is_estimated else row
        for row, is_estimated in zip(rows, estimated, strict=True)
    ]
    filed = ["exporter_net_weight_kg", "importer_net_weight_kg"]
    one, two = _flows(rows), _flows(changed)
    assert dict(one.schema) == dict(MIRROR_FLOWS)
    assert one.drop(filed).equals(two.drop(filed))


@WORLD
@given(rows=worlds(), factor=st.sampled_from((1e-3, 0.5, 7.3, 1e6)))
def test_weights_are_scaled_when_all_filed_weights_are(rows: list[dict[str, Any]], factor: float) -> None:
    if not rows:
        return
    one = _flows(rows)
    two = _flows([row | {"net_weight_kg": row["net_weight_kg"] and row["net_weight_kg"] * factor} for row in rows])
    for column in WEIGHT_COLUMNS:
        _close(one[column] * factor, two[column])
    for column in ("net_weight_sd_log", "net_weight_z_score"):
        _close(one[column], two[column])


@WORLD
@given(rows=worlds(free_on_board=True))
def test_weights_are_mirrored_when_roles_and_inputs_are_swapped(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    one = _flows(rows)
    two = _flows([row | {"flow_code": {"X": "M", "M": "X"}[row["flow_code"]]} for row in rows])
    key = ["period", "exporter_code", "importer_code", "product_code"]
    turned = two.rename({"exporter_code": "importer_code", "importer_code": "exporter_code"})
    both = one.join(turned, on=key, suffix="_t", validate="1:1")
    assert both.height == one.height
    for column in (*WEIGHT_COLUMNS, *UNIT_VALUE_COLUMNS, "net_weight_sd_log", "unit_value_sd_log"):
        _close(both[column], both[f"{column}_t"])
    for column in ("net_weight_z_score", "unit_value_z_score"):
        _close(both[column], -both[f"{column}_t"])
    assert both["is_weight_unit_suspect"].to_list() == both["is_weight_unit_suspect_t"].to_list()


@WORLD
@given(rows=worlds())
def test_the_interval_holds_the_weight_when_there_is_one(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    flows = _flows(rows)
    pairs = [pair for names in (WEIGHT_COLUMNS, UNIT_VALUE_COLUMNS) for pair in itertools.pairwise(names)]
    for low, high in ((flows[low], flows[high]) for low, high in pairs):
        assert low.is_null().to_list() == high.is_null().to_list()
        assert (low.drop_nulls() <= high.drop_nulls() * (1 + 1e-12)).all()
