"""The model of the margin between CIF and FOB: fit, prediction, standard errors, the published fallback.

Belongs here: what enters the regression and what its coefficients mean. Does not belong here: which rows train
(`cif_training`), how a robust regression is solved (`robust_regression`), which pairs need a modelled margin
(`valuation`), the printed card (`cif_card`). The fit never sees the sign of a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.reconcile.cif_card import TERMS, model_card, published_coefficients
from orchestration.reconcile.effects_design import NO_LEVEL, Array, Design, Index, in_one_thread
from orchestration.reconcile.robust_regression import (
    NORMAL_MEDIAN_ABSOLUTE,
    clustered_covariance,
    cooks_distance,
    fit_huber,
)
from orchestration.reconcile.schema import VALUATION_TRAINING, require
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import count_where

METHOD_NAME, PUBLISHED_MODEL = "huber_gravity", "baci_2010_model_2"
MINIMUM_OBSERVATIONS = 500
# One importer's filed margins share its habits: together they weigh at most as much as this many.
OBSERVED_ROWS_PER_IMPORTER = 200.0
PRIOR_SD_OF_EFFECTS_LOG = 0.10
# The published table gives no covariance; an error as large as its own mean margin is admitted instead.
PUBLISHED_SE_LOG = 0.03
TYPICAL_DISTANCE_KM = 5_000.0
EFFECTS = ("year", "chapter_code")
Levels = Mapping[object, int]


@dataclass(frozen=True)
class ValuationModel:
    """Coefficients, effects and errors of the margin, and the model card (schema CIF_MODEL).

    `beta` holds TERMS, then one effect per year, then one per chapter, as `levels` number them; effects sum to about
    zero, and a year or chapter never seen takes none. unit_values: ln of the world median unit value (USD per kg) by
    product.
    """

    beta: Array
    covariance: Array
    levels: tuple[Levels, Levels]
    unit_values: pl.DataFrame
    default_ln_unit_value: float
    card: pl.DataFrame

    @property
    def coefficients(self) -> dict[str, float]:
        """The terms of the gravity equation, without effects."""
        return {term: float(value) for term, value in zip(TERMS, self.beta, strict=False)}

    def predict(self, rows: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
        """Add modelled_rate_log (unclipped ln CIF/FOB) and modelled_rate_se_log to pairs that carry `year`.

        Facts of the corridor (`ReconcileTables.corridor_facts`) are used where the pairs carry them. A place without
        coordinates takes a typical distance. Returns the rows in their order.
        """
        facts = _regressors(rows, tables, self.unit_values, self.default_ln_unit_value)
        design = _design(facts, self.levels)
        error = np.sqrt(np.clip(design.quadratic(self.covariance), 0.0, None))
        return rows.with_columns(
            modelled_rate_log=pl.Series(design.apply(self.beta), dtype=pl.Float64),
            modelled_rate_se_log=pl.Series(error, dtype=pl.Float64),
        )


def fit_valuation(
    training: pl.DataFrame, shares: pl.DataFrame, frequency: str, tables: ReconcileTables
) -> ValuationModel:
    """Robust gravity model of the margin for one frequency.

    Args: training (schema VALUATION_TRAINING) of all periods; shares with cif_source and value_usd, the importer
    value by source, for the card. Huber weights times the quantity agreement min(Q)/max(Q); observed margins have a
    scale of their own; outliers by Cook's distance (4/N) are dropped once and the model refitted; standard errors
    are clustered by corridor. With fewer than MINIMUM_OBSERVATIONS rows the published coefficients stand and the card
    says so. Source: reconciliation step S4; Gaulier & Zignago (2010), model II.
    """
    require(training, VALUATION_TRAINING, "the valuation training frame")
    rows = training.filter(pl.col("frequency") == frequency)
    # Sorted once: sums in floating point depend on order, and the order of rows must not matter.
    rows = rows.sort("year", "exporter_code", "importer_code", "product_code", "margin_log", "weight")
    unit_values, default = _world_unit_values(rows)
    facts = _regressors(rows, tables, unit_values, default).filter(pl.col("distance_km").is_not_null())
    published = published_coefficients(tables, PUBLISHED_MODEL)
    if facts.height < MINIMUM_OBSERVATIONS:
        beta = np.array([published[term] for term in TERMS])
        covariance = np.zeros((len(TERMS), len(TERMS)))
        covariance[0, 0] = PUBLISHED_SE_LOG**2
        card = model_card(beta, None, published, facts.height, None, frequency, shares, PUBLISHED_MODEL)
        return ValuationModel(beta, covariance, ({}, {}), unit_values, default, card)
    levels = (_levels(facts, "year"), _levels(facts, "chapter_code"))
    with in_one_thread():
        beta, covariance, residual = _fit(facts, _design(facts, levels))
    spread = float(np.median(np.abs(residual)) / NORMAL_MEDIAN_ABSOLUTE)
    card = model_card(beta, covariance, published, residual.size, spread, frequency, shares, METHOD_NAME)
    return ValuationModel(beta, covariance, levels, unit_values, default, card)


def _fit(facts: pl.DataFrame, design: Design) -> tuple[Array, Array, Array]:
    """Coefficients, covariance and residuals after the outliers are gone."""
    target, weight = facts["margin_log"].to_numpy(), _prior_weight(facts)
    kind = (facts["cif_source"] == "observed").to_numpy().astype(np.int64)
    corridor = facts.select(pl.struct("exporter_code", "importer_code").rank("dense").cast(pl.Int64) - 1)
    cluster = corridor.to_series().to_numpy()
    ridge = np.full(design.width, 1.0 / PRIOR_SD_OF_EFFECTS_LOG**2)
    ridge[: len(TERMS)] = 0.0
    first = fit_huber(design, target, weight, kind, ridge)
    keep = cooks_distance(design, target, first, weight, kind, ridge) <= 4.0 / target.size
    kept = design.take(keep)
    fit = fit_huber(kept, target[keep], weight[keep], kind[keep], ridge, first.weight[keep])
    covariance = clustered_covariance(kept, target[keep], fit, cluster[keep])
    return fit.beta, covariance, target[keep] - kept.apply(fit.beta)


def _prior_weight(facts: pl.DataFrame) -> Array:
    """Quantity agreement; for observed margins a share of what one importer may weigh."""
    filed = count_where(pl.col("cif_source") == "observed").over("importer_code")
    capped = pl.min_horizontal(pl.lit(1.0), OBSERVED_ROWS_PER_IMPORTER / filed)
    weight = pl.when(pl.col("cif_source") == "observed").then(pl.col("weight") * capped).otherwise("weight")
    return facts.select(weight.alias("weight")).to_series().to_numpy().astype(np.float64)


def _regressors(rows: pl.DataFrame, tables: ReconcileTables, unit_values: pl.DataFrame, default: float) -> pl.DataFrame:
    if "is_landlocked_exporter" not in rows.columns:
        facts = tables.corridor_facts(rows)
        rows = rows.join(facts, on=["exporter_code", "importer_code"], how="left", maintain_order="left")
    return rows.join(unit_values, on="product_code", how="left", maintain_order="left").with_columns(
        pl.col("ln_world_unit_value").fill_null(default)
    )


def _design(facts: pl.DataFrame, levels: tuple[Levels, Levels]) -> Design:
    names = ("is_contiguous", "is_landlocked_exporter", "is_landlocked_importer")
    flags = [facts[name].fill_null(False).cast(pl.Float64).to_numpy() for name in names]
    distance = np.log(facts["distance_km"].fill_null(TYPICAL_DISTANCE_KM).to_numpy().astype(np.float64))
    unit_value = facts["ln_world_unit_value"].to_numpy().astype(np.float64)
    numbers = np.column_stack([np.ones_like(distance), distance, distance**2, *flags, unit_value])
    codes = tuple(_numbers(facts[name], own) for name, own in zip(EFFECTS, levels, strict=True))
    return Design(np.asfortranarray(numbers), codes, tuple(len(own) for own in levels))


def _levels(facts: pl.DataFrame, column: str) -> Levels:
    return {level: number for number, level in enumerate(facts[column].unique().sort())}


def _world_unit_values(rows: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """World median unit value by product (ln USD per kg), and the median over all."""
    positive = rows.filter(pl.col("unit_value_usd_kg") > 0)
    table = positive.group_by("product_code").agg(
        pl.col("unit_value_usd_kg").median().log().alias("ln_world_unit_value")
    )
    middle = positive["unit_value_usd_kg"].median()
    return table.sort("product_code"), float(np.log(middle)) if isinstance(middle, float) else 0.0


def _numbers(column: pl.Series, levels: Levels) -> Index:
    """Level number of every row; NO_LEVEL for a level the model never saw."""
    if not levels:
        return np.full(len(column), NO_LEVEL, dtype=np.int64)
    found = column.replace_strict(list(levels), list(levels.values()), default=NO_LEVEL, return_dtype=pl.Int64)
    return found.to_numpy()
