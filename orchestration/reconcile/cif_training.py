"""Which pairs of a period may teach the margin between CIF and FOB.

Belongs here: the choice of training rows and their weight. Does not belong here: the fit (`cif_model`).
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.editions import is_one_edition
from orchestration.reconcile.schema import PAIRS, VALUATION_TRAINING, conform, require

TRAINING_ROWS_PER_PERIOD = 6_000


def valuation_training(pairs_with_source: pl.DataFrame) -> pl.DataFrame:
    """Rows of one period, or of a slice of it, that can teach the margin.

    Args: pairs (schema PAIRS) with cif_source and observed_rate_log, as `valuation.cif_sources` returns them.
    Returns: schema VALUATION_TRAINING. margin_log is ln(UV importer / UV exporter) from reported kg with the quantity
    agreement min(Q)/max(Q) as weight, or the observed rate with weight 1. Never train: left-out pairs, hidden
    products, importers that file FOB, two sides in different editions, and a CIF value that merely repeats the FOB
    one. Source: reconciliation step S4.
    """
    require(pairs_with_source, (*PAIRS, "cif_source", "observed_rate_log"), "the pairs frame")
    qx, qm = pl.col("exporter_net_weight_kg"), pl.col("importer_net_weight_kg")
    x, m = pl.col("exporter_value_usd"), pl.col("importer_value_usd")
    weighed = (
        (pl.col("status") == "two_sided")
        & (pl.col("cif_source") == "modelled")
        & pl.all_horizontal(column > 0 for column in (qx, qm, x, m))
        & ~pl.col("exporter_is_weight_estimated")
        & ~pl.col("importer_is_weight_estimated")
        & is_one_edition()
    ).fill_null(False)
    observed = ((pl.col("cif_source") == "observed") & (pl.col("observed_rate_log") > 0)).fill_null(False)
    usable = (weighed | observed) & ~pl.col("is_left_out") & ~pl.col("is_confidential")
    rows = pairs_with_source.filter(usable).with_columns(
        year=pl.col("period_start").dt.year().cast(pl.Int64),
        margin_log=pl.when(observed).then(pl.col("observed_rate_log")).otherwise((m / qm).log() - (x / qx).log()),
        unit_value_usd_kg=pl.coalesce(pl.when(qm > 0).then(m / qm), pl.when(qx > 0).then(x / qx)),
        weight=pl.when(observed).then(pl.lit(1.0)).otherwise(pl.min_horizontal(qx, qm) / pl.max_horizontal(qx, qm)),
    )
    return conform(rows, VALUATION_TRAINING, ("exporter_code", "importer_code", "product_code"))


def thin_valuation_training(training: pl.DataFrame) -> pl.DataFrame:
    """At most TRAINING_ROWS_PER_PERIOD rows of one period's training (all its slices, in key order).

    Keeps every n-th row: deterministic, and blind to values.
    """
    return training.gather_every(max(-(-training.height // TRAINING_ROWS_PER_PERIOD), 1))
