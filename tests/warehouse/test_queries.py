"""The analysts' questions run on a published release, read only, and say what their header promises.

Belongs here: every file of queries/ against the release of the tiny planted world, and the planted passages that some
of them must find. Does not belong here: style and portability of their SQL (`test_sql_style`, `portability`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests.warehouse.building import Warehouse

QUERIES = sorted((Path(__file__).resolve().parents[2] / "queries").glob("*.sql"))
SECTIONS = ("Question", "How to read", "Caveats", "Columns")
_COLUMN_LINE = re.compile(r"^--   ([a-z_0-9]+(?:, [a-z_0-9]+)*): \S")
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One planted passage: names of its places as dim_place has them, its product, and the codes of its first leg."""

    origin: str
    transit: str
    second_transit: str | None
    product: str
    leg: tuple[str, str, str]


def header_problems(text: str) -> list[str]:
    """What the head of a query lacks: a section, a caveat's modesty, parameters in one place."""
    head = text.split("with parameters as (", 1)[0]
    problems = [f"no section {one}" for one in SECTIONS if f"-- {one}:" not in head]
    if "with parameters as (" not in text or any(not line.startswith("--") for line in head.strip().splitlines()):
        problems.append("it does not begin with its header and its parameters")
    body = text.split("),\n", 1)[-1]
    if re.search(r"\bdate '|'\d{3}'", body):
        problems.append("a constant that an analyst would edit stands outside the parameters")
    if re.search(r"\bguilty\b", text) and "never guilty" not in text:
        problems.append("it speaks of guilt")
    return problems


def documented_columns(text: str) -> list[str]:
    """Columns in the order in which the header names them."""
    lines = text.split("-- Columns:\n", 1)[-1].splitlines()
    found = (_COLUMN_LINE.match(line) for line in lines)
    return [name for match in found if match for name in match.group(1).split(", ")]


def answer(release: Path, text: str, threads: int = 2) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query on a release, opened as an analyst would."""
    with duckdb.connect(str(release / "warehouse.duckdb"), read_only=True, config={"threads": threads}) as con:
        result = con.execute(text)
        return [column[0] for column in result.description or []], result.fetchall()


def rows_of(release: Path, number: str) -> list[Row]:
    """The answer of the query with a number, as dictionaries."""
    path = next(path for path in QUERIES if path.name.startswith(number))
    names, rows = answer(release, path.read_text(encoding="utf-8"))
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_questions_are_numbered_without_a_gap_when_the_folder_is_read() -> None:
    assert [path.name[:3] for path in QUERIES] == [f"{number:02d}_" for number in range(1, len(QUERIES) + 1)]
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_question_is_explained_when_its_file_is_read(path: Path) -> None:
    assert header_problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- Question: a?\nwith parameters as (\n    select 1\n),\n", "no section Caveats"),
        ("select 1\n", "it does not begin with its header and its parameters"),
        (
            "with parameters as (\n    select 1\n),\n\nx as (select date '2022-01-01')",
            "a constant that an analyst would edit stands outside the parameters",
        ),
        ("-- Caveats: the guilty ones.\n", "it speaks of guilt"),
    ],
)
def test_a_poor_header_is_found_when_a_question_has_it(text: str, problem: str) -> None:
    assert problem in header_problems(text)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_question_answers_with_its_documented_columns_when_a_release_is_asked(
    sample_release: Path, path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    names, rows = answer(sample_release, text)
    assert names == documented_columns(text)
    assert rows != []
    places = [text for row in rows for text in row if isinstance(text, str) and text.strip() == ""]
    assert places == []


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_question_answers_in_one_order_when_it_is_asked_twice(sample_release: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    answers = [[_without_noise(row) for row in answer(sample_release, text, threads)[1]] for threads in (1, 2)]
    assert answers[0] == answers[1]


def _without_noise(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row whose doubles are cut to nine digits: sums of doubles depend on the order of adding."""
    return tuple(float(f"{cell:.9g}") if isinstance(cell, float) else cell for cell in row)


def planted(release: Path, kind: str) -> list[Case]:
    """The planted passages of a kind, largest first, with the names that the release gives their places."""
    truth = pl.read_parquet(release.parents[1] / "sample" / "truth" / "planted_case.parquet")
    with duckdb.connect(str(release / "warehouse.duckdb"), read_only=True) as con:
        names = dict(con.execute("select place_code, place_name from marts.dim_place").fetchall())
    found = truth.filter(pl.col("kind") == kind).sort("value_fob_usd", descending=True)
    return [
        Case(
            names[row["origin_code"]],
            names[row["transit_code"]],
            names.get(row["second_transit_code"]),
            row["product_code"],
            (row["origin_code"], row["transit_code"], row["product_code"]),
        )
        for row in found.iter_rows(named=True)
    ]


def _is_gap(row: Row, case: Case) -> bool:
    ends = (row["exporter_name"], row["importer_name"], row["product_code"])
    return ends == (case.origin, case.transit, case.product) and row["gap_fob_usd"] > 0


