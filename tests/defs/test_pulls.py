"""Pulls on the orchestrator: what the daily look tells, which pulls are asked for, which partitions they make."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from pydantic import SecretStr

from orchestration.alerts import AlertDesk
from orchestration.defs.build import build_definitions
from orchestration.defs.declarations.assets import CONTRACTED, LANDED
from orchestration.defs.partitions import AVAILABLE, AVAILABLE_SET, RANGE_END_TAG, RANGE_START_TAG
from orchestration.defs.pulls.assets import AVAILABILITY, PULLED, pull_config
from orchestration.defs.pulls.triggers import pulls_for, refresh_for
from orchestration.defs.reconciliation.assets import FLOWS, PAIRS, PARAMETERS
from orchestration.defs.resources import API_POOL, Warehouse
from orchestration.pipeline.availability import read_availability
from orchestration.pipeline.dbt import ensure_manifest
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import input_fingerprint
from orchestration.pipeline.pull import landed_delivery_ids, open_client, pull
from orchestration.reference import Reference, load_reference
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, build_world, deliver
from orchestration.settings import Settings
from orchestration.stand_in import Fault, Faults, Holdings, KeyLimits, Served, StandIn, serve
from tests.defs.releases_at_hand import published
from tests.unit.pipeline.pulling import data_set

KEY = "key-of-the-tests"
TODAY, TOMORROW = datetime(2026, 11, 28, 9, tzinfo=UTC), datetime(2026, 11, 29, 9, tzinfo=UTC)
PERIODS = (("A", 2020), ("A", 2022), ("M", 202201), ("M", 202202))
GIVEN = {"A-2020", "A-2022", "M-202201", "M-202202"}


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture(scope="module")
def declared(reference: Reference) -> tuple[pl.DataFrame, ...]:
    """Rows in API columns: two years that do not follow each other, and two months."""
    world = build_world(WorldConfig.tiny(), {name: getattr(reference, name) for name in REFERENCE_FRAMES})
    return tuple(part.declared for frequency, period in PERIODS for part in deliver(world, frequency, period))


@dataclass
class Live:
    """A served stand-in, a warehouse that pulls from it, and the orchestrator's instance."""

    served: Served
    settings: Settings
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.settings)

    @property
    def stand_in(self) -> StandIn:
        return self.served.stand_in

    def run(
        self, job: str, tags: dict[str, str] | None = None, run_config: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Execute a job as the daemon would."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **(run_config or {})},
        )  # fmt: skip

    def run_request(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a pull that the sensor asked for."""
        return self.run("pull", dict(request.tags), request.run_config)

    def asked_for(self, today: datetime = TODAY) -> list[dg.RunRequest]:
        """What the sensor asks for."""
        said = pulls_for(self.instance, self.warehouse, today)
        assert isinstance(said, list), said.skip_message
        return said

    def skipped(self, today: datetime = TODAY) -> str:
        """Why the sensor asks for nothing."""
        said = pulls_for(self.instance, self.warehouse, today)
        assert isinstance(said, dg.SkipReason)
        return said.skip_message or ""

    def pull(self, today: datetime = TODAY) -> list[dg.ExecuteInProcessResult]:
        """Look, and run everything that the sensor asks for."""
        assert self.run("availability").success
        return [self.run_request(request) for request in self.asked_for(today)]

    def reconcile(self) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Run the refresh as far as the flows; partitions by asset that were done, and that were unchanged."""
        request = refresh_for(self.instance, self.warehouse)
        assert isinstance(request, dg.RunRequest), request.skip_message
        outcome = self.definitions.resolve_job_def("refresh").execute_in_process(
            instance=self.instance, tags=dict(request.tags),
            asset_selection=[LANDED, CONTRACTED, PAIRS, PARAMETERS, FLOWS],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
        done, unchanged = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for event in outcome.all_node_events:
            if event.is_step_materialization and event.partition is not None:
                told = event.step_materialization_data.materialization
                found = unchanged if told.metadata["partition_was_unchanged"].value else done
                found[told.asset_key.to_user_string()].add(event.partition)
        return dict(done), dict(unchanged)

    def made(self) -> set[str]:
        """Periods that are materialised."""
        return self.instance.get_materialized_partitions(PULLED)


@pytest.fixture
def live(declared: tuple[pl.DataFrame, ...], reference: Reference, tmp_path: Path) -> Iterator[Live]:
    with serving(declared, reference, tmp_path / "data") as made:
        yield made


@contextmanager
def serving(declared: Sequence[pl.DataFrame], reference: Reference, folder: Path) -> Iterator[Live]:
    stand_in = StandIn(Holdings.from_frames(declared), {KEY: KeyLimits(calls_a_day=None)}, reference=reference)
    with serve(stand_in) as served, dg.DagsterInstance.ephemeral() as instance:
        settings = Settings(
            source="api", api_key=KEY, api_address=served.address, data_dir=folder,
            api_calls_a_second=1000.0, api_attempts=2, api_longest_wait_seconds=0.1,
        )  # fmt: skip
        yield Live(served, settings, instance, build_definitions(settings, ensure_manifest(settings.dbt_dir)))


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) for request in requests]


