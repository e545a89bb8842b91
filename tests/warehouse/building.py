"""Running dbt from the tests.

Belongs here: one invocation and what it left. Does not belong here: the world it runs on (`small_world`), verdicts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Warehouse:
    """What one build left: dbt's manifest and results, the database, and the environment to run dbt again."""

    manifest: Mapping[str, Any]
    manifest_path: Path
    results: Mapping[str, Mapping[str, Any]]
    database: Path
    environment: Mapping[str, str]


def run_dbt(
    arguments: list[str], project: Path, target: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """dbt in a process of its own; it writes below `target` only."""
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *arguments,
            "--project-dir",
            str(project),
            "--profiles-dir",
            str(project),
            "--target-path",
            str(target),
            "--log-path",
            str(target),
            "--no-use-colors",
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def results_in(target: Path) -> dict[str, Mapping[str, Any]]:
    """dbt's results by unique id."""
    said = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    return {result["unique_id"]: result for result in said["results"]}