def _is_loss(row: Row, case: Case) -> bool:
    return (row["exporter_name"], row["importer_name"], row["product_code"]) == (
        case.origin,
        case.transit,
        case.product,
    )


def _is_missing_volume(row: Row, case: Case) -> bool:
    return _is_loss(row, case) and row["reading"] == "volume_anomalous" and row["net_weight_z_score"] > 0


def _is_swap(row: Row, case: Case) -> bool:
    ends = (row["exporter_name"], row["importer_name"], row["controlled_product_code"])
    return ends == (case.origin, case.transit, case.product)


def _is_displacement(row: Row, case: Case) -> bool:
    route = (row["exporter_name"], row["fallen_name"], row["risen_name"], row["product_code"])
    return route == (case.origin, case.transit, case.second_transit, case.product) and row["onward_change_fob_usd"] > 0


def _is_new_good(row: Row, case: Case) -> bool:
    return (row["importer_name"], row["largest_exporter_name"]) == (case.transit, case.origin)


def _has_moved(row: Row, case: Case) -> bool:
    return row["transit_name"] == case.transit and row["leg"] == "outbound" and row["difference_log_ratio"] > 0.5


@pytest.mark.parametrize(
    ("number", "kind", "is_it", "count"),
    [
        ("01", "lost_in_transit", _is_gap, 2),
        ("02", "roundabout", _has_moved, 2),
        ("03", "gun_sights", _is_new_good, 1),
        ("04", "lost_in_transit", _is_loss, 2),
        ("05", "decoy_drones", _is_swap, 1),
        ("06", "displacement", _is_displacement, 2),
        ("13", "lost_in_transit", _is_missing_volume, 2),
    ],
)
def test_planted_passages_are_found_when_the_release_is_of_the_planted_world(
    sample_release: Path, number: str, kind: str, is_it: Callable[[Row, Case], bool], count: int
) -> None:
    rows = rows_of(sample_release, number)
    missed = [case for case in planted(sample_release, kind)[:count] if not any(is_it(row, case) for row in rows)]
    assert missed == []


def test_a_silent_destination_is_told_as_such_when_it_stopped_reporting(sample_release: Path) -> None:
    rows = rows_of(sample_release, "08")
    by_year = {year: [row for row in rows if row["period"] == year] for year in ("2021", "2023")}
    assert max(row["partner_only_share_ratio"] for row in by_year["2021"]) < 0.5
    assert min(row["partner_only_share_ratio"] for row in by_year["2023"]) == 1.0
    shares = {year: {row["route"]: row["watched_share_ratio"] for row in found} for year, found in by_year.items()}
    assert shares["2023"]["transit_candidate"] > shares["2021"]["transit_candidate"] + 0.3


def test_my_exports_stand_first_beside_their_peers_when_peers_are_compared(sample_release: Path) -> None:
    rows = rows_of(sample_release, "07")
    assert [row["is_mine"] for row in rows] == [True] + [False] * (len(rows) - 1)
    assert min(row["peer_count"] for row in rows) >= 3


def test_my_exports_are_told_when_an_analyst_gives_their_codes(sample_release: Path) -> None:
    case = planted(sample_release, "roundabout")[0]
    text = next(path for path in QUERIES if path.name.startswith("07")).read_text(encoding="utf-8")
    for name, code in zip(("exporter_code", "importer_code", "product_code"), case.leg, strict=True):
        assert f"cast(null as string) as {name}" in text
        text = text.replace(f"cast(null as string) as {name}", f"'{code}' as {name}")
    names, rows = answer(sample_release, text)
    mine = dict(zip(names, rows[0], strict=True))
    assert (mine["exporter_name"], mine["importer_name"], mine["is_mine"]) == (case.origin, case.transit, True)
    assert mine["after_fob_usd"] > 2 * mine["before_fob_usd"]


def test_every_check_of_the_audit_record_is_told_when_the_release_is_asked(sample_release: Path) -> None:
    with duckdb.connect(str(sample_release / "warehouse.duckdb"), read_only=True) as con:
        count = con.execute("select count(*) from marts.mart_audit_result").fetchall()[0][0]
    rows = rows_of(sample_release, "12")
    assert len(rows) == count
    assert [row["check_name"] for row in rows if row["severity"] == "error" and not row["is_passed"]] == []


def exposed(manifest: dict[str, Any]) -> dict[str, set[str]]:
    """Public tables that each exposure says it reads."""
    return {
        one["name"].removeprefix("query_"): {node.split(".")[-1] for node in one["depends_on"]["nodes"]}
        for one in manifest["exposures"].values()
    }


@pytest.mark.xdist_group("warehouse")
def test_exposures_name_what_each_question_reads_when_both_are_compared(warehouse: Warehouse) -> None:
    read = {path.stem: set(re.findall(r"\bmarts\.(\w+)", path.read_text(encoding="utf-8"))) for path in QUERIES}
    assert exposed(json.loads(warehouse.manifest_path.read_text(encoding="utf-8"))) == read
