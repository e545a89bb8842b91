"""dbt in a process of its own: parses the project when started, builds from what it parsed when told to.

Belongs here: the far end of the pipe of `dbt.DbtProcess`; run as a module, never imported by the project. Does not
belong here: what is built. Reading dbt and its project takes ten seconds, which the run spends on other work.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import threading
from pathlib import Path

# Registered before anything else, hence run last: taking the libraries apart again takes seconds and gains nothing.
_status = [0]
atexit.register(lambda: os._exit(_status[0]))

from orchestration.pipeline.processes import ABANDONED, collect_garbage_seldom  # noqa: E402

collect_garbage_seldom()

from dbt.cli.main import dbtRunner  # noqa: E402
from dbt.contracts.graph.manifest import Manifest  # noqa: E402

PARSED = "parsed"
FAILED, UNANSWERABLE = 1, 2


def main(project: str, writes_manifest: bool) -> int:
    """Exit status: 0 well or not needed, 1 a model or test failed, 2 dbt itself could not go on."""
    places = ["--project-dir", project, "--profiles-dir", project]
    parsed = dbtRunner().invoke(["--quiet", "--no-write-json", "parse", *places])
    if not parsed.success:
        print(parsed.exception or "", flush=True)
        return UNANSWERABLE
    if writes_manifest:
        _write_manifest(parsed.result, Path(project) / "target")
    gc.freeze()
    print(PARSED, flush=True)
    asked = sys.stdin.readline()
    if not asked:
        return 0
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    built = dbtRunner(manifest=parsed.result).invoke([*json.loads(asked), *places])
    if built.exception is not None:
        print(built.exception, flush=True)
        return UNANSWERABLE
    return 0 if built.success else FAILED


def _write_manifest(manifest: Manifest, target: Path) -> None:
    """Under a temporary name and renamed: dbt's own writing leaves half a file to whoever reads it meanwhile."""
    target.mkdir(exist_ok=True)
    temporary = target / f".manifest.{os.getpid()}.tmp"
    manifest.write(str(temporary))
    temporary.replace(target / "manifest.json")


def _end_with_the_run() -> None:
    """Nobody may write to a staging database whose run was killed: the pipe closes with the run."""
    sys.stdin.read()
    os._exit(ABANDONED)


if __name__ == "__main__":
    _status[0] = main(sys.argv[1], sys.argv[2:] == ["write"])
    sys.stdout.flush()
