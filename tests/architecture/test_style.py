"""Style, types and the lock: the same commands as `make lint`, and proof that each of them can fail.

Belongs here: running the tools. Does not belong here: SQL (tests/warehouse) and the direction of imports.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def tool(project_dir: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the tools in this environment, run from the root of the project."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *arguments], cwd=project_dir, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [("check", "."), ("format", "--check", ".")])
def test_ruff_finds_nothing_when_the_project_is_read(project_dir: Path, arguments: tuple[str, ...]) -> None:
    outcome = tool(project_dir, "ruff", *arguments, "--no-cache")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_types_hold_strictly_when_the_pure_packages_are_read(project_dir: Path) -> None:
    outcome = tool(project_dir, "mypy")
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("try:\n    pass\nexcept Exception:\n    pass\n", "S110"),
        ("import os\n", "F401"),
        ("x = 1" + " " * 130 + "\n", "W291"),
    ],
)
def test_ruff_fails_when_a_file_is_careless(project_dir: Path, tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "careless.py"
    path.write_text(source, encoding="utf-8")
    outcome = tool(project_dir, "ruff", "check", "--no-cache", "--config", "pyproject.toml", str(path))
    assert outcome.returncode == 1
    assert words in outcome.stdout


def test_mypy_fails_when_a_function_is_untyped(project_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "untyped.py"
    path.write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    outcome = tool(project_dir, "mypy", "--strict", "--cache-dir", str(tmp_path), str(path))
    assert outcome.returncode == 1
    assert "no-untyped-def" in outcome.stdout


def test_the_lock_pins_every_package_with_hashes_and_names_no_address(project_dir: Path) -> None:
    text = (project_dir / "requirements" / "lock.txt").read_text(encoding="utf-8")
    assert "://" not in text
    packages = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert packages
    assert all(re.match(r"[\w.\-]+(\[[\w,]+\])?==[\w.+!]+", line) for line in packages)
    assert text.count("--hash=sha256:") >= len(packages)


def test_every_pinned_dependency_stands_in_the_lock_when_the_project_names_it(project_dir: Path) -> None:
    import tomllib

    project = tomllib.loads((project_dir / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lock = (project_dir / "requirements" / "lock.txt").read_text(encoding="utf-8").lower()
    missing = [name for name in named if not re.search(rf"(?m)^{re.split('[<>=~!]', name)[0].lower()}(\[|==)", lock)]
    assert missing == []


def test_telemetry_is_off_in_every_tool_when_nothing_is_set(project_dir: Path) -> None:
    assert "enabled: false" in (project_dir / "orchestration" / "dagster.yaml").read_text(encoding="utf-8")
    dbt = (project_dir / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8")
    assert "send_anonymous_usage_stats: false" in dbt.lower()
    makefile = (project_dir / "Makefile").read_text(encoding="utf-8")
    for name in (
        "DAGSTER_DISABLE_TELEMETRY := 1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS := false",
        "GX_ANALYTICS_ENABLED := false",
    ):
        assert name in makefile


def test_continuous_integration_calls_the_readmes_own_test_command(project_dir: Path) -> None:
    assert "make test" in (project_dir / "README.md").read_text(encoding="utf-8")
    script = (project_dir / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line.startswith("exec")] == ["exec make test"]
