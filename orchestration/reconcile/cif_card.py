"""The card of the margin model: what a reader needs to judge it.

Belongs here: the terms, their published counterparts, the rows of the card (schema CIF_MODEL). Does not belong here:
fitting.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from orchestration.reconcile.effects_design import Array
from orchestration.reconcile.schema import CIF_MODEL, conform
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import exact_sum

METHOD_VERSION = "1"
TERMS = (
    "constant",
    "ln_distance",
    "ln_distance_squared",
    "contiguity",
    "landlocked_exporter",
    "landlocked_importer",
    "ln_world_unit_value",
)


def published_coefficients(tables: ReconcileTables, model: str) -> dict[str, float]:
    """Coefficients of a published model by term."""
    rows = tables.published_cif_models.filter(pl.col("model") == model)
    return dict(zip(rows["term"].to_list(), rows["coefficient"].to_list(), strict=True))


def model_card(
    beta: Array,
    covariance: Array | None,
    published: dict[str, float],
    observation_count: int,
    residual_sd_log: float | None,
    frequency: str,
    shares: pl.DataFrame,
    method_name: str,
) -> pl.DataFrame:
    """One row per term (schema CIF_MODEL): coefficient, standard error, published value, spread, value by source.

    A model that was not fitted has no covariance, hence no standard errors.
    """
    total = float(shares.select(exact_sum("value_usd")).item())
    by_source = dict(zip(shares["cif_source"].to_list(), shares["value_usd"].to_list(), strict=True))
    errors = [None] * len(TERMS) if covariance is None else np.sqrt(np.diag(covariance))[: len(TERMS)].tolist()
    rows = pl.DataFrame(
        {
            "term": list(TERMS),
            "coefficient": beta[: len(TERMS)].tolist(),
            "standard_error": errors,
            "published_coefficient": [published.get(term) for term in TERMS],
        },
        schema_overrides={"standard_error": pl.Float64, "published_coefficient": pl.Float64},
    ).with_columns(
        frequency=pl.lit(frequency),
        observation_count=pl.lit(observation_count),
        residual_sd_log=pl.lit(residual_sd_log, dtype=pl.Float64),
        method_name=pl.lit(method_name),
        method_version=pl.lit(METHOD_VERSION),
    )
    for source in ("reported", "observed", "modelled"):
        share = float(by_source.get(source) or 0.0) / total if total > 0 else None
        rows = rows.with_columns(pl.lit(share, dtype=pl.Float64).alias(f"{source}_share_ratio"))
    return conform(rows, CIF_MODEL, ("frequency", "term"))
