"""A period worked through in slices of exporters gives what it gives in one piece."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import polars as pl
import pytest

from bench.speed import SEEDS_DIR, make
from orchestration.pipeline import reconciliation, slices
from orchestration.pipeline.declarations import PeriodSummary
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.pipeline.slices import WHOLE, Slice, SlicedTable, cut, read_slice, slices_of
from orchestration.reconcile import reliability
from orchestration.reconcile.schema import FrameError
from orchestration.reference import load_reference


def counts(**rows: int) -> pl.DataFrame:
    return pl.DataFrame({"exporter_code": list(rows), "rows": list(rows.values())})


def test_slices_hold_every_code_once_and_no_more_rows_than_asked_when_a_period_is_cut() -> None:
    parts = cut(counts(a=3, b=4, c=5, d=9, e=1), most=8)
    assert parts == [Slice("", "c"), Slice("c", "d"), Slice("d", "e"), Slice("e", None)]
    codes = pl.DataFrame({"exporter_code": ["", "a", "b", "c", "d", "e", "z"]})
    assert sum(codes.filter(part.holds()).height for part in parts) == codes.height


def test_one_exporter_of_too_many_rows_stays_whole_when_a_period_is_cut() -> None:
    assert cut(counts(a=100), most=8) == [WHOLE]


def test_a_small_file_is_one_slice_when_it_is_not_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"exporter_code": ["a", "a", "b"], "n": [1, 2, 3]}).write_parquet(path)
    assert slices_of(path, most=3) == [WHOLE]
    assert slices_of(path, most=2) == [Slice("", "b"), Slice("b", None)]
    assert read_slice(path, Slice("b", None), ["n"])["n"].to_list() == [3]


def test_frames_written_one_after_the_other_read_as_one_table_when_the_block_ends(tmp_path: Path) -> None:
    frames = [pl.DataFrame({"t": ["x", None], "d": [1.5, None]}), pl.DataFrame({"t": ["y"], "d": [2.5]})]
    for number in (1, 2):
        with SlicedTable(tmp_path / f"{number}.parquet") as table:
            for frame in frames[:number]:
                table.add(frame)
        assert pl.read_parquet(tmp_path / f"{number}.parquet").equals(pl.concat(frames[:number]))


def test_nothing_is_left_behind_when_a_sliced_table_fails_half_way(tmp_path: Path) -> None:
    def fail() -> None:
        with SlicedTable(tmp_path / "t.parquet") as table:
            table.add(pl.DataFrame({"n": [1]}))
            table.add(pl.DataFrame({"n": [2]}))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def contracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted world of mixed editions, rolled-up years, hidden partners and re-exports, contracted."""
    folder = tmp_path_factory.mktemp("world")
    make(40_000, folder)
    return folder


