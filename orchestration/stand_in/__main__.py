"""The stand-in as a process of its own: `python -m orchestration.stand_in --help`.

Belongs here: the command line. Does not belong here: anything that a test needs in its own process.
The accepted key comes from the environment only (MIRROR_STAND_IN_KEY), because a command line is seen by others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestration.pipeline.plan import PlanError, world_config
from orchestration.reference import ReferenceError, load_reference
from orchestration.sample import REFERENCE_FRAMES, iter_deliveries
from orchestration.settings import Settings
from orchestration.stand_in.faults import FaultError, Faults
from orchestration.stand_in.holdings import Holdings, HoldingsError
from orchestration.stand_in.keys import FREE_ROWS, KeyLimits
from orchestration.stand_in.server import Server, address_of, listening_socket
from orchestration.stand_in.stand_in import StandIn

KEY_VARIABLE = "MIRROR_STAND_IN_KEY"
DEMONSTRATION_KEY = "stand-in-demonstration-key"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 0 when stopped, 2 when it cannot be started."""
    given = _parser().parse_args(arguments)
    try:
        stand_in = _stand_in(given)
        listener = listening_socket(given.port)
    except (HoldingsError, FaultError, PlanError, ReferenceError, json.JSONDecodeError, OSError) as error:
        print(f"the stand-in cannot be started: {error}", file=sys.stderr)
        return 2
    with listener:
        rows, sets = stand_in.holdings.row_count, len(stand_in.holdings.data_sets())
        print(f"{address_of(listener)} answers with {rows} rows of {sets} data sets", flush=True)
        server = Server(stand_in)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            print("stopped", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.stand_in",
        description=f"Answer as the UN Comtrade API does. The accepted key is {KEY_VARIABLE} in the environment "
        f"(default {DEMONSTRATION_KEY}).",
    )
    parser.add_argument("--folder", type=Path, help="Parquet files in API columns; default: the planted world")
    parser.add_argument("--port", type=int, default=0, help="port on this machine; 0 takes a free one")
    parser.add_argument("--cap", type=int, default=FREE_ROWS, help="rows in an answer at most")
    parser.add_argument("--quota", type=int, help="calls a day; default: without limit")
    parser.add_argument("--calls-a-second", type=int, help="calls a second; default: without limit")
    parser.add_argument("--faults", type=Path, help="JSON file with faults, as Faults.from_json reads them")
    parser.add_argument("--gzip", action="store_true", help="compress answers for callers that take it")
    return parser


def _stand_in(given: argparse.Namespace) -> StandIn:
    settings = Settings()
    reference = load_reference(settings.seeds_dir)
    if given.folder is not None:
        holdings = Holdings.from_folder(given.folder)
    else:
        frames = {name: getattr(reference, name) for name in REFERENCE_FRAMES}
        deliveries = iter_deliveries(world_config(settings), frames)
        holdings = Holdings.from_frames(delivery.declared for delivery in deliveries)
    limits = KeyLimits(rows=given.cap, calls_a_day=given.quota, calls_a_second=given.calls_a_second)
    key = os.environ.get(KEY_VARIABLE) or DEMONSTRATION_KEY
    faults = Faults.from_json(json.loads(given.faults.read_text(encoding="utf-8"))) if given.faults else None
    return StandIn(holdings, {key: limits}, faults=faults, compresses=given.gzip, reference=reference)


if __name__ == "__main__":
    sys.exit(main())
