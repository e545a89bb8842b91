"""When a run starts by itself: by the clock, when files arrive, and never on input that is already published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from orchestration.defs.partitions import PERIOD_SET, RANGE_END_TAG, RANGE_START_TAG, range_tags, sync_periods
from orchestration.defs.resources import Warehouse
from orchestration.defs.schedules import make_schedule, request_for
from orchestration.defs.sensors import make_sensors
from orchestration.sample import API_SCHEMA
from orchestration.settings import Settings


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def declarations(tmp_path: Path) -> Path:
    """A folder with one download: Kazakhstan's exports to Russia of one product in two years."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    rows = [
        {"typeCode": "C", "freqCode": "A", "period": year, "reporterCode": 398, "flowCode": "X", "partnerCode": 643,
         "partner2Code": 0, "classificationCode": "H5", "cmdCode": "854231", "customsCode": "C00", "mosCode": "0",
         "motCode": 0, "primaryValue": 100.0}
        for year in ("2019", "2020")
    ]  # fmt: skip
    pl.DataFrame([dict.fromkeys(API_SCHEMA) | row for row in rows], schema=API_SCHEMA).write_parquet(
        folder / "a.parquet"
    )
    return folder


@pytest.fixture
def warehouse(declarations: Path, tmp_path: Path) -> Warehouse:
    return Warehouse(Settings(source="files", declarations=declarations, data_dir=tmp_path / "data"))


def published(warehouse: Warehouse, fingerprint: str) -> None:
    """Make the data folder look as if a release had been published from this input."""
    release = warehouse.paths.releases / "r-1"
    release.mkdir(parents=True)
    said = {"source": "files", "run_id": "run-1", "input_fingerprint": fingerprint, "method_version": "1",
            "row_counts": {}}  # fmt: skip
    (release / "datapackage.json").write_text(json.dumps(said), encoding="utf-8")
    (release / "audit.json").write_text(json.dumps({"checks": []}), encoding="utf-8")
    (warehouse.paths.releases / "latest").symlink_to("r-1")


def test_a_run_over_every_period_is_asked_for_when_files_are_new(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    request = request_for(instance, warehouse)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[RANGE_START_TAG] == "A-2019"
    assert request.tags[RANGE_END_TAG] == "A-2020"
    assert request.run_key == warehouse.plan.run_id
    assert list(instance.get_dynamic_partitions(PERIOD_SET)) == ["A-2019", "A-2020"]


def test_no_run_is_asked_for_when_the_input_is_published(instance: dg.DagsterInstance, warehouse: Warehouse) -> None:
    published(warehouse, warehouse.plan.input_fingerprint)
    skipped = request_for(instance, warehouse)
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing new" in (skipped.skip_message or "")


def test_a_run_is_asked_for_when_one_file_changes(
    instance: dg.DagsterInstance, warehouse: Warehouse, declarations: Path
) -> None:
    published(warehouse, warehouse.plan.input_fingerprint)
    frame = pl.read_parquet(declarations / "a.parquet").with_columns(primaryValue=pl.lit(101.0))
    frame.write_parquet(declarations / "b.parquet")
    assert isinstance(request_for(instance, Warehouse(warehouse.settings)), dg.RunRequest)


def test_the_tick_is_skipped_with_a_reason_when_the_folder_is_gone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    lost = Warehouse(Settings(source="files", declarations=tmp_path / "gone", data_dir=tmp_path / "data"))
    skipped = request_for(instance, lost)
    assert isinstance(skipped, dg.SkipReason)
    assert "does not exist" in (skipped.skip_message or "")


def test_the_schedule_takes_hour_and_zone_of_the_settings_when_it_is_made() -> None:
    schedule = make_schedule(Settings(schedule_cron="5 4 * * 1", schedule_timezone="Asia/Bishkek"))
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("5 4 * * 1", "Asia/Bishkek")


def test_the_file_sensor_waits_when_the_source_is_the_planted_world(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    sensor = next(s for s in make_sensors(Settings()) if s.name == "new_files")
    with dg.build_sensor_context(
        instance=instance, resources={"warehouse": Warehouse(Settings(data_dir=tmp_path))}
    ) as context:
        answer = sensor(context)
    assert isinstance(answer, dg.SkipReason)


def test_periods_follow_the_source_when_one_is_new_in_the_middle(instance: dg.DagsterInstance) -> None:
    sync_periods(instance, ["A-2019", "A-2021"])
    sync_periods(instance, ["A-2021", "A-2020", "A-2019"])
    assert list(instance.get_dynamic_partitions(PERIOD_SET)) == ["A-2019", "A-2020", "A-2021"]
    sync_periods(instance, ["A-2021"])
    assert list(instance.get_dynamic_partitions(PERIOD_SET)) == ["A-2021"]
    assert range_tags(["M-202102", "A-2019"]) == {RANGE_START_TAG: "A-2019", RANGE_END_TAG: "M-202102"}
