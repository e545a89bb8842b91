"""The statistics of passages for the small world: one route of each kind, written as a run would leave them.

Belongs here: rows by hand from which every model of signals and leads has at least one row. Does not belong here:
whether the signals are right (unit tests of the models, bench.passages).
"""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl

from orchestration.passages.schema import BREAKS, CHANGES, FAMILY_FLOWS, MEMBERS
from orchestration.pipeline.paths import DataPaths

CHINA, KAZAKHSTAN, KYRGYZSTAN, RUSSIA = "156", "398", "417", "643"
CHIPS, DRONES, SPRAYERS = "integrated_circuits", "unmanned_aircraft", "sprayers"


def write_small_passages(paths: DataPaths) -> None:
    """Write the four tables below the folder `passages`."""
    tables = {
        "family_members": pl.DataFrame(_members(), schema=dict(MEMBERS)),
        "family_flows": pl.DataFrame(_flows(), schema=dict(FAMILY_FLOWS)),
        "family_changes": pl.DataFrame(_changes(), schema=dict(CHANGES)),
        "family_breaks": pl.DataFrame(_breaks(), schema=dict(BREAKS)),
    }
    paths.passages.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.write_parquet(paths.passages / f"{name}.parquet")


def _members() -> list[dict[str, Any]]:
    codes = ((CHIPS, "watched", "854231"), (DRONES, "watched", "847130"), (SPRAYERS, "decoy", "842449"))
    return [
        {"family_code": family, "family_name": family, "family_kind": kind, "product_code": code}
        | {"hs_revision_from": "H0", "hs_revision_to": "H9", "is_counted": True}
        for family, kind, code in codes
    ]


def _flows() -> list[dict[str, Any]]:
    ends = ((CHINA, KAZAKHSTAN), (KAZAKHSTAN, RUSSIA))
    return [
        {"frequency": "A", "period": str(year), "period_start": datetime.date(year, 1, 1), "exporter_code": exporter}
        | {"importer_code": importer, "family_code": CHIPS, "family_kind": "watched", "exporter_fob_usd": 9e5}
        | {"importer_fob_usd": 8e5, "gap_fob_usd": 1e5, "reconciled_mean_fob_usd": 9e5, "uncounted_fob_usd": 0.0}
        | {"flow_count": 1, "confidential_flow_count": 0, "is_edition_mismatch": False}
        for exporter, importer in ends
        for year in (2021, 2023)
    ]


def _change(exporter: str, importer: str, family: str, year: int = 2023, **cells: Any) -> dict[str, Any]:
    kind = "decoy" if family == SPRAYERS else "watched"
    return {
        "embargo_code": "RUS_2022",
        "exporter_code": exporter,
        "importer_code": importer,
        "family_code": family,
        "family_kind": kind,
        "frequency": "A",
        "period": str(year),
        "period_start": datetime.date(year, 1, 1),
        "value_fob_usd": 1e6,
        "baseline_fob_usd": 1e5,
        "baseline_mean_fob_usd": 1e5,
        "check_year_fob_usd": 9e4,
        "baseline_year_count": 3,
        "rise_fob_usd": 9e5,
        "growth_log": 2.3,
        "placebo_growth_log": 0.1,
        "effect_log": 2.2,
        "effect_se_log": 0.5,
        "effect_z_score": 4.4,
        "effect_p_value": 1e-5,
        "effect_q_value": 1e-3,
        "tested_cell_count": 8,
        "exporter_fob_usd": 1e6,
        "importer_fob_usd": 1e5,
        "gap_fob_usd": 9e5,
        "baseline_gap_fob_usd": 0.0,
        "excess_fob_usd": 9e5,
        "baseline_excess_fob_usd": 0.0,
        "excess_change_fob_usd": 9e5,
        "baseline_gap_year_count": 3,
        "gap_effect_log": 2.3,
        "gap_z_score": 4.0,
        "gap_p_value": 1e-4,
        "gap_q_value": 1e-3,
        "gap_tested_cell_count": 8,
        "is_exporter_complete": True,
        "is_importer_complete": True,
        "is_across_edition_break": False,
    } | cells


def _changes() -> list[dict[str, Any]]:
    """Chips by way of two transit countries, drones that arrive as sprayers, a placebo that stays quiet."""
    came_more = {"exporter_fob_usd": 1e5, "importer_fob_usd": 1e6, "gap_fob_usd": -9e5, "excess_fob_usd": 0.0}
    return [
        _change(CHINA, KAZAKHSTAN, CHIPS),
        _change(CHINA, KAZAKHSTAN, CHIPS, 2021),
        _change(KAZAKHSTAN, RUSSIA, CHIPS),
        _change(CHINA, KYRGYZSTAN, CHIPS),
        _change(KYRGYZSTAN, RUSSIA, CHIPS),
        _change(CHINA, RUSSIA, CHIPS, value_fob_usd=1e5, baseline_fob_usd=5e6, rise_fob_usd=-4.9e6),
        _change(CHINA, KAZAKHSTAN, DRONES),
        _change(CHINA, KAZAKHSTAN, SPRAYERS, excess_change_fob_usd=0.0, **came_more),
        _change(CHINA, KAZAKHSTAN, "placebo_843311", family_kind="placebo", effect_z_score=0.1),
    ]


def _break(exporter: str, importer: str, direction: str, month: datetime.date) -> dict[str, Any]:
    before, after = (1e4, 1e5) if direction == "rise" else (1e5, 1e4)
    return {
        "embargo_code": "RUS_2022",
        "exporter_code": exporter,
        "importer_code": importer,
        "family_code": CHIPS,
        "family_kind": "watched",
        "break_direction": direction,
        "series_start": datetime.date(2021, 1, 1),
        "month_count": 48,
        "break_start": month,
        "before_monthly_fob_usd": before,
        "after_monthly_fob_usd": after,
        "active_month_count": 18,
        "shift_log": 2.0 if direction == "rise" else -2.0,
        "break_f_score": 50.0,
        "break_p_value": 1e-3,
        "break_q_value": 1e-2,
        "tested_cell_count": 8,
        "is_after_control": True,
    }


def _breaks() -> list[dict[str, Any]]:
    """Kazakhstan opens in May 2022 and closes in July 2023, when Kyrgyzstan opens."""
    opened, closed = datetime.date(2022, 5, 1), datetime.date(2023, 7, 1)
    return [
        _break(CHINA, KAZAKHSTAN, "rise", opened),
        _break(KAZAKHSTAN, RUSSIA, "rise", opened),
        _break(KAZAKHSTAN, RUSSIA, "fall", closed),
        _break(CHINA, KYRGYZSTAN, "rise", closed),
        _break(KYRGYZSTAN, RUSSIA, "rise", closed),
    ]