def revise(live: Live, period: str) -> str:
    """Let the stand-in revise the first data set of a period; returns the data set's name."""
    key = next(one.key for one in live.stand_in.holdings.data_sets() if one.key.period == period)
    live.stand_in.holdings.scale(key, 1.5)
    return f"{key.type_code}-{key.freq_code}-{key.period}-{key.reporter_code:03d}-{key.classification_code}"


def test_pulls_stand_in_the_graph_only_when_the_source_is_pulled(live: Live, tmp_path: Path) -> None:
    graph = live.definitions.resolve_asset_graph()
    assert graph.get(PULLED).partitions_def == AVAILABLE
    assert graph.get(PULLED).backfill_policy == dg.BackfillPolicy.single_run()
    assert {*graph.get(PULLED).pools, *graph.get(AVAILABILITY).pools} == {API_POOL}
    repository = live.definitions.get_repository_def()
    assert {"availability", "pull", "refresh"} <= {job.name for job in repository.get_all_jobs()}
    assert {schedule.name for schedule in repository.schedule_defs} == {"monthly_refresh", "daily_availability"}
    assert {"availability", "pulled_versions"} <= {sensor.name for sensor in repository.sensor_defs}
    assert not {PULLED, AVAILABILITY} & set(live.definitions.resolve_job_def("refresh").asset_layer.selected_asset_keys)
    sample = Settings(data_dir=tmp_path)
    other = build_definitions(sample, ensure_manifest(sample.dbt_dir)).resolve_asset_graph()
    assert not {PULLED, AVAILABILITY} & set(other.materializable_asset_keys)
    assert graph.get(LANDED).parent_keys == {PULLED}
    assert other.get(LANDED).parent_keys == set()


def test_the_look_tells_what_is_new_and_registers_its_periods_when_it_is_taken(live: Live) -> None:
    outcome = live.run("availability")
    assert outcome.success
    said = outcome.asset_materializations_for_node("pulls__availability")[0].metadata
    count = len(live.stand_in.holdings.data_sets())
    assert (said["data_sets"].value, said["to_pull_new"].value, said["to_pull_revised"].value) == (count, count, 0)
    assert set(live.instance.get_dynamic_partitions(AVAILABLE_SET)) == GIVEN


def test_a_run_is_asked_for_each_frequency_when_nothing_has_landed(live: Live) -> None:
    live.run("availability")
    requests = live.asked_for()
    assert ranges(requests) == [("A-2020", "A-2022"), ("M-202201", "M-202202")]
    assert sum(int(request.tags["mirror/data_sets"]) for request in requests) == len(live.stand_in.holdings.data_sets())
    assert requests[0].tags["mirror/periods"] == "A-2020 to A-2022"


def test_every_period_is_made_and_nothing_more_asked_for_when_the_pulls_are_done(live: Live) -> None:
    assert all(outcome.success for outcome in live.pull())
    assert live.made() == GIVEN
    assert landed_delivery_ids(live.warehouse.paths) == {
        version.delivery_id for version in read_availability(live.warehouse.paths)
    }
    assert "have landed" in live.skipped()


