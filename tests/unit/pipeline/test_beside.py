"""A second process beside the run: what it did is there, what went wrong there is told here, and it ends with the run.

Belongs here: the process. Does not belong here: the planted world, the suites of the gate.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expectations.model import GateError, GateInputs
from orchestration.pipeline.beside import Beside
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import Settings
from tests.unit.pipeline.processes import ends_with_its_run


def test_the_planted_world_stands_when_it_was_waited_for(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, sample_rows=1_000, sample_start_year=2024, sample_frequencies="A")
    with Beside() as beside:
        beside.declare_planted_world(settings, "fingerprint")()
    assert [path.name for path in sorted(DataPaths(tmp_path).sample_declared.iterdir())] == ["A-2024.parquet"]


def test_an_error_of_the_gate_is_raised_here_when_it_happened_there(tmp_path: Path) -> None:
    inputs = GateInputs(contracted_dir=tmp_path, reconciled_dir=tmp_path, seeds_dir=tmp_path)
    with Beside() as beside, pytest.raises(GateError, match="no suite 'misspelt'"):
        beside.run_suite("misspelt", inputs)


def test_the_process_is_gone_when_the_run_that_started_it_is_killed() -> None:
    code = (
        "import os, time\nfrom orchestration.pipeline.beside import Beside\n"
        "if __name__ == '__main__':\n    beside = Beside()\n"
        "    print(beside._pool.submit(os.getpid).result(), flush=True)\n    time.sleep(60)\n"
    )
    assert ends_with_its_run(code)


def test_nothing_is_left_with_the_system_when_the_process_was_closed() -> None:
    code = (
        "import os\nfrom orchestration.pipeline.beside import Beside\n"
        "if __name__ == '__main__':\n    with Beside() as beside:\n"
        "        beside._pool.submit(os.getpid).result()\n    os._exit(0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
