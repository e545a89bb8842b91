"""Kill a pull at random moments and start it again: the same landed bytes, nothing lost, nothing asked for twice.

A round is a pull into an empty folder: the child process is ended by SIGKILL a random while after it began to work and
started again, until it ends by itself; rounds follow each other until there have been so many kills. At the end of a
round its folder is compared with that of an undisturbed pull.

Belongs here: the harness. Does not belong here: kills of a whole run (`bench.interrupted_runs`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.pull_ground import (
    DATA,
    calls_of,
    declared,
    difference,
    landed,
    landed_files,
    pull_once,
    settings_for,
    standing,
    table,
)
from orchestration.comtrade.ledger import read_ledger
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import input_fingerprint
from orchestration.pipeline.pull import COMPLETE
from orchestration.settings import PROJECT_DIR, Settings

_BEGUN = "begun"
_CAP_VARIABLE = "BENCH_ROWS_A_CALL"
# Who asked, in which call, what else came in it: none of it is read by what comes after the landing.
_PROVENANCE = ("pull_id", "request", "answer_checksum")
Cell = tuple[str, str, int]


@dataclass
class _Tally:
    """What was counted over all rounds."""

    kills: int = 0
    rounds: int = 0
    asked_again_after_landing: int = 0
    questions_repeated: int = 0
    data_calls: int = 0
    undisturbed_calls: int = 0
    lost: int = 0
    strange: int = 0
    different_files: int = 0
    different_ledger_rows: int = 0
    different_fingerprints: int = 0


def child(address: str, work: Path) -> bool:
    """The pull that is killed; says when it begins to work."""
    settings = settings_for(work, address, api_rows_a_call=int(os.environ[_CAP_VARIABLE]))
    print(_BEGUN, flush=True)
    return pull_once(settings).status == COMPLETE


def measure_kills(folder: Path, work: Path, kills: int, cap: int, seed: int) -> bool:
    """Kill so many pulls; print the table; True when every promise is kept."""
    draw, tally = random.Random(seed), _Tally()
    with standing(folder, "--cap", str(cap)) as address:
        undisturbed = settings_for(work / "undisturbed", address, api_rows_a_call=cap)
        began = time.perf_counter()
        assert pull_once(undisturbed).status == COMPLETE
        # Moments spread over a third of a pull: about three to six kills in every round.
        longest = (time.perf_counter() - began) / 3
        tally.undisturbed_calls = sum(call["endpoint"] == DATA for call in calls_of(address))
        while tally.kills < kills:
            tally.rounds += 1
            data_dir = work / f"round-{tally.rounds}"
            settings = settings_for(data_dir, address, api_rows_a_call=cap)
            _round(settings, address, draw, tally, kills, longest, cap)
            _compare(undisturbed, settings, folder, tally)
    print(table("what|count", [
        ("kills (SIGKILL)", tally.kills),
        ("rounds, each from an empty folder to a complete pull", tally.rounds),
        ("data calls of an undisturbed pull", tally.undisturbed_calls),
        ("data calls of all rounds", tally.data_calls),
        ("questions asked more than once in a round (at most one a kill: the one under way)", tally.questions_repeated),
        ("landed data sets asked for again", tally.asked_again_after_landing),
        ("rows lost", tally.lost),
        ("rows doubled or made up", tally.strange),
        ("landed files whose bytes differ from the undisturbed pull's", tally.different_files),
        ("ledger rows that differ but for their provenance", tally.different_ledger_rows),
        ("rounds whose input fingerprint differs", tally.different_fingerprints),
    ]), flush=True)  # fmt: skip
    wrong = tally.asked_again_after_landing + tally.lost + tally.strange + tally.different_files
    wrong += tally.different_ledger_rows + tally.different_fingerprints
    return wrong == 0 and tally.kills >= kills and tally.questions_repeated <= tally.kills


def _round(
    settings: Settings, address: str, draw: random.Random, tally: _Tally, kills: int, longest: float, cap: int
) -> None:
    """Pull into an empty folder, killed again and again until one ends by itself."""
    paths = DataPaths(settings.data_folder)
    first = len(calls_of(address))
    # What had landed when so many calls had been answered: nothing of it may be asked for in a later one.
    landed_by: list[tuple[int, set[Cell]]] = []
    while True:
        process = _start(settings.data_folder, address, cap)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == _BEGUN
        if tally.kills < kills:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.0, longest))
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, process.returncode
            break
        tally.kills += 1
        landed_by.append((len(calls_of(address)), _landed_cells(paths)))
    calls = calls_of(address)
    for (begin, cells), (end, _) in pairwise([*landed_by, (len(calls), set())]):
        tally.asked_again_after_landing += sum(len(cells & _asked_cells(call)) for call in calls[begin:end])
    questions = Counter(json.dumps(call["query"], sort_keys=True) for call in calls[first:] if call["endpoint"] == DATA)
    tally.data_calls += questions.total()
    tally.questions_repeated += sum(count - 1 for count in questions.values())


def _start(data_dir: Path, address: str, cap: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.pull", "child", "--address", address, "--work", str(data_dir)],
        cwd=PROJECT_DIR,
        env=os.environ | {_CAP_VARIABLE: str(cap)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _landed_cells(paths: DataPaths) -> set[Cell]:
    """Frequency, period and reporter of everything whose ledger row stands."""
    found = set()
    for path in paths.ledger.glob("[!.]*.json"):
        _, frequency, period, reporter, *_ = json.loads(path.read_text(encoding="utf-8"))["source_file"].split("-")
        found.add((frequency, period, int(reporter)))
    return found


def _asked_cells(call: dict[str, Any]) -> set[Cell]:
    if call["endpoint"] != DATA:
        return set()
    frequency, query = call["path"].strip("/").split("/")[4], call["query"]
    return {
        (frequency, period, int(reporter))
        for period in query["period"].split(",")
        for reporter in query["reportercode"].split(",")
    }


def _compare(undisturbed: Settings, settings: Settings, folder: Path, tally: _Tally) -> None:
    """Rows with what is served; bytes, ledger and fingerprint with the undisturbed pull."""
    wanted, paths = DataPaths(undisturbed.data_folder), DataPaths(settings.data_folder)
    lost, strange = difference(declared(folder), landed(paths))
    tally.lost, tally.strange = tally.lost + lost, tally.strange + strange
    tally.different_files += _differing(_digests(wanted), _digests(paths))
    tally.different_ledger_rows += _differing(_ledger(wanted), _ledger(paths))
    tally.different_fingerprints += input_fingerprint(undisturbed) != input_fingerprint(settings)


def _digests(paths: DataPaths) -> dict[str, str]:
    return {
        str(path.relative_to(paths.landed)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in landed_files(paths)
    }


def _ledger(paths: DataPaths) -> dict[str, str]:
    return {
        entry.delivery_id: repr(replace(entry, **dict.fromkeys(_PROVENANCE, ""))) for entry in read_ledger(paths.ledger)
    }


def _differing(one: dict[str, str], other: dict[str, str]) -> int:
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())
