"""Writes are whole or absent, fingerprints move with content, stamps say what need not be done again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import polars as pl
import pytest

from orchestration.pipeline.storage import (
    Stamps,
    combine,
    each_period,
    fingerprint_of_tree,
    remove_other_files,
    remove_temporaries,
    sha256_of_file,
    write_bytes,
    write_frame,
)


def test_the_old_file_stays_whole_when_a_write_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    write_frame(path, pl.DataFrame({"a": [1]}))
    before = path.read_bytes()

    def killed(*_given: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_frame(path, pl.DataFrame({"a": [2]}))
    assert path.read_bytes() == before


def test_equal_frames_give_equal_bytes_when_written_twice(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1.5, None], "b": ["x", "y"]})
    write_frame(tmp_path / "one.parquet", frame)
    write_frame(tmp_path / "two.parquet", frame)
    assert sha256_of_file(tmp_path / "one.parquet") == sha256_of_file(tmp_path / "two.parquet")


def test_fingerprint_differs_when_texts_are_cut_elsewhere() -> None:
    assert combine("ab", "c") != combine("a", "bc")


def test_tree_fingerprint_moves_when_a_file_does_and_ignores_what_is_built(tmp_path: Path) -> None:
    write_bytes(tmp_path / "models" / "a.sql", b"select 1")
    before = fingerprint_of_tree(tmp_path, ["**/*"])
    write_bytes(tmp_path / "target" / "a.sql", b"built")
    assert fingerprint_of_tree(tmp_path, ["**/*"]) == before
    write_bytes(tmp_path / "models" / "a.sql", b"select 2")
    assert fingerprint_of_tree(tmp_path, ["**/*"]) != before


def test_stamp_is_current_only_when_input_and_result_are_there(tmp_path: Path) -> None:
    stamps, result = Stamps(tmp_path / "stamps"), tmp_path / "result.parquet"
    assert not stamps.is_current("A-2020", "f", [result])
    stamps.write("A-2020", "f")
    assert not stamps.is_current("A-2020", "f", [result])
    write_bytes(result, b"x")
    assert stamps.is_current("A-2020", "f", [result])
    assert not stamps.is_current("A-2020", "g", [result])


def test_periods_go_when_the_source_no_longer_holds_them(tmp_path: Path) -> None:
    for key in ("A-2019", "A-2020"):
        write_bytes(tmp_path / f"{key}.parquet", b"x")
    assert remove_other_files(tmp_path, {"A-2020"}) == 1
    assert [p.stem for p in tmp_path.iterdir()] == ["A-2020"]
    assert remove_other_files(tmp_path / "absent", set()) == 0


def test_leftovers_of_killed_writes_go_and_results_stay_when_a_run_starts(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "table.parquet", b"x")
    (tmp_path / "deep" / ".table.parquet.123.tmp").write_bytes(b"half")
    assert remove_temporaries(tmp_path) == 1
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["table.parquet"]


def test_two_periods_are_worked_at_once_and_large_ones_alone() -> None:
    running, lock, seen = set[str](), threading.Lock(), dict[str, int]()

    def work(period: str) -> str:
        with lock:
            running.add(period)
        for _ in range(20):
            time.sleep(0.002)
            with lock:
                seen[period] = max(seen.get(period, 0), len(running))
        with lock:
            running.discard(period)
        return period.upper()

    assert each_period(work, ["a", "large", "b", "larger"], {"large", "larger"}) == ["A", "LARGE", "B", "LARGER"]
    assert seen == {"a": 2, "b": 2, "large": 1, "larger": 1}
