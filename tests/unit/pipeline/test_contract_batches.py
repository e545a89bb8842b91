"""Periods contracted together give what each gives alone.

Belongs here: batches of periods. Does not belong here: the rules of the contract.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.ledger import LandedFile, LedgerEntry
from orchestration.pipeline import declarations
from orchestration.pipeline.declarations import CONTRACTED_TABLES, contract_periods, deliveries_of_run
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import make_plan
from orchestration.reference import load_reference
from orchestration.settings import Settings
from tests.conftest import SampleRun


def _entry(**rows: int) -> LedgerEntry:
    files = tuple(LandedFile(f"{k}.parquet", k.replace("_", "-"), n, 0.0, "") for k, n in rows.items())
    return LedgerEntry("d1", "a.csv", "api_csv", None, sum(rows.values()), 0.0, files)


@pytest.mark.parametrize(
    ("rows", "batches"),
    [
        ({"A_2017": 10, "A_2018": 10}, [("A-2017", "A-2018")]),
        ({"A_2017": 40_000, "A_2018": 20_000, "A_2019": 1}, [("A-2017", "A-2018"), ("A-2019",)]),
        ({"A_2017": 90_000, "A_2018": 1, "A_2019": 1}, [("A-2017",), ("A-2018", "A-2019")]),
        ({"A_0000": 1, "A_2018": 1, "A_2019": 1}, [("A-0000",), ("A-2018", "A-2019")]),
        ({}, []),
    ],
)
def test_small_periods_go_together_when_their_rows_fit(rows: dict[str, int], batches: list[tuple[str, ...]]) -> None:
    entry = _entry(**rows)
    keys = list(entry.period_keys)
    assert declarations._batches(keys, {key: [entry] for key in keys}) == batches


@pytest.fixture
def landed(sample_run: SampleRun, tmp_path: Path) -> tuple[Settings, DataPaths]:
    """A copy of what the tiny world landed, nothing contracted yet."""
    assert sample_run.exit_status == 0, sample_run.output
    folder = tmp_path / "data"
    for part in ("sample", "landed", "ledger"):
        shutil.copytree(sample_run.data_dir / part, folder / part)
    settings = Settings(source="sample", sample_world="tiny", data_dir=folder)
    return settings, DataPaths(settings.data_folder)


def test_every_table_is_the_same_when_periods_are_contracted_one_by_one_and_together(
    landed: tuple[Settings, DataPaths], sample_run: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, paths = landed
    keys = make_plan(settings).period_keys
    monkeypatch.setattr(declarations, "BATCH_ROWS", 0)
    entries = deliveries_of_run(settings, paths)
    contract_periods(paths, entries, keys, keys, load_reference(settings.seeds_dir), "code")
    together = DataPaths(sample_run.data_dir)
    for key in keys:
        for table in CONTRACTED_TABLES:
            alone = pl.read_parquet(paths.table("contracted", table, key))
            assert alone.equals(pl.read_parquet(together.table("contracted", table, key))), (table, key)
