"""A user's file of distances: read, named by place codes, used where it holds a corridor, refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from orchestration.distances import DistanceFileError, read_distances
from orchestration.pipeline.reconciliation import reconcile_tables
from orchestration.reference import load_reference, reference_fingerprint

ROWS = {
    "iso_o": ["DEU", "DEU", "XXX"],
    "iso_d": ["ROM", "CHN", "DEU"],
    "contig": [0, 0, 1],
    "dist": [1300.5, 7000.0, 1.0],
}
GERMANY, ROMANIA, CHINA = "276", "642", "156"


def _file(folder: Path, suffix: str = ".csv", **changes: list[object]) -> Path:
    path = folder / f"dist_cepii{suffix}"
    frame = pd.DataFrame(ROWS | changes)
    if suffix == ".dta":
        frame.to_stata(path, write_index=False)
    else:
        frame.to_csv(path, index=False)
    return path


def test_the_ends_may_be_named_exporter_and_importer(tmp_path: Path, seeds_dir: Path) -> None:
    path = tmp_path / "dist_cepii.csv"
    pd.DataFrame(ROWS).rename(columns={"iso_o": "exporter", "iso_d": "importer"}).to_csv(path, index=False)
    assert read_distances(path, load_reference(seeds_dir).places).height >= 2


@pytest.mark.parametrize("suffix", [".csv", ".dta"])
def test_corridors_are_named_by_place_codes_when_the_file_is_read(tmp_path: Path, seeds_dir: Path, suffix: str) -> None:
    found = read_distances(_file(tmp_path, suffix), load_reference(seeds_dir).places)
    # A country that had another code before has the same distances under it.
    found = found.filter(pl.col("exporter_code") == GERMANY)
    assert found.select("exporter_code", "importer_code", "distance_km").rows() == [
        (GERMANY, CHINA, 7000.0),
        (GERMANY, ROMANIA, 1300.5),
    ]


def test_a_corridor_takes_the_files_distance_and_others_keep_their_great_circle(
    tmp_path: Path, seeds_dir: Path
) -> None:
    plain = load_reference(seeds_dir)
    brought = load_reference(seeds_dir, _file(tmp_path, contig=[1, 0, 1]))
    corridors = pl.DataFrame({"exporter_code": [GERMANY, CHINA], "importer_code": [ROMANIA, GERMANY]})
    own = reconcile_tables(plain).corridor_facts(corridors).sort("exporter_code")
    used = reconcile_tables(brought).corridor_facts(corridors).sort("exporter_code")
    assert used["distance_km"].to_list() == [own["distance_km"][0], 1300.5]
    assert used["is_contiguous"].to_list() == [False, True]
    assert own["is_contiguous"].to_list() == [False, False]


def test_the_fingerprint_moves_with_the_file(tmp_path: Path, seeds_dir: Path) -> None:
    one = reference_fingerprint(seeds_dir, _file(tmp_path))
    other = reference_fingerprint(seeds_dir, _file(tmp_path, dist=[1.0, 2.0, 3.0]))
    assert len({one, other, reference_fingerprint(seeds_dir)}) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.dta", "no file of distances"),
        (lambda folder: _file(folder).rename(folder / "dist_cepii.xls"), r"neither \.dta nor \.csv"),
        (lambda folder: _file(folder, iso_o=["QQQ"] * 3), "names no two places"),
    ],
)
def test_a_file_is_refused_with_its_reason(tmp_path: Path, seeds_dir: Path, make: object, message: str) -> None:
    with pytest.raises(DistanceFileError, match=message):
        read_distances(make(tmp_path), load_reference(seeds_dir).places)  # type: ignore[operator]


def test_a_file_without_its_columns_is_refused(tmp_path: Path, seeds_dir: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("iso_o,iso_d\nDEU,CHN\n", encoding="utf-8")
    with pytest.raises(DistanceFileError, match="no column contig, dist"):
        read_distances(path, load_reference(seeds_dir).places)


def test_the_bundle_takes_none_when_no_file_is_named(seeds_dir: Path) -> None:
    tables = reconcile_tables(load_reference(seeds_dir))
    assert tables.distances is None
    assert (
        replace(tables, distances=None)
        .corridor_facts(pl.DataFrame({"exporter_code": [GERMANY], "importer_code": [CHINA]}))["distance_km"]
        .item()
        > 7000
    )
