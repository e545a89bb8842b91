"""A world small enough to read: three places, two annual periods, one month, every table the gate looks at.

Belongs here: building tables that pass every check, and writing them where a run would. Does not belong
here: the defects (each test plants its own) and anything about the planted world of `orchestration.sample`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from expectations.schemas import (
    CONTRACTED_TABLES,
    COVERAGE,
    DECLARATIONS,
    KNOWN_MEASURES,
    MIRROR_FLOWS,
    MIRROR_TOTALS,
    NES_REALLOCATIONS,
    PAIRS,
    RECONCILED_TABLES,
    RELIABILITY,
)

SOURCE = "files"
METHOD_VERSION = "1"
RUN_ID = "run-1"
DTYPES = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "DATE": pl.Date,
    "BOOLEAN": pl.Boolean,
}
PLACES = {"156": "CHN", "398": "KAZ", "643": "RUS"}
SEEDS = {
    "places": ("place_code", ["000", "156", "398", "643"]),
    "hs_codes": ("product_code", ["TOTAL", "84", "8471", "847130", "85", "8542", "854231"]),
    "flows": ("flow_code", ["X", "M", "RX"]),
    "customs_procedures": ("customs_code", ["C00", "C01"]),
    "transport_modes": ("mot_code", ["0", "1000"]),
    "quantity_units": ("quantity_unit_code", ["-1", "5", "8"]),
}
PERIODS = (("A", "2020"), ("A", "2021"), ("M", "202101"))
PRODUCTS = ("847130", "854231")
PRIMARY_KEYS: dict[str, tuple[str, ...]] = {
    "dim_control": ("control_code",),
    "dim_period": ("frequency", "period"),
    "dim_place": ("place_code",),
    "dim_product": ("product_code",),
    "dim_product_family": ("family_code",),
    "dim_source_file": ("source_file",),
    "fct_declaration": ("declaration_id",),
    "fct_mirror_flow": ("mirror_flow_id",),
    "fct_mirror_total": ("frequency", "period", "exporter_code", "importer_code", "product_code"),
    "fct_nes_reallocation": ("frequency", "period", "side", "reporter_code", "product_code", "partner_code"),
    "fct_reporter_coverage": ("frequency", "period", "reporter_code", "flow_code"),
    "mart_discrepancy": ("mirror_flow_id",),
    "dim_place_role": ("place_code",),
    "mart_cif_model": ("frequency",),
    "mart_conservation": ("reporter_code",),
    "mart_revision": ("delivery_id",),
    "mart_quarantine": ("declaration_id",),
    "mart_reporter_reliability": (
        "frequency",
        "window_start_year",
        "window_end_year",
        "reporter_code",
        "measure",
        "role",
    ),
    "mart_unit_value": ("mirror_flow_id",),
    "mart_corridor_profile": ("family_code",),
    "mart_lead_evidence": ("lead_id",),
    "mart_lead_explanation": ("lead_id", "control_code"),
    "mart_passage_lead": ("lead_id",),
    "mart_place_profile": ("family_code",),
    "mart_placebo_rate": ("embargo_code", "period"),
    "mart_product_profile": ("family_code",),
    "mart_signal_decoy_swap": ("family_code",),
    "mart_signal_flow_conservation": ("family_code",),
    "mart_signal_implausible_demand": ("family_code",),
    "mart_signal_lost_in_transit": ("family_code",),
    "mart_signal_mirror_gap": ("family_code",),
    "mart_signal_new_product": ("family_code",),
    "mart_signal_roundabout": ("family_code",),
    "mart_signal_route_displacement": ("family_code",),
    "mart_signal_structural_break": ("family_code",),
    "mart_signal_surge": ("family_code",),
    "mart_signal_totals_lost_in_transit": ("family_code",),
    "mart_signal_unit_value": ("family_code",),
}


def frame(columns: Mapping[str, str], rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A frame with exactly the promised columns; cells that a row does not name are NULL."""
    schema = {name: DTYPES[kind] for name, kind in columns.items()}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=schema)


def start_of(frequency: str, period: str) -> datetime.date:
    """The first day of a period."""
    return datetime.date(int(period[:4]), int(period[4:]) if frequency == "M" else 1, 1)


