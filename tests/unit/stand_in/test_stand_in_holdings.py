"""Data sets: how rows are cut into them, versions, checksums, release dates, revisions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.stand_in import DatasetKey, Holdings, HoldingsError, StandIn
from orchestration.stand_in.holdings import first_release
from tests.unit.stand_in.asking import rows_of

PATHS = ("/data/v1/getDA/C/{}/HS", "/public/v1/getDa/C/{}/HS", "/DATA/V1/GETDA/c/{}/hs")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("frequency", ["A", "M"])
def test_totals_of_the_availability_list_equal_the_rows_when_both_are_asked_for(
    stand_in: StandIn, path: str, frequency: str
) -> None:
    listed = rows_of(stand_in, path.format(frequency))
    rows = pl.DataFrame(rows_of(stand_in, f"/data/v1/get/C/{frequency}/HS"), infer_schema_length=None)
    counts = {
        (int(period), reporter, edition): count
        for period, reporter, edition, count in rows.group_by("period", "reporterCode", "classificationCode")
        .len()
        .iter_rows()
    }
    found = {(one["period"], one["reporterCode"], one["classificationCode"]): one["totalRecords"] for one in listed}
    assert found == counts


def test_availability_is_filtered_when_reporter_period_or_dates_are_given(stand_in: StandIn, reporter: int) -> None:
    path = "/data/v1/getDa/C/M/HS"
    one = rows_of(stand_in, path, reporterCode=reporter, period="202201")
    assert [(row["reporterCode"], row["period"]) for row in one] == [(reporter, 202201)]
    everything = rows_of(stand_in, path)
    day = sorted(row["lastReleased"] for row in everything)[len(everything) // 2][:10]
    before = rows_of(stand_in, path, publishedDateTo=day)
    after = rows_of(stand_in, path, publishedDateFrom=day)
    assert {row["lastReleased"][:10] for row in before if row in after} == {day}
    assert len(before) + len(after) > len(everything) > max(len(before), len(after))


def test_only_the_revised_data_set_changes_when_one_is_revised(holdings: Holdings, stand_in: StandIn) -> None:
    path = "/data/v1/getDA/C/A/HS"
    before = {row["datasetCode"]: row for row in rows_of(stand_in, path)}
    revised = holdings.data_sets()[3]
    holdings.scale(revised.key, 1.25)
    after = {row["datasetCode"]: row for row in rows_of(stand_in, path)}
    assert [code for code in before if before[code] != after[code]] == [revised.dataset_code]
    old, new = before[revised.dataset_code], after[revised.dataset_code]
    assert new["datasetChecksum"] != old["datasetChecksum"]
    assert new["lastReleased"] > old["lastReleased"]
    assert new["firstReleased"] == old["firstReleased"]


def test_rows_of_a_revision_are_answered_when_it_replaces_the_old_ones(holdings: Holdings, stand_in: StandIn) -> None:
    one = holdings.data_sets()[0]
    holdings.revise(one.key, one.rows.head(4))
    rows = rows_of(stand_in, "/data/v1/get/C/A/HS", reporterCode=one.key.reporter_code, period=one.key.period)
    assert len(rows) == 4


def test_the_last_frame_is_current_when_a_data_set_comes_twice(annual: pl.DataFrame, reporter: int) -> None:
    rows = annual.filter(pl.col("reporterCode") == reporter)
    held = Holdings.from_frames([rows, rows.head(3)])
    (one,) = held.data_sets()
    assert [version.rows.height for version in one.versions] == [rows.height, 3]
    assert held.row_count == 3
    assert one.released[0] < one.released[1]


def test_the_checksum_is_of_the_content_when_rows_come_in_another_order(annual: pl.DataFrame, reporter: int) -> None:
    rows = annual.filter(pl.col("reporterCode") == reporter)
    checksums = [Holdings.from_frames([frame]).data_sets()[0].checksum for frame in (rows, rows.reverse(), rows[1:])]
    assert checksums[0] == checksums[1] != checksums[2]
    assert 0 <= min(checksums) <= max(checksums) < 2**31


def test_release_days_follow_the_period_when_nobody_looks_at_a_clock() -> None:
    month = first_release(DatasetKey("C", "M", "202202", 56, "H6"))
    year = first_release(DatasetKey("C", "A", "2022", 56, "H6"))
    assert month == date(2022, 3, 1) + (month - date(2022, 3, 1))
    assert date(2022, 3, 29) <= month < date(2022, 7, 1)
    assert date(2023, 4, 29) <= year < date(2023, 8, 1)
    assert month == first_release(DatasetKey("C", "M", "202202", 56, "H6"))


def test_a_folder_is_held_when_it_has_parquet_files(tmp_path: Path, declared: tuple[pl.DataFrame, ...]) -> None:
    for number, frame in enumerate(declared):
        frame.write_parquet(tmp_path / f"{number}.parquet")
    assert Holdings.from_folder(tmp_path).row_count == sum(frame.height for frame in declared)


def test_holding_is_refused_with_a_reason_when_there_is_nothing_or_the_rows_are_of_another_shape(
    tmp_path: Path, annual: pl.DataFrame, holdings: Holdings
) -> None:
    with pytest.raises(HoldingsError, match="no Parquet file"):
        Holdings.from_folder(tmp_path)
    with pytest.raises(HoldingsError, match="lack the columns \\['qty'\\]"):
        Holdings.from_frames([annual.drop("qty")])
    with pytest.raises(HoldingsError, match="not of its column's type"):
        Holdings.from_frames([annual.with_columns(qty=pl.lit("much"))])
    with pytest.raises(HoldingsError, match="empty cells"):
        Holdings.from_frames([annual.with_columns(period=pl.lit(None, dtype=pl.String))])
    first, second = holdings.data_sets()[:2]
    with pytest.raises(HoldingsError, match="would hide this one"):
        holdings.revise(first.key, second.rows)
    with pytest.raises(KeyError):
        holdings.scale(DatasetKey("C", "A", "1871", 56, "H6"), 2.0)
