"""Writes a small world where a run would leave it: Parquet folders, seeds, staging database, an earlier
release.

Belongs here: files. Does not belong here: what the tables hold (`frames`) and the defects (`defects`).
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl

from expectations.model import GateInputs
from expectations.schemas import CONTRACTED_TABLES
from tests.unit.expectations.frames import METHOD_VERSION, PRIMARY_KEYS, RUN_ID, SOURCE, World

# Public tables of which the gate asks only that they are there.
PLAIN_MARTS = (
    "mart_corridor_profile",
    "mart_place_profile",
    "mart_product_profile",
    "mart_signal_decoy_swap",
    "mart_signal_flow_conservation",
    "mart_signal_implausible_demand",
    "mart_signal_lost_in_transit",
    "mart_signal_mirror_gap",
    "mart_signal_new_product",
    "mart_signal_roundabout",
    "mart_signal_route_displacement",
    "mart_signal_structural_break",
    "mart_signal_surge",
    "mart_signal_totals_lost_in_transit",
    "mart_signal_unit_value",
)


def write_world(world: World, root: Path, last_release: Path | None = None, *, with_marts: bool = True) -> GateInputs:
    """Write a world as a run would leave it, and return the inputs of the gate."""
    for name, table in world.tables.items():
        if name in world.absent:
            continue
        layer = "contracted" if name in CONTRACTED_TABLES else "reconciled"
        folder = root / layer / ("parameters" if name == "reliability" else name)
        folder.mkdir(parents=True, exist_ok=True)
        if name == "reliability" or "frequency" not in table.columns:
            table.write_parquet(folder / ("reliability.parquet" if name == "reliability" else "all.parquet"))
            continue
        for key, part in table.group_by("frequency", "period", maintain_order=True):
            part.write_parquet(folder / f"{key[0]}-{key[1]}.parquet")
        if table.height == 0:
            table.write_parquet(folder / "A-2020.parquet")
    (root / "landed").mkdir(parents=True, exist_ok=True)
    world.landed.write_parquet(root / "landed" / "all.parquet")
    (root / "refusals.json").write_text(json.dumps(world.refusals), encoding="utf-8")
    (root / "doubts.json").write_text(json.dumps(world.doubts), encoding="utf-8")
    (root / "seeds").mkdir(exist_ok=True)
    for name, (column, values) in world.seeds.items():
        lines = [f"{column},source", *(f"{value},test" for value in values)]
        (root / "seeds" / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if with_marts:
        write_staging(world, root / "staging.duckdb")
    return GateInputs(
        contracted_dir=root / "contracted",
        reconciled_dir=root / "reconciled",
        seeds_dir=root / "seeds",
        staging_db=root / "staging.duckdb" if with_marts else None,
        last_release_dir=last_release,
        landed_dir=root / "landed",
        source=SOURCE,
        refusals_file=root / "refusals.json",
        doubts_file=root / "doubts.json",
        primary_keys=PRIMARY_KEYS,
    )


def write_staging(world: World, path: Path) -> None:
    """The staging database: public tables with comments, then the defects a test wants (`staging_sql`)."""
    path.unlink(missing_ok=True)
    marks = f"'{METHOD_VERSION}' as method_version, '{RUN_ID}' as run_id"
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts")
        for name, table in world.tables.items():
            con.register(name, table.to_arrow())
        bodies = {
            "dim_control": f"select 'CHPL' as control_code, {marks}",
            "dim_period": f"select distinct frequency, period, period_start, {marks} from declarations",
            "dim_place": f"select distinct reporter_code as place_code, {marks} from declarations",
            "dim_product": f"select distinct product_code, {marks} from declarations",
            "dim_product_family": f"select 'drones' as family_code, {marks}",
            "dim_source_file": f"select distinct source_file, {marks} from declarations",
            "fct_declaration": f"select *, {marks} from declarations",
            "fct_mirror_flow": f"select *, '{RUN_ID}' as run_id from mirror_flows",
            "fct_mirror_total": f"select *, {marks} from mirror_totals",
            "fct_nes_reallocation": f"select *, {marks} from nes_reallocations",
            "fct_reporter_coverage": f"select *, {marks} from coverage",
            "mart_discrepancy": f"select mirror_flow_id, p_value, p_value as q_value, {marks} from mirror_flows",
            "dim_place_role": f"select distinct reporter_code as place_code, {marks} from declarations",
            "mart_cif_model": f"select distinct frequency, {marks} from reliability",
            "mart_conservation": f"select distinct reporter_code, {marks} from declarations",
            "mart_revision": f"select distinct delivery_id, {marks} from declarations",
            "mart_quarantine": f"select declaration_id, {marks} from declarations where account = 'quarantine'",
            "mart_reporter_reliability": f"select *, '{RUN_ID}' as run_id from reliability",
            "mart_unit_value": "select mirror_flow_id, z_score, net_weight_z_score, unit_value_z_score, "
            "'agreement' as reading, exporter_fob_usd, exporter_net_weight_kg, exporter_fob_usd / "
            f"exporter_net_weight_kg as exporter_unit_value_fob_usd_per_kg, {marks} from mirror_flows",
            "mart_lead_evidence": "select 'lead-1' as lead_id, mirror_flow_id, exporter_declaration_id as "
            f"declaration_id, {marks} from mirror_flows where exporter_declaration_id is not null limit 1",
            "mart_lead_explanation": "select 'lead-1' as lead_id, 'control-' || n as control_code, "
            f"{marks} from range(15) r(n)",
            "mart_passage_lead": "select 'lead-1' as lead_id, 'B' as grade, cast(0 as bigint) as "
            "holding_explanation_count, false as is_origin_only, false as is_across_edition_break, "
            f"true as is_lead_complete, {marks}",
            "mart_placebo_rate": "select 'RUS_2022' as embargo_code, '2023' as period, cast(0.01 as double) as "
            f"placebo_rise_ratio, {marks}",
            **dict.fromkeys(PLAIN_MARTS, f"select 'chips' as family_code, {marks}"),
        }
        for name, body in bodies.items():
            con.execute(f"create table marts.{name} as {body}")
            con.execute(f"comment on table marts.{name} is 'One row of {name}.'")
        for table, column in con.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts'"
        ).fetchall():
            con.execute(f"comment on column marts.{table}.\"{column}\" is 'What {column} says.'")
        for statement in world.staging_sql:
            con.execute(statement)


def write_release(world: World, folder: Path, source: str = SOURCE) -> Path:
    """The tables of an earlier release that the gate compares with, and its manifest."""
    (folder / "parquet").mkdir(parents=True)
    world.tables["declarations"].write_parquet(folder / "parquet" / "fct_declaration.parquet")
    world.tables["mirror_flows"].write_parquet(folder / "parquet" / "fct_mirror_flow.parquet")
    world.tables["reliability"].write_parquet(folder / "parquet" / "mart_reporter_reliability.parquet")
    pl.DataFrame({"lead_id": ["lead-1"], "grade": ["B"]}).write_parquet(
        folder / "parquet" / "mart_passage_lead.parquet"
    )
    (folder / "datapackage.json").write_text(json.dumps({"source": source}), encoding="utf-8")
    return folder
