"""The ledger: what its rows say, and which delivery they make the newer one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract.schema import PRECEDENCE
from orchestration.comtrade.landing import land_delivery
from orchestration.comtrade.ledger import (
    LandedFile,
    LedgerEntry,
    LedgerError,
    doubtful_entries,
    is_landed,
    landed_fingerprint,
    precedence,
    read_entry,
    read_ledger,
    replaced_data_sets,
    without_replaced,
    write_entry,
)
from tests.unit.comtrade.landing.builders import delivery_of


def _entry(
    name: str, released_on: date | None = None, rows: int = 10, keys: tuple[str, ...] = ("A-2017",)
) -> LedgerEntry:
    files = tuple(LandedFile(f"{key}/{number}_{name}.parquet", key, 1, 1.0, name) for number, key in enumerate(keys))
    return LedgerEntry(name, f"{name}.csv", "api_csv", released_on, rows, 1.0, files, "reader")


def test_ledger_rows_come_back_sorted_and_equal_when_written(tmp_path: Path) -> None:
    entries = [_entry("b", date(2020, 2, 3)), _entry("a", keys=("A-2017", "M-201701", "A-2017"))]
    assert read_ledger(tmp_path) == []
    for entry in entries:
        assert not is_landed(tmp_path, entry.delivery_id)
        write_entry(tmp_path, entry)
        assert is_landed(tmp_path, entry.delivery_id)
    assert read_ledger(tmp_path) == [entries[1], entries[0]]
    assert entries[1].period_keys == ("A-2017", "M-201701")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"delivery_id": "a"}', '{"released_on": "soon", "files": []}'])
def test_the_ledger_is_refused_when_a_row_is_damaged(tmp_path: Path, text: str) -> None:
    write_entry(tmp_path, _entry("b"))
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LedgerError, match=r"a\.json cannot be read .* remove the row"):
        read_ledger(tmp_path)


def test_a_half_written_row_is_no_row_when_a_process_was_killed(tmp_path: Path) -> None:
    write_entry(tmp_path, _entry("b"))
    (tmp_path / ".a.json.tmp").write_text("{")
    assert [entry.delivery_id for entry in read_ledger(tmp_path)] == ["b"]


def test_fingerprints_differ_only_where_bytes_differ_when_periods_are_compared() -> None:
    one, two = _entry("a", keys=("A-2017", "A-2018")), _entry("b")
    assert landed_fingerprint([one, two], "A-2017") == landed_fingerprint([two, one], "A-2017")
    assert landed_fingerprint([one, two], "A-2018") == landed_fingerprint([one], "A-2018")
    changed = replace(one, files=(replace(one.files[0], checksum="other"), one.files[1]))
    assert landed_fingerprint([changed, two], "A-2017") != landed_fingerprint([one, two], "A-2017")
    assert landed_fingerprint([changed, two], "A-2018") == landed_fingerprint([one, two], "A-2018")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (_entry("z", date(2019, 1, 1), rows=99), _entry("a", date(2020, 1, 1), rows=1)),
        (_entry("z", None, rows=99, keys=("A-2020",)), _entry("a", date(1999, 1, 1), rows=1)),
        (_entry("z", keys=("A-2017",), rows=99), _entry("a", keys=("A-2018",), rows=1)),
        (_entry("z", keys=("M-201711",), rows=99), _entry("a", keys=("A-2017",), rows=1)),
        (_entry("z", keys=("A-2017",), rows=99), _entry("a", keys=("A-2017", "A-2017"), rows=1)),
        (_entry("z", rows=10), _entry("a", rows=11)),
        (_entry("a"), _entry("z")),
    ],
    ids=["later_release", "stated_release", "later_period", "whole_year", "more_sets", "more_rows", "name"],
)
def test_the_newer_delivery_ranks_higher_when_two_hold_the_same_set(older: LedgerEntry, newer: LedgerEntry) -> None:
    for entries in ([older, newer], [newer, older]):
        table = precedence(entries)
        assert table.schema == PRECEDENCE
        ranks = dict(table.select("delivery_id", "precedence").iter_rows())
        assert ranks[newer.delivery_id] > ranks[older.delivery_id]


def test_every_delivery_ranks_once_when_many_are_compared() -> None:
    table = precedence([_entry(name) for name in "dcab"])
    assert table["delivery_id"].to_list() == ["a", "b", "c", "d"]
    assert table["precedence"].n_unique() == 4
    assert precedence([]).equals(pl.DataFrame(schema=PRECEDENCE))


def test_row_counts_and_values_stand_in_the_ledger_when_a_value_is_missing_or_infinite(tmp_path: Path) -> None:
    values = (100.0, None, float("nan"), float("inf"), -5.0)
    entry = land_delivery(delivery_of(*({"primaryValue": v} for v in values)), tmp_path / "landed", tmp_path / "ledger")
    assert (entry.row_count, entry.value_usd) == (5, 95.0)
    assert [file.value_usd for file in entry.files] == [95.0]


def _pulled(version: str, day: int, rows: int, stated: int | None, note: str = "") -> LedgerEntry:
    entry = replace(_entry(f"v{version}", date(2024, 5, day), rows), source_file=f"C-A-2017-012-H5-{version}")
    return replace(entry, source_format="api", stated_row_count=stated, note=note)


@pytest.mark.parametrize(
    ("rows", "stated", "note", "whole"),
    [
        (10, 10, "", True),
        (10, 10, "2 rows came twice and were dropped", True),
        (500, 9000, "cut off: 500 of 9000 rows, as the preview gives no more", False),
        (11, 10, "11 rows came twice alike while the availability list states 10", False),
        (10, None, "", True),
        (10, None, "2 rows came twice and were dropped", False),
    ],
)
def test_a_data_set_is_whole_when_it_has_the_stated_rows_whatever_its_note_says(
    rows: int, stated: int | None, note: str, whole: bool
) -> None:
    assert _pulled("1", 1, rows, stated, note).is_whole == whole


def test_a_data_set_is_not_whole_when_a_row_was_repeated_in_the_stated_number() -> None:
    """The number is right, and yet a row may be missing: the repeated one stands in its place."""
    doubled = replace(_pulled("1", 1, 10, 10, "10 rows (1 of them repeated) came twice alike"), repeated_row_count=1)
    assert not doubled.is_whole
    assert doubtful_entries([doubled]) == [doubled]


def test_the_version_that_the_api_lists_is_the_newest_whatever_its_date_and_rows() -> None:
    """Released twice on one day with fewer rows, or taken back to what it was before."""
    same_day, taken_back = _pulled("2", 1, 8, 8), _pulled("3", 9, 12, 12)
    for listed in (same_day, taken_back):
        others = [_pulled("1", 1, 10, 10), _pulled("4", 5, 11, 11)]
        table = precedence([*others, replace(listed, is_listed=True), _entry("z", date(2025, 1, 1))])
        ranked = table.sort("precedence")["delivery_id"].to_list()
        assert ranked[-2:] == [listed.delivery_id, "z"]  # Nothing is newer but a download of a later date.
    short = replace(_pulled("5", 1, 7, 9), is_listed=True)
    assert doubtful_entries([short, _pulled("6", 9, 9, 9)]) == [short]


def test_what_is_listed_does_not_stand_in_the_ledger(tmp_path: Path) -> None:
    write_entry(tmp_path, replace(_pulled("1", 1, 10, 10), is_listed=True))
    assert not read_entry(tmp_path, "v1").is_listed


def test_only_what_was_pulled_is_a_version_of_a_data_set_when_deliveries_are_ordered() -> None:
    short, whole, file = _pulled("-77", 1, 9, 10), _pulled("5", 2, 10, 10), _entry("z")
    facts = precedence([whole, file, short]).select("delivery_id", "data_set", "is_whole").rows()
    assert facts == [("v-77", "C-A-2017-012-H5", False), ("v5", "C-A-2017-012-H5", True), ("z", None, None)]


def _named(*names: str) -> list[LedgerEntry]:
    return [replace(_pulled(str(n), 1, 10, 10), source_file=f"{name}--{n}") for n, name in enumerate(names, 1)]


H4, H5, H6 = (f"C-A-2017-012-{edition}" for edition in ("H4", "H5", "H6"))


@pytest.mark.parametrize(
    ("landed", "listed", "replaced"),
    [
        ([H5, H6], [H6], {H5: (H6,)}),
        ([H4, H5, H6], [H4, H6], {H5: (H4, H6)}),
        ([H5, H5, H6], [H6], {H5: (H6,)}),
        ([H5, H6], [H5, H6], {}),
        ([H5, H6], [], {}),
        ([H5], [H6], {}),
        ([H5, "C-A-2017-024-H6"], ["C-A-2017-024-H6"], {}),
        ([H5, "C-A-2018-012-H6"], ["C-A-2018-012-H6"], {}),
        ([H5, "C-M-201701-012-H6"], ["C-M-201701-012-H6"], {}),
        ([H5, "S-A-2017-012-H6"], ["S-A-2017-012-H6"], {}),
    ],
    ids=[
        "replaced", "two_successors", "every_version", "both_listed", "empty_list", "not_landed_yet", "other_reporter",
        "other_period", "other_frequency", "other_type",
    ],
)  # fmt: skip
def test_a_data_set_is_replaced_when_another_edition_is_listed_in_its_place_and_has_landed(
    landed: list[str], listed: list[str], replaced: dict[str, tuple[str, ...]]
) -> None:
    entries = _named(*landed)
    assert replaced_data_sets(entries, listed) == replaced
    standing = [entry for entry, name in zip(entries, landed, strict=True) if name not in replaced]
    assert without_replaced(entries, replaced_data_sets(entries, listed)) == standing


def test_a_doubt_is_gone_when_a_newer_version_of_the_data_set_is_whole() -> None:
    short, whole = _pulled("-77", 1, 9, 10, "9 rows came twice alike"), _pulled("5", 2, 10, 10)
    other = replace(short, source_file="C-A-2017-012-H4--77")
    assert doubtful_entries([short]) == [short]
    assert doubtful_entries([whole, short, other]) == [other]
    assert doubtful_entries([replace(whole, row_count=9), short]) == [replace(whole, row_count=9)]
