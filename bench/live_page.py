"""The daemon on a source that is pulled: it looks, pulls, refreshes, and pulls again exactly what was revised.

The local stand-in serves the planted world `tiny`; webserver and daemon are those of `make dev`. Nothing is executed in
this process: jobs are launched, sensors and the schedule switched on over the page's own interface, and what came of it
is read from the orchestrator's storage.

Belongs here: steering the page and holding what the daemon did against what it should do. Does not belong here:
pictures (`ui`), and what a step does (tests/defs/test_pulls.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick

from bench.browser import free_port
from orchestration.comtrade.api.requests import Version
from orchestration.defs.partitions import AVAILABLE_SET, RANGE_END_TAG, RANGE_START_TAG
from orchestration.defs.pulls.assets import AVAILABILITY, PULLED
from orchestration.defs.pulls.triggers import DATA_SETS_TAG
from orchestration.defs.release.assets import PUBLISHED
from orchestration.defs.resources import API_POOL
from orchestration.defs.session import prepare_home
from orchestration.pipeline.availability import read_availability
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import PROJECT_DIR

KEY = "key-of-the-page"
SENSOR_SECONDS, POLL_SECONDS = 30, 3
LOAD_SECONDS, RUNS_SECONDS, CLOCK_SECONDS, STOP_SECONDS = 300, 1200, 400, 120
CRON = "*/2 * * * *"
SENSORS, SCHEDULE = ("availability", "pulled_versions"), "daily_availability"
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "mirror_warehouse"}
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_QUEUED = {dg.DagsterEventType.PIPELINE_ENQUEUED, dg.DagsterEventType.PIPELINE_STARTING}


class NotAsItShould(Exception):
    """What the daemon did is not what it should do; the text says what was found."""


def require(holds: bool, what: str) -> None:
    """Raise NotAsItShould unless it holds; asserts of a bench must not vanish with -O."""
    if not holds:
        raise NotAsItShould(what)


@contextmanager
def stand_in(log: Path) -> Iterator[str]:
    """The stand-in of the API with the planted world `tiny`, in a process of its own; gives its address."""
    port = free_port()
    given = {"MIRROR_STAND_IN_KEY": KEY, "MIRROR_SOURCE": "sample", "MIRROR_SAMPLE_WORLD": "tiny"}
    command = [sys.executable, "-m", "orchestration.stand_in", "--port", str(port)]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=PROJECT_DIR, env=_plain() | given, stdout=said, stderr=said)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def environment(data_dir: Path, address: str) -> dict[str, str]:
    """The environment of the page: nothing of the caller's settings, warnings shown."""
    return _plain() | {
        "MIRROR_SOURCE": "api",
        "MIRROR_API_ADDRESS": address,
        "MIRROR_API_KEY": KEY,
        "MIRROR_API_CALLS_A_SECOND": "1000",
        "MIRROR_DATA_DIR": str(data_dir),
        "MIRROR_SENSOR_SECONDS": str(SENSOR_SECONDS),
        "MIRROR_AVAILABILITY_CRON": CRON,
        "PYTHONWARNINGS": "default",
    }


def _plain() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIRROR_", "DBT_", "DAGSTER_"))}
    return kept | {"PYTHONPATH": str(PROJECT_DIR), "DAGSTER_DISABLE_TELEMETRY": "1"}


