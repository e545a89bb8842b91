"""Columns and types of the frames that enter or leave the passages.

Belongs here: names and types. Does not belong here: how a column is computed. Units stand in the names.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

Schema = Mapping[str, pl.DataType]
TEXT, NUMBER, COUNT, FLAG, DAY = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean(), pl.Date()

WATCHED, DECOY, PLACEBO = "watched", "decoy", "placebo"
CELL = ("exporter_code", "importer_code", "family_code")

MEMBERS: Schema = {
    "family_code": TEXT,
    "family_name": TEXT,
    "family_kind": TEXT,
    "product_code": TEXT,
    "hs_revision_from": TEXT,
    "hs_revision_to": TEXT,
    "is_counted": FLAG,
}

FAMILY_FLOWS: Schema = {
    "frequency": TEXT,
    "period": TEXT,
    "period_start": DAY,
    "exporter_code": TEXT,
    "importer_code": TEXT,
    "family_code": TEXT,
    "family_kind": TEXT,
    "exporter_fob_usd": NUMBER,
    "importer_fob_usd": NUMBER,
    "gap_fob_usd": NUMBER,
    "reconciled_mean_fob_usd": NUMBER,
    "two_sided_fob_usd": NUMBER,
    "silent_importer_fob_usd": NUMBER,
    "silent_exporter_fob_usd": NUMBER,
    "reexport_usd": NUMBER,
    "uncounted_fob_usd": NUMBER,
    "flow_count": COUNT,
    "confidential_flow_count": COUNT,
    "is_edition_mismatch": FLAG,
}

CHANGES: Schema = {
    "embargo_code": TEXT,
    "exporter_code": TEXT,
    "importer_code": TEXT,
    "family_code": TEXT,
    "family_kind": TEXT,
    "frequency": TEXT,
    "period": TEXT,
    "period_start": DAY,
    "value_fob_usd": NUMBER,
    "baseline_fob_usd": NUMBER,
    "baseline_mean_fob_usd": NUMBER,
    "check_year_fob_usd": NUMBER,
    "baseline_year_count": COUNT,
    "rise_fob_usd": NUMBER,
    "growth_log": NUMBER,
    "placebo_growth_log": NUMBER,
    "effect_log": NUMBER,
    "effect_se_log": NUMBER,
    "effect_z_score": NUMBER,
    "effect_p_value": NUMBER,
    "effect_q_value": NUMBER,
    "tested_cell_count": COUNT,
    "exporter_fob_usd": NUMBER,
    "importer_fob_usd": NUMBER,
    "gap_fob_usd": NUMBER,
    "baseline_gap_fob_usd": NUMBER,
    "excess_fob_usd": NUMBER,
    "baseline_excess_fob_usd": NUMBER,
    "excess_change_fob_usd": NUMBER,
    "baseline_gap_year_count": COUNT,
    "gap_effect_log": NUMBER,
    "gap_z_score": NUMBER,
    "gap_p_value": NUMBER,
    "gap_q_value": NUMBER,
    "gap_tested_cell_count": COUNT,
    "is_exporter_complete": FLAG,
    "is_importer_complete": FLAG,
    "is_across_edition_break": FLAG,
}

BREAKS: Schema = {
    "embargo_code": TEXT,
    "exporter_code": TEXT,
    "importer_code": TEXT,
    "family_code": TEXT,
    "family_kind": TEXT,
    "break_direction": TEXT,
    "series_start": DAY,
    "month_count": COUNT,
    "break_start": DAY,
    "before_monthly_fob_usd": NUMBER,
    "after_monthly_fob_usd": NUMBER,
    "active_month_count": COUNT,
    "shift_log": NUMBER,
    "break_f_score": NUMBER,
    "break_p_value": NUMBER,
    "break_q_value": NUMBER,
    "tested_cell_count": COUNT,
    "is_after_control": FLAG,
}


def conform(frame: pl.DataFrame, schema: Schema, key: tuple[str, ...]) -> pl.DataFrame:
    """Exactly the schema's columns, cast, sorted by the key."""
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort(key)
