"""Kill a run at random moments and start it again: the release must be the one of an undisturbed run.

`python -m bench.interrupted_runs --kills 20 --world tiny` runs the planted world once undisturbed, then, for each kill,
starts a run in a fresh folder, ends its whole process group with SIGKILL at a moment spread over the run (one random
moment per stage in turn: landing, reconciling, dbt, publishing), starts it again and compares the release id, the
checksums of the release and that no half-written file stayed behind. Exit status 1 when one differs.

Belongs here: the harness. Does not belong here: a test of the suite (tests/integration kills once per stage).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
# What the command line prints when a stage begins; the kill waits for one of these and then a random while.
STAGES = {
    "landing": ("declarations: landed", "declarations: contracted"),
    "reconciling": ("reconciliation: pairs", "reconciliation: parameters", "reconciliation: mirror flows"),
    "dbt": ("dbt marts",),
    "publishing": ("release: staged marts", "release: audit results", "release: published"),
}


@dataclass(frozen=True)
class Kill:
    """One interrupted run: the stage it was killed in, how long after its beginning, and what came of it."""

    stage: str
    step: str
    after_seconds: float
    was_alive: bool
    release_id: str


def start(data_dir: Path, world: str) -> subprocess.Popen[str]:
    """A run of the command line in a process group of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIRROR_", "DBT_", "DAGSTER_"))}
    environment |= {"MIRROR_DATA_DIR": str(data_dir), "MIRROR_SAMPLE_WORLD": world, "PYTHONPATH": str(PROJECT_DIR)}
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "orchestration.defs.cli", "run"],
        cwd=PROJECT_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(data_dir: Path, world: str) -> str:
    """Run to the end; returns what it printed. Raises RuntimeError when it does not end well."""
    process = start(data_dir, world)
    text, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the run in {data_dir} ended with {process.returncode}:\n{text}")
    return text


def kill_in(data_dir: Path, world: str, step: str, after_seconds: float) -> bool:
    """Start a run, wait until it begins the step, wait a while, kill its process group; False if it had ended."""
    process = start(data_dir, world)
    assert process.stdout is not None
    for line in process.stdout:
        if step in line and line.rstrip().endswith("..."):
            break
    time.sleep(after_seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return alive


def checksums(data_dir: Path) -> str:
    """The checksums file of the published release."""
    return (data_dir / "releases" / "latest" / "checksums.sha256").read_text(encoding="utf-8")


def comparable(text: str) -> dict[str, str]:
    """Checksum by file; without the DuckDB file, whose bytes are not reproducible."""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {name: digest for digest, name in lines if not name.endswith(".duckdb")}


def interrupted(folder: Path, world: str, stage: str, step: str, after_seconds: float) -> tuple[Kill, dict[str, str]]:
    """One run killed and started again in a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    alive = kill_in(folder, world, step, after_seconds)
    release, found = taken_up(folder, world)
    return Kill(stage, step, after_seconds, alive, release), found


def taken_up(folder: Path, world: str) -> tuple[str, dict[str, str]]:
    """Run again in the folder of a killed run: release id and comparable checksums.

    Raises RuntimeError when the run does not end well or half-written files stay behind.
    """
    finish(folder, world)
    release = (folder / "releases" / "latest").resolve().name
    left = list(folder.rglob("*.tmp")) + [p for p in (folder / "releases").iterdir() if p.name.startswith(".")]
    if left:
        raise RuntimeError(f"half-written files stayed behind: {left[:5]}")
    return release, comparable(checksums(folder))


def main() -> int:
    """Run the harness; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--world", default="tiny")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="scratch folder (default: a temporary one)")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="interrupted-") as scratch:
        root = given.folder or Path(scratch)
        undisturbed = root / "undisturbed"
        shutil.rmtree(undisturbed, ignore_errors=True)
        finish(undisturbed, given.world)
        wanted, sums = (undisturbed / "releases" / "latest").resolve().name, comparable(checksums(undisturbed))
        print(f"undisturbed: {wanted}", flush=True)
        wrong = 0
        for number in range(given.kills):
            stage = list(STAGES)[number % len(STAGES)]
            step = chance.choice(STAGES[stage])
            after = round(chance.uniform(0.0, 4.0 if stage in ("dbt", "landing") else 1.5), 2)
            kill, found = interrupted(root / "killed", given.world, stage, step, after)
            same = kill.release_id == wanted and found == sums
            wrong += not same
            print(
                f"{number + 1:>2} {kill.stage:<12} {kill.after_seconds:>5.2f} s after '{kill.step}' "
                f"{'killed' if kill.was_alive else 'had ended'} -> {kill.release_id} {'same' if same else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{given.kills - wrong} of {given.kills} gave the undisturbed release")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
