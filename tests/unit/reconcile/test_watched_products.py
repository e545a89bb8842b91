"""Which codes never train the model, read from the project's own tables."""

from __future__ import annotations

from pathlib import Path

from orchestration.pipeline.reconciliation import reconcile_tables
from orchestration.reference import load_reference


def test_controlled_goods_and_their_predecessors_are_left_out_and_decoys_are_not_when_the_tables_are_read(
    seeds_dir: Path,
) -> None:
    codes = set(reconcile_tables(load_reference(seeds_dir)).watched_products()["product_code"])
    assert {"854231", "8542", "880610", "8806", "880330", "901310"} <= codes
    assert not {"842481", "8424", "84", "85"} & codes
