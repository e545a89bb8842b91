"""What stands in deploy/: no secret, no drift from the development instance, nothing running as root."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

SHARED_KEYS = ("telemetry", "nux", "freshness", "concurrency")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|WEBHOOK")


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def drift(development: dict[str, Any], production: dict[str, Any]) -> list[str]:
    """Keys on which the two instances must agree and do not."""
    return [key for key in SHARED_KEYS if development.get(key) != production.get(key)]


def test_concurrency_and_telemetry_are_the_same_when_both_instances_are_read(project_dir: Path) -> None:
    development = read(project_dir / "orchestration" / "dagster.yaml")
    production = read(project_dir / "deploy" / "dagster.yaml")
    assert drift(development, production) == []
    assert set(development) <= {*SHARED_KEYS, *production}


@pytest.mark.parametrize("limit", [0, 2])
def test_drift_is_found_when_a_limit_differs(project_dir: Path, limit: int) -> None:
    production = read(project_dir / "deploy" / "dagster.yaml")
    changed = production | {"concurrency": production["concurrency"] | {"pools": {"default_limit": limit}}}
    assert drift(production, changed) == ["concurrency"]


def test_every_address_and_secret_of_the_instance_comes_from_the_environment(project_dir: Path) -> None:
    postgres = read(project_dir / "deploy" / "dagster.yaml")["storage"]["postgres"]["postgres_db"]
    assert postgres.pop("scheme") == "postgresql+psycopg2"
    assert set(postgres) == {"hostname", "port", "db_name", "username", "password"}
    assert all(set(value) == {"env"} for value in postgres.values())


def test_the_example_holds_no_secret_and_every_variable_that_compose_demands(project_dir: Path) -> None:
    lines = (project_dir / "deploy" / "environment.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert [name for name, value in given.items() if SECRET.search(name) and value] == []
    demanded = re.findall(r"\$\{(\w+):\?", (project_dir / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    assert set(demanded) <= set(given)


def test_secrets_of_the_warehouse_reach_the_code_server_only(project_dir: Path) -> None:
    services = read(project_dir / "deploy" / "compose.yaml")["services"]
    assert [name for name, service in services.items() if "env_file" in service] == ["code"]
    for name, service in services.items():
        assert "healthcheck" in service or name == "migrate", name
        assert not any(str(v).startswith("/") and "docker.sock" in str(v) for v in service.get("volumes", [])), name


def test_services_wait_for_what_they_need_and_every_volume_is_named(project_dir: Path) -> None:
    compose = read(project_dir / "deploy" / "compose.yaml")
    assert compose["services"]["web"]["depends_on"] == {"code": {"condition": "service_healthy"}}
    used = {
        v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", []) if not v.startswith("$")
    }
    assert used == set(compose["volumes"])


def test_the_image_is_locked_and_runs_as_nobody_of_importance(project_dir: Path) -> None:
    text = (project_dir / "deploy" / "Containerfile").read_text(encoding="utf-8")
    stages = re.findall(r"^FROM .* AS (\w+)$", text, re.MULTILINE)
    assert stages == ["packages", "service"]
    assert "--require-hashes" in text
    assert re.findall(r"^USER (\w+)$", text, re.MULTILINE) == ["mirror"]
    assert "HEALTHCHECK" in text
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert [word for word in copied if not (project_dir / word).exists()] == []
