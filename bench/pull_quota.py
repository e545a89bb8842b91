"""The quota is spent half-way: what the command line says, and that the release is the undisturbed one in the end.

Three pulls of the same planted world, each followed by `cli run`: an undisturbed one, one whose own limit of calls a
day is half of what is needed and is raised afterwards, and one whose server says half-way that the quota is spent and
gives it back on the next day. The next day is made by moving what the record of calls holds to an earlier day.

Belongs here: the harness. Does not belong here: the count of calls (`orchestration.comtrade.api.quota`).
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.pull_ground import KEY, calls_of, standing, table
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import PROJECT_DIR

RESUMABLE_STATUS = 3


@dataclass(frozen=True)
class _Outcome:
    """One pull with its run: exit statuses of every command in order, calls answered, the release."""

    name: str
    statuses: tuple[int, ...]
    calls: int
    release_id: str


def measure_quota(work: Path, world: str, cap: int) -> bool:
    """Pull three times; print the table; True when both interrupted pulls end resumable and give the same release."""
    undisturbed = _undisturbed(work / "undisturbed", world, cap)
    # Every start asks for the two lists anew: half of the calls, and room for that.
    half = undisturbed.calls // 2 + 3
    outcomes = [
        undisturbed,
        _own_limit(work / "own_limit", world, cap, half),
        _server_limit(work / "server_limit", world, cap, half),
    ]
    print(table("pull|exit statuses of cli pull and cli run|calls answered|release", [
        (one.name, ", ".join(map(str, one.statuses)), one.calls, one.release_id) for one in outcomes
    ]), flush=True)  # fmt: skip
    same = {one.release_id for one in outcomes}
    return (
        len(same) == 1
        and undisturbed.statuses == (0, 0)
        and all(one.statuses == (RESUMABLE_STATUS, 0, 0) for one in outcomes[1:])
    )


def _undisturbed(data_dir: Path, world: str, cap: int) -> _Outcome:
    with standing(None, "--cap", str(cap), more=_world(world)) as address:
        statuses = [_cli("pull", data_dir, address, cap)]
        calls = len(calls_of(address))
        statuses.append(_cli("run", data_dir, address, cap))
    return _Outcome("undisturbed", tuple(statuses), calls, _release(data_dir))


def _own_limit(data_dir: Path, world: str, cap: int, half: int) -> _Outcome:
    with standing(None, "--cap", str(cap), more=_world(world)) as address:
        statuses = [_cli("pull", data_dir, address, cap, half), _cli("pull", data_dir, address, cap)]
        calls = len(calls_of(address))
        statuses.append(_cli("run", data_dir, address, cap))
    return _Outcome("limit of calls a day reached, then raised", tuple(statuses), calls, _release(data_dir))


def _server_limit(data_dir: Path, world: str, cap: int, half: int) -> _Outcome:
    with standing(None, "--cap", str(cap), "--quota", str(half), more=_world(world)) as address:
        statuses = [_cli("pull", data_dir, address, cap)]
        _next_day(data_dir)
        httpx.post(f"{address}/stand-in/quota").raise_for_status()
        statuses.append(_cli("pull", data_dir, address, cap))
        calls = sum(call["status"] == httpx.codes.OK for call in calls_of(address))
        _next_day(data_dir)
        httpx.post(f"{address}/stand-in/quota").raise_for_status()
        statuses.append(_cli("run", data_dir, address, cap))
    return _Outcome("server says the quota is spent, next day", tuple(statuses), calls, _release(data_dir))


def _world(world: str) -> dict[str, str]:
    return {"MIRROR_SOURCE": "sample", "MIRROR_SAMPLE_WORLD": world}


def _cli(command: str, data_dir: Path, address: str, cap: int, calls_a_day: int = 1_000_000) -> int:
    given = {
        "MIRROR_SOURCE": "api", "MIRROR_API_KEY": KEY, "MIRROR_API_ADDRESS": address, "MIRROR_DATA_DIR": str(data_dir),
        "MIRROR_API_ROWS_A_CALL": str(cap), "MIRROR_API_CALLS_A_DAY": str(calls_a_day),
        "MIRROR_API_CALLS_A_SECOND": "1000", "PYTHONPATH": str(PROJECT_DIR),
    }  # fmt: skip
    outcome = subprocess.run(
        [sys.executable, "-m", "orchestration.defs.cli", command],
        cwd=PROJECT_DIR, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    print(f"    {data_dir.name}: cli {command} -> {outcome.returncode}", file=sys.stderr, flush=True)
    if outcome.returncode not in (0, RESUMABLE_STATUS):
        print(outcome.stdout, file=sys.stderr, flush=True)
    assert KEY not in outcome.stdout
    return outcome.returncode


def _next_day(data_dir: Path) -> None:
    """Move everything booked so far to an earlier day."""
    with closing(sqlite3.connect(DataPaths(data_dir).pull / "calls.sqlite")) as con, con:
        con.execute("update call set day = date(day, '-1 day')")
        con.execute("update or replace spent set day = date(day, '-1 day')")


def _release(data_dir: Path) -> str:
    latest = DataPaths(data_dir).releases / "latest"
    return latest.resolve().name if latest.exists() else "none"
