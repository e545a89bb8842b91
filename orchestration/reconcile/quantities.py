"""Quantities by the machinery of values: reported kilograms, and what a kilogram is worth, with their own errors.

Belongs here: which weights count as reported, pairs of weights and of unit values in the shape the machinery takes,
one model per measure, the weight columns of a flow. Does not belong here: fitting (`reliability`), estimating
(`estimate`), world medians and readings (dbt).

A weight or a unit value takes the place of the value in the pair, in the columns of both sides, and nothing else
changes: windows, roles, leave-out rule, robust weights and widening are those of values. No margin stands between two
weights. A weight that the source estimated from value says nothing that the value has not said: it is never used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from orchestration.reconcile.estimate import QUANTILES, estimated_columns
from orchestration.reconcile.estimators import Estimator
from orchestration.reconcile.reliability import ReliabilityModel, reliability_training
from orchestration.reconcile.schema import MIRROR_FLOWS, require, shape

VALUE, NET_WEIGHT, UNIT_VALUE = "value", "net_weight", "unit_value"
MEASURES = (VALUE, NET_WEIGHT, UNIT_VALUE)
MODEL_TABLES = ("reliability", "chapter_sigmas", "chapter_effects", "pooled", "arrival_lags")
# What training and estimating look at.
NEEDED = (
    *("frequency", "period_start", "exporter_code", "exporter_iso3", "importer_code", "importer_iso3"),
    *("product_code", "chapter_code", "status", "is_left_out", "is_confidential", "is_edition_mismatch"),
    *("exporter_net_weight_kg", "exporter_is_weight_estimated", "importer_net_weight_kg"),
    *("importer_is_weight_estimated", "exporter_fob_usd", "importer_fob_usd", "gap_fob_usd", "gap_log_ratio"),
    *("gap_share_ratio", "cif_rate_se_log", "distance_km", "is_contiguous", "exporter_previous_month_fob_usd"),
    *("exporter_hs_revision", "importer_hs_revision", "hs_revision", "hs_ambiguity_ratio"),
)
CENTRES = {NET_WEIGHT: "reconciled_net_weight_kg", UNIT_VALUE: "reconciled_unit_value_fob_usd_per_kg"}
# Tonnes filed as kilograms, or the reverse: the weights lie a factor of 500 to 2,000 apart, the values within two.
UNIT_SLIP_LOG = math.log(1000.0)
UNIT_SLIP_TOLERANCE_LOG = math.log(2.0)


def quantity_training(valued: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Training rows (schema RELIABILITY_TRAINING) of net weights and of unit values of one period.

    Args: valued pairs (schema VALUED). Both sides must report a positive weight; the rules of `reliability_training`
    leave out the rest. Source: reconciliation steps S6 and S10.
    """
    return {measure: reliability_training(measured_pairs(valued, measure)) for measure in (NET_WEIGHT, UNIT_VALUE)}


def measured_pairs(valued: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Valued pairs with the measure in the place of the value, in the columns the machinery takes (NEEDED).

    `exporter_fob_usd`, `importer_fob_usd` and the gaps then hold reported kilograms (`net_weight`) or FOB USD per
    kilogram (`unit_value`); NULL where the side reports no positive weight. A margin's error stays with unit values.
    """
    require(valued, NEEDED, "the valued pairs frame")
    x, m = (_measure(side, measure) for side in ("exporter", "importer"))
    margin_error = pl.col("cif_rate_se_log") if measure != NET_WEIGHT else pl.lit(0.0)
    return valued.select(NEEDED).with_columns(
        exporter_fob_usd=x,
        importer_fob_usd=m,
        gap_fob_usd=x - m,
        gap_log_ratio=x.log() - m.log(),
        gap_share_ratio=(x - m) / (x + m),
        cif_rate_se_log=margin_error,
        exporter_previous_month_fob_usd=_previous_month(measure),
    )


def reconcile_quantities(
    flows: pl.DataFrame, models: Mapping[str, ReliabilityModel], estimator: Estimator | None = None
) -> pl.DataFrame:
    """Fill the columns of weights and unit values of the reconciled flows of one period.

    Args: flows (schema MIRROR_FLOWS), a model for each of `net_weight` and `unit_value`, the estimator of the values.
    Returns: the same flows; net weight (kg) and unit value (FOB USD per kg), each with its 50 % and 90 % interval, its
    spread and z, and whether the two weights look like a slip of units. NULL where no side reports a weight, and z and
    slip also where only one does. A weight of zero means missing. The unit value is not the quotient of value and
    weight: errors of the two go together, and what is left of them is fitted. Source: reconciliation steps S7 and S10.
    """
    require(flows, MIRROR_FLOWS, "the reconciled flows frame")
    rows = flows
    for measure, centre in CENTRES.items():
        found = estimated_columns(measured_pairs(flows, measure), models[measure], estimator)
        there = pl.col("exporter_fob_usd").is_not_null() | pl.col("importer_fob_usd").is_not_null()
        taken = {
            centre: "reconciled_fob_usd",
            **{f"{centre}_{name}": f"reconciled_fob_usd_{name}" for name in QUANTILES},
            f"{measure}_sd_log": "sd_log",
            f"{measure}_z_score": "z_score",
        }
        filled = found.select(pl.when(there).then(pl.col(name)).alias(own) for own, name in taken.items())
        rows = rows.with_columns(filled)
    return shape(rows.with_columns(is_weight_unit_suspect=_unit_slip()), MIRROR_FLOWS)


def stack_models(models: Mapping[str, ReliabilityModel]) -> dict[str, pl.DataFrame]:
    """The tables of several models, one under the other; column `measure` says whose rows they are."""
    return {
        name: pl.concat(getattr(models[m], name).with_columns(measure=pl.lit(m)) for m in MEASURES)
        for name in MODEL_TABLES
    }


def model_of(tables: Mapping[str, pl.DataFrame], measure: str) -> ReliabilityModel:
    """The model of one measure out of stacked tables."""
    own = {name: tables[name].filter(pl.col("measure") == measure).drop("measure") for name in MODEL_TABLES}
    return ReliabilityModel(**own)


def _measure(side: str, measure: str) -> pl.Expr:
    kg, usd = _reported_kg(side), pl.col(f"{side}_fob_usd")
    return {VALUE: usd, NET_WEIGHT: kg, UNIT_VALUE: pl.when(usd > 0).then(usd / kg)}[measure]


def _previous_month(measure: str) -> pl.Expr:
    """The exporter's month before in the measure's own unit: weights are late as values are, unit values are not."""
    usd = pl.col("exporter_fob_usd")
    if measure == UNIT_VALUE:
        return pl.lit(None, dtype=pl.Float64)
    ratio = pl.when(usd > 0).then(pl.col("exporter_previous_month_fob_usd") / usd)
    return ratio * _measure("exporter", measure)


def _reported_kg(side: str) -> pl.Expr:
    """The side's weight where it is reported: positive, and not estimated by the source."""
    kg = pl.col(f"{side}_net_weight_kg")
    return pl.when((kg > 0) & ~pl.col(f"{side}_is_weight_estimated")).then(kg)


def _unit_slip() -> pl.Expr:
    """Whether two reported weights lie a slip of units apart while the values agree; NULL where one cannot say."""
    weights = (_reported_kg("exporter").log() - _reported_kg("importer").log()).abs()
    is_factor = (weights - UNIT_SLIP_LOG).abs() <= UNIT_SLIP_TOLERANCE_LOG
    return is_factor & (pl.col("gap_log_ratio").abs() <= UNIT_SLIP_TOLERANCE_LOG)
