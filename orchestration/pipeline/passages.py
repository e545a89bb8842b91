"""From reconciled flows to the statistics of passages: families' flows, their changes and breaks.

Belongs here: which files meet in which call, what is skipped because it is unchanged. Does not belong here: any formula
(`orchestration.passages`), signals, grades and leads (dbt models).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from orchestration import passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import Stamps, combine, each_period, sha256_of_file, write_frame
from orchestration.reference import Reference

TABLES = ("family_members", "family_flows", "family_changes", "family_breaks")
_MONTHS_IN_A_YEAR = 12
_FLOW_COLUMNS = (
    *("frequency", "period", "period_start", "exporter_code", "importer_code", "product_code", "hs_revision"),
    *("status", "exporter_fob_usd", "importer_fob_usd", "reconciled_mean_fob_usd", "reexport_usd"),
    *("is_confidential", "is_edition_mismatch"),
)


def passage_tables(reference: Reference) -> passages.FamilyTables:
    """The reference tables that passages need."""
    return passages.FamilyTables(
        product_families=reference.product_families,
        controls=reference.controls,
        family_breaks=reference.family_breaks,
        products=reference.products,
        embargoes=reference.embargoes,
        decoy_pairs=reference.decoy_pairs,
        hs_editions=reference.hs_editions,
        passage_rules=reference.passage_rules,
        false_positive_controls=reference.false_positive_controls,
    )


def find_passages(paths: DataPaths, period_keys: Sequence[str], reference: Reference, code: str) -> dict[str, int]:
    """Write families' members, flows, changes and breaks (TABLES) below the folder `passages`; rows per table."""
    outputs = {name: paths.passages / f"{name}.parquet" for name in TABLES}
    flow_paths = {key: paths.table("reconciled", "mirror_flows", key) for key in period_keys}
    coverage_paths = [paths.table("contracted", "coverage", key) for key in period_keys]
    filed = [path for path in coverage_paths if path.exists()]
    stamps = Stamps(paths.passages / "_stamps")
    fingerprint = combine(*(f"{k}:{sha256_of_file(path)}" for k, path in flow_paths.items()), code)
    fingerprint = combine(fingerprint, *(sha256_of_file(path) for path in filed))
    if not stamps.is_current("passages", fingerprint, outputs.values()):
        tables = passage_tables(reference)
        members = passages.family_members(tables)

        def flows_of(key: str) -> pl.DataFrame:
            codes = members["product_code"].unique().sort()
            rows = pl.scan_parquet(flow_paths[key]).filter(pl.col("product_code").is_in(codes.implode()))
            return passages.family_flows(rows.select(_FLOW_COLUMNS).collect(), members)

        flows = pl.concat(each_period(flows_of, list(period_keys)))
        coverage = pl.concat(pl.read_parquet(path) for path in filed)
        complete = _complete_sides(coverage, pl.read_parquet(paths.contracted / "completeness.parquet"))
        collected = _collected(flow_paths, members)
        made = {
            "family_members": members,
            "family_flows": flows,
            "family_changes": passages.changes(flows, complete, tables, collected),
            "family_breaks": passages.breaks(flows, complete, tables, collected),
        }
        for name, frame in made.items():
            write_frame(outputs[name], frame)
        stamps.write("passages", fingerprint)
    return {name: pl.scan_parquet(path).select(pl.len()).collect().item() for name, path in outputs.items()}


def _collected(flow_paths: Mapping[str, Path], members: pl.DataFrame) -> pl.DataFrame:
    """Families whose chapters somebody filed at all: (period, family_code).

    A reporter whose annual set holds wood alone, because only wood was collected, says nothing about fish.
    """
    held = []
    for key, path in flow_paths.items():
        own = pl.scan_parquet(path).select("chapter_code").unique().collect()
        held.append(own.with_columns(period=pl.lit(key.split("-", 1)[1])))
    chapters = members.select("family_code", chapter_code=pl.col("product_code").str.slice(0, 2)).unique()
    return pl.concat(held).join(chapters, on="chapter_code").select("period", "family_code").unique()


def _complete_sides(coverage: pl.DataFrame, years: pl.DataFrame) -> pl.DataFrame:
    """Sides that a reporter filed completely in a period: (period, reporter_code, side).

    A month that was filed is complete; a year needs its annual set or all twelve months, on that side.
    """
    side = pl.when(pl.col("flow_code") == "X").then(pl.lit("exporter")).otherwise(pl.lit("importer"))
    filed = coverage.filter(pl.col("declaration_count") > 0).select(
        "frequency", "period", "reporter_code", side=side, year=pl.col("period").str.slice(0, 4).cast(pl.Int64)
    )
    months = filed.filter(pl.col("frequency") == "M")
    annual = filed.filter(pl.col("frequency") == "A").select("reporter_code", "year", "side")
    rolled = months.group_by("reporter_code", "year", "side").agg(_months=pl.col("period").n_unique())
    rolled = rolled.filter(pl.col("_months") == _MONTHS_IN_A_YEAR).select("reporter_code", "year", "side")
    complete = years.filter(pl.col("is_complete")).select("reporter_code", "year")
    whole = pl.concat([annual, rolled]).unique().join(complete, on=["reporter_code", "year"], how="semi")
    both = [months, whole.with_columns(period=pl.col("year").cast(pl.String))]
    return pl.concat(part.select("period", "reporter_code", "side") for part in both).unique()
