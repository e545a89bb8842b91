"""The environment that dbt runs in, and its manifest.

Belongs here: the variables that dbt_project/profiles.yml and the sources read, and parsing the project when it
changed. Does not belong here: running models, which the orchestrator does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import fingerprint_of_tree, write_bytes

PROJECT_FILES = ("*.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*")
QUIET = {
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "DBT_VERSION_CHECK": "false",
    "DBT_NO_VERSION_CHECK": "true",
    # The orchestrator keeps what dbt says; a second log of every statement costs a tenth of the time.
    "DBT_LOG_LEVEL_FILE": "none",
}


class ManifestError(Exception):
    """dbt could not parse the project; the text says what dbt said."""


def dbt_environment(paths: DataPaths, run_id: str, method_version: str, threads: int) -> dict[str, str]:
    """Environment variables of one dbt invocation."""
    return QUIET | {
        "DBT_STAGING_PATH": str(paths.staging_db(run_id)),
        "DBT_DATA_DIR": str(paths.root),
        "DBT_AUDIT_PATH": str(paths.audit_results(run_id)),
        "DBT_RUN_ID": run_id,
        "DBT_METHOD_VERSION": method_version,
        "DBT_THREADS": str(threads),
    }


class ManifestParse:
    """dbt parsing its project in a process of its own, begun at once and waited for when the manifest is needed.

    Nothing is parsed when the project's files are those of the last time. `environment` is what dbt will be run with:
    parsed with another one, dbt parses again when it builds.
    """

    def __init__(self, dbt_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self._dbt_dir = dbt_dir
        self._stamp = dbt_dir / "target" / "manifest_fingerprint.txt"
        self._fingerprint = fingerprint_of_tree(dbt_dir, PROJECT_FILES)
        self._process: subprocess.Popen[str] | None = None
        if not (
            self._manifest.is_file()
            and self._stamp.is_file()
            and self._stamp.read_text(encoding="utf-8") == self._fingerprint
        ):
            self._process = self._start(environment)

    @property
    def _manifest(self) -> Path:
        return self._dbt_dir / "target" / "manifest.json"

    def _start(self, environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
        program, folder = str(Path(sys.executable).with_name("dbt")), str(self._dbt_dir)
        placeholder = dbt_environment(DataPaths(self._dbt_dir / "target" / "unused"), "parse", "parse", 1)
        return subprocess.Popen(
            [program, "parse", "--project-dir", folder, "--profiles-dir", folder, "--quiet"],
            env={**os.environ, **(environment or placeholder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def manifest(self) -> Path:
        """The manifest's path. Raises ManifestError with dbt's own words when the project does not parse."""
        if self._process is not None:
            said, _ = self._process.communicate()
            if self._process.returncode != 0:
                raise ManifestError(
                    f"dbt cannot parse its project, so no model can be built; mend what dbt says: {said}"
                )
            write_bytes(self._stamp, self._fingerprint.encode())
            self._process = None
        return self._manifest


def ensure_manifest(dbt_dir: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Parse the dbt project when its files changed since the last time; returns the manifest's path.

    Raises ManifestError with dbt's own words when the project does not parse.
    """
    return ManifestParse(dbt_dir, environment).manifest()


def keep_run_results(target: Path, paths: DataPaths, run_id: str, execution_id: str) -> None:
    """Keep what dbt said of its tests, marked with the execution, for the audit record."""
    said = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    tests = [
        {
            "unique_id": result["unique_id"],
            "status": result["status"],
            "failures": result.get("failures"),
            "message": result.get("message"),
        }
        for result in said["results"]
        if result["unique_id"].startswith("test.")
    ]
    kept = {"execution_id": execution_id, "tests": sorted(tests, key=lambda t: str(t["unique_id"]))}
    write_bytes(paths.run(run_id) / "audit" / "dbt_tests.json", json.dumps(kept, indent=1).encode())
