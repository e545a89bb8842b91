"""Valuation: where a margin comes from, how it is applied, and the one sign rule.

Belongs here: rules on a few rows, with a margin model that is written down. Does not belong here: fitting the model.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.cif_card import TERMS
from orchestration.reconcile.schema import VALUED, FrameError
from tests.unit.reconcile.builders import (
    AUSTRALIA,
    CANADA,
    GERMANY,
    POLAND,
    WATCHED,
    complete,
    exports,
    frame,
    imports,
)


def _model(rate_log: float, se_log: float = 0.02) -> reconcile.ValuationModel:
    """A model that gives every pair the same margin."""
    covariance = np.zeros((len(TERMS), len(TERMS)))
    covariance[0, 0] = se_log**2
    return reconcile.ValuationModel(
        beta=np.array([rate_log] + [0.0] * 6),
        covariance=covariance,
        levels=({}, {}),
        unit_values=pl.DataFrame(schema={"product_code": pl.String, "ln_world_unit_value": pl.Float64}),
        default_ln_unit_value=0.0,
        card=pl.DataFrame(),
    )


def _valued(tables: reconcile.ReconcileTables, rate_log: float, *rows: dict[str, Any]) -> pl.DataFrame:
    return reconcile.apply_valuation(reconcile.pair(frame(*rows), complete(), tables).pairs, _model(rate_log), tables)


def _one(tables: reconcile.ReconcileTables, rate_log: float, *rows: dict[str, Any]) -> dict[str, Any]:
    valued = _valued(tables, rate_log, *rows)
    assert valued.height == 1
    return valued.row(0, named=True)


def _sources(tables: reconcile.ReconcileTables, *rows: dict[str, Any]) -> list[str]:
    return reconcile.cif_sources(reconcile.pair(frame(*rows), complete(), tables).pairs, tables)["cif_source"].to_list()


BOTH = {"cif_value_usd": 110.0, "fob_value_usd": 100.0, "value_usd": 110.0}


@pytest.mark.parametrize(
    ("importer", "period", "source"),
    [
        (CANADA, "2019", "reported"),
        (AUSTRALIA, "2016", "reported"),
        (AUSTRALIA, "2017", "modelled"),
        (POLAND, "2019", "modelled"),  # the table says FOB of Poland's exports, not of its imports
    ],
)
def test_the_valuation_table_decides_by_importer_and_year_when_a_row_files_one_value(
    tables: reconcile.ReconcileTables, importer: str, period: str, source: str
) -> None:
    assert _sources(tables, imports(reporter_code=importer, period=period)) == [source]


def test_the_valuation_table_goes_first_when_the_row_files_both_values(tables: reconcile.ReconcileTables) -> None:
    assert _sources(tables, imports(reporter_code=CANADA, **BOTH)) == ["reported"]


def test_a_row_filed_fob_needs_no_table_when_it_says_so_itself(tables: reconcile.ReconcileTables) -> None:
    row = _one(tables, 0.05, imports(valuation_filed="FOB", value_usd=80.0))
    assert (row["cif_source"], row["cif_rate_ratio"], row["importer_fob_usd"]) == ("reported", 0.0, 80.0)
    assert row["cif_rate_se_log"] == 0.0


def test_the_margin_is_observed_when_both_values_are_filed(tables: reconcile.ReconcileTables) -> None:
    row = _one(tables, 0.25, imports(**BOTH))
    assert row["cif_source"] == "observed"
    assert row["cif_rate_ratio"] == pytest.approx(0.1)
    assert row["importer_fob_usd"] == pytest.approx(100.0)
    assert row["cif_rate_se_log"] == 0.0


def test_an_observed_margin_is_used_as_filed_when_it_is_beyond_the_modelled_bound(
    tables: reconcile.ReconcileTables,
) -> None:
    row = _one(tables, 0.25, imports(**(BOTH | {"fob_value_usd": 70.0})))
    assert (row["cif_source"], row["importer_fob_usd"]) == ("observed", pytest.approx(70.0))


@pytest.mark.parametrize(
    ("fob", "source", "rate"),
    [
        (111.0, "observed", 0.0),  # below FOB by rounding: no margin
        (120.0, "modelled", 0.05),  # CIF below FOB is a mistake in the row
        (50.0, "modelled", 0.05),  # freight dearer than the goods likewise
        (0.0, "modelled", 0.05),  # 0 stands for absent
    ],
)
def test_an_impossible_pair_of_values_is_not_observed_when_filed(
    tables: reconcile.ReconcileTables, fob: float, source: str, rate: float
) -> None:
    row = _one(tables, math.log(1.05), imports(**(BOTH | {"fob_value_usd": fob})))
    assert (row["cif_source"], row["cif_rate_ratio"]) == (source, pytest.approx(rate))


def test_there_is_no_source_when_there_is_no_importer(tables: reconcile.ReconcileTables) -> None:
    row = _one(tables, 0.05, exports())
    assert (row["cif_source"], row["cif_rate_ratio"], row["importer_fob_usd"]) == ("none", None, None)


@pytest.mark.parametrize(("rate_log", "rate"), [(-0.2, 0.0), (0.0, 0.0), (0.2, math.expm1(0.2)), (0.9, 0.30)])
def test_a_modelled_margin_stays_within_its_bounds_when_applied(
    tables: reconcile.ReconcileTables, rate_log: float, rate: float
) -> None:
    row = _one(tables, rate_log, imports(value_usd=200.0))
    assert row["cif_source"] == "modelled"
    assert row["cif_rate_ratio"] == pytest.approx(rate)
    assert row["importer_fob_usd"] == pytest.approx(200.0 / (1.0 + rate))
    assert row["cif_rate_se_log"] == pytest.approx(0.02)


def test_the_margin_is_the_same_when_the_sign_of_the_gap_turns(tables: reconcile.ReconcileTables) -> None:
    rates = [
        _one(tables, 0.1, exports(value_usd=x), imports(value_usd=100.0))["cif_rate_ratio"]
        for x in (1.0, 90.0, 100.0, 1e6)
    ]
    assert len(set(rates)) == 1


def test_gaps_are_exporter_minus_importer_when_both_are_fob(tables: reconcile.ReconcileTables) -> None:
    row = _one(tables, 0.0, exports(value_usd=80.0), imports(value_usd=100.0))
    assert row["gap_fob_usd"] == -20.0
    assert row["gap_log_ratio"] == pytest.approx(math.log(0.8))
    assert row["gap_share_ratio"] == pytest.approx(-20.0 / 180.0)


def test_gaps_are_null_when_a_side_is_absent(tables: reconcile.ReconcileTables) -> None:
    for row in (_one(tables, 0.0, exports()), _one(tables, 0.0, imports())):
        assert (row["gap_fob_usd"], row["gap_log_ratio"], row["gap_share_ratio"]) == (None, None, None)


def test_only_the_logarithm_is_null_when_a_side_files_zero(tables: reconcile.ReconcileTables) -> None:
    row = _one(tables, 0.0, exports(value_usd=0.0), imports(value_usd=50.0))
    assert (row["gap_fob_usd"], row["gap_log_ratio"], row["gap_share_ratio"]) == (-50.0, None, -1.0)
    nothing = _one(tables, 0.0, exports(value_usd=0.0), imports(value_usd=0.0))
    assert (nothing["gap_fob_usd"], nothing["gap_log_ratio"], nothing["gap_share_ratio"]) == (0.0, None, None)


def test_filed_values_are_kept_when_the_import_is_taken_to_fob(tables: reconcile.ReconcileTables) -> None:
    valued = _valued(tables, 0.1, exports(), imports(value_usd=100.0))
    assert valued.select("exporter_value_usd", "importer_value_usd", "exporter_fob_usd").rows() == [(100.0,) * 3]
    assert dict(valued.schema) == dict(VALUED)


def test_the_missing_columns_are_named_when_pairs_lack_them(tables: reconcile.ReconcileTables) -> None:
    pairs = reconcile.pair(frame(exports()), complete(), tables).pairs.drop("status")
    for call in (lambda: reconcile.apply_valuation(pairs, _model(0.0), tables), lambda: _training(pairs)):
        with pytest.raises(FrameError, match="the pairs frame lacks the columns status"):
            call()


def _training(pairs: pl.DataFrame) -> pl.DataFrame:
    return reconcile.valuation_training(
        pairs.with_columns(cif_source=pl.lit("modelled"), observed_rate_log=pl.lit(None, pl.Float64))
    )


def _trained(tables: reconcile.ReconcileTables, *rows: dict[str, Any]) -> pl.DataFrame:
    pairs = reconcile.pair(frame(*rows), complete(), tables).pairs
    return reconcile.valuation_training(reconcile.cif_sources(pairs, tables))


WEIGHED = {"net_weight_kg": 10.0}


def test_a_pair_trains_on_unit_values_when_both_weights_are_reported(tables: reconcile.ReconcileTables) -> None:
    training = _trained(tables, exports(net_weight_kg=10.0), imports(value_usd=110.0, net_weight_kg=8.0))
    row = training.row(0, named=True)
    assert row["margin_log"] == pytest.approx(math.log((110.0 / 8.0) / (100.0 / 10.0)))
    assert row["weight"] == pytest.approx(0.8)
    assert (row["year"], row["chapter_code"], row["cif_source"]) == (2019, "44", "modelled")


def test_a_pair_trains_on_the_filed_margin_when_both_values_are_filed(tables: reconcile.ReconcileTables) -> None:
    row = _trained(tables, imports(**BOTH)).row(0, named=True)
    assert (row["margin_log"], row["weight"], row["cif_source"]) == (pytest.approx(math.log(1.1)), 1.0, "observed")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (WEIGHED, {}),
        (WEIGHED, {"net_weight_kg": 0.0}),
        (WEIGHED | {"is_net_weight_estimated": True}, WEIGHED),
        (WEIGHED, WEIGHED | {"is_net_weight_estimated": True}),
        (WEIGHED | {"value_usd": 0.0}, WEIGHED),
        (WEIGHED | {"hs_revision": "H6"}, WEIGHED),
        (WEIGHED | {"product_code": WATCHED}, WEIGHED | {"product_code": WATCHED}),
        (WEIGHED | {"is_confidential": True}, WEIGHED),
        (WEIGHED | {"partner_code": CANADA}, WEIGHED | {"reporter_code": CANADA}),
        ({}, BOTH | {"fob_value_usd": 110.0}),  # CIF that repeats FOB teaches nothing
    ],
)
def test_a_pair_does_not_train_when_its_margin_cannot_be_trusted(
    tables: reconcile.ReconcileTables, left: dict[str, Any], right: dict[str, Any]
) -> None:
    assert _trained(tables, exports(**left), imports(**right)).height == 0


def test_training_is_thinned_evenly_when_a_period_is_large(
    tables: reconcile.ReconcileTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.reconcile.cif_training.TRAINING_ROWS_PER_PERIOD", 4)
    rows = [imports(product_code=f"44{n:04d}", **BOTH) for n in range(10)]
    kept = reconcile.thin_valuation_training(_trained(tables, *rows))
    assert kept["product_code"].to_list() == ["440000", "440003", "440006", "440009"]


def test_training_ignores_the_sign_of_the_gap_when_values_are_wide_apart(tables: reconcile.ReconcileTables) -> None:
    for value in (1.0, 1e6):
        assert _trained(tables, exports(**WEIGHED), imports(value_usd=value, **WEIGHED)).height == 1


def test_both_directions_of_a_corridor_train_when_both_are_weighed(tables: reconcile.ReconcileTables) -> None:
    back = [exports(reporter_code=POLAND, partner_code=GERMANY, **WEIGHED),
            imports(reporter_code=GERMANY, partner_code=POLAND, **WEIGHED)]  # fmt: skip
    assert _trained(tables, exports(**WEIGHED), imports(**WEIGHED), *back).height == 2
