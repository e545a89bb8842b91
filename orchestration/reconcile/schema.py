"""Columns and types of every frame that enters or leaves the reconciliation.

Belongs here: names, types and the boundary casts. Does not belong here: how a column is computed.
Units stand in the names: `_usd` US dollars, `_kg` kilograms, `_log` natural logarithm, `_ratio` a share.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

Schema = Mapping[str, pl.DataType]
TEXT, NUMBER, COUNT, FLAG, DAY = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean(), pl.Date()

CORRIDOR = ("exporter_code", "importer_code")
PAIR_KEY = (*CORRIDOR, "product_code")

DECLARATIONS: Schema = {
    "declaration_id": TEXT,
    "frequency": TEXT,
    "period": TEXT,
    "period_start": DAY,
    "reporter_code": TEXT,
    "reporter_iso3": TEXT,
    "flow_code": TEXT,
    "partner_code": TEXT,
    "partner_iso3": TEXT,
    "product_code": TEXT,
    "product_level": COUNT,
    "hs_revision": TEXT,
    "value_usd": NUMBER,
    "cif_value_usd": NUMBER,
    "fob_value_usd": NUMBER,
    "valuation_filed": TEXT,
    "quantity": NUMBER,
    "quantity_unit_code": TEXT,
    "net_weight_kg": NUMBER,
    "is_net_weight_estimated": FLAG,
    "is_confidential": FLAG,
    "account": TEXT,
    "account_reason": TEXT,
}

_PERIOD: Schema = {"frequency": TEXT, "period": TEXT, "period_start": DAY}
_ENDS: Schema = {"exporter_code": TEXT, "exporter_iso3": TEXT, "importer_code": TEXT, "importer_iso3": TEXT}
_SIDE: Schema = {
    "value_usd": NUMBER,
    "valuation": TEXT,
    "hs_revision": TEXT,
    "quantity": NUMBER,
    "quantity_unit_code": TEXT,
    "net_weight_kg": NUMBER,
    "is_weight_estimated": FLAG,
    "declaration_count": COUNT,
    "declaration_id": TEXT,
}

PAIRS: Schema = {
    "mirror_flow_id": TEXT,
    **_PERIOD,
    **_ENDS,
    "product_code": TEXT,
    "product_level": COUNT,
    "chapter_code": TEXT,
    "status": TEXT,
    **{f"exporter_{name}": kind for name, kind in _SIDE.items()},
    **{f"importer_{name}": kind for name, kind in _SIDE.items()},
    "importer_cif_value_usd": NUMBER,
    "importer_fob_value_usd": NUMBER,
    "reexport_usd": NUMBER,
    "reexport_share_ratio": NUMBER,
    "domestic_export_usd": NUMBER,
    "hs_revision": TEXT,
    "is_edition_mismatch": FLAG,
    "hs_ambiguity_ratio": NUMBER,
    "is_rolled_up": FLAG,
    "is_intra_eaeu": FLAG,
    "is_left_out": FLAG,
    "is_confidential": FLAG,
}

SOURCES: Schema = {
    "declaration_id": TEXT,
    "mirror_flow_id": TEXT,
    "side": TEXT,
    "share_ratio": NUMBER,
    "is_rolled_up": FLAG,
}

VALUED: Schema = {
    **PAIRS,
    "exporter_fob_usd": NUMBER,
    "importer_fob_usd": NUMBER,
    "cif_rate_ratio": NUMBER,
    "cif_source": TEXT,
    "cif_rate_se_log": NUMBER,
    "gap_fob_usd": NUMBER,
    "gap_log_ratio": NUMBER,
    "gap_share_ratio": NUMBER,
    "distance_km": NUMBER,
    "is_contiguous": FLAG,
    "exporter_previous_month_fob_usd": NUMBER,
}

MIRROR_FLOWS: Schema = {
    **VALUED,
    "reconciled_fob_usd": NUMBER,
    "reconciled_fob_usd_p05": NUMBER,
    "reconciled_fob_usd_p25": NUMBER,
    "reconciled_fob_usd_p75": NUMBER,
    "reconciled_fob_usd_p95": NUMBER,
    "reconciled_mean_fob_usd": NUMBER,
    "sd_log": NUMBER,
    "exporter_weight_ratio": NUMBER,
    "importer_weight_ratio": NUMBER,
    "exporter_bias_log": NUMBER,
    "importer_bias_log": NUMBER,
    "chapter_effect_log": NUMBER,
    "exporter_sigma_log": NUMBER,
    "importer_sigma_log": NUMBER,
    "arrival_shift_log": NUMBER,
    "arrival_sd_log": NUMBER,
    "z_score": NUMBER,
    "p_value": NUMBER,
    "nes_reallocated_fob_usd": NUMBER,
    "raked_fob_usd": NUMBER,
    "reconciled_net_weight_kg": NUMBER,
    "reconciled_net_weight_kg_p05": NUMBER,
    "reconciled_net_weight_kg_p25": NUMBER,
    "reconciled_net_weight_kg_p75": NUMBER,
    "reconciled_net_weight_kg_p95": NUMBER,
    "net_weight_sd_log": NUMBER,
    "net_weight_z_score": NUMBER,
    "reconciled_unit_value_fob_usd_per_kg": NUMBER,
    "reconciled_unit_value_fob_usd_per_kg_p05": NUMBER,
    "reconciled_unit_value_fob_usd_per_kg_p25": NUMBER,
    "reconciled_unit_value_fob_usd_per_kg_p75": NUMBER,
    "reconciled_unit_value_fob_usd_per_kg_p95": NUMBER,
    "unit_value_sd_log": NUMBER,
    "unit_value_z_score": NUMBER,
    "is_weight_unit_suspect": FLAG,
    "method_name": TEXT,
    "method_version": TEXT,
}

MIRROR_TOTALS: Schema = {
    **_PERIOD,
    **_ENDS,
    "product_code": TEXT,
    "product_level": COUNT,
    "status": TEXT,
    "exporter_value_usd": NUMBER,
    "importer_value_usd": NUMBER,
    "exporter_fob_usd": NUMBER,
    "importer_fob_usd": NUMBER,
    "gap_fob_usd": NUMBER,
    "gap_log_ratio": NUMBER,
    "exporter_coverage_ratio": NUMBER,
    "importer_coverage_ratio": NUMBER,
    "flows_mean_fob_usd": NUMBER,
    "raking_target_fob_usd": NUMBER,
    "raking_residual_fob_usd": NUMBER,
    "raking_ratio": NUMBER,
    "raking_status": TEXT,
}

_NES_CELL: Schema = {
    **_PERIOD,
    "side": TEXT,
    "reporter_code": TEXT,
    "reporter_iso3": TEXT,
    "product_code": TEXT,
    "product_level": COUNT,
}

NES_DECLARED: Schema = {
    **_NES_CELL,
    "partner_code": TEXT,
    "declared_usd": NUMBER,
    "declared_fob_usd": NUMBER,
    "declaration_count": COUNT,
}

NES_REALLOCATIONS: Schema = {
    **_NES_CELL,
    "nes_code": TEXT,
    "partner_code": TEXT,
    "partner_iso3": TEXT,
    "mirror_flow_id": TEXT,
    "declared_fob_usd": NUMBER,
    "missing_fob_usd": NUMBER,
    "reallocated_fob_usd": NUMBER,
    "is_remainder": FLAG,
}

RELIABILITY: Schema = {
    "window_start_year": COUNT,
    "window_end_year": COUNT,
    "frequency": TEXT,
    "reporter_code": TEXT,
    "reporter_iso3": TEXT,
    "role": TEXT,
    "bias_log": NUMBER,
    "bias_se_log": NUMBER,
    "sigma_log": NUMBER,
    "sigma_se_log": NUMBER,
    "distance_log": NUMBER,
    "pair_count": COUNT,
    "is_shrunk": FLAG,
    "months_weight_ratio": NUMBER,
    "method_name": TEXT,
    "method_version": TEXT,
}

POOLED: Schema = {
    "window_end_year": COUNT,
    "frequency": TEXT,
    "role": TEXT,
    "sigma_log": NUMBER,
    "chapter_effect_log": NUMBER,
    "tail_ratio": NUMBER,
}

CHAPTER_EFFECTS: Schema = {
    "window_start_year": COUNT,
    "window_end_year": COUNT,
    "frequency": TEXT,
    "chapter_code": TEXT,
    "effect_log": NUMBER,
    "effect_se_log": NUMBER,
    "pair_count": COUNT,
}

CHAPTER_SIGMAS: Schema = {
    "window_start_year": COUNT,
    "window_end_year": COUNT,
    "frequency": TEXT,
    "role": TEXT,
    "reporter_code": TEXT,
    "chapter_code": TEXT,
    "sigma_log": NUMBER,
    "pair_count": COUNT,
}

ARRIVAL_LAGS: Schema = {
    "window_start_year": COUNT,
    "window_end_year": COUNT,
    "frequency": TEXT,
    "grouping": TEXT,
    "group_number": COUNT,
    "lower_bound": NUMBER,
    "upper_bound": NUMBER,
    "lag_share_ratio": NUMBER,
    "shift_log": NUMBER,
    "sd_log": NUMBER,
    "pair_count": COUNT,
}

CIF_MODEL: Schema = {
    "frequency": TEXT,
    "term": TEXT,
    "coefficient": NUMBER,
    "standard_error": NUMBER,
    "published_coefficient": NUMBER,
    "observation_count": COUNT,
    "residual_sd_log": NUMBER,
    "reported_share_ratio": NUMBER,
    "observed_share_ratio": NUMBER,
    "modelled_share_ratio": NUMBER,
    "method_name": TEXT,
    "method_version": TEXT,
}

VALUATION_TRAINING: Schema = {
    "frequency": TEXT,
    "year": COUNT,
    "exporter_code": TEXT,
    "importer_code": TEXT,
    "product_code": TEXT,
    "chapter_code": TEXT,
    "margin_log": NUMBER,
    "unit_value_usd_kg": NUMBER,
    "weight": NUMBER,
    "cif_source": TEXT,
}

RELIABILITY_TRAINING: Schema = {
    "frequency": TEXT,
    "year": COUNT,
    "exporter_code": TEXT,
    "exporter_iso3": TEXT,
    "importer_code": TEXT,
    "importer_iso3": TEXT,
    "chapter_code": TEXT,
    "gap_log_ratio": NUMBER,
    "extra_variance": NUMBER,
    "previous_month_ratio": NUMBER,
    "distance_km": NUMBER,
    "is_contiguous": FLAG,
}


class FrameError(ValueError):
    """A frame does not hold what the reconciliation needs."""


def require(frame: pl.DataFrame, columns: Schema | tuple[str, ...], what: str) -> None:
    """Raise FrameError naming the columns that are missing from `frame`."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise FrameError(
            f"{what} lacks the columns {', '.join(missing)}; without them two declarations cannot be compared; "
            "pass the frame that the stage before returned, unchanged"
        )


