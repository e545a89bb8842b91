"""The environment and the process that dbt runs in, and its manifest.

Belongs here: the variables that dbt_project/profiles.yml and the sources read, parsing the project, and the process
that builds it. Does not belong here: what is built and what becomes of its events, which the orchestrator says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import fingerprint_of_tree, write_bytes
from orchestration.settings import PROJECT_DIR

WORKER = "orchestration.pipeline.dbt_worker"
PARSED = "parsed"  # What the worker says when it has parsed.
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


class DbtProcess:
    """dbt in a process of its own: begins to parse at once, hands over the manifest, and builds once when told.

    The manifest on disk is used as it is when the project's files are those of the last time. `environment` is what
    dbt runs with, see `dbt_environment`. The process ends with `close`, with its build, or with the process that
    started it, however that ends.
    """

    def __init__(self, dbt_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self._dbt_dir = dbt_dir
        self._fingerprint = fingerprint_of_tree(dbt_dir, PROJECT_FILES)
        self._is_current = _is_current(dbt_dir, self._fingerprint)
        self._has_parsed = False
        self.is_used = False
        placeholder = dbt_environment(DataPaths(dbt_dir / "target" / "unused"), "parse", "parse", 1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(dbt_dir), "keep" if self._is_current else "write"],
            env={**os.environ, **(environment or placeholder), "PYTHONUNBUFFERED": "1"},
            cwd=PROJECT_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> DbtProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def manifest(self) -> Path:
        """The manifest's path. Raises ManifestError with dbt's own words when the project does not parse."""
        if not self._is_current:
            self._wait_until_parsed()
            write_bytes(_stamp(self._dbt_dir), self._fingerprint.encode())
            self._is_current = True
        return _manifest(self._dbt_dir)

    def build(self, arguments: Sequence[str], target: Path) -> subprocess.Popen[bytes]:
        """Run one dbt command on the parsed project; its artifacts go to `target`, its events to the pipe as JSON.

        Returns the process, whose output is read to the end and whose exit status is dbt's. Raises ManifestError when
        the project does not parse, RuntimeError when the process has built before.
        """
        if self.is_used:
            raise RuntimeError("this dbt process has built already and is gone; start another one")
        self.is_used = True
        self._wait_until_parsed()
        asked = ["--log-format", "json", *arguments, "--target-path", str(target), "--log-path", str(target)]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return self._process

    def close(self) -> None:
        """End the process: at once when it waits, after its parsing otherwise; a build under way is given up."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _wait_until_parsed(self) -> None:
        if self._has_parsed:
            return
        assert self._process.stdout is not None
        said: list[str] = []
        for line in self._process.stdout:
            if line.decode().strip() == PARSED:
                self._has_parsed = True
                return
            said.append(line.decode())
        raise ManifestError(
            f"dbt cannot parse its project, so no model can be built; mend what dbt says: {''.join(said).strip()}"
        )


def _manifest(dbt_dir: Path) -> Path:
    return dbt_dir / "target" / "manifest.json"


def _stamp(dbt_dir: Path) -> Path:
    return dbt_dir / "target" / "manifest_fingerprint.txt"


def _is_current(dbt_dir: Path, fingerprint: str) -> bool:
    stamp = _stamp(dbt_dir)
    return _manifest(dbt_dir).is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint


def ensure_manifest(dbt_dir: Path) -> Path:
    """Parse the dbt project when its files changed since the last time; returns the manifest's path.

    Raises ManifestError with dbt's own words when the project does not parse.
    """
    if _is_current(dbt_dir, fingerprint_of_tree(dbt_dir, PROJECT_FILES)):
        return _manifest(dbt_dir)
    with DbtProcess(dbt_dir) as process:
        return process.manifest()


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
