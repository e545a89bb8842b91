"""A world small enough to read, written where a run would leave it before dbt builds.

Belongs here: what the models need beside the frames of the gate's tests: a corridor total from both sides, two
vintages of one data set, one term of the margin model, results of checks. Does not belong here: running dbt.
"""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import polars as pl

from expectations.model import CheckResult
from expectations.runner import write_results
from orchestration.comtrade.contract.schema import REVISIONS
from orchestration.pipeline.paths import DataPaths
from orchestration.reconcile.schema import CIF_MODEL
from tests.unit.expectations.files import write_world
from tests.unit.expectations.frames import World, make_world
from tests.warehouse.small_passages import write_small_passages

_TOTAL = {
    "frequency": "A",
    "period": "2020",
    "period_start": datetime.date(2020, 1, 1),
    "product_code": "TOTAL",
    "product_level": 0,
}
_CORRIDOR_TOTALS = (
    {"flow_code": "X", "reporter_code": "156", "reporter_iso3": "CHN", "partner_code": "398", "partner_iso3": "KAZ"},
    {"flow_code": "M", "reporter_code": "398", "reporter_iso3": "KAZ", "partner_code": "156", "partner_iso3": "CHN"},
)


def write_small_world(paths: DataPaths, run_id: str) -> None:
    """Write every Parquet file that the sources of the dbt project name."""
    world = make_world()
    _add_corridor_total(world)
    write_world(world, paths.root, with_marts=False)
    _write(paths.root / "contracted" / "revisions", _revisions())
    _write(paths.root / "reconciled" / "parameters", _cif_model(), "cif_model")
    write_small_passages(paths)
    write_results(_checks(), paths.audit_results(run_id))


def _write(folder: Path, frame: pl.DataFrame, name: str = "A-2020") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / f"{name}.parquet")


def _add_corridor_total(world: World) -> None:
    """China's exports to Kazakhstan as both ends filed their TOTAL of two years: 5,000 FOB and 5,250 CIF."""
    declarations, totals = world.tables["declarations"], world.tables["control_totals"]
    template = declarations.filter(pl.col("account") == "total").row(0, named=True)
    rows: list[dict[str, Any]] = []
    for number, (year, corridor) in enumerate(itertools.product((2020, 2023), _CORRIDOR_TOTALS)):
        value, valuation = (5000.0, "FOB") if corridor["flow_code"] == "X" else (5250.0, "CIF")
        own = {
            "declaration_id": f"dA{year}:{900 + number}",
            "source_line": 900 + number,
            "period": str(year),
            "period_start": datetime.date(year, 1, 1),
            "value_usd": value,
            "fob_value_usd": None,
            "cif_value_usd": None,
            "valuation_filed": valuation,
            "account_reason": "total_product",
        }
        rows.append(template | _TOTAL | corridor | own)
    added = pl.DataFrame(rows, schema=declarations.schema)
    controls = added.with_columns(
        control_value_usd=pl.col("value_usd"), parts_value_usd=pl.col("value_usd"), coverage_ratio=pl.lit(1.0)
    ).select(totals.columns)
    world.tables["declarations"] = pl.concat([declarations, added])
    world.tables["control_totals"] = pl.concat([totals, controls])
    mirror = world.tables["mirror_totals"]
    seen = (
        _TOTAL
        | {"exporter_code": "156", "exporter_iso3": "CHN", "importer_code": "398", "importer_iso3": "KAZ"}
        | {"status": "two_sided", "exporter_value_usd": 5000.0, "importer_value_usd": 5250.0}
        | {"exporter_fob_usd": 5000.0, "importer_fob_usd": 5048.0, "gap_fob_usd": -48.0, "gap_log_ratio": -0.0095}
        | {"flows_mean_fob_usd": 4900.0, "raking_target_fob_usd": 5024.0, "raking_residual_fob_usd": 124.0}
        | {"raking_ratio": 5024.0 / 4900.0, "raking_status": "raked"}
    )
    later = {"period": "2023", "period_start": datetime.date(2023, 1, 1)}
    world.tables["mirror_totals"] = pl.DataFrame([seen, seen | later], schema=mirror.schema)


def _revisions() -> pl.DataFrame:
    """The set of 2020 in two deliveries: one key came, one went, two moved."""
    row = {
        "frequency": "A",
        "period": "2020",
        "reporter_code": "156",
        "older_delivery_id": "dA2020",
        "newer_delivery_id": "dA2021",
        "keys_added_count": 1,
        "keys_removed_count": 1,
        "keys_revised_count": 2,
        "keys_unchanged_count": 3,
        "older_value_usd": 10.0,
        "newer_value_usd": 12.0,
        "value_added_usd": 3.0,
        "value_removed_usd": 2.0,
        "value_moved_usd": 7.0,
        "net_change_usd": 2.0,
        "editions_changed_count": 0,
    }
    return pl.DataFrame([row], schema=REVISIONS)


def _cif_model() -> pl.DataFrame:
    row = {
        "frequency": "A",
        "term": "constant",
        "coefficient": 0.16,
        "standard_error": 0.05,
        "published_coefficient": 0.32,
        "observation_count": 1000,
        "residual_sd_log": 0.1,
        "reported_share_ratio": 0.1,
        "observed_share_ratio": 0.2,
        "modelled_share_ratio": 0.7,
        "method_name": "huber_gravity",
        "method_version": "1",
    }
    return pl.DataFrame([row], schema=dict(CIF_MODEL))


def _checks() -> list[CheckResult]:
    """Three results, one of them a warning that did not hold."""
    held = {
        "severity": "error",
        "passed": True,
        "figure": 0.0,
        "threshold": 0.0,
        "threshold_text": "at most 0",
        "evidence": "Identity.",
        "threshold_date": "2026-01-01",
        "failing_count": 0,
        "failing_sample": "[]",
        "message": "Holds: 0, at most 0.",
    }
    warned = held | {
        "severity": "warning",
        "passed": False,
        "figure": 0.2,
        "threshold": 0.1,
        "failing_count": 1,
        "message": "Too much is confidential. Why it matters: it hides. How to mend it: ask.",
    }
    return [
        CheckResult(suite="landed_declarations", check_name="places_are_known", **held),
        CheckResult(suite="landed_declarations", check_name="share_of_value_confidential_is_small", **warned),
        CheckResult(suite="dbt_tests", check_name="dim_place_rows_have_one_key_each", **held),
    ]