def conform(frame: pl.DataFrame, schema: Schema, sort_by: tuple[str, ...]) -> pl.DataFrame:
    """Columns and types of `schema`, in its order, sorted by key: the boundary of every public function.

    A column that is not there becomes NULL: not reported.
    """
    shaped = shape(frame, schema)
    # Most frames come in order already: to see that takes less than to gather a hundred columns anew.
    return shaped if _is_sorted(shaped, sort_by) else shaped.sort(sort_by, maintain_order=True)


def _is_sorted(frame: pl.DataFrame, key: tuple[str, ...]) -> bool:
    """Whether the rows stand in the order of the key; a NULL in it counts as out of order."""
    follows = pl.repeat(True, max(frame.height - 1, 0), dtype=pl.Boolean, eager=True)
    for name in reversed(key):
        own, before = frame[name].slice(1), frame[name].slice(0, max(frame.height - 1, 0))
        follows = (own > before) | ((own == before) & follows)
    return bool(follows.fill_null(False).all())


def shape(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Columns and types of `schema`, in its order, rows as they stand: for frames that came sorted."""
    present = frame.schema
    return frame.select(
        pl.lit(None, dtype=kind).alias(name)
        if name not in present
        else pl.col(name)
        if present[name] == kind
        else pl.col(name).cast(kind)
        for name, kind in schema.items()
    )