def test_only_the_period_of_a_revised_data_set_is_asked_for_when_the_api_revises_it(live: Live) -> None:
    live.pull()
    name = revise(live, "2022")
    outcome = live.run("availability")
    said = outcome.asset_materializations_for_node("pulls__availability")[0].metadata
    assert (said["to_pull_new"].value, said["to_pull_revised"].value) == (0, 1)
    assert [record.data["data_set"] for record in said["revised"].records] == [name]
    requests = live.asked_for()
    assert ranges(requests) == [("A-2022", "A-2022")]
    assert requests[0].tags["mirror/periods"] == "A-2022"
    before = landed_delivery_ids(live.warehouse.paths)
    assert live.run("pull", dict(requests[0].tags)).success
    assert len(landed_delivery_ids(live.warehouse.paths) - before) == 1
    events = live.instance.fetch_materializations(PULLED, limit=100).records
    assert [record.partition_key for record in events[:-4]] == ["A-2022"]
    assert events[0].asset_materialization is not None
    told = events[0].asset_materialization.metadata
    names = ("landed_data_sets", "pull_landed_data_sets", "pull_still_to_land", "pull_status")
    assert [told[name].value for name in names] == [1, 1, 0, "complete"]


MONTHS = [f"{year}{month:02d}" for year in (2021, 2022) for month in range(1, 13)]


def pulled_by_command(settings: Settings) -> None:
    """What `make pull` does."""
    with open_client(settings, DataPaths(settings.data_folder), "a-pull") as (client, book):
        pull(settings, DataPaths(settings.data_folder), load_reference(settings.seeds_dir), client, book, "a-pull")


@pytest.fixture
def scattered(reference: Reference, tmp_path: Path) -> Iterator[Live]:
    """24 months and a year of one reporter, pulled; then every other month is revised."""
    with serving([data_set(156, period) for period in ("2021", *MONTHS)], reference, tmp_path / "data") as made:
        assert [outcome.success for outcome in made.pull()] == [True, True]
        for month in MONTHS[::2]:
            revise(made, month)
        yield made


def test_as_few_calls_are_made_as_by_the_command_line_when_scattered_periods_are_revised(
    scattered: Live, tmp_path: Path
) -> None:
    """Every unbroken range once was a run of its own, with a look at the list of its own: 38 calls here."""
    other = scattered.settings.model_copy(update={"data_dir": tmp_path / "command"})
    shutil.copytree(scattered.settings.data_folder, other.data_folder)
    before = len(scattered.stand_in.calls)
    pulled_by_command(other)
    by_command = [call.endpoint for call in scattered.stand_in.calls[before:]]
    assert [outcome.success for outcome in scattered.pull(TOMORROW)] == [True]
    by_sensor = [call.endpoint for call in scattered.stand_in.calls[before + len(by_command) :]]
    # A list per frequency, which the daily look takes as well; and one call for the twelve months.
    assert by_command == ["data/v1/getda"] * 2 + ["data/v1/get"]
    assert by_sensor == ["data/v1/getda"] * 4 + ["data/v1/get"]
    assert [row.stem for row in sorted(DataPaths(other.data_folder).ledger.iterdir())] == [
        row.stem for row in sorted(scattered.warehouse.paths.ledger.iterdir())
    ]


def test_only_the_revised_periods_are_made_anew_when_others_lie_between_them(scattered: Live) -> None:
    earlier = last_event(scattered)
    assert scattered.run("availability").success
    (request,) = scattered.asked_for(TOMORROW)
    assert request.tags["mirror/periods"] == "M-202101 to M-202211 (12 of 23)"
    assert RANGE_START_TAG not in request.tags
    assert scattered.run_request(request).success
    events = events_since(scattered, earlier)
    assert sorted(str(event.partition_key) for event in events) == [f"M-{month}" for month in MONTHS[::2]]
    told = [event.asset_materialization.metadata for event in events if event.asset_materialization]
    assert [one["landed_data_sets"].value for one in told] == [1] * 12
    assert scattered.made() == {"A-2021", *(f"M-{month}" for month in MONTHS)}


def test_no_period_is_shown_as_failed_for_lying_between_others_when_their_run_fails(scattered: Live) -> None:
    """Over a range, the periods in its gaps would stay marked as failed though they were never pulled."""
    assert scattered.run("availability").success
    (request,) = scattered.asked_for(TOMORROW)
    scattered.stand_in.set_faults(Faults.mixed(1, 1.0, ["server_error"]))
    assert not scattered.run_request(request).success
    shown = get_and_update_asset_status_cache_value(scattered.instance, PULLED, AVAILABLE)
    assert shown is not None
    assert not list(shown.deserialize_failed_partition_subsets(AVAILABLE).get_partition_keys())
    assert scattered.made() == {"A-2021", *(f"M-{month}" for month in MONTHS)}


