"""A failed gate leaves the release byte for byte as it was and says what is wrong, why it matters, how to mend it.

One test per kind of gate, each end to end: a result of a stage is spoiled where it lies, the whole job runs on it, and
the published release of before is compared. A spoiled result is not computed again: its stamp names the same input.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from expectations.thresholds import threshold_of
from orchestration.alerts import AlertDesk
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import Settings
from tests.integration.conftest import Refresh, as_made_by_an_earlier_run, snapshot

Spoil = Callable[[pl.DataFrame], pl.DataFrame]
YEAR = "A-2020"


@dataclass(frozen=True)
class Gate:
    """One kind of gate: the check that must refuse, which table is spoiled, in which periods, and how."""

    suite: str
    check_name: str
    layer: str
    table: str
    spoil: Spoil
    all_periods: bool = False


def _first(column: str, value: pl.Expr, account: str = "pair") -> Spoil:
    """Change a column of the first row of an account."""

    def spoil(frame: pl.DataFrame) -> pl.DataFrame:
        is_first = (pl.col("account") == account).cum_sum().eq(1) & (pl.col("account") == account)
        return frame.with_columns(pl.when(is_first).then(value).otherwise(pl.col(column)).alias(column))

    return spoil


def _all(**columns: pl.Expr) -> Spoil:
    return lambda frame: frame.with_columns(**columns)


def _largest_half_quarantined(frame: pl.DataFrame) -> pl.DataFrame:
    is_large = (pl.col("account") == "pair") & (pl.col("value_usd") > pl.col("value_usd").median())
    return frame.with_columns(
        account=pl.when(is_large).then(pl.lit("quarantine")).otherwise("account"),
        account_reason=pl.when(is_large).then(pl.lit("unknown_unit")).otherwise("account_reason"),
        quarantine_field=pl.when(is_large).then(pl.lit("qtyUnitCode")).otherwise("quarantine_field"),
        quarantine_value=pl.when(is_large).then(pl.lit("77")).otherwise("quarantine_value"),
    )


def _without_one_reporter(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("reporter_code") != "276")


LANDED, FLOWS = "landed_declarations", "reconciled_flows"
GATES = {
    "schema and types": Gate(
        LANDED, "declaration_columns_and_types_match_the_contract", "contracted", "declarations",
        _all(partner_code=pl.col("partner_code").cast(pl.Int64)),
    ),
    "keys unique": Gate(
        LANDED, "declaration_ids_are_unique", "contracted", "declarations",
        lambda frame: pl.concat([frame, frame.head(1)]),
    ),
    "codes known": Gate(
        LANDED, "partner_codes_are_known", "contracted", "declarations", _first("partner_code", pl.lit("998")),
    ),
    "values and quantities in range": Gate(
        LANDED, "values_are_not_negative", "contracted", "declarations", _first("value_usd", -pl.col("value_usd")),
    ),
    "CIF not below FOB": Gate(
        LANDED, "cif_is_not_below_fob_beyond_tolerance", "contracted", "declarations",
        _all(cif_value_usd=pl.col("value_usd"), fob_value_usd=2 * pl.col("value_usd")), all_periods=True,
    ),
    "share of value quarantined": Gate(
        LANDED, "share_of_value_quarantined_is_small", "contracted", "declarations", _largest_half_quarantined,
        all_periods=True,
    ),
    "coverage against control totals": Gate(
        LANDED, "bilateral_rows_cover_the_control_totals", "contracted", "control_totals",
        _all(parts_value_usd=pl.col("parts_value_usd") / 2), all_periods=True,
    ),
    "reporters missing against the last release": Gate(
        LANDED, "no_reporter_of_the_last_release_is_missing", "contracted", "declarations", _without_one_reporter,
        all_periods=True,
    ),
    "row counts per reporter-year": Gate(
        LANDED, "row_counts_per_reporter_year_match_the_baseline", "contracted", "declarations",
        lambda frame: frame.gather_every(3), all_periods=True,
    ),
    "conservation": Gate(
        LANDED, "every_declared_dollar_stands_in_exactly_one_account", "contracted", "declarations",
        _first("value_usd", pl.col("value_usd") + 1e9),
    ),
    "interval contains the estimate": Gate(
        FLOWS, "interval_contains_the_estimate", "reconciled", "mirror_flows",
        _all(reconciled_fob_usd_p05=pl.col("reconciled_fob_usd_p95") * 2),
    ),
    "reconciled between the sides": Gate(
        FLOWS, "reconciled_value_lies_between_the_bias_corrected_sides", "reconciled", "mirror_flows",
        _all(reconciled_fob_usd=pl.col("reconciled_fob_usd") * 100, reconciled_fob_usd_p75=pl.lit(1e18),
             reconciled_fob_usd_p95=pl.lit(1e18)),
    ),
}  # fmt: skip


def spoil(paths: DataPaths, gate: Gate) -> None:
    """Spoil a stage's result where it lies."""
    pattern = "*.parquet" if gate.all_periods else f"{YEAR}.parquet"
    found = sorted((paths.root / gate.layer / gate.table).glob(pattern))
    assert found
    for path in found:
        gate.spoil(pl.read_parquet(path)).write_parquet(path)


@pytest.mark.parametrize("kind", sorted(GATES))
def test_release_stays_as_it_was_and_the_refusal_explains_when_a_gate_fails(
    kind: str, published: Path, refresh: Refresh
) -> None:
    gate, settings = GATES[kind], Settings(data_dir=published, sample_world="tiny")
    paths = DataPaths(published)
    spoil(paths, gate)
    as_made_by_an_earlier_run(paths.releases)
    before = snapshot(paths.releases)

    result = refresh(settings)

    assert not result.success
    assert snapshot(paths.releases) == before
    refused = {e.check_name: e for e in result.get_asset_check_evaluations() if not e.passed and e.blocking}
    assert gate.check_name in refused
    words = threshold_of(gate.suite, gate.check_name)
    message = refused[gate.check_name].description or ""
    for text in (words.what_is_wrong, words.why_it_matters, words.how_to_mend):
        assert text in message
    kept = json.loads((next(paths.runs.iterdir()) / "audit" / f"{gate.suite}.json").read_text(encoding="utf-8"))
    sample = next(r["failing_sample"] for r in kept["results"] if r["check_name"] == gate.check_name)
    assert json.loads(sample)
    told = [entry.alert for entry in AlertDesk(settings).entries() if entry.alert.kind == "gate_refused"]
    assert [alert.subject for alert in told] == [gate.suite]
    assert f"of {gate.suite} refused the run" in told[0].headline
    assert gate.check_name in told[0].facts["checks"]
