"""Valuation: every import taken to FOB, and the gap that is left.

Belongs here: which source gives the margin of a pair, applying it, the one sign rule (exporter minus importer).
Does not belong here: fitting the model (`cif_model`). The correction never looks at the sign of the gap.
"""

from __future__ import annotations

import math

import polars as pl

from orchestration.reconcile.cif_model import ValuationModel
from orchestration.reconcile.schema import CORRIDOR, PAIR_KEY, PAIRS, VALUED, conform, require
from orchestration.reconcile.tables import ReconcileTables

REPORTED, OBSERVED, MODELLED, NONE = "reported", "observed", "modelled", "none"
# A modelled margin (CIF over FOB minus one) stays within 0 and 0.30; a filed one is used as filed, unless CIF lies
# below FOB by more than rounding or is more than twice FOB: that is a mistake in the row, not a margin.
MAXIMUM_MODELLED_RATE_RATIO = 0.30
OBSERVED_RATE_BOUNDS_LOG = (-0.02, math.log(2.0))


def cif_sources(pairs: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """Where the margin of each pair comes from: adds cif_source and observed_rate_log.

    Order: the valuation table or a row filed FOB (`reported`); both values filed (`observed`); else `modelled`;
    `none` without an importer side. Source: reconciliation step S4. Raises FrameError when a column is missing.
    """
    require(pairs, PAIRS, "the pairs frame")
    rate = (pl.col("importer_cif_value_usd") / pl.col("importer_fob_value_usd")).log()
    both = (pl.col("importer_cif_value_usd") > 0) & (pl.col("importer_fob_value_usd") > 0)
    usable = both & rate.is_between(*OBSERVED_RATE_BOUNDS_LOG)
    return (
        with_fob_importers(pairs, tables.valuation_by_reporter_year)
        .with_columns(
            cif_source=pl.when(pl.col("importer_value_usd").is_null())
            .then(pl.lit(NONE))
            .when(pl.col("is_fob_importer") | (pl.col("importer_valuation") == "FOB").fill_null(False))
            .then(pl.lit(REPORTED))
            .when(usable.fill_null(False))
            .then(pl.lit(OBSERVED))
            .otherwise(pl.lit(MODELLED)),
            observed_rate_log=pl.when(usable.fill_null(False)).then(rate.clip(lower_bound=0.0)),
        )
        .drop("is_fob_importer")
    )


def with_fob_importers(pairs: pl.DataFrame, valuation_by_reporter_year: pl.DataFrame) -> pl.DataFrame:
    """Add `year` and is_fob_importer: whether the valuation table says that the importer files FOB in that year."""
    year = pl.col("period_start").dt.year().cast(pl.Int64)
    table = valuation_by_reporter_year.filter((pl.col("flow_code") == "M") & (pl.col("valuation") == "FOB"))
    importers = (
        pairs.select("importer_code", year.alias("year"))
        .unique()
        .join(table.select("reporter_code", "year_from", "year_to"), left_on="importer_code", right_on="reporter_code")
        .filter(
            (pl.col("year_from") <= pl.col("year"))
            & (pl.col("year_to").is_null() | (pl.col("year_to") >= pl.col("year")))
        )
        .select("importer_code", "year", is_fob_importer=pl.lit(True))
        .unique()
    )
    return (
        pairs.with_columns(year=year)
        .join(importers, on=["importer_code", "year"], how="left", maintain_order="left")
        .with_columns(pl.col("is_fob_importer").fill_null(False))
    )


def apply_valuation(pairs: pl.DataFrame, model: ValuationModel, tables: ReconcileTables) -> pl.DataFrame:
    """Take every importer value to FOB and state the gap.

    Args: pairs (schema PAIRS) of one period, the fitted model, the reference tables.
    Returns: schema VALUED; cif_rate_ratio is CIF over FOB minus one, importer_fob_usd = importer_value_usd *
    exp(-rate), gap = exporter minus importer, both FOB; logarithms NULL where a side is absent or zero.
    """
    require(pairs, PAIRS, "the pairs frame")
    beside = pairs.drop("distance_km", "is_contiguous", strict=False)
    facts = tables.corridor_facts(beside)
    rows = cif_sources(beside, tables).join(facts, on=list(CORRIDOR), how="left", maintain_order="left")
    rows = model.predict(rows, tables)
    rate = (
        pl.when(pl.col("cif_source") == REPORTED)
        .then(pl.lit(0.0))
        .when(pl.col("cif_source") == OBSERVED)
        .then(pl.col("observed_rate_log"))
        .when(pl.col("cif_source") == MODELLED)
        .then(pl.col("modelled_rate_log").clip(0.0, math.log1p(MAXIMUM_MODELLED_RATE_RATIO)))
    )
    error = (
        pl.when(pl.col("cif_source").is_in([REPORTED, OBSERVED]))
        .then(pl.lit(0.0))
        .when(pl.col("cif_source") == MODELLED)
        .then(pl.col("modelled_rate_se_log"))
    )
    rows = rows.with_columns(_rate=rate, cif_rate_se_log=error).with_columns(
        cif_rate_ratio=pl.col("_rate").exp() - 1.0,
        exporter_fob_usd=pl.col("exporter_value_usd"),
        importer_fob_usd=pl.col("importer_value_usd") * (-pl.col("_rate")).exp(),
    )
    return conform(rows.with_columns(gap_columns()), VALUED, PAIR_KEY)


def gap_columns() -> list[pl.Expr]:
    """The three gap columns from exporter_fob_usd and importer_fob_usd: exporter minus importer everywhere."""
    x, m = pl.col("exporter_fob_usd"), pl.col("importer_fob_usd")
    return [
        (x - m).alias("gap_fob_usd"),
        pl.when((x > 0) & (m > 0)).then(x.log() - m.log()).alias("gap_log_ratio"),
        pl.when((x + m) > 0).then((x - m) / (x + m)).alias("gap_share_ratio"),
    ]
