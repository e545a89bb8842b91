"""Fixtures shared by every test folder: where the project stands and where real declarations may be found.

Fixtures that belong to one folder only live in that folder's own conftest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import filelock
import hypothesis
import pytest

PROJECT_DIR = Path(__file__).resolve().parents[1]
# How long an example takes tells of the machine and not of the code: a busy one must not make a property fail.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@dataclass(frozen=True)
class SampleRun:
    """One run of the command line: where it wrote, how it ended, what it printed."""

    data_dir: Path
    exit_status: int
    output: str


def run_command(
    command: str, data_dir: Path, environment: dict[str, str], **settings: str
) -> subprocess.CompletedProcess[str]:
    """A command of the project in a process of its own, on a data folder of its own; tiny world unless told."""
    given = {"MIRROR_DATA_DIR": str(data_dir), "MIRROR_SAMPLE_WORLD": "tiny", **settings}
    return subprocess.run(
        [sys.executable, "-m", "orchestration.defs.cli", *command.split()],
        cwd=PROJECT_DIR,
        env={**environment, "PYTHONPATH": str(PROJECT_DIR), **given},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """The root of the checkout."""
    return PROJECT_DIR


@pytest.fixture(scope="session")
def seeds_dir() -> Path:
    """The folder of reference tables (CSV with a source column)."""
    return PROJECT_DIR / "dbt_project" / "seeds"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real declarations beside the checkout; tests that need it skip, saying so, where it is absent."""
    path = Path(os.environ.get("SHARED_DIR", PROJECT_DIR.parent / "shared"))
    if not (path / "declarations").is_dir():
        pytest.skip(f"real declarations are not on this machine: {path} is absent")
    return path


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """The environment without any setting of the warehouse, so that a developer's own do not leak into tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MIRROR_", "DBT_", "DAGSTER_"))}


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]) -> SampleRun:
    """The tiny planted world run from the command line to a published release, once for all workers.

    Treat its folder as read only; copy it to change anything.
    """
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    folder, said = shared / "sample_run", shared / "sample_run.txt"
    with filelock.FileLock(shared / "sample_run.lock"):
        if not said.is_file():
            outcome = run_command("run", folder, clean_environment)
            said.write_text(f"{outcome.returncode}\n{outcome.stdout}{outcome.stderr}", encoding="utf-8")
    status, _, text = said.read_text(encoding="utf-8").partition("\n")
    return SampleRun(folder, int(status), text)


@pytest.fixture(scope="session")
def sample_release(sample_run: SampleRun) -> Path:
    """Directory of the release that the tiny planted world published."""
    assert sample_run.exit_status == 0, sample_run.output
    return (sample_run.data_dir / "releases" / "latest").resolve()
