"""When a run starts by itself: by the clock, when files arrive, and never on input that is already published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from orchestration.defs.partitions import PERIOD_SET, RANGE_END_TAG, RANGE_START_TAG, range_tags, sync_periods
from orchestration.defs.release.assets import PUBLISHED
from orchestration.defs.resources import Warehouse
from orchestration.defs.schedules import make_schedule, request_for
from orchestration.defs.sensors import make_sensors
from orchestration.pipeline.plan import input_fingerprint
from orchestration.sample import API_SCHEMA
from orchestration.settings import Settings
from tests.defs.releases_at_hand import published
from tests.unit.alerts.small_releases import a_release


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


def test_a_run_over_every_period_is_asked_for_when_files_are_new(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    request = request_for(instance, warehouse)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[RANGE_START_TAG] == "A-2019"
    assert request.tags[RANGE_END_TAG] == "A-2020"
    assert request.run_key == f"{warehouse.plan.run_id} after 0 nothing"
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


def test_a_run_is_asked_for_anew_when_an_input_comes_back_after_others_were_published(
    instance: dg.DagsterInstance, warehouse: Warehouse, declarations: Path
) -> None:
    """The key of a run once was that of its input for ever: of inputs A, B, A the third started no run."""
    extra, keys = declarations / "b.parquet", list[str]()
    for turn in range(5):
        if turn % 2:
            pl.read_parquet(declarations / "a.parquet").with_columns(primaryValue=pl.lit(101.0)).write_parquet(extra)
        else:
            extra.unlink(missing_ok=True)
        request = request_for(instance, Warehouse(warehouse.settings))
        assert isinstance(request, dg.RunRequest)
        again = request_for(instance, Warehouse(warehouse.settings))
        assert isinstance(again, dg.RunRequest)
        # As long as nothing is published the orchestrator knows it for the same, also after a run that was refused.
        assert again.run_key == request.run_key
        keys.append(str(request.run_key))
        shutil.rmtree(warehouse.paths.releases, ignore_errors=True)
        published(warehouse, input_fingerprint(warehouse.settings))
        instance.report_runless_asset_event(dg.AssetMaterialization(PUBLISHED))
        assert isinstance(request_for(instance, Warehouse(warehouse.settings)), dg.SkipReason)
    assert len(set(keys)) == 5


def test_a_run_is_asked_for_anew_when_the_command_line_published_another_input_meanwhile(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    before = request_for(instance, warehouse)
    published(warehouse, "another input")
    after = request_for(instance, warehouse)
    assert isinstance(before, dg.RunRequest)
    assert isinstance(after, dg.RunRequest)
    assert before.run_key != after.run_key


def test_the_tick_is_skipped_with_a_reason_when_the_folder_is_gone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    lost = Warehouse(Settings(source="files", declarations=tmp_path / "gone", data_dir=tmp_path / "data"))
    skipped = request_for(instance, lost)
    assert isinstance(skipped, dg.SkipReason)
    assert "does not exist" in (skipped.skip_message or "")


def test_the_tick_is_skipped_with_a_reason_when_the_release_dates_cannot_be_used(
    instance: dg.DagsterInstance, warehouse: Warehouse, declarations: Path
) -> None:
    (declarations / "vintages.csv").write_text("file,released_on\ngone.csv,2020-01-01\n", encoding="utf-8")
    skipped = request_for(instance, warehouse)
    assert isinstance(skipped, dg.SkipReason)
    assert "gone.csv, which is not in the folder" in (skipped.skip_message or "")


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


@dataclass
class Looks:
    """The file sensor, look after look, as the daemon keeps its cursor."""

    instance: dg.DagsterInstance
    warehouse: Warehouse
    cursor: str | None = None

    def again(self) -> str:
        """Why no run is asked for; empty when one is."""
        sensor = next(s for s in make_sensors(self.warehouse.settings) if s.name == "new_files")
        resources = {"warehouse": Warehouse(self.warehouse.settings)}
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources,
            definitions=dg.Definitions(resources=resources),
        )  # fmt: skip
        with context:
            told = sensor.evaluate_tick(context)
        self.cursor = told.cursor
        assert len(told.run_requests or ()) == (0 if told.skip_message else 1)
        return told.skip_message or ""


def test_a_run_is_asked_for_once_two_looks_found_the_same_files_when_one_is_being_copied(
    instance: dg.DagsterInstance, warehouse: Warehouse, declarations: Path
) -> None:
    """The sensor once started on the first half of a file that was still being copied."""
    looks, whole = Looks(instance, warehouse), (declarations / "a.parquet").read_bytes()
    assert "new or still changing" in looks.again()
    (declarations / "b.parquet").write_bytes(whole[:100])
    assert "new or still changing" in looks.again()
    (declarations / "b.parquet").write_bytes(whole)
    assert "new or still changing" in looks.again()
    assert looks.again() == ""
    # Where room was made for a whole file before it was filled, only its time tells.
    os.utime(declarations / "b.parquet", ns=(0, 0))
    assert "new or still changing" in looks.again()
    (declarations / "b.parquet").rename(declarations / "c.parquet")
    assert "new or still changing" in looks.again()
    (declarations / "vintages.csv").write_text("file,released_on\nc.parquet,2020-01-01\n", encoding="utf-8")
    assert "new or still changing" in looks.again()
    assert looks.again() == ""
    published(warehouse, input_fingerprint(warehouse.settings))
    assert "nothing new" in looks.again()


def test_files_are_looked_at_twice_again_when_the_folder_was_gone_between_two_looks(
    instance: dg.DagsterInstance, warehouse: Warehouse, declarations: Path
) -> None:
    looks = Looks(instance, warehouse)
    looks.again()
    away = declarations.rename(declarations.with_name("away"))
    assert "does not exist" in looks.again()
    away.rename(declarations)
    assert "new or still changing" in looks.again()
    assert looks.again() == ""


@pytest.fixture
def telling(tmp_path: Path) -> Warehouse:
    """A warehouse of the planted world with two small releases, the second with a new lead."""
    made = Warehouse(Settings(data_dir=tmp_path / "data"))
    a_release(made.paths.releases, "r-1")
    a_release(made.paths.releases, "r-2", {"x": ("A", 1.0)})
    return made


def tick(name: str, instance: dg.DagsterInstance, warehouse: Warehouse, cursor: str | None = None) -> str:
    """What a sensor says at one look; it must start no run."""
    sensor = next(s for s in make_sensors(warehouse.settings) if s.name == name)
    resources = {"warehouse": warehouse}
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources=resources, definitions=dg.Definitions(resources=resources)
    )
    with context:
        told = sensor.evaluate_tick(context)
    assert not told.run_requests
    return told.skip_message or ""


def test_a_release_is_told_once_when_some_run_published_it(instance: dg.DagsterInstance, telling: Warehouse) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(PUBLISHED, metadata={"release_id": "r-2"}))
    assert tick("leads_changed", instance, telling) == "release r-2: 1 alerts raised"
    assert [entry.alert.kind for entry in telling.alerts.entries()] == ["lead_new"]
    assert tick("leads_changed", instance, telling) == "release r-2: 0 alerts raised"


def test_nothing_is_compared_when_a_publication_names_no_release(
    instance: dg.DagsterInstance, telling: Warehouse
) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(PUBLISHED))
    assert "names no release" in tick("leads_changed", instance, telling)


def test_what_is_due_is_sent_when_the_delivery_looks(instance: dg.DagsterInstance, telling: Warehouse) -> None:
    telling.alerts.tell_release("r-2")
    assert tick("alerts_delivery", instance, telling) == "1 messages sent, 0 failed, 0 given up"
    assert tick("alerts_delivery", instance, telling) == "0 messages sent, 0 failed, 0 given up"


def test_a_failed_run_is_alerted_once_when_it_is_seen_twice(instance: dg.DagsterInstance, telling: Warehouse) -> None:
    @dg.op
    def breaks() -> None:
        raise RuntimeError("disk full")

    @dg.job(tags={"mirror/run_id": "run-7"})
    def broken() -> None:
        breaks()

    outcome = broken.execute_in_process(instance=instance, raise_on_error=False)
    sensor = next(s for s in make_sensors(telling.settings) if s.name == "failed_runs")
    for _ in range(2):
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=outcome.dagster_run,
            dagster_event=outcome.get_run_failure_event(),
            resources={"warehouse": telling},
        ).for_run_failure()
        sensor(context)
    alerts = [entry.alert for entry in telling.alerts.entries()]
    assert [(alert.kind, alert.release_id, alert.facts["job"]) for alert in alerts] == [
        ("run_failed", "run-7", "broken")
    ]
    assert outcome.run_id == alerts[0].facts["execution"]


def test_periods_follow_the_source_when_one_is_new_in_the_middle(instance: dg.DagsterInstance) -> None:
    sync_periods(instance, ["A-2019", "A-2021"])
    sync_periods(instance, ["A-2021", "A-2020", "A-2019"])
    assert list(instance.get_dynamic_partitions(PERIOD_SET)) == ["A-2019", "A-2020", "A-2021"]
    sync_periods(instance, ["A-2021"])
    assert list(instance.get_dynamic_partitions(PERIOD_SET)) == ["A-2021"]
    assert range_tags(["M-202102", "A-2019"]) == {RANGE_START_TAG: "A-2019", RANGE_END_TAG: "M-202102"}
