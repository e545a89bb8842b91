"""The models of passages on any folder of reconciled flows, without a run: dbt's own compiled SQL in a DuckDB session.

Belongs here: compiling once, building a selection on a world's Parquet files, reference tables changed for a test. Does
not belong here: what the models say, and publication.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.pipeline.dbt import dbt_environment
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import PROJECT_DIR

LEAD_MODELS = ("mart_passage_lead", "mart_lead_explanation", "mart_lead_evidence", "mart_placebo_rate")
SIGNAL_MODELS = ("mart_signal_surge", "mart_signal_mirror_gap", "mart_signal_structural_break")
PROFILE_MODELS = ("mart_corridor_profile", "mart_place_profile", "mart_product_profile")
_NOWHERE = Path("/no-such-folder-of-data")


class PassageModels:
    """dbt's compiled SQL of the passages and of everything before them."""

    def __init__(self, dbt_dir: Path = PROJECT_DIR / "dbt_project") -> None:
        """Compile the project. Raises RuntimeError with dbt's own words when that fails."""
        self._seeds_dir = dbt_dir / "seeds"
        environment = dbt_environment(DataPaths(_NOWHERE), "bench", "bench", 1)
        with tempfile.TemporaryDirectory() as folder:
            # The staging file only has to be openable; nothing is written into it.
            environment["DBT_STAGING_PATH"] = str(Path(folder) / "staging.duckdb")
            wanted = [f"+{name}" for name in (*LEAD_MODELS, *SIGNAL_MODELS, *PROFILE_MODELS)]
            where = ["--project-dir", str(dbt_dir), "--profiles-dir", str(dbt_dir), "--target-path", folder]
            command = [str(Path(sys.executable).with_name("dbt")), "compile", "--select", *wanted, *where]
            outcome = subprocess.run(
                [*command, "--log-path", folder, "--no-use-colors"],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            manifest = Path(folder) / "manifest.json"
            if outcome.returncode != 0 or not manifest.is_file():
                raise RuntimeError(f"dbt cannot compile its project: {outcome.stdout.strip()} {outcome.stderr.strip()}")
            self._nodes: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
        self._ids = {n["name"]: key for key, n in self._nodes.items() if n["resource_type"] in ("model", "seed")}

    def build(
        self, root: Path, wanted: Sequence[str] = LEAD_MODELS, seeds: Mapping[str, pl.DataFrame] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Build models and all they rest on from the Parquet files below `root`; returns the session.

        Args: seeds that stand in the place of the project's own, all columns text.
        """
        con = duckdb.connect()
        con.execute("attach ':memory:' as staging")
        con.execute("set enable_progress_bar = false")
        done: set[str] = set()
        for name in wanted:
            self._add(con, self._ids[name], root, seeds or {}, done)
        con.execute("use staging.marts")
        return con

    def _add(
        self,
        con: duckdb.DuckDBPyConnection,
        node_id: str,
        root: Path,
        seeds: Mapping[str, pl.DataFrame],
        done: set[str],
    ) -> None:
        if node_id in done or node_id not in self._nodes:
            return
        done.add(node_id)
        node = self._nodes[node_id]
        for parent in node.get("depends_on", {}).get("nodes", []):
            self._add(con, parent, root, seeds, done)
        con.execute(f"create schema if not exists staging.{node['schema']}")
        table = f"staging.{node['schema']}.{node['name']}"
        if node["resource_type"] == "seed":
            given = seeds.get(node["name"])
            source = f"read_csv('{self._seeds_dir / node['name']}.csv', all_varchar = true, header = true)"
            if given is not None:
                con.register("_given", given.to_arrow())
                source = "_given"
            con.execute(f"create table {table} as select * from {source}")
            return
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        con.execute(f"create {kind} {table} as {node['compiled_code'].replace(str(_NOWHERE), str(root))}")
