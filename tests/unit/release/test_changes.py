"""CHANGES.md: what it tells of two releases, and that it tells the same every time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.release.audit_record import published_checks
from orchestration.release.changes import Side, compare_leads, describe_changes
from orchestration.release.engine import session
from tests.unit.release.conftest import MakeRun, Published
from tests.unit.release.world import Run, failed


@pytest.fixture
def told(waiting: Run) -> str:
    """What version 2 tells since version 1."""
    changed = replace(failed("the_median_gap_is_small"), figure=0.25)
    return changes_of(waiting.gate(changed=[changed]).audit())


def changes_of(run: Run) -> str:
    """CHANGES.md of a run's release."""
    return (run.publish().path / "CHANGES.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """One section of the page."""
    found = re.search(rf"## {title}\n\n(.*?)(?:\n\n## |\Z)", text, re.DOTALL)
    assert found, text
    return found[1]


def test_nothing_is_compared_when_there_is_no_earlier_release(published: Published) -> None:
    text = (published.release.path / "CHANGES.md").read_text(encoding="utf-8")
    assert text == (
        f"# Release {published.release.release_id}\n\nThere is no earlier release of source `sample` to compare with.\n"
    )


def test_both_releases_are_named_when_there_is_an_earlier_one(told: str, published: Published) -> None:
    assert re.match(rf"# Release r-[0-9a-f]{{16}}, since {published.release.release_id}\n", told)
    assert "not a finding about anyone" in told


def test_row_counts_are_told_when_they_move(told: str) -> None:
    rows = section(told, "Rows per table")
    assert "| fct_declaration | 40 | 40 | +0 |  |" in rows
    assert "| mart_revision | 1 | 2 | +1 |  |" in rows


def test_revised_declarations_are_told_when_values_move(told: str) -> None:
    text = section(told, "Declared value, by reporter, flow and period")
    assert text.startswith("New: 0. Gone: 0. Revised: 3.\n\n| frequency |")
    assert "| A | 2020 | 002 | X | 1,001 | 1,002 |" in text


def test_a_new_delivery_is_told_when_it_replaced_another(told: str) -> None:
    text = section(told, "Data sets replaced by a newer delivery")
    assert text.startswith("Since the last release: 1.")
    assert "| A | 2020 | 643 | old1 | new1 | 1 | 2 | 3 | 100 | 201 | 150 |" in text
    assert "old0" not in text


def test_flows_are_told_when_new_gone_or_of_another_status(told: str) -> None:
    text = section(told, "Mirror flows")
    assert text.startswith("New: 1 (13,000 USD FOB). Gone: 1 (1,000 USD FOB). Other status: 0.")
    assert "| A-2020-0013 |  | exporter_only |  | 13,000 | 130 |" in text
    assert "| A-2020-0001 | exporter_only |  | 1,000 |  |  |" in text
    assert "A-2020-0005" not in text


def test_anomalous_gaps_are_told_when_new_or_gone(told: str) -> None:
    text = section(told, "Anomalous gaps")
    assert "New: 0. Gone: 1." in text
    assert "| gone | A-2020-0001 | 10 | 0.01 |" in text


def test_leads_are_told_when_new_gone_or_regraded(tmp_path: Path) -> None:
    sides = {}
    for name, grades in (("old", "('a', 'B', 9.0), ('b', 'C', 8.0), ('c', 'D', 7.0)"), ("new", "('a', 'A', 9.0), "
                         "('c', 'D', 7.0), ('d', 'B', 6.0)")):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        with session(tmp_path) as con:
            con.execute(
                f"copy (select id as lead_id, 'Anomalous passage: ' || id as lead_name, grade, usd as passage_fob_usd, "
                f"'RUS_2022' as embargo_code, row_number() over (order by usd desc) as lead_rank"
                f" from (values {grades}) t(id, grade, usd)) to '{folder / 'mart_passage_lead.parquet'}'"
            )
        sides[name] = Side(f"r-{name}", folder, ())
    with session(tmp_path) as con:
        text = section(describe_changes(con, sides["new"], sides["old"], "sample"), "Leads")
    assert text.startswith("New: 1. Gone: 1. Regraded: 1.")
    assert "| Anomalous passage: a | B | A | 9 | a |" in text
    assert "| Anomalous passage: b | C | gone | 8 | b |" in text
    assert "| Anomalous passage: d | new | B | 6 | d |" in text
    assert "passage: c" not in text
    with session(tmp_path) as con:
        moved = compare_leads(con, sides["new"], sides["old"])
    assert moved is not None
    assert [(lead.lead_id, lead.change_kind, lead.rank_before, lead.rank_after) for lead in moved] == [
        ("a", "regraded", 1, 1), ("d", "new", None, 3), ("b", "gone", 2, None),
    ]  # fmt: skip


def test_leads_are_not_compared_when_a_release_holds_none(published: Published, tmp_path: Path) -> None:
    side = Side("r-1", published.release.path / "parquet", ())
    with session(tmp_path) as con:
        assert compare_leads(con, side, side) is None


def test_unchanged_tables_are_told_when_only_their_ids_differ(told: str) -> None:
    text = section(told, "Tables with the same content")
    assert text == "1 of 7. Unchanged but for the ids of run and release: dim_place."


def test_unchanged_tables_are_not_told_when_the_earlier_release_has_no_checksums(
    waiting: Run, published: Published
) -> None:
    path = waiting.paths.releases / published.release.release_id / "datapackage.json"
    path.chmod(0o644)
    said = json.loads(path.read_text(encoding="utf-8"))
    for resource in said["resources"]:
        resource.pop("content_checksum", None)
    path.write_text(json.dumps(said), encoding="utf-8")
    text = section(changes_of(waiting), "Tables with the same content")
    assert text == "Not comparable: one of the releases tells no content checksums."


def test_checks_are_told_when_their_figure_moved(told: str) -> None:
    text = section(told, "Checks whose figure moved")
    assert "| reconciled_flows.the_median_gap_is_small | 2 (does not hold) | 0.25 (does not hold) |" in text
    assert len(text.splitlines()) == 3


def test_every_section_says_none_when_nothing_moved(published: Published, tmp_path: Path) -> None:
    parquet = published.release.path / "parquet"
    with session(tmp_path) as con:
        text = describe_changes(con, Side("r-2", parquet, ()), Side("r-1", parquet, ()), "sample")
    assert section(text, "Declared value, by reporter, flow and period") == "New: 0. Gone: 0. Revised: 0."
    assert section(text, "Data sets replaced by a newer delivery") == "Since the last release: 0."
    assert section(text, "Mirror flows").startswith("New: 0 (0 USD FOB). Gone: 0 (0 USD FOB). Other status: 0.")
    assert section(text, "Mirror flows").endswith("by more than 1%: 0.")
    assert section(text, "Anomalous gaps") == "False-discovery rate below 0.05. New: 0. Gone: 0."
    assert section(text, "Checks whose figure moved").strip() == "None."


def test_a_status_and_a_reconciled_value_are_told_when_they_moved(waiting: Run) -> None:
    waiting.say("update marts.fct_mirror_flow set status = 'other' where mirror_flow_id = 'A-2020-0006'")
    waiting.say("update marts.fct_mirror_flow set reconciled_fob_usd = 7200 where mirror_flow_id = 'A-2020-0007'")
    waiting.say("update marts.fct_mirror_flow set reconciled_fob_usd = 8001 where mirror_flow_id = 'A-2020-0008'")
    waiting.say("update marts.fct_mirror_flow set reconciled_fob_usd = null where mirror_flow_id = 'A-2020-0010'")
    text = section(changes_of(waiting.gate().audit()), "Mirror flows")
    assert "Other status: 1. New, gone, of other status or reconciled to another value by more than 1%: 5." in text
    assert "A-2020-0007" in text
    assert "A-2020-0010" in text
    assert "A-2020-0008" not in text


def test_new_and_lost_columns_and_tables_are_told_when_the_models_changed(
    waiting: Run, published: Published, tmp_path: Path
) -> None:
    new = waiting.publish()
    checks = published_checks(new.path / "audit.json")
    old = Side(published.release.release_id, published.release.path / "parquet", checks)
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    kept = (new.path / "parquet" / "dim_place.parquet").read_bytes()
    (parquet / "dim_place.parquet").write_bytes(kept)
    (parquet / "fct_declaration.parquet").write_bytes(kept)
    (parquet / "dim_new.parquet").write_bytes(kept)
    with session(tmp_path) as con:
        text = describe_changes(con, Side("r-x", parquet, checks), old, "sample")
    rows = section(text, "Rows per table")
    assert "| dim_new |  | 3 | new table |  |" in rows
    assert "| mart_conservation | 3 |  | gone |  |" in rows
    assert "+place_code" in rows
    assert "-declaration_id" in rows
    for title in ("Mirror flows", "Anomalous gaps", "Data sets replaced by a newer delivery"):
        assert section(text, title).startswith("Not comparable: one of the releases lacks the table")


def test_the_twenty_largest_are_told_when_more_moved(waiting: Run) -> None:
    waiting.say(
        "insert into marts.mart_conservation by name select 'A' as frequency, '2021' as period, i::varchar as "
        "reporter_code, 'M' as flow_code, i as declared_usd, 1 as declaration_count, 'run-0002' as run_id, "
        "(select any_value(method_version) from marts.dim_place) as method_version from range(100, 200) t(i)"
    )
    text = section(changes_of(waiting.gate().audit()), "Declared value, by reporter, flow and period")
    assert text.startswith("New: 100. Gone: 0. Revised: 3. The 20 largest:\n\n| frequency |")
    assert text.splitlines()[4].startswith("| A | 2021 | 199 | M |  | 199 |")
    assert len(text.splitlines()) == 24


def test_nothing_is_compared_when_the_earlier_release_is_of_another_source(waiting: Run, published: Published) -> None:
    path = waiting.paths.releases / published.release.release_id / "datapackage.json"
    path.chmod(0o644)
    path.write_text(path.read_text(encoding="utf-8").replace('"source": "sample"', '"source": "files"'))
    assert "There is no earlier release of source `sample`" in changes_of(waiting)


def test_the_same_text_comes_out_when_the_same_two_releases_are_compared_elsewhere(
    make_run: MakeRun, waiting: Run
) -> None:
    first = make_run(1, "elsewhere").stage().gate(changed=[failed("the_median_gap_is_small")]).audit()
    first.publish()
    assert changes_of(make_run(2, "elsewhere").stage(shuffled=True).gate().audit()) == changes_of(waiting)
