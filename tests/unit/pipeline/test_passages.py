"""Which sides count as completely filed, and that unchanged flows are not worked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bench.innocent_worlds import as_seed, quiet_world, switched_off, write_world
from orchestration.comtrade.contract.schema import COVERAGE
from orchestration.pipeline import passages as stage
from orchestration.pipeline.passages import TABLES, _complete_sides, find_passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.reference import load_reference


def covered(period: str, flow: str, count: int = 5, reporter: str = "398") -> dict[str, Any]:
    frequency = "A" if len(period) == 4 else "M"
    return {"frequency": frequency, "period": period, "reporter_code": reporter, "flow_code": flow} | {
        "declaration_count": count
    }


def sides(rows: list[dict[str, Any]], complete_years: tuple[int, ...]) -> set[tuple[str, str, str]]:
    years = pl.DataFrame(
        [("398", year, True) for year in complete_years],
        schema={"reporter_code": pl.String, "year": pl.Int64, "is_complete": pl.Boolean},
        orient="row",
    )
    made = _complete_sides(pl.DataFrame(rows, schema=dict(COVERAGE)), years)
    return set(made.select("period", "reporter_code", "side").iter_rows())


def test_an_annual_set_is_complete_on_the_sides_it_files() -> None:
    rows = [covered("2022", "X"), covered("2022", "M", count=0)]
    assert sides(rows, (2022,)) == {("2022", "398", "exporter")}


def test_a_year_of_twelve_months_is_complete_only_on_the_side_that_has_them() -> None:
    rows = [covered(f"2022{month:02d}", "X") for month in range(1, 13)]
    rows += [covered(f"2022{month:02d}", "M") for month in range(1, 10)]
    found = {side for period, _, side in sides(rows, (2022,)) if period == "2022"}
    assert found == {"exporter"}


def test_a_year_that_is_not_complete_counts_for_nothing_though_its_months_do() -> None:
    found = sides([covered("202201", "M"), covered("2022", "M")], ())
    assert found == {("202201", "398", "importer")}


@pytest.fixture
def world(tmp_path: Path, seeds_dir: Path) -> DataPaths:
    reference = load_reference(seeds_dir)
    write_world(quiet_world(("842410", "845011")), tmp_path, reference)
    return DataPaths(tmp_path)


def test_unchanged_flows_are_not_worked_again(
    world: DataPaths, seeds_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = load_reference(seeds_dir)
    keys = list(with_rolled_up_years(p.stem for p in (world.reconciled / "mirror_flows").glob("*.parquet")))
    before = {name: (world.passages / f"{name}.parquet").read_bytes() for name in TABLES}
    counts = find_passages(world, keys, reference, "code")
    monkeypatch.setattr(stage.passages, "changes", None)
    assert find_passages(world, keys, reference, "code") == counts
    assert {name: (world.passages / f"{name}.parquet").read_bytes() for name in TABLES} == before


def test_a_switched_off_control_reads_as_false_in_the_seed(seeds_dir: Path) -> None:
    off = as_seed(switched_off(load_reference(seeds_dir), "hubs").false_positive_controls)
    assert dict(off.select("control_code", "is_on").iter_rows())["hubs"] == "false"
