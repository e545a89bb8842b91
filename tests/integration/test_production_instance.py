"""The production instance on a PostgreSQL server of its own: storage, migration, services, and where secrets stay.

No container engine is needed: the command lines and health checks of deploy/compose.yaml are started as processes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import yaml

from orchestration.defs.partitions import PERIOD_SET, PERIODS, range_tags, sync_periods
from tests.integration import postgres_server
from tests.integration.postgres_server import free_port

pytestmark = pytest.mark.xdist_group("production")
PASSWORD = "kept-in-the-environment-7f3a"
HEALTHY_SECONDS = 60.0


@dataclass(frozen=True)
class Production:
    """A home with the production configuration, the environment that goes with it, and the server's folder."""

    home: Path
    environment: dict[str, str]
    server_folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command line of the orchestrator, in a process of its own."""
        return subprocess.run(
            _program(words), env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )


def _program(words: tuple[str, ...] | list[str]) -> list[str]:
    """The same words with the program of this environment."""
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str], project_dir: Path
) -> Iterator[Production]:
    """deploy/dagster.yaml as it stands, on an empty database."""
    bin_dir = postgres_server.programs()
    if bin_dir is None:
        pytest.skip("no PostgreSQL server is installed here (initdb is neither on PATH nor in /usr/lib/postgresql)")
    home = tmp_path_factory.mktemp("production")
    shutil.copyfile(project_dir / "deploy" / "dagster.yaml", home / "dagster.yaml")
    with postgres_server.running(bin_dir, PASSWORD) as server:
        own = {"DAGSTER_HOME": str(home), "DAGSTER_LOGS_DIR": str(home / "logs"), **server.environment()}
        code = {"DAGSTER_CODE_HOST": "127.0.0.1", "DAGSTER_CODE_PORT": str(free_port())}
        data = {"MIRROR_DATA_DIR": str(home / "data"), "MIRROR_SAMPLE_WORLD": "tiny", "PYTHONPATH": str(project_dir)}
        yield Production(home, {**clean_environment, **own, **code, **data}, server.folder)


@pytest.fixture
def instance(production: Production, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance as the services see it."""
    for name, value in production.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as made:
        yield made


@dg.asset(partitions_def=PERIODS, backfill_policy=dg.BackfillPolicy.single_run(), pool="comtrade_api")
def pulled() -> None:
    """Stands for a step that waits for the pool of the API."""


def test_run_events_periods_and_pool_limits_are_read_back_when_storage_is_postgres(
    instance: dg.DagsterInstance, production: Production
) -> None:
    assert type(instance.run_storage).__name__ == "PostgresRunStorage"
    assert instance.telemetry_enabled is False
    sync_periods(instance, ["A-2023", "M-202401", "A-2022"])
    job = dg.Definitions(assets=[pulled], executor=dg.in_process_executor).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, tags=range_tags(["A-2022", "M-202401"]))
    with dg.DagsterInstance.get() as other:
        assert other.get_run_by_id(done.run_id).status == dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        assert list(other.get_dynamic_partitions(PERIOD_SET)) == ["A-2022", "A-2023", "M-202401"]
        assert set(other.get_materialized_partitions(pulled.key)) == {"A-2022", "A-2023", "M-202401"}
        limits = {pool.name: pool.limit for pool in other.event_log_storage.get_pool_limits()}
        assert limits["comtrade_api"] == 1
        other.event_log_storage.set_concurrency_slots("reconcile_cpu", 2)
    told = production.run("dagster", "instance", "concurrency", "get", "reconcile_cpu")
    assert "2" in told.stdout, told.stdout + told.stderr


def test_a_second_run_and_resuming_are_refused_by_configuration_when_the_instance_is_read(
    instance: dg.DagsterInstance,
) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 1
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_retries_max_retries == 2
    assert instance.run_retries_retry_on_asset_or_op_failure is False


