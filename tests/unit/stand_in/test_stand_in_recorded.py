"""Shapes of the stand-in beside answers recorded from the source; skipped where no recording is on this machine."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.comtrade.files import FileRefusal, read_delivery
from orchestration.reference import Reference
from orchestration.stand_in import Holdings, StandIn
from orchestration.stand_in.bulk import bulk_file
from tests.unit.stand_in.asking import ask, rows_of, said

GET = "/data/v1/get/C/A/HS"


@pytest.fixture(scope="module")
def recorded(shared_dir: Path) -> dict[int, bytes]:
    """Recorded bodies by the number in front of their name."""
    folder = shared_dir / "api_recordings"
    if not folder.is_dir():
        pytest.skip(f"recorded answers are not on this machine: {folder} is absent")
    return {int(path.name[:2]): path.read_bytes() for path in sorted(folder.glob("[0-9]*"))}


def results(body: bytes) -> list[dict[str, Any]]:
    """The rows of a reference table."""
    found: list[dict[str, Any]] = json.loads(body)["results"]
    return found


def kinds(row: dict[str, Any]) -> dict[str, type]:
    """The type of every cell that is not null."""
    return {name: type(value) for name, value in row.items() if value is not None}


def test_envelope_and_rows_have_the_recorded_fields_in_their_order_when_data_are_asked_for(
    recorded: dict[int, bytes], stand_in: StandIn
) -> None:
    ours = said(ask(stand_in, GET, period="2022", cmdCode="TOTAL", includeDesc="TRUE"))
    theirs = json.loads(recorded[4])
    assert list(ours) == list(theirs)
    assert list(ours["data"][0]) == list(theirs["data"][0])
    for row in ours["data"]:
        for name, kind in kinds(theirs["data"][0]).items():
            assert row[name] is None or isinstance(row[name], kind), name


def test_the_whole_answer_is_spelt_as_recorded_when_it_is_empty(recorded: dict[int, bytes], stand_in: StandIn) -> None:
    ours = ask(stand_in, "/data/v1/get/S/A/EB", period="2010")
    assert ours.body.replace(b"0.01 secs", b"6.69 secs") == recorded[18]


def test_both_refusals_of_a_key_are_the_recorded_bytes(recorded: dict[int, bytes], stand_in: StandIn) -> None:
    assert ask(stand_in, GET, key=None).body == recorded[23]
    assert ask(stand_in, GET, key="guess").body == recorded[24]


def test_a_list_of_files_has_the_recorded_fields_in_their_order(
    recorded: dict[int, bytes], stand_in: StandIn, reporter: int
) -> None:
    (ours,) = rows_of(stand_in, "/bulk/v1/get/C/A/HS", period="2022", reporterCode=reporter)
    theirs = json.loads(recorded[12])["data"][0]
    assert list(ours) == list(theirs)
    assert kinds(ours) == kinds(theirs)
    assert len(ours["rowKey"]) == len(theirs["rowKey"])
    assert ours["fileUrl"].rsplit("/", 2)[1:] == [str(reporter), ours["rowKey"]]


def test_a_bulk_file_has_the_recorded_header_and_line_ends(recorded: dict[int, bytes], holdings: Holdings) -> None:
    theirs = zlib.decompressobj(31).decompress(recorded[10], 2_000).split(b"\r\n")
    ours = gzip.decompress(bulk_file(holdings.data_sets()[0], "final")).split(b"\r\n")
    assert ours[0] == theirs[0]
    assert ours[1].count(b"\t") == theirs[1].count(b"\t")
    flags = theirs[0].split(b"\t").index(b"isReported")
    assert {line.split(b"\t")[flags] for line in ours[1:-1]} <= {b"0", b"1"}


@pytest.mark.parametrize(
    ("number", "name"), [(1, "HS.json"), (15, "ModeOfTransportCodes.json"), (16, "Reporters.json")]
)
def test_a_reference_table_has_the_recorded_fields_and_codes(
    recorded: dict[int, bytes], stand_in: StandIn, number: int, name: str
) -> None:
    ours = ask(stand_in, f"/files/v1/app/reference/{name}", key=None).body
    theirs = recorded[number]
    assert list(json.loads(ours)) == list(json.loads(theirs))
    assert {tuple(row) for row in results(ours)} <= {tuple(row) for row in results(theirs)}
    shared = {row["id"] for row in results(ours)} & {row["id"] for row in results(theirs)}
    assert len(shared) > 0.8 * len(results(theirs))


def test_the_projects_own_readers_take_answers_and_files_when_they_are_saved(
    stand_in: StandIn, holdings: Holdings, reference: Reference, tmp_path: Path
) -> None:
    one = holdings.data_sets()[0]
    key = one.key
    answer = ask(stand_in, GET, period=key.period, reporterCode=key.reporter_code)
    for name, body in (("answer.json", answer.body), ("file.txt.gz", bulk_file(one, "final"))):
        (tmp_path / name).write_bytes(body)
        delivery = read_delivery(tmp_path / name, reference.places, None, name)
        assert not isinstance(delivery, FileRefusal), delivery
        filed = one.rows.cast({pl.Categorical: pl.String})
        assert delivery.rows.height == filed.height
        for column in ("cmdCode", "primaryValue", "netWgt"):
            assert delivery.rows[column].to_list() == filed[column].to_list()
