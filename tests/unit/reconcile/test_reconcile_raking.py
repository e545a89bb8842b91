"""Raking: flows of a corridor scaled to its total, as a column beside the reconciled value.

Belongs here: targets, statuses, residuals, that raked flows add up. Does not belong here: totals themselves.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.schema import MIRROR_FLOWS, MIRROR_TOTALS
from tests.unit.reconcile.builders import CANADA, GERMANY, POLAND


def _flows(*values: float, importer: str = POLAND) -> pl.DataFrame:
    rows = [
        dict.fromkeys(MIRROR_FLOWS)
        | {"exporter_code": GERMANY, "importer_code": importer, "product_code": f"44{n:04d}"}
        | {"reconciled_fob_usd": value * 1.1, "reconciled_mean_fob_usd": value}
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=dict(MIRROR_FLOWS))


def _total(x: float | None, m: float | None, **changes: Any) -> pl.DataFrame:
    row = dict.fromkeys(MIRROR_TOTALS) | {
        "exporter_code": GERMANY, "importer_code": POLAND, "product_code": "TOTAL", "product_level": 0,
        "exporter_value_usd": x, "importer_value_usd": m, "exporter_fob_usd": x, "importer_fob_usd": m,
        "exporter_coverage_ratio": 1.0, "importer_coverage_ratio": 1.0,
    }  # fmt: skip
    return pl.DataFrame([row | changes], schema=dict(MIRROR_TOTALS))


def test_flows_add_up_to_the_middle_of_both_totals_when_raked() -> None:
    flows = _flows(30.0, 60.0)
    totals = reconcile.rake_totals(_total(80.0, 125.0), flows)
    told = totals.select("flows_mean_fob_usd", "raking_target_fob_usd", "raking_residual_fob_usd", "raking_status")
    assert told.rows() == [(90.0, 100.0, 10.0, "raked")]
    raked = reconcile.rake_flows(flows, totals)
    assert sum(raked["raked_fob_usd"]) == pytest.approx(100.0, rel=1e-12)
    assert raked["raked_fob_usd"].to_list() == pytest.approx([100 / 3, 200 / 3])
    assert raked["reconciled_fob_usd"].to_list() == flows["reconciled_fob_usd"].to_list()


@pytest.mark.parametrize(("x", "m"), [(100.0, None), (None, 100.0), (100.0, 0.0)])
def test_the_only_total_is_the_target_when_one_side_gave_none(x: float | None, m: float | None) -> None:
    flows = _flows(80.0)
    assert reconcile.rake_flows(flows, reconcile.rake_totals(_total(x, m), flows))["raked_fob_usd"].to_list() == [100.0]


@pytest.mark.parametrize(
    ("total", "values", "status"),
    [
        (_total(100.0, 100.0, importer_coverage_ratio=0.89), (90.0,), "coverage_too_low"),
        (_total(100.0, 100.0, exporter_coverage_ratio=None), (90.0,), "coverage_too_low"),
        (_total(100.0, 100.0), (49.0,), "ratio_out_of_bounds"),
        (_total(100.0, 100.0), (201.0,), "ratio_out_of_bounds"),
        (_total(0.0, None), (90.0,), "ratio_out_of_bounds"),
        (_total(100.0, 100.0), (), "no_flows"),
        (_total(100.0, 100.0), (0.0,), "no_flows"),
    ],
)
def test_nothing_is_scaled_when_the_total_is_of_another_trade(
    total: pl.DataFrame, values: tuple[float, ...], status: str
) -> None:
    flows = _flows(*values)
    totals = reconcile.rake_totals(total, flows)
    assert totals.select("raking_status", "raking_ratio").rows() == [(status, None)]
    assert reconcile.rake_flows(flows, totals)["raked_fob_usd"].null_count() == len(values)


def test_coverage_is_asked_only_of_a_side_that_gave_a_total() -> None:
    total = _total(100.0, None, importer_coverage_ratio=None)
    assert reconcile.rake_totals(total, _flows(90.0))["raking_status"].to_list() == ["raked"]


def test_chapters_are_not_raked_when_they_stand_beside_the_total() -> None:
    flows = _flows(90.0)
    totals = reconcile.rake_totals(pl.concat([_total(100.0, 100.0), _total(9.0, 9.0, product_code="44")]), flows)
    assert totals.select("product_code", "raking_status").rows() == [("44", None), ("TOTAL", "raked")]
    assert reconcile.rake_flows(flows, totals).height == 1


def test_only_the_corridors_own_flows_are_raked() -> None:
    flows = pl.concat([_flows(90.0), _flows(50.0, importer=CANADA)])
    raked = reconcile.rake_flows(flows, reconcile.rake_totals(_total(100.0, 100.0), flows))
    assert raked.select("importer_code", "raked_fob_usd").rows() == [(CANADA, None), (POLAND, 100.0)]
