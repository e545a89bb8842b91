"""Equal settings give equal bytes, whatever the process, the order and the cut; other seeds give other worlds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from orchestration.reference import load_reference
from orchestration.sample import REFERENCE_FRAMES, Delivery, WorldConfig, build_world, deliver, iter_deliveries
from tests.unit.sample.worlds import Worlds

TINY = WorldConfig.tiny()
SHORT = replace(TINY, start_year=2022, end_year=2022, monthly_start_year=2023)
_PRINT_DIGEST = """
import sys
from pathlib import Path
from orchestration.reference import load_seed
from orchestration.sample import REFERENCE_FRAMES, iter_deliveries
from tests.unit.sample.test_world_determinism import SHORT, digest
frames = {name: load_seed(Path(sys.argv[1]), name) for name in REFERENCE_FRAMES}
print(digest(iter_deliveries(SHORT, frames)))
"""


def digest(deliveries: Iterable[Delivery]) -> str:
    """SHA-256 over the bytes of every table of the deliveries."""
    found = hashlib.sha256()
    for delivery in deliveries:
        for table in (delivery.declared, *delivery.truth.values()):
            found.update(delivery.name.encode() + table.write_ipc(None).getvalue())
    return found.hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_bytes_are_the_same_when_another_process_makes_the_world(
    frames: Mapping[str, pl.DataFrame], seeds_dir: Path, project_dir: Path, hash_seed: str
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _PRINT_DIGEST, str(seeds_dir)],
        cwd=project_dir,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(project_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == digest(iter_deliveries(SHORT, frames))


def test_bytes_differ_when_the_seed_differs(frames: Mapping[str, pl.DataFrame]) -> None:
    other = replace(SHORT, seed=TINY.seed + 1)
    assert digest(iter_deliveries(SHORT, frames)) != digest(iter_deliveries(other, frames))
    (one,) = iter_deliveries(SHORT, frames)
    (two,) = iter_deliveries(other, frames)
    shared = one.truth["true_flow"].join(
        two.truth["true_flow"], on=["exporter_code", "importer_code", "product_code", "true_fob_usd"], how="inner"
    )
    assert shared.height == 0


@pytest.mark.parametrize("key", ["M-202212", "A-2019", "M-202101"])
def test_a_period_made_alone_equals_the_same_period_when_the_whole_is_made(
    tiny: dict[str, Delivery], frames: Mapping[str, pl.DataFrame], key: str
) -> None:
    fresh = Worlds(frames).made(TINY, key)
    assert fresh.name == key
    assert fresh.declared.equals(tiny[key].declared)
    assert fresh.truth["true_flow"].equals(tiny[key].truth["true_flow"])


def test_parts_together_equal_the_whole_when_a_period_is_cut(
    tiny: dict[str, Delivery], frames: Mapping[str, pl.DataFrame]
) -> None:
    world = build_world(replace(TINY, delivery_row_limit=300), frames)
    parts = list(deliver(world, "A", 2023))
    whole = tiny["A-2023"]
    assert [part.name for part in parts] == [f"A-2023-p{number:02d}" for number in range(1, len(parts) + 1)]
    assert len(parts) > 3
    reporters = [set(part.declared["reporterCode"]) for part in parts]
    assert sum(len(group) for group in reporters) == len(set().union(*reporters))
    key = ["reporterCode", "flowCode", "partnerCode", "cmdCode", "motCode", "customsCode", "partner2Code"]
    joined = pl.concat(part.declared for part in parts)
    assert joined.sort(key).equals(whole.declared.sort(key))
    exporters = [set(part.truth["true_flow"]["exporter_code"]) for part in parts]
    assert sum(len(group) for group in exporters) == len(set().union(*exporters))
    truth = pl.concat(part.truth["true_flow"] for part in parts)
    assert truth.sort(truth.columns).equals(whole.truth["true_flow"].sort(truth.columns))


def test_no_part_is_much_larger_than_the_limit_when_a_period_is_cut(frames: Mapping[str, pl.DataFrame]) -> None:
    limit = 3_000
    world = build_world(WorldConfig(delivery_row_limit=limit), frames)
    heights = [part.declared.height for part in deliver(world, "A", 2023)]
    assert max(heights) <= 2 * limit
    assert sum(heights) > 3 * limit


def test_a_shorter_span_holds_the_same_period_when_the_world_is_the_same(
    tiny: dict[str, Delivery], worlds: Worlds
) -> None:
    shorter = replace(TINY, start_year=2021, end_year=2023, frequencies=("M",))
    assert worlds.made(shorter, "M-202207").declared.equals(tiny["M-202207"].declared)


def test_periods_follow_the_span_and_frequency_when_they_are_set() -> None:
    config = WorldConfig(start_year=2020, end_year=2021, monthly_start_year=2021)
    months = [("M", 202100 + month) for month in range(1, 13)]
    assert list(config.periods()) == [("A", 2020), ("A", 2021), *months]
    assert list(replace(config, frequencies=("A",)).periods()) == [("A", 2020), ("A", 2021)]
    assert list(replace(config, frequencies=("M",)).periods()) == months
    standard = list(WorldConfig.standard().periods())
    assert len(standard) == 8 + 48
    assert (standard[0], standard[8], standard[-1]) == (("A", 2017), ("M", 202101), ("M", 202412))


def test_typed_and_text_reference_tables_give_one_world_when_codes_are_the_same(
    tiny: dict[str, Delivery], seeds_dir: Path
) -> None:
    reference = load_reference(seeds_dir)
    typed = Worlds({name: getattr(reference, name) for name in REFERENCE_FRAMES})
    assert typed.made(TINY, "M-202305").declared.equals(tiny["M-202305"].declared)