def test_the_schema_is_brought_to_the_newest_when_it_is_migrated(
    instance: dg.DagsterInstance, production: Production
) -> None:
    # Set back to the revision before the newest, whose step changes nothing on PostgreSQL and may be taken again.
    current, newest = instance.event_log_storage.alembic_version()  # type: ignore[attr-defined]
    assert current == newest == "29b539ebc72a", "the pin of dagster moved: name its newest revision and the one before"
    with psycopg2.connect(
        host="127.0.0.1", port=production.environment["DAGSTER_POSTGRES_PORT"], password=PASSWORD,
        user=postgres_server.USER, dbname=postgres_server.DATABASE,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("update alembic_version set version_num = 'f495c27d5019'")
    connection.close()
    assert instance.event_log_storage.alembic_version()[0] != newest  # type: ignore[attr-defined]
    migrated = production.run("dagster", "instance", "migrate")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    assert instance.event_log_storage.alembic_version() == (newest, newest)  # type: ignore[attr-defined]


def _services(project_dir: Path) -> dict[str, dict[str, Any]]:
    text = (project_dir / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["services"])


def _here(words: list[str], production: Production, project_dir: Path, web_port: int) -> list[str]:
    """Words of a service with the ports and paths of this machine in place of the container's."""
    changes = {
        "0.0.0.0": "127.0.0.1",
        "4000": production.environment["DAGSTER_CODE_PORT"],
        "3000": str(web_port),
        "/opt/mirror/deploy/workspace.yaml": str(project_dir / "deploy" / "workspace.yaml"),
    }
    said = [changes.get(word, word).replace("127.0.0.1:3000", f"127.0.0.1:{web_port}") for word in words]
    return _program(said)


def _wait_until_open(port: int, process: subprocess.Popen[str]) -> None:
    """Cheaper than the health check, which starts an interpreter each time."""
    end = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


def _wait_until_healthy(name: str, check: list[str], process: subprocess.Popen[str], production: Production) -> None:
    end = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if subprocess.run(check, env=production.environment, check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.3)
    said = (production.home / f"{name}.log").read_text(encoding="utf-8")
    raise AssertionError(f"service {name} was not healthy within {HEALTHY_SECONDS:.0f} s; it said: {said[-3000:]}")


def test_services_start_become_healthy_and_keep_the_password_to_themselves_when_their_commands_are_run(
    production: Production, project_dir: Path
) -> None:
    services, web_port = _services(project_dir), free_port()
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in ("code", "web", "daemon"):
            command = _here(services[name]["command"], production, project_dir, web_port)
            with (production.home / f"{name}.log").open("w", encoding="utf-8") as said:
                started[name] = subprocess.Popen(
                    command, env=production.environment, cwd=project_dir, stdout=said, stderr=said, text=True
                )
            if name == "code":
                _wait_until_open(int(production.environment["DAGSTER_CODE_PORT"]), started[name])
                check = _here(services[name]["healthcheck"]["test"][1:], production, project_dir, web_port)
                _wait_until_healthy(name, check, started[name], production)
        _wait_until_open(web_port, started["web"])
        for name in ("web", "daemon"):
            check = _here(services[name]["healthcheck"]["test"][1:], production, project_dir, web_port)
            _wait_until_healthy(name, check, started[name], production)
        assert _locations(web_port) == ["mirror_warehouse"]
    finally:
        for process in reversed(started.values()):
            process.terminate()
        for process in started.values():
            process.wait(timeout=30)
    kept = [production.home, production.server_folder]
    files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    assert {"code.log", "web.log", "daemon.log", "server.log"} <= {path.name for path in files}
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


def _locations(web_port: int) -> list[str]:
    """Code locations that the page knows and could load."""
    words = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"
    request = urllib.request.Request(
        f"http://127.0.0.1:{web_port}/graphql",
        data=json.dumps({"query": words}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    return [e["name"] for e in entries if e["locationOrLoadError"]["__typename"] == "RepositoryLocation"]


def test_the_instance_names_the_variable_when_the_environment_lacks_it(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in production.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_POSTGRES_PASSWORD")
    with pytest.raises(Exception, match="DAGSTER_POSTGRES_PASSWORD"):
        dg.DagsterInstance.get()
    assert PASSWORD not in json.dumps({k: v for k, v in os.environ.items() if k.startswith("DAGSTER_")})
