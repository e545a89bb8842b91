"""Families join codes through the editions; what is broader than a family stands beside its series."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.passages import FamilyTables, family_flows, family_members
from orchestration.passages.families import rule_of
from orchestration.pipeline.passages import passage_tables
from orchestration.reference import load_reference


@pytest.fixture(scope="module")
def tables(seeds_dir: Path) -> FamilyTables:
    return passage_tables(load_reference(seeds_dir))


def flow(**cells: Any) -> dict[str, Any]:
    return {
        "frequency": "A",
        "period": "2023",
        "period_start": date(2023, 1, 1),
        "exporter_code": "156",
        "importer_code": "417",
        "product_code": "880624",
        "hs_revision": "H6",
        "status": "two_sided",
        "exporter_fob_usd": 100.0,
        "importer_fob_usd": 90.0,
        "reconciled_mean_fob_usd": 95.0,
        "reexport_usd": None,
        "is_confidential": False,
        "is_edition_mismatch": False,
    } | cells


def test_every_listed_code_stands_in_a_family_when_members_are_made(tables: FamilyTables) -> None:
    members = family_members(tables)
    listed = tables.controls.select("family_code", "product_code").unique()
    assert listed.join(members, on=["family_code", "product_code"], how="anti").height == 0
    assert members.select("family_code", "product_code").is_duplicated().sum() == 0


def test_the_list_of_common_high_priority_is_whole(tables: FamilyTables) -> None:
    tiers = tables.controls.filter(pl.col("list_code") == "CHPL").group_by("tier").len().sort("tier")
    assert dict(tiers.iter_rows()) == {"1": 4, "2": 5, "3.A": 16, "3.B": 9, "4.A": 11, "4.B": 5}


def test_a_broader_predecessor_is_not_counted_and_a_whole_one_is(tables: FamilyTables) -> None:
    members = family_members(tables)
    counted = dict(members.select(pl.col("family_code") + pl.col("product_code"), "is_counted").iter_rows())
    assert counted["unmanned_aircraft852580"] is False
    assert counted["unmanned_aircraft880624"] is True
    assert counted["aircraft_parts880330"] is True


def test_a_familys_flow_adds_its_codes_and_keeps_cameras_apart(tables: FamilyTables) -> None:
    rows = [
        flow(),
        flow(product_code="880622", exporter_fob_usd=10.0, importer_fob_usd=None, reconciled_mean_fob_usd=10.0,
             status="exporter_only_partner_silent"),
        flow(product_code="852580", hs_revision="H5", reconciled_mean_fob_usd=1_000.0),
    ]  # fmt: skip
    made = family_flows(pl.DataFrame(rows, infer_schema_length=None), family_members(tables))
    drones = made.filter(pl.col("family_code") == "unmanned_aircraft").row(0, named=True)
    assert drones["exporter_fob_usd"] == 110.0
    assert drones["importer_fob_usd"] == 90.0
    assert drones["gap_fob_usd"] == 20.0
    assert drones["reconciled_mean_fob_usd"] == 105.0
    assert drones["silent_importer_fob_usd"] == 10.0
    assert drones["uncounted_fob_usd"] == 1_000.0


def test_a_code_outside_its_editions_is_not_taken(tables: FamilyTables) -> None:
    made = family_flows(pl.DataFrame([flow(hs_revision="H4")]), family_members(tables))
    assert made.filter(pl.col("family_code") == "unmanned_aircraft").height == 0


def test_an_unknown_rule_or_control_is_refused(tables: FamilyTables) -> None:
    with pytest.raises(KeyError, match="no_such_rule"):
        rule_of(tables.passage_rules, "no_such_rule")
    with pytest.raises(KeyError, match="no_such_control"):
        tables.is_on("no_such_control")


def test_size_rules_fall_away_when_their_control_is_off(tables: FamilyTables) -> None:
    off = tables.false_positive_controls.with_columns(
        is_on=pl.when(pl.col("control_code") == "minimum_size").then(False).otherwise("is_on")
    )
    loose = replace(tables, false_positive_controls=off)
    assert tables.smallest_tested_usd() > loose.smallest_tested_usd() == 0.0
    assert tables.growth_floor_usd() > loose.growth_floor_usd()
