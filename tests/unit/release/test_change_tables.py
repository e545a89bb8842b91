"""The tables of changes: leads that moved between two releases, and the revised data sets that they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.release.change_tables import LEAD_CHANGE, REVISION_EFFECT, write_change_tables
from orchestration.release.changes import Side
from orchestration.release.engine import session
from tests.unit.release.conftest import Published
from tests.unit.release.world import Run, snapshot

Row = dict[str, Any]
COLUMNS = {
    "mart_passage_lead": "lead_id, grade, passage_fob_usd, lead_rank",
    "mart_lead_evidence": "lead_id, declaration_id",
    "fct_declaration": "declaration_id, delivery_id, period, reporter_code",
    "mart_revision": "period, reporter_code, older_delivery_id, newer_delivery_id, value_moved_usd",
}
ADDED = {
    "mart_passage_lead": "'Anomalous passage: ' || lead_id as lead_name, 'RUS_2022' as embargo_code",
    "mart_lead_evidence": "'A' as frequency",
    "fct_declaration": "'A' as frequency",
    "mart_revision": "'A' as frequency, 'CHN' as reporter_iso3, 'FOB' as valuation_filed",
}
# Lead a rose to A, b is gone, c stayed, d is new, e was regraded without a revision. China (156) revised 2022 and 2023:
# a and d rest on both years, b rested on 2023, c on 2022. Kazakhstan (398) filed from another file that moved as well,
# but not for a row of any lead; its revision of 2021 was already in the release before.
OLD = {
    "mart_passage_lead": "('a', 'B', 9.0, 1), ('b', 'C', 8.0, 2), ('c', 'D', 7.0, 3), ('e', 'B', 5.0, 4)",
    "mart_lead_evidence": "('a', 'o1'), ('b', 'o1'), ('c', 'o2'), ('e', 'k1')",
    "fct_declaration": "('o1', 'old', '2023', '156'), ('o2', 'old', '2022', '156'), ('k1', 'kaz', '2021', '398')",
    "mart_revision": "('2021', '398', 'kaz0', 'kaz', 1.0)",
}
NEW = {
    "mart_passage_lead": "('a', 'A', 9.5, 1), ('c', 'D', 7.0, 3), ('d', 'B', 6.0, 2), ('e', 'C', 5.0, 4)",
    "mart_lead_evidence": "('a', 'n1'), ('a', 'n2'), ('c', 'n2'), ('d', 'n1'), ('d', 'n2'), ('e', 'k1')",
    "fct_declaration": "('n1', 'new', '2023', '156'), ('n2', 'new', '2022', '156'), ('n3', 'new', '2022', '398'), "
    "('k1', 'kaz', '2021', '398')",
    "mart_revision": "('2021', '398', 'kaz0', 'kaz', 1.0), ('2022', '156', 'old', 'new', 20.0), "
    "('2023', '156', 'old', 'new', 30.0), ('2022', '398', 'old', 'new', 5.0)",
}


def side(folder: Path, release_id: str, tables: Mapping[str, str], without: str = "") -> Side:
    """A release whose tables hold these rows, but for one column or table."""
    folder.mkdir(parents=True)
    with session(folder) as con:
        for table, rows in tables.items():
            if table != without:
                listed = f"select *, {ADDED[table]} from (values {rows}) t({COLUMNS[table]})"
                kept = f"select * exclude ({without.split('.')[1]}) from ({listed})" if table in without else listed
                con.execute(f"copy ({kept}) to '{folder / table}.parquet'")
    return Side(release_id, folder, ())


def told(folder: Path, new: Side, old: Side | None) -> dict[str, list[Row]]:
    """Rows of both tables as written."""
    folder.mkdir(exist_ok=True)
    with session(folder) as con:
        found = {}
        for table in write_change_tables(con, folder, new, old):
            answer = con.execute(f"select * from '{folder}/{table.name}.parquet'")
            names = [column[0] for column in answer.description or []]
            assert names == [column.name for column in table.published_columns]
            found[table.name] = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
            assert len(found[table.name]) == table.row_count
        return found


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Side, Side]:
    """The newer and the older release."""
    return side(tmp_path / "new", "r-new", NEW), side(tmp_path / "old", "r-old", OLD)


def test_a_lead_is_told_with_both_sides_when_it_is_new_gone_or_regraded(
    tmp_path: Path, sides: tuple[Side, Side]
) -> None:
    rows = {row["lead_id"]: row for row in told(tmp_path / "changes", *sides)["lead_change"]}
    assert {lead: row["change_kind"] for lead, row in rows.items()} == {
        "a": "regraded", "b": "gone", "d": "new", "e": "regraded",
    }  # fmt: skip
    assert rows["a"] == {
        "lead_id": "a",
        "lead_name": "Anomalous passage: a",
        "embargo_code": "RUS_2022",
        "change_kind": "regraded",
        "grade_before": "B",
        "grade_after": "A",
        "passage_before_fob_usd": 9.0,
        "passage_after_fob_usd": 9.5,
        "rank_before": 1,
        "rank_after": 1,
        "is_evidence_revised": True,
        "revised_sets": "A-2022-156 A-2023-156",
        "since_release_id": "r-old",
        "release_id": "r-new",
    }
    gone, new = rows["b"], rows["d"]
    assert (gone["grade_after"], gone["passage_after_fob_usd"], gone["rank_after"]) == (None, None, None)
    assert (new["grade_before"], new["passage_before_fob_usd"], new["rank_before"]) == (None, None, None)


def test_revised_evidence_is_told_when_either_release_rests_on_it(tmp_path: Path, sides: tuple[Side, Side]) -> None:
    rows = told(tmp_path / "changes", *sides)["lead_change"]
    revised = {row["lead_id"]: (row["is_evidence_revised"], row["revised_sets"]) for row in rows}
    assert revised["b"] == (True, "A-2023-156")
    assert revised["d"] == (True, "A-2022-156 A-2023-156")
    # Its data set was revised before the older release already.
    assert revised["e"] == (False, None)


def test_leads_are_counted_by_what_became_of_them_when_a_data_set_was_revised(
    tmp_path: Path, sides: tuple[Side, Side]
) -> None:
    kinds = ("new", "gone", "regraded", "same_grade")
    rows = told(tmp_path / "changes", *sides)["revision_effect"]
    counts = {
        (row["period"], row["reporter_code"]): tuple(row[f"leads_{kind}_count"] for kind in kinds) for row in rows
    }
    assert counts == {("2022", "156"): (1, 0, 1, 1), ("2022", "398"): (0, 0, 0, 0), ("2023", "156"): (1, 1, 1, 0)}
    assert [row["value_moved_usd"] for row in rows] == [20.0, 5.0, 30.0]
    assert {(row["since_release_id"], row["release_id"]) for row in rows} == {("r-old", "r-new")}


def test_both_tables_are_empty_when_nothing_moved(tmp_path: Path, sides: tuple[Side, Side]) -> None:
    new, _ = sides
    assert told(tmp_path / "changes", new, replace(new, release_id="r-old")) == {
        "lead_change": [], "revision_effect": [],
    }  # fmt: skip


def test_both_tables_are_empty_with_their_columns_when_there_is_no_release_before(
    tmp_path: Path, sides: tuple[Side, Side]
) -> None:
    assert told(tmp_path / "changes", sides[0], None) == {"lead_change": [], "revision_effect": []}


@pytest.mark.parametrize("without", ["mart_revision", "mart_revision.value_moved_usd", "fct_declaration.delivery_id"])
def test_revised_evidence_is_not_known_when_the_release_before_does_not_tell_it(tmp_path: Path, without: str) -> None:
    sides = side(tmp_path / "new", "r-new", NEW), side(tmp_path / "old", "r-old", OLD, without)
    found = told(tmp_path / "changes", *sides)
    assert found["revision_effect"] == []
    assert [(row["lead_id"], row["is_evidence_revised"]) for row in found["lead_change"]] == [
        ("a", None), ("b", None), ("d", None), ("e", None),
    ]  # fmt: skip


def test_no_lead_is_compared_when_the_release_before_holds_none(tmp_path: Path) -> None:
    sides = side(tmp_path / "new", "r-new", NEW), side(tmp_path / "old", "r-old", OLD, "mart_passage_lead")
    assert told(tmp_path / "changes", *sides) == {"lead_change": [], "revision_effect": []}


def test_equal_bytes_come_out_when_the_same_releases_are_compared_twice(
    tmp_path: Path, sides: tuple[Side, Side]
) -> None:
    for folder in ("one", "two"):
        told(tmp_path / folder, *sides)
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


def test_every_column_is_described_when_the_tables_are_declared() -> None:
    for form in (LEAD_CHANGE, REVISION_EFFECT):
        assert form.description.startswith("One ")
        assert all(column.description.endswith(".") for column in form.columns)
        assert set(form.primary_key) <= {column.name for column in form.columns}


def test_the_release_id_stays_when_another_release_was_published_before(waiting: Run) -> None:
    """What moved hangs on the release before; the id of a release must not."""
    release = waiting.publish()
    alone = replace(waiting, settings=waiting.settings.model_copy(update={"data_dir": waiting.paths.root / "alone"}))
    first = alone.ready().publish()
    assert first.release_id == release.release_id
    texts = [(one.path / "CHANGES.md").read_text(encoding="utf-8") for one in (release, first)]
    assert texts[0] != texts[1]
    for table in ("fct_mirror_flow", "mart_revision"):
        one, two = ((r.path / "parquet" / f"{table}.parquet").read_bytes() for r in (release, first))
        assert one == two


def test_the_tables_stand_in_the_database_and_the_checksums_when_a_release_is_published(published: Published) -> None:
    path = published.release.path
    listed = (path / "checksums.sha256").read_text(encoding="utf-8")
    with duckdb.connect(str(path / "warehouse.duckdb"), read_only=True) as con:
        for table in ("lead_change", "revision_effect"):
            assert con.execute(f"select count(*) from changes.{table}").fetchall() == [(0,)]
            assert all(f"  changes/{table}.{kind}\n" in listed for kind in ("parquet", "csv"))