@pytest.mark.parametrize(
    ("periods", "said"), [(["M-202102", "M-190001"], "M-190001 is no period"), ([], "the run names no period")]
)
def test_the_run_fails_and_says_how_to_start_it_when_it_is_not_known_what_to_pull(
    scattered: Live, periods: list[str], said: str
) -> None:
    outcome = scattered.run("pull", run_config=pull_config(periods))
    (failure,) = [event for event in outcome.all_node_events if event.is_step_failure]
    assert said in str(failure.step_failure_data.error)
    assert "start it with a range of partitions" in str(failure.step_failure_data.error)


def test_the_whole_range_is_made_when_a_run_is_started_on_a_range(scattered: Live) -> None:
    earlier = last_event(scattered)
    assert scattered.run("pull", {RANGE_START_TAG: "M-202101", RANGE_END_TAG: "M-202102"}).success
    assert sorted(str(event.partition_key) for event in events_since(scattered, earlier)) == ["M-202101", "M-202102"]


def events_since(live: Live, earlier: int) -> Sequence[dg.EventLogRecord]:
    """Materialisations after the one with this number."""
    newer = dg.AssetRecordsFilter(asset_key=PULLED, after_storage_id=earlier)
    return live.instance.fetch_materializations(newer, limit=100).records


def last_event(live: Live) -> int:
    """The number of the newest materialisation."""
    return live.instance.fetch_materializations(PULLED, limit=1).records[0].storage_id


def test_periods_left_by_a_spent_quota_are_not_made_and_asked_for_the_next_day_when_it_is_spent(live: Live) -> None:
    live.stand_in.set_faults(Faults.scripted({2: Fault("out_of_quota", seconds=3600)}))
    assert [outcome.success for outcome in live.pull()] == [True, True]
    assert live.made() == {"A-2020", "A-2022"}
    assert [entry.alert.kind for entry in AlertDesk(live.settings).entries()] == ["pull_stopped"]
    assert "quota of today (UTC) is spent" in live.skipped()
    # A day later the record of calls begins anew; so does that of another file.
    live.settings = live.settings.model_copy(update={"api_call_book": live.settings.data_folder / "next_day.sqlite"})
    (request,) = live.asked_for(TOMORROW)
    assert ranges([request]) == [("M-202201", "M-202202")]
    live.definitions = build_definitions(live.settings, ensure_manifest(live.settings.dbt_dir))
    assert live.run("pull", dict(request.tags)).success
    assert live.made() == GIVEN


def test_the_same_versions_are_asked_for_under_another_name_when_hours_have_passed(live: Live) -> None:
    live.run("availability")
    first, again, later = (live.asked_for(TODAY + timedelta(hours=hours)) for hours in (0, 1, 6))
    assert [request.run_key for request in first] == [request.run_key for request in again]
    assert not {request.run_key for request in first} & {request.run_key for request in later}


def test_the_run_fails_and_what_landed_stays_when_the_api_is_silent(live: Live) -> None:
    live.run("availability")
    years, months = live.asked_for()
    live.stand_in.set_faults(Faults.mixed(1, 1.0, ["server_error"]))
    outcome = live.run("pull", dict(months.tags))
    assert not outcome.success
    assert live.made() == set()
    live.stand_in.set_faults(Faults())
    assert live.run("pull", dict(years.tags)).success
    assert live.made() == {"A-2020", "A-2022"}


def test_one_alert_a_day_is_raised_when_pulls_end_for_the_same_reason(live: Live) -> None:
    live.stand_in.set_faults(Faults.mixed(1, 1.0, ["out_of_quota"], like=Fault("out_of_quota", seconds=3600)))
    live.pull()
    live.run("pull", {RANGE_START_TAG: "A-2020", RANGE_END_TAG: "A-2022"})
    (told,) = [entry.alert for entry in AlertDesk(live.settings).entries()]
    assert told.kind == "pull_stopped"
    assert told.facts["data_sets_left"] == str(len(live.stand_in.holdings.data_sets()))


