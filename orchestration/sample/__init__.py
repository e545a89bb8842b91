"""The planted world: a deterministic generator of declarations whose truth is known.

Belongs here: a true world of trade flows, what each reporter declares of it in UN Comtrade's own 47-column schema,
and the truth tables that only tests and benchmarks read. Every planted effect and every kind of passage has a
switch of its own (`Effects`, `Evasion`). Pure: Polars and NumPy; reference tables come in as frames.

Does not belong here: reading seeds or writing files (the callers do), reading declarations (`comtrade`), and
estimating anything from them (`reconcile`). Nothing outside tests and benchmarks may read the truth.

The place and product codes are real, every figure is invented.
"""

from orchestration.sample.config import Effects, Evasion, WorldConfig
from orchestration.sample.declare import API_SCHEMA
from orchestration.sample.world import (
    REFERENCE_FRAMES,
    Delivery,
    World,
    build_world,
    deliver,
    iter_deliveries,
    lasting_truth,
    world_truth,
)

__all__ = [
    "API_SCHEMA",
    "REFERENCE_FRAMES",
    "Delivery",
    "Effects",
    "Evasion",
    "World",
    "WorldConfig",
    "build_world",
    "deliver",
    "iter_deliveries",
    "lasting_truth",
    "world_truth",
]