@dataclass
class World:
    """Frames by table, the seeds, and what the staging database holds; tests change them and write them."""

    tables: dict[str, pl.DataFrame]
    landed: pl.DataFrame
    seeds: dict[str, tuple[str, list[str]]] = field(default_factory=lambda: dict(SEEDS))
    staging_sql: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[dict[str, Any]] = field(default_factory=list)


def _declaration(frequency: str, period: str, line: int, **cells: Any) -> dict[str, Any]:
    product = cells["product_code"]
    return {
        "declaration_id": f"d{frequency}{period}:{line}",
        "delivery_id": f"d{frequency}{period}",
        "source_file": f"{frequency}-{period}.csv",
        "source_line": line,
        "source_format": "api_csv",
        "frequency": frequency,
        "period": period,
        "period_start": start_of(frequency, period),
        "reporter_iso3": PLACES[cells["reporter_code"]],
        "partner_iso3": PLACES.get(cells["partner_code"], "W00"),
        "partner2_code": "000",
        "product_level": 0 if product == "TOTAL" else len(product),
        "chapter_code": product[:2],
        "hs_revision": "H5",
        "customs_code": "C00",
        "mot_code": "0",
        "mos_code": "0",
        "valuation_filed": "FOB" if cells["flow_code"] == "X" else "CIF",
        "quantity": 10.0,
        "quantity_unit_code": "8",
        "net_weight_kg": 10.0,
        "is_quantity_estimated": False,
        "is_net_weight_estimated": False,
        "is_reported": True,
        "is_aggregate": False,
        "is_confidential": False,
        "account": "pair",
        "account_reason": "kept",
    } | cells