@contextmanager
def page_and_daemon(data_dir: Path, address: str, log: Path) -> Iterator[Page]:
    """What `make dev` starts, on a free port, until the block ends."""
    home, port = prepare_home(DataPaths(data_dir)), free_port()
    words = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", str(PROJECT_DIR / "workspace.yaml")]
    words += ["-h", "127.0.0.1", "-p", str(port)]
    given = environment(data_dir, address) | {"DAGSTER_HOME": str(home)}
    # A shell that starts this in the background ignores the interrupt, and so would the page, which ends by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb") as said:
        process = subprocess.Popen(words, cwd=PROJECT_DIR, env=given, stdout=said, stderr=said, start_new_session=True)
    try:
        yield Page(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise NotAsItShould(f"the page did not end within {STOP_SECONDS} s of being told to") from None


class Page:
    """The page's own interface (GraphQL)."""

    def __init__(self, host: str, process: subprocess.Popen[bytes]) -> None:
        self.host = host
        self._process = process

    def wait_until_loaded(self) -> None:
        """Return once the code location stands on the page; NotAsItShould when it cannot be loaded."""
        wait_until("the code location is loaded", self._is_loaded, LOAD_SECONDS)

    def launch(self, job: str) -> str:
        """Launch a job as its button does; the run's id."""
        given = {"selector": {**_REPOSITORY, "jobName": job}}
        query = """mutation($p: ExecutionParams!) {launchRun(executionParams: $p)
            {__typename ... on LaunchRunSuccess {run {id}}}}"""
        answer = self.ask(query, p=given)["launchRun"]
        require(answer["__typename"] == "LaunchRunSuccess", f"the job {job} was not launched: {answer}")
        return str(answer["run"]["id"])

    def switch_on_sensor(self, name: str) -> None:
        """Switch a sensor on."""
        query = "mutation($s: SensorSelector!) {startSensor(sensorSelector: $s) {__typename}}"
        answer = self.ask(query, s={**_REPOSITORY, "sensorName": name})["startSensor"]
        require(answer["__typename"] == "Sensor", f"the sensor {name} was not switched on: {answer}")

    def switch_on_schedule(self, name: str) -> str:
        """Switch a schedule on; what it is switched off with."""
        query = """mutation($s: ScheduleSelector!) {startSchedule(scheduleSelector: $s)
            {__typename ... on ScheduleStateResult {scheduleState {id}}}}"""
        answer = self.ask(query, s={**_REPOSITORY, "scheduleName": name})["startSchedule"]
        require(answer["__typename"] == "ScheduleStateResult", f"the schedule {name} was not switched on: {answer}")
        return str(answer["scheduleState"]["id"])

    def switch_off_schedule(self, state_id: str) -> None:
        """Switch a schedule off."""
        query = "mutation($i: String) {stopRunningSchedule(id: $i) {__typename}}"
        answer = self.ask(query, i=state_id)["stopRunningSchedule"]
        require(answer["__typename"] == "ScheduleStateResult", f"the schedule was not switched off: {answer}")

    def daemons(self) -> list[dict[str, Any]]:
        """Every daemon that is needed: its kind, whether it is well, errors of its heartbeat."""
        query = """{instance {daemonHealth {allDaemonStatuses {daemonType required healthy
            lastHeartbeatErrors {message}}}}}"""
        found = self.ask(query)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return [one for one in found if one["required"]]

    def pools(self) -> dict[str, int | None]:
        """Pools that the page knows, with their limits."""
        found = self.ask("{instance {concurrencyLimits {concurrencyKey limit slotCount}}}")["instance"]
        return {one["concurrencyKey"]: one["limit"] or one["slotCount"] for one in found["concurrencyLimits"]}

    def ask(self, query: str, **given: object) -> dict[str, Any]:
        """What the page answers. Raises NotAsItShould when it answers with an error."""
        answer = _post(f"{self.host}/graphql", {"query": query, "variables": given})
        require("errors" not in answer, f"the page answers with an error: {answer}")
        return dict(answer["data"])

    def _is_loaded(self) -> bool:
        require(self._process.poll() is None, "the page ended; its log stands beside the pictures")
        try:
            found = self.ask("{repositoriesOrError {__typename ... on RepositoryConnection {nodes {name}}}}")
        except OSError:
            return False
        return bool(found["repositoriesOrError"].get("nodes"))


def _post(address: str, body: object) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise NotAsItShould(f"{address} answers {error.code}: {error.read()[:500]!r}") from error


def wait_until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Return once it holds. Raises NotAsItShould when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        require(time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Round:
    """One turn of look, pulls and refresh: its runs in the order of their start."""

    runs: tuple[dg.DagsterRun, ...]
    instance: dg.DagsterInstance

    def of(self, job: str) -> list[dg.DagsterRun]:
        """Runs of a job."""
        return [run for run in self.runs if run.job_name == job]

    def made(self, *jobs: str) -> dict[str, list[dg.AssetMaterialization]]:
        """What these jobs materialised, by asset."""
        found: dict[str, list[dg.AssetMaterialization]] = {}
        for run in (run for job in jobs for run in self.of(job)):
            for record in self.instance.get_records_for_run(
                run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
            ).records:
                told = record.event_log_entry.asset_materialization
                if told is not None:
                    found.setdefault(told.asset_key.to_user_string(), []).append(told)
        return found


class Daemon:
    """What the daemon did, read from the orchestrator's storage."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._known: set[str] = set()

    def runs(self) -> list[dg.DagsterRun]:
        """Every run, in the order of creation."""
        records = self.instance.get_run_records(order_by="id", ascending=True)
        return [record.dagster_run for record in records]

    def ticks(self) -> list[tuple[str, InstigatorTick]]:
        """Every tick of every sensor and schedule that ever ticked, with its name."""
        states = self.instance.all_instigator_state()
        found = [(s.instigator_name, self.instance.get_ticks(s.instigator_origin_id, s.selector_id)) for s in states]
        return [(name, tick) for name, ticks in found for tick in ticks]

    def next_round(self) -> Round:
        """Wait until a refresh of this round has ended and nothing else is left to do, and give the round."""

        def is_over() -> bool:
            new = [run for run in self.runs() if run.run_id not in self._known]
            failed = [run for run in new if run.status in _ENDED[1:]]
            require(not failed, f"runs failed: {[(run.job_name, run.run_id, run.status) for run in failed]}")
            return any(run.job_name == "refresh" for run in new) and all(run.status in _ENDED for run in new)

        wait_until("a refresh follows the pulls", is_over, RUNS_SECONDS)
        new = tuple(run for run in self.runs() if run.run_id not in self._known)
        self._known |= {run.run_id for run in new}
        return Round(new, self.instance)

    def stays_quiet(self, seconds: float) -> None:
        """Raise NotAsItShould when a run comes that no round has."""
        time.sleep(seconds)
        new = [run.job_name for run in self.runs() if run.run_id not in self._known]
        require(not new, f"nothing had changed, and yet runs came: {new}")


def prove(page: Page, instance: dg.DagsterInstance, data_dir: Path, address: str) -> list[str]:
    """Two rounds, the first by hand, the second by the clock after one revision; what was found, one line each.

    Raises NotAsItShould at the first thing that is not as it should be.
    """
    daemon, paths = Daemon(instance), DataPaths(data_dir)
    for name in SENSORS:
        page.switch_on_sensor(name)
    page.launch("availability")
    said = _first_round(daemon.next_round(), read_availability(paths))

    revised = _alone_in_its_cell(read_availability(paths))
    _revise(address, revised)
    state_id = page.switch_on_schedule(SCHEDULE)
    wait_until(
        "the schedule looks", lambda: any(r.tags.get("dagster/schedule_name") for r in daemon.runs()), CLOCK_SECONDS
    )
    page.switch_off_schedule(state_id)
    said += _second_round(daemon.next_round(), revised)

    daemon.stays_quiet(2.5 * SENSOR_SECONDS)
    said.append(f"no run in {2.5 * SENSOR_SECONDS:.0f} s afterwards (sensors look every {SENSOR_SECONDS} s)")
    return said + _orderly(page, daemon)


def _first_round(done: Round, available: list[Version]) -> list[str]:
    """Everything the API holds was pulled by the sensor's runs, each period once, and one refresh followed."""
    pulls, registered = done.of("pull"), sorted(done.instance.get_dynamic_partitions(AVAILABLE_SET))
    ranges = sorted((run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG]) for run in pulls)
    keys = [key for start, end in ranges for key in registered if start <= key <= end]
    require(keys == registered, f"the pulls cover {ranges}, the API holds {registered}")
    require(registered == sorted({v.data_set.period_key for v in available}), "registered periods are not the list's")
    asked = sum(int(run.tags[DATA_SETS_TAG]) for run in pulls)
    require(asked == len(available), f"{asked} data sets were asked for, the API holds {len(available)}")
    made = [str(one.partition) for one in done.made("pull")[str_of(PULLED)]]
    require(sorted(made) == registered, f"made {sorted(made)} instead of every period once")
    require({r.tags.get("dagster/sensor_name") for r in pulls} == {"availability"}, "a pull came from somewhere else")
    _one_of_each(done, {"availability": 1, "pull": len(pulls), "refresh": 1})
    return [
        f"first round: {len(done.runs)} runs ({_counted(done)}); pulls of {', '.join('..'.join(r) for r in ranges)}",
        f"  {asked:,} data sets, {len(registered)} of {len(registered)} periods of {str_of(PULLED)} made once",
        f"  published {_published(done)}",
    ]


def _second_round(done: Round, revised: Version) -> list[str]:
    """One pull of one period with one data set, and the refresh after it; by contract only that period changed."""
    key = revised.data_set.period_key
    _one_of_each(done, {"availability": 1, "pull": 1, "refresh": 1})
    (look,), (pull,) = done.of("availability"), done.of("pull")
    require(look.tags.get("dagster/schedule_name") == SCHEDULE, "the look did not come from the schedule")
    require(pull.tags.get("dagster/sensor_name") == "availability", "the pull did not come from the sensor")
    found = (pull.tags[RANGE_START_TAG], pull.tags[RANGE_END_TAG], pull.tags[DATA_SETS_TAG])
    require(found == (key, key, "1"), f"the pull asked for {found} instead of one data set of {key}")
    (told,) = done.made("availability")[str_of(AVAILABILITY)]
    figures = tuple(told.metadata[name].value for name in ("to_pull_new", "to_pull_revised"))
    require(figures == (0, 1), f"the look told of {figures} new and revised data sets instead of (0, 1)")
    pulled = [(one.partition, one.metadata["landed_data_sets"].value) for one in done.made("pull")[str_of(PULLED)]]
    require(pulled == [(key, 1)], f"the pull made {pulled} instead of {key} with one data set")
    lines = [
        f"second round, {revised.data_set.name} revised: {len(done.runs)} runs ({_counted(done)}), looked by the clock",
        f"  {str_of(PULLED)}: the partition {key} with 1 data set, no other",
    ]
    for asset, events in sorted(done.made("refresh").items()):
        by_partition = [one for one in events if one.partition is not None]
        if by_partition and all("partition_was_unchanged" in one.metadata for one in by_partition):
            changed = sorted(str(o.partition) for o in by_partition if not o.metadata["partition_was_unchanged"].value)
            if asset in ("declarations/contracted", "reconciliation/pairs"):
                require(changed == [key], f"{asset} was computed for {changed} instead of {key}")
            # Flows take their parameters from every period of their frequency, and from no other.
            require({one[0] for one in changed} == {key[0]}, f"{asset} was computed for {changed}")
            lines.append(f"  {asset}: {len(changed)} of {len(by_partition)} partitions computed ({_few(changed)})")
    return [*lines, f"  published {_published(done)}"]


def str_of(key: dg.AssetKey) -> str:
    """An asset's name as the page writes it."""
    return key.to_user_string()


def _orderly(page: Page, daemon: Daemon) -> list[str]:
    """Every run passed the queue, none beside another; no tick failed, every daemon is well, the pool is known."""
    spans = []
    for record in daemon.instance.get_run_records():
        run_id = record.dagster_run.run_id
        events = daemon.instance.get_records_for_run(run_id, of_type=_QUEUED).records
        found = {one.event_log_entry.dagster_event_type for one in events}
        require(found == _QUEUED, f"the run {run_id} of {record.dagster_run.job_name} did not pass the queue: {found}")
        spans.append((record.start_time or 0.0, record.end_time or 0.0))
    spans.sort()
    beside = [(a, b) for a, b in pairwise(spans) if b[0] < a[1]]
    require(not beside, f"runs stood beside each other: {beside}")
    ticks = daemon.ticks()
    failed = [(name, tick.error) for name, tick in ticks if tick.is_failure or tick.error]
    require(not failed, f"ticks failed: {failed}")
    ill = [one for one in page.daemons() if one["lastHeartbeatErrors"] or not one["healthy"]]
    require(not ill, f"daemons are not well: {ill}")
    pools = page.pools()
    require(pools.get(API_POOL) == 1, f"the pool {API_POOL} has not the limit 1: {pools}")
    count = Counter(name for name, _ in ticks)
    asked = Counter(name for name, tick in ticks for _ in tick.run_ids)
    wanted = {"availability": 3, "daily_availability": 1, "pulled_versions": 2}
    require(dict(asked) == wanted, f"runs asked for by sensors and schedules are {dict(asked)} instead of {wanted}")
    return [
        f"{len(spans)} runs passed the queue, none beside another; pools with limits {pools}",
        f"daemons, all well: {', '.join(sorted(one['daemonType'] for one in page.daemons()))}",
        "ticks (runs asked for), none failed: " + ", ".join(f"{n} {count[n]} ({asked[n]})" for n in sorted(count)),
    ]


def _one_of_each(done: Round, wanted: dict[str, int]) -> None:
    found = dict(Counter(run.job_name for run in done.runs))
    require(found == wanted, f"the runs are {found} instead of {wanted}")


def _counted(done: Round) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(Counter(r.job_name for r in done.runs).items()))


def _published(done: Round) -> str:
    (told,) = done.made("refresh")[str_of(PUBLISHED)]
    return str(told.metadata["release_id"].value)


def _few(keys: list[str]) -> str:
    return ", ".join(keys) if len(keys) <= 3 else f"{keys[0]} ... {keys[-1]}"


def _alone_in_its_cell(available: list[Version]) -> Version:
    """The newest annual data set whose reporter has one edition only in that year: a revision is of one data set."""
    cells = Counter((v.data_set.reporter_code, v.data_set.period) for v in available)
    alone = [v for v in available if cells[v.data_set.reporter_code, v.data_set.period] == 1]
    return max((v for v in alone if v.data_set.frequency == "A"), key=lambda v: v.data_set)


def _revise(address: str, version: Version) -> None:
    """Let the stand-in publish the data set anew with values ten per cent higher."""
    body = {"reporterCode": int(version.data_set.reporter_code), "period": version.data_set.period, "factor": 1.1}
    answer = _post(f"{address}/stand-in/revise", body)
    require(len(answer) == 1, f"the stand-in revised {len(answer)} data sets instead of one")