def test_nothing_is_asked_for_when_a_backfill_of_the_page_is_at_work(live: Live) -> None:
    live.run("availability")
    run = live.instance.create_run_for_job(
        live.definitions.resolve_implicit_global_asset_job_def(), asset_selection=frozenset({PULLED})
    )
    assert "at work" in live.skipped()
    live.instance.report_run_canceled(run)
    assert live.asked_for()


def test_no_more_than_its_calls_is_asked_for_when_the_source_is_a_preview(live: Live) -> None:
    live.settings = live.settings.model_copy(update={"source": "preview", "preview_calls": 2, "api_key": None})
    live.definitions = build_definitions(live.settings, ensure_manifest(live.settings.dbt_dir))
    live.run("availability")
    requests = live.asked_for()
    assert ranges(requests) == [("A-2022", "A-2022")]
    assert requests[0].tags["mirror/data_sets"] == "2"


def test_the_refresh_waits_when_something_is_still_to_land(live: Live) -> None:
    live.pull()
    request = refresh_for(live.instance, live.warehouse)
    assert isinstance(request, dg.RunRequest)
    revise(live, "202201")
    live.run("availability")
    waits = refresh_for(live.instance, live.warehouse)
    assert isinstance(waits, dg.SkipReason)
    assert "1 data sets are still to land" in (waits.skip_message or "")


def test_the_schedule_waits_when_something_is_still_to_land(live: Live) -> None:
    """The monthly refresh once published half of a pull that took several days of quota."""
    live.pull()
    (monthly,) = (one for one in live.definitions.schedules or () if one.name == "monthly_refresh")
    assert isinstance(monthly, dg.ScheduleDefinition)

    # A schedule's context takes no instance that lives in memory.
    with dg.DagsterInstance.local_temp() as instance:

        def tick() -> dg.ScheduleExecutionData:
            context = dg.build_schedule_context(instance=instance, resources={"warehouse": live.warehouse})
            return monthly.evaluate_tick(context)

        assert len(tick().run_requests or ()) == 1
        revise(live, "202201")
        live.run("availability")
        assert not tick().run_requests
        assert "1 data sets are still to land" in (tick().skip_message or "")


def test_only_what_a_revision_concerns_is_done_again_when_one_data_set_is_revised(live: Live) -> None:
    live.pull()
    live.reconcile()
    revise(live, "2022")
    live.pull()
    done, unchanged = live.reconcile()
    assert done == {
        "declarations/contracted": {"A-2022"},
        "reconciliation/pairs": {"A-2022"},
        # The parameters of a frequency are fitted on all of its periods.
        "reconciliation/mirror_flows": {"A-2020", "A-2022"},
    }
    assert unchanged["declarations/contracted"] == GIVEN - {"A-2022"}
    assert unchanged["reconciliation/mirror_flows"] == {"M-202201", "M-202202"}


def test_no_refresh_is_asked_for_when_what_landed_is_published(live: Live) -> None:
    live.pull()
    published(live.warehouse, input_fingerprint(live.settings), "api")
    said = refresh_for(live.instance, live.warehouse)
    assert isinstance(said, dg.SkipReason)
    assert "nothing new" in (said.skip_message or "")


def test_the_step_ends_at_once_and_names_no_key_when_the_key_is_refused(live: Live) -> None:
    live.run("availability")
    tags = dict(live.asked_for()[0].tags)
    wrong = live.settings.model_copy(update={"api_key": SecretStr("another-key")})
    definitions = build_definitions(wrong, ensure_manifest(wrong.dbt_dir))
    outcome = Live(live.served, wrong, live.instance, definitions).run("pull", tags)
    assert not outcome.success
    failures = [event for event in outcome.all_node_events if event.is_step_failure]
    assert len(failures) == 1
    assert not [event for event in outcome.all_node_events if event.is_step_up_for_retry]
    text = "".join(str(entry) for entry in live.instance.all_logs(outcome.run_id))
    assert "MIRROR_API_KEY" in text
    assert "another-key" not in text


def test_the_sensor_says_why_when_it_cannot_ask_for_anything(live: Live) -> None:
    assert "not known yet" in live.skipped()
