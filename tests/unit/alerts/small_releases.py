"""Small releases on disk for the tests of alerts: leads and coverage, as Parquet and in warehouse.duckdb."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from orchestration.alerts.model import Alert
from orchestration.release import PublishedRelease
from orchestration.release.published import read_release
from orchestration.release.store import point_to

LEAD_SCHEMA = {
    "lead_id": pl.String, "embargo_code": pl.String, "lead_rank": pl.Int64, "grade": pl.String, "lead_name": pl.String,
    "passage_fob_usd": pl.Float64, "inbound_date": pl.Date, "outbound_date": pl.Date, "signal_names": pl.String,
    "holding_explanation_count": pl.Int64,
}  # fmt: skip
COVERAGE_SCHEMA = {
    "frequency": pl.String, "period": pl.String, "period_start": pl.Date, "reporter_code": pl.String,
    "reporter_iso3": pl.String, "flow_code": pl.String, "is_reporting": pl.Boolean,
}  # fmt: skip
ALERT = Alert("gate_refused", "marts", "2 checks refused the run\n- a: b", "run-1", "select 1", {"suite": "marts"})


def a_release(
    releases: Path,
    release_id: str,
    leads: Mapping[str, tuple[str, float]] | None = None,
    filed: Mapping[tuple[str, str], Sequence[str]] | None = None,
    run_id: str | None = None,
    source: str = "sample",
) -> PublishedRelease:
    """Publish a release: leads by id as (grade, passage in USD FOB), periods filed by (frequency, reporter)."""
    folder = releases / release_id
    (folder / "parquet").mkdir(parents=True)
    tables = {
        "mart_passage_lead": pl.DataFrame(_lead_rows(leads or {}), LEAD_SCHEMA, orient="row"),
        "fct_reporter_coverage": pl.DataFrame(_coverage_rows(filed or {}), COVERAGE_SCHEMA, orient="row"),
    }
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("create schema marts")
        for name, frame in tables.items():
            path = folder / "parquet" / f"{name}.parquet"
            frame.write_parquet(path)
            con.execute(f"create table marts.{name} as from '{path}'")
    said = {"source": source, "run_id": run_id or f"run-of-{release_id}", "input_fingerprint": release_id,
            "method_version": "1", "row_counts": {}}  # fmt: skip
    (folder / "datapackage.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "audit.json").write_text(json.dumps({"checks": []}), encoding="utf-8")
    point_to(releases, release_id)
    return read_release(folder)


def _lead_rows(leads: Mapping[str, tuple[str, float]]) -> list[tuple[object, ...]]:
    return [
        (lead_id, "test", rank, grade, f"Anomalous passage: {lead_id}", usd, None, None, "roundabout", 0)
        for rank, (lead_id, (grade, usd)) in enumerate(leads.items(), start=1)
    ]


def _coverage_rows(filed: Mapping[tuple[str, str], Sequence[str]]) -> list[tuple[object, ...]]:
    """Exports are filed, imports are not: either flow counts."""
    return [
        (frequency, period, date(int(period[:4]), int(period[4:] or 1), 1), reporter, f"I{reporter}", flow, flow == "X")
        for (frequency, reporter), periods in filed.items()
        for period in periods
        for flow in ("X", "M")
    ]


def answer(release: PublishedRelease, alert: Alert) -> list[tuple[object, ...]]:
    """The rows that an alert's query gives on its release."""
    with duckdb.connect(str(release.path / "warehouse.duckdb"), read_only=True) as con:
        return list(con.execute(alert.query).fetchall())