@pytest.fixture
def reconciled(contracted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Reconcile the world with a number of rows per slice; returns the folder of results."""
    reference = load_reference(SEEDS_DIR)

    def run(most: int) -> Path:
        monkeypatch.setattr(slices, "ROWS_PER_SLICE", most)
        monkeypatch.setattr(slices, "_BATCH_ROWS", most)
        folder = tmp_path / str(most)
        (folder).mkdir()
        for name in ("declarations", "control_totals", "coverage_filed"):
            for path in (contracted / "contracted" / name).glob("?-2022*.parquet"):
                (folder / "contracted" / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / "contracted" / name / path.name)
        shutil.copy(contracted / "contracted" / "completeness.parquet", folder / "contracted")
        paths = DataPaths(folder)
        keys = list(with_rolled_up_years(p.stem for p in (folder / "contracted" / "declarations").glob("*.parquet")))
        reconciliation.pair_periods(paths, keys, keys, reference, "test")
        reconciliation.fit_parameters(paths, keys, reference, "test")
        reconciliation.reconcile_periods(paths, keys, reference, "test")
        return folder / "reconciled"

    return run


def test_every_table_is_the_same_when_periods_are_cut_into_slices(reconciled: Callable[[int], Path]) -> None:
    whole, in_slices = reconciled(1_000_000), reconciled(150)
    assert len(slices_of(whole / "pairs" / "A-2022.parquet", 150)) >= 3
    paths = sorted(path.relative_to(whole) for path in whole.rglob("*.parquet"))
    assert paths == sorted(path.relative_to(in_slices) for path in in_slices.rglob("*.parquet"))
    assert len(paths) > 80
    for path in paths:
        one, other = pl.read_parquet(whole / path), pl.read_parquet(in_slices / path)
        if path.parts[0] == "sources":
            # Sorted by declaration within a slice only.
            one, other = one.sort(pl.all()), other.sort(pl.all())
        assert one.equals(other), path


def test_no_scratch_folder_is_left_when_a_period_was_cut(reconciled: Callable[[int], Path]) -> None:
    assert [p.name for p in reconciled(150).iterdir() if p.name.startswith(("slices-", "training-"))] == []


def training(rows: int) -> pl.DataFrame:
    """One exporter with every row, another with ten; importers in turn."""
    exporter = ["big"] * (rows - 10) + ["small"] * 10
    return pl.DataFrame({"exporter_code": exporter, "importer_code": [f"i{n % 7}" for n in range(rows)]})


def test_small_reporters_keep_every_row_and_big_ones_enough_when_training_is_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reliability, "MOST_TRAINING_ROWS", 1_000)
    monkeypatch.setattr(reliability, "TRAINING_ROWS_PER_REPORTER", 100)
    kept = reliability.thin_reliability_training(training(5_000))
    by_exporter = dict(kept.group_by("exporter_code").len().iter_rows())
    assert by_exporter["small"] == 10
    assert 100 <= by_exporter["big"] < 1_500
    assert kept.group_by("importer_code").len()["len"].min() >= 100
    assert reliability.thin_reliability_training(training(1_000)).height == 1_000


def test_facts_need_a_part_when_they_are_joined() -> None:
    with pytest.raises(ValueError, match="without any part"):
        slices.reconcile.join_facts([])


def test_a_slice_without_its_end_takes_every_later_code() -> None:
    frame = pl.DataFrame({"exporter_code": ["a", "b", "c"]})
    assert frame.filter(Slice("b", None).holds())["exporter_code"].to_list() == ["b", "c"]


def test_large_periods_are_worked_alone_in_every_stage(
    contracted: Path, reconciled: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[set[str]] = []
    each = reconciliation.each_period

    def noted(work: Callable[[str], object], periods: list[str], large: Collection[str] = ()) -> list[object]:
        alone.append(set(large))
        return each(work, periods, large)

    rows = {
        path.stem: pl.read_parquet(path).height
        for path in (contracted / "contracted" / "declarations").glob("?-2022*.parquet")
    }
    most = sorted(rows.values())[-2]
    monkeypatch.setattr(reconciliation, "each_period", noted)
    monkeypatch.setattr(reconciliation, "LARGE_PERIOD_ROWS", most)
    monkeypatch.setattr(reconciliation, "LARGE_PERIOD_PAIRS", 0)
    reconciled(1_000_000)
    largest = {key for key, count in rows.items() if count > most}
    assert len(largest) == 1
    # Pairing goes by declared rows; valuation and flows by pairs, of which every period has some; fits are no periods.
    assert [found for found in alone if found] == [largest, set(rows), set(rows)]


def test_a_period_that_is_done_again_for_nothing_tells_the_same_of_itself(
    reconciled: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, list[tuple[list[PeriodSummary], list[PeriodSummary]]]] = {
        "pair_periods": [],
        "reconcile_periods": [],
    }
    for name, found in told.items():
        stage = getattr(reconciliation, name)
        monkeypatch.setattr(reconciliation, name, lambda *given, s=stage, f=found: f.append((s(*given), s(*given))))
    reconciled(150)
    for ((first, again),) in told.values():
        assert [summary.was_current for summary in again] == [True] * len(first)
        assert not any(summary.was_current for summary in first)
        assert [(s.period_key, s.row_count, s.value_usd) for s in first] == [
            (s.period_key, s.row_count, s.value_usd) for s in again
        ]
        assert min(summary.row_count for summary in first) > 0


def test_a_valuation_beside_other_pairs_is_refused(tmp_path: Path) -> None:
    key = {"exporter_code": ["004", "008"], "importer_code": ["012", "012"]}
    pl.DataFrame({**key, "product_code": ["100110", "100190"], "importer_value_usd": [1.0, 2.0]}).write_parquet(
        tmp_path / "pairs.parquet"
    )
    pl.DataFrame({**key, "product_code": ["100110", "100110"], "importer_fob_usd": [1.0, 2.0]}).write_parquet(
        tmp_path / "valued.parquet"
    )
    inputs = {name: tmp_path / f"{name}.parquet" for name in ("pairs", "valued")}
    with pytest.raises(FrameError, match="stands beside other pairs"):
        reconciliation._read_valued(inputs, WHOLE, ["importer_value_usd", "importer_fob_usd"])
