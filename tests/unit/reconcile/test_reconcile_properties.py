"""What must hold for every world: mirroring, scaling, order, conservation, identical re-runs.

Belongs here: properties of the whole reconciliation on worlds that hypothesis invents. Does not belong here: single
rules. Worlds are small; the fits then lean on their priors, and the properties must hold all the same.
"""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestration import reconcile
from tests.unit.reconcile.builders import (
    AUSTRALIA,
    CANADA,
    GERMANY,
    POLAND,
    Reconciled,
    complete,
    declared,
    frame,
    reconciled,
    small_tables,
)

PLACES = (GERMANY, POLAND, CANADA, AUSTRALIA)
PRODUCTS = ("440710", "440721", "4407", "030214", "847130")
PERIODS = ("2018", "2019")
TABLES = small_tables()
# Each example is a whole reconciliation: few of them, always the same, and no long search for a smaller one.
WORLD = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=(HealthCheck.too_slow,),
)


@st.composite
def worlds(draw: st.DrawFn, free_on_board: bool = False) -> list[dict[str, Any]]:
    """Rows with distinct keys; imports carry FOB, CIF or both values."""
    keys = draw(
        st.lists(
            st.tuples(*map(st.sampled_from, (PERIODS, PLACES, ("X", "M"), PLACES, PRODUCTS))),
            min_size=1,
            max_size=40,
            unique=True,
        )
    )
    rows = []
    for number, (period, reporter, flow, partner, product) in enumerate(keys):
        if reporter == partner:
            continue
        value = draw(st.one_of(st.just(0.0), st.floats(1.0, 1e9)))
        changes: dict[str, Any] = {"valuation_filed": "FOB"}
        if flow == "M" and not free_on_board:
            changes = draw(
                st.sampled_from(({"valuation_filed": "CIF"}, {"cif_value_usd": value, "fob_value_usd": value / 1.1}))
            )
        weight = draw(st.one_of(st.none(), st.floats(0.1, 1e6)))
        rows.append(
            declared(
                declaration_id=f"w{number:03d}", period=period, reporter_code=reporter, flow_code=flow,
                partner_code=partner, product_code=product, value_usd=value, net_weight_kg=weight,
                is_net_weight_estimated=draw(st.booleans()),
                hs_revision=draw(st.sampled_from(("H4", "H5"))), **changes,
            )
        )  # fmt: skip
    return rows


def _run(rows: list[dict[str, Any]]) -> Reconciled:
    return reconciled(frame(*rows), complete(GERMANY, POLAND, AUSTRALIA, incomplete=[CANADA]), TABLES)


def _bytes(result: Reconciled) -> bytes:
    buffer = io.BytesIO()
    models = reconcile.stack_models({reconcile.VALUE: result.reliability, **result.quantities})
    for table in (result.pairs, result.sources, result.valued, result.valuation.card, result.flows, *models.values()):
        table.write_parquet(buffer)
    return buffer.getvalue()


@WORLD
@given(rows=worlds(), seed=st.integers(0, 2**32 - 1))
def test_the_result_is_byte_identical_when_rows_come_in_another_order(rows: list[dict[str, Any]], seed: int) -> None:
    if rows:
        order = np.random.default_rng(seed).permutation(len(rows))
        assert _bytes(_run(rows)) == _bytes(_run([rows[n] for n in order]))


@WORLD
@given(rows=worlds(free_on_board=True))
def test_the_result_is_mirrored_when_roles_and_inputs_are_swapped(rows: list[dict[str, Any]]) -> None:
    """Who exported is told by who imported: only the valuation of imports breaks the symmetry, and it is neutral."""
    if not rows:
        return
    one = _run(rows).flows
    two = _run([row | {"flow_code": {"X": "M", "M": "X"}[row["flow_code"]]} for row in rows]).flows
    key = ["period", "exporter_code", "importer_code", "product_code"]
    turned = two.rename({"exporter_code": "importer_code", "importer_code": "exporter_code"})
    both = one.join(turned, on=key, suffix="_t", validate="1:1")
    assert both.height == one.height == two.height
    swap = {"exporter": "importer", "importer": "exporter"}
    for left, right in swap.items():
        for column in ("value_usd", "fob_usd", "weight_ratio", "bias_log", "sigma_log"):
            _close(both[f"{left}_{column}"], both[f"{right}_{column}_t"])
    for column in ("reconciled_fob_usd", "reconciled_fob_usd_p05", "reconciled_fob_usd_p95", "sd_log", "p_value"):
        _close(both[column], both[f"{column}_t"])
    for column in ("z_score", "gap_fob_usd", "gap_log_ratio", "chapter_effect_log"):
        _close(both[column], -both[f"{column}_t"])
    assert both["status"].str.replace("exporter", "importer").to_list() == (
        both["status_t"].str.replace("exporter", "importer").to_list()
    )