def _declarations_of(frequency: str, period: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for exporter in PLACES:
        for importer in PLACES:
            if exporter == importer:
                continue
            for number, product in enumerate(PRODUCTS):
                value = 1000.0 * (1 + number) + int(exporter) + int(importer) / 10
                rows.append(
                    {
                        "reporter_code": exporter,
                        "flow_code": "X",
                        "partner_code": importer,
                        "product_code": product,
                        "value_usd": value,
                        "fob_value_usd": value,
                    }
                )
                rows.append(
                    {
                        "reporter_code": importer,
                        "flow_code": "M",
                        "partner_code": exporter,
                        "product_code": product,
                        "value_usd": value * 1.05,
                        "cif_value_usd": value * 1.05,
                        "fob_value_usd": value,
                    }
                )
    for reporter in PLACES:
        parts = [row for row in rows if row["reporter_code"] == reporter and row["flow_code"] == "X"]
        total = sum(row["value_usd"] for row in parts)
        rows.append(
            {
                "reporter_code": reporter,
                "flow_code": "X",
                "partner_code": "000",
                "product_code": "TOTAL",
                "value_usd": total,
                "account": "total",
                "account_reason": "world_partner",
            }
        )
    if (frequency, period) != PERIODS[0]:
        return [_declaration(frequency, period, line, **row) for line, row in enumerate(rows, start=1)]
    rows.append(
        {
            "reporter_code": "398",
            "flow_code": "X",
            "partner_code": "999",
            "product_code": "847130",
            "value_usd": 1.0,
            "account": "quarantine",
            "account_reason": "unknown_place",
            "quarantine_field": "partnerCode",
            "quarantine_value": "999",
        }
    )
    return [_declaration(frequency, period, line, **row) for line, row in enumerate(rows, start=1)]


def _coverage(declarations: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for key, group in sorted(declarations.group_by("frequency", "period", "reporter_code", "flow_code")):
        frequency, period, reporter, flow = (str(part) for part in key)
        values = {
            account: float(group.filter(pl.col("account") == account)["value_usd"].sum())
            for account in ("pair", "special", "quarantine")
        }
        rows.append(
            {
                "frequency": frequency,
                "period": period,
                "period_start": start_of(frequency, period),
                "reporter_code": reporter,
                "reporter_iso3": PLACES[reporter],
                "flow_code": flow,
                "declaration_count": group.height,
                "pair_value_usd": values["pair"],
                "special_value_usd": values["special"],
                "quarantine_value_usd": values["quarantine"],
                "confidential_value_usd": 0.0,
                "confidential_share_ratio": 0.0,
                "quarantine_share_ratio": 0.0,
                "is_reporting": True,
                "is_complete": True,
                "months_reported_count": 12 if frequency == "A" else 1,
            }
        )
    return frame(COVERAGE, rows)


def _control_totals(declarations: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for row in declarations.filter(pl.col("account") == "total").iter_rows(named=True):
        rows.append(
            row
            | {
                "control_value_usd": row["value_usd"],
                "parts_value_usd": row["value_usd"],
                "coverage_ratio": 1.0,
            }
        )
    return frame(CONTRACTED_TABLES["control_totals"], rows)


def _pairs(declarations: pl.DataFrame) -> list[dict[str, Any]]:
    paired = declarations.filter(pl.col("account") == "pair")
    exports = {
        (r["frequency"], r["period"], r["reporter_code"], r["partner_code"], r["product_code"]): r
        for r in paired.filter(pl.col("flow_code") == "X").iter_rows(named=True)
    }
    imports = {
        (r["frequency"], r["period"], r["partner_code"], r["reporter_code"], r["product_code"]): r
        for r in paired.filter(pl.col("flow_code") == "M").iter_rows(named=True)
    }
    rows = []
    for key in sorted(exports):
        frequency, period, exporter, importer, product = key
        export, imported = exports[key], imports[key]
        row = {
            "mirror_flow_id": "-".join(key),
            "frequency": frequency,
            "period": period,
            "period_start": start_of(frequency, period),
            "exporter_code": exporter,
            "exporter_iso3": PLACES[exporter],
            "importer_code": importer,
            "importer_iso3": PLACES[importer],
            "product_code": product,
            "product_level": 6,
            "chapter_code": product[:2],
            "status": "two_sided",
            "hs_revision": "H5",
            "importer_cif_value_usd": imported["cif_value_usd"],
            "importer_fob_value_usd": imported["fob_value_usd"],
        }
        for flag in (
            "is_edition_mismatch",
            "is_rolled_up",
            "is_intra_eaeu",
            "is_left_out",
            "is_confidential",
        ):
            row[flag] = False
        for side, filed in (("exporter", export), ("importer", imported)):
            row |= {
                f"{side}_value_usd": filed["value_usd"],
                f"{side}_valuation": filed["valuation_filed"],
                f"{side}_hs_revision": "H5",
                f"{side}_quantity": 10.0,
                f"{side}_quantity_unit_code": "8",
                f"{side}_net_weight_kg": 10.0,
                f"{side}_is_weight_estimated": False,
                f"{side}_declaration_count": 1,
                f"{side}_declaration_id": filed["declaration_id"],
            }
        rows.append(row)
    return rows


def _reconciled(pair: dict[str, Any]) -> dict[str, Any]:
    exporter_fob = float(pair["exporter_value_usd"])
    importer_fob = float(pair["importer_value_usd"]) / 1.04
    estimate = math.sqrt(exporter_fob * importer_fob)
    return pair | {
        "exporter_fob_usd": exporter_fob,
        "importer_fob_usd": importer_fob,
        "cif_rate_ratio": 0.04,
        "cif_source": "observed",
        "cif_rate_se_log": 0.01,
        "gap_fob_usd": exporter_fob - importer_fob,
        "gap_log_ratio": math.log(exporter_fob / importer_fob),
        "gap_share_ratio": (exporter_fob - importer_fob) / (exporter_fob + importer_fob),
        "distance_km": 900.0,
        "is_contiguous": False,
        "exporter_previous_month_fob_usd": None,
        "reconciled_fob_usd": estimate,
        "reconciled_fob_usd_p05": estimate * 0.8,
        "reconciled_fob_usd_p25": estimate * 0.9,
        "reconciled_fob_usd_p75": estimate * 1.1,
        "reconciled_fob_usd_p95": estimate * 1.2,
        "reconciled_mean_fob_usd": estimate * 0.99,
        "sd_log": 0.12,
        "exporter_weight_ratio": 0.5,
        "importer_weight_ratio": 0.5,
        "exporter_bias_log": 0.0,
        "importer_bias_log": 0.0,
        "chapter_effect_log": 0.0,
        "exporter_sigma_log": 0.2,
        "importer_sigma_log": 0.2,
        "arrival_shift_log": 0.0,
        "arrival_sd_log": 0.0,
        "z_score": 0.1,
        "p_value": 0.9,
        "hs_ambiguity_ratio": 0.0,
        "reconciled_net_weight_kg": 10.0,
        "reconciled_net_weight_kg_p05": 8.0,
        "reconciled_net_weight_kg_p25": 9.0,
        "reconciled_net_weight_kg_p75": 11.0,
        "reconciled_net_weight_kg_p95": 12.0,
        "net_weight_sd_log": 0.12,
        "net_weight_z_score": 0.0,
        "reconciled_unit_value_fob_usd_per_kg": estimate / 10,
        "reconciled_unit_value_fob_usd_per_kg_p05": estimate / 12,
        "reconciled_unit_value_fob_usd_per_kg_p25": estimate / 11,
        "reconciled_unit_value_fob_usd_per_kg_p75": estimate / 9,
        "reconciled_unit_value_fob_usd_per_kg_p95": estimate / 8,
        "nes_reallocated_fob_usd": 0.0,
        "unit_value_sd_log": 0.12,
        "unit_value_z_score": 0.1,
        "is_weight_unit_suspect": False,
        "method_name": "variance_components",
        "method_version": METHOD_VERSION,
    }


def _mirror_totals() -> pl.DataFrame:
    rows = [
        {
            "frequency": "A",
            "period": "2020",
            "period_start": start_of("A", "2020"),
            "exporter_code": exporter,
            "exporter_iso3": PLACES[exporter],
            "importer_code": importer,
            "importer_iso3": PLACES[importer],
            "product_code": "TOTAL",
            "product_level": 0,
            "status": "two_sided",
        }
        for exporter in PLACES
        for importer in PLACES
        if exporter != importer
    ]
    return frame(MIRROR_TOTALS, rows)


def _nes_reallocations() -> pl.DataFrame:
    """What 156 filed of one product under areas nes: part of it beside a flow that it did not file."""
    cell = {
        "frequency": "A",
        "period": "2020",
        "period_start": start_of("A", "2020"),
        "side": "exporter",
        "reporter_code": "156",
        "reporter_iso3": "CHN",
        "product_code": "847130",
        "product_level": 6,
        "nes_code": "899",
        "declared_fob_usd": 100.0,
    }
    part = {"partner_code": "643", "mirror_flow_id": "A-2020-156-643-847130", "missing_fob_usd": 60.0}
    rows = [
        cell | part | {"reallocated_fob_usd": 60.0, "is_remainder": False},
        cell | {"partner_code": "899", "reallocated_fob_usd": 40.0, "is_remainder": True},
    ]
    return frame(NES_REALLOCATIONS, rows)


def _reliability() -> pl.DataFrame:
    rows = [
        {
            "window_start_year": 2019,
            "window_end_year": 2021,
            "frequency": frequency,
            "reporter_code": code,
            "reporter_iso3": iso3,
            "measure": measure,
            "role": role,
            "bias_log": 0.0,
            "bias_se_log": 0.1,
            "sigma_log": 0.2,
            "sigma_se_log": 0.1,
            "distance_log": 0.2,
            "pair_count": 60,
            "is_shrunk": False,
            "months_weight_ratio": 0.0,
            "method_name": "variance_components",
            "method_version": METHOD_VERSION,
        }
        for frequency in ("A", "M")
        for code, iso3 in PLACES.items()
        for measure in KNOWN_MEASURES
        for role in ("exporter", "importer")
    ]
    return frame(RELIABILITY, rows)


def make_world() -> World:
    """A world in which every check passes."""
    declarations = frame(DECLARATIONS, [row for one in PERIODS for row in _declarations_of(*one)])
    pairs = _pairs(declarations)
    sources = [
        {
            "declaration_id": pair[f"{side}_declaration_id"],
            "mirror_flow_id": pair["mirror_flow_id"],
            "side": side,
            "share_ratio": 1.0,
            "is_rolled_up": False,
        }
        for pair in pairs
        for side in ("exporter", "importer")
    ]
    tables = {
        "declarations": declarations,
        "control_totals": _control_totals(declarations),
        "coverage": _coverage(declarations),
        "pairs": frame(PAIRS, pairs),
        "sources": frame(RECONCILED_TABLES["sources"], sources),
        "mirror_flows": frame(MIRROR_FLOWS, [_reconciled(pair) for pair in pairs]),
        "mirror_totals": _mirror_totals(),
        "nes_reallocations": _nes_reallocations(),
        "reliability": _reliability(),
    }
    landed = declarations.select("delivery_id", pl.col("value_usd").alias("primaryValue"))
    return World(tables, landed)