def _close(left: pl.Series, right: pl.Series) -> None:
    assert left.is_null().to_list() == right.is_null().to_list()
    assert left.drop_nulls().to_numpy() == pytest.approx(right.drop_nulls().to_numpy(), rel=1e-6, abs=1e-9)


MONEY = ("value_usd", "cif_value_usd", "fob_value_usd")


@WORLD
@given(rows=worlds(free_on_board=True), factor=st.sampled_from((1e-3, 0.5, 7.3, 1e6)))
def test_the_result_is_scaled_when_all_values_are(rows: list[dict[str, Any]], factor: float) -> None:
    if not rows:
        return
    one = _run(rows).flows
    scaled = [row | {name: row[name] and row[name] * factor for name in MONEY} for row in rows]
    two = _run(scaled).flows
    for column in ("exporter_value_usd", "importer_fob_usd", "gap_fob_usd", "reconciled_fob_usd",
                   "reconciled_fob_usd_p05", "reconciled_fob_usd_p95"):  # fmt: skip
        assert (one[column] * factor).to_numpy() == pytest.approx(two[column].to_numpy(), rel=1e-6, nan_ok=True)
    for column in ("z_score", "sd_log", "exporter_weight_ratio", "gap_log_ratio", "gap_share_ratio"):
        _close(one[column], two[column])


@WORLD
@given(rows=worlds())
def test_value_is_conserved_and_every_row_stands_once_when_paired(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    declarations, result = frame(*rows), _run(rows)
    for period in declarations["period"].unique():
        own = pl.col("period") == period
        account = reconcile.account_of_pairs(declarations.filter(own), result.pairs.filter(own))
        assert (account["difference_usd"].abs() <= 1e-9 * account["declared_value_usd"]).all()
    assert sorted(result.sources["declaration_id"]) == sorted(declarations["declaration_id"])
    counted = result.pairs.select(pl.sum_horizontal("exporter_declaration_count", "importer_declaration_count").sum())
    assert counted.item() == declarations.height
    assert result.pairs["mirror_flow_id"].is_unique().all()


@WORLD
@given(rows=worlds())
def test_the_interval_holds_the_estimate_and_the_estimate_lies_between_the_sides_when_reconciled(
    rows: list[dict[str, Any]],
) -> None:
    if not rows:
        return
    flows = _run(rows).flows
    order = [flows[f"reconciled_fob_usd{quantile}"] for quantile in ("_p05", "_p25", "", "_p75", "_p95")]
    for low, high in itertools.pairwise(order):
        assert low.null_count() == 0
        assert (low <= high * (1 + 1e-12)).all()
    both = flows.filter((pl.col("exporter_fob_usd") > 0) & (pl.col("importer_fob_usd") > 0))
    half = both["chapter_effect_log"] / 2
    x = both["exporter_fob_usd"].log() - both["exporter_bias_log"] - half
    m = both["importer_fob_usd"].log() - both["importer_bias_log"] + half
    middle = both["reconciled_fob_usd"].log()
    assert ((middle >= _least(x, m) - 1e-9) & (middle <= -_least(-x, -m) + 1e-9)).all()
    assert (both["exporter_weight_ratio"] + both["importer_weight_ratio"] - 1).abs().max() in (None, 0.0) or (
        (both["exporter_weight_ratio"] + both["importer_weight_ratio"] - 1).abs().max() < 1e-12
    )


def _least(left: pl.Series, right: pl.Series) -> pl.Series:
    return pl.DataFrame({"a": left, "b": right}).select(pl.min_horizontal("a", "b")).to_series()


@WORLD
@given(rows=worlds())
def test_no_figure_is_infinite_or_not_a_number_when_values_are_zero_or_huge(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    flows = _run(rows).flows
    for column, kind in flows.schema.items():
        if kind == pl.Float64:
            assert flows[column].is_finite().fill_null(True).all(), column


@WORLD
@given(rows=worlds())
def test_a_flow_declared_by_nobody_is_never_made_when_paired(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    pairs = _run(rows).pairs
    one_sided = pairs["status"] != "two_sided"
    filed = pairs.select(pl.col("exporter_value_usd", "importer_value_usd").is_not_null())
    assert (filed.sum_horizontal() >= 1).all()
    assert (filed.sum_horizontal() == 1).to_list() == one_sided.to_list()
