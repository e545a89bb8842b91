"""Every reason against publication, made to happen: what is refused, in which words, and that readers see no change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from expectations import required_checks
from orchestration.pipeline.releases import export_run, record_audit, required_tests
from orchestration.release import PublicationRefused, ReleaseError
from orchestration.release.audit_record import check_id, read_record
from orchestration.release.refusals import check_reasons
from orchestration.release.tables import AUDIT_TABLE
from orchestration.settings import Settings
from tests.unit.release.conftest import MakeRun, Published
from tests.unit.release.world import MODELS, Run, failed, snapshot

TESTS = [f"{name}_rows_have_one_key_each" for name in MODELS]


def refusal_of(run: Run) -> str:
    """The words with which a run is refused; nothing below releases may have changed meanwhile."""
    before = snapshot(run.paths.releases)
    assert before
    with pytest.raises(PublicationRefused) as caught:
        run.publish()
    assert snapshot(run.paths.releases) == before
    text = str(caught.value)
    for reason in caught.value.reasons:
        assert all((reason.what, reason.why, reason.mend))
    assert run.run_id in text
    assert "Why it matters: " in text
    assert "How to mend it: " in text
    return text


def again(run: Run, **gate: object) -> Run:
    """The waiting run gated anew with a defect."""
    return run.gate(**gate).audit()  # type: ignore[arg-type]


def edit_record(run: Run, **fields: object) -> Run:
    """Change fields of the stored audit record."""
    path = run.paths.audit_record(run.run_id)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")
    return run


def test_publication_is_refused_when_there_is_no_audit_record(waiting: Run) -> None:
    waiting.paths.audit_record(waiting.run_id).unlink()
    assert "There is no audit record" in refusal_of(waiting)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": "run-0002"}', '{"checks": [{}]}'])
def test_publication_is_refused_when_the_audit_record_cannot_be_read(waiting: Run, content: str) -> None:
    waiting.paths.audit_record(waiting.run_id).write_text(content, encoding="utf-8")
    assert "cannot be read" in refusal_of(waiting)


def test_publication_is_refused_when_the_record_is_of_another_run(waiting: Run) -> None:
    shutil.copy(waiting.paths.audit_record("run-0001"), waiting.paths.audit_record(waiting.run_id))
    assert "another run: run-0001, not run-0002" in refusal_of(waiting)


def test_publication_is_refused_when_the_record_is_of_another_execution(waiting: Run) -> None:
    assert "another execution: execution-1, not execution-2" in refusal_of(replace(waiting, execution_id="execution-2"))


def test_publication_is_refused_when_the_record_is_of_another_source(waiting: Run) -> None:
    assert "another source: files, not sample" in refusal_of(edit_record(waiting, source="files"))


def test_publication_is_refused_when_a_check_of_severity_error_failed(waiting: Run) -> None:
    text = refusal_of(again(waiting, changed=[failed("declaration_ids_are_unique")]))
    assert "landed_declarations.declaration_ids_are_unique failed (2 failing rows). It does not hold." in text


def test_publication_is_refused_when_a_required_check_failed_under_a_milder_severity(waiting: Run) -> None:
    mild = replace(failed("declaration_ids_are_unique"), severity="warning")
    assert "declaration_ids_are_unique failed" in refusal_of(again(waiting, changed=[mild]))


def test_publication_is_refused_when_a_required_check_is_absent(waiting: Run) -> None:
    name = "declaration_ids_are_unique"
    text = refusal_of(again(waiting, absent=[name]))
    assert f"1 required checks are absent from the audit record: landed_declarations.{name}." in text


def test_every_required_check_is_missed_when_it_is_absent(published: Published) -> None:
    record = read_record(published.run.paths.audit_record(published.run.run_id))
    assert check_reasons(record, required_checks(), TESTS) == []
    for name in required_checks():
        without = replace(record, checks=tuple(check for check in record.checks if check_id(check) != name))
        assert name in str(check_reasons(without, required_checks(), TESTS)[0])


def test_publication_is_refused_when_a_whole_suite_was_not_run_in_this_execution(waiting: Run) -> None:
    (waiting.paths.run(waiting.run_id) / "audit" / "reconciled_flows.json").unlink()
    text = refusal_of(waiting.audit())
    of_the_suite = [name for name in required_checks() if name.startswith("reconciled_flows.")]
    assert f"{len(of_the_suite)} required checks are absent from the audit record: {of_the_suite[0]}" in text


def test_publication_is_refused_when_a_suite_is_of_another_execution(waiting: Run) -> None:
    path = waiting.paths.run(waiting.run_id) / "audit" / "marts.json"
    said = json.loads(path.read_text(encoding="utf-8")) | {"execution_id": "execution-0"}
    path.write_text(json.dumps(said), encoding="utf-8")
    assert "required checks are absent" in refusal_of(waiting.audit())


def test_publication_is_refused_when_no_model_test_was_made(waiting: Run) -> None:
    assert "Tests of the models are absent" in refusal_of(again(waiting, tests=[]))


def test_publication_is_refused_when_one_model_test_was_not_made(waiting: Run) -> None:
    text = refusal_of(again(waiting, tests=TESTS[1:]))
    assert f"Tests of the models are absent from the audit record: {TESTS[0]}." in text


def test_publication_is_refused_when_a_model_test_failed(waiting: Run) -> None:
    path = waiting.paths.run(waiting.run_id) / "audit" / "dbt_tests.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said["tests"][0] |= {"status": "fail", "failures": 3, "message": "Got 3 results"}
    path.write_text(json.dumps(said), encoding="utf-8")
    assert f"dbt_tests.{TESTS[0]} failed (3 failing rows)" in refusal_of(waiting.audit())


def test_publication_is_refused_when_a_model_test_was_skipped(waiting: Run) -> None:
    path = waiting.paths.run(waiting.run_id) / "audit" / "dbt_tests.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said["tests"][0] |= {"status": "skipped"}
    path.write_text(json.dumps(said), encoding="utf-8")
    assert f"dbt_tests.{TESTS[0]} failed" in refusal_of(waiting.audit())


def test_publication_is_refused_when_an_exported_byte_changed_after_the_audit(waiting: Run) -> None:
    path = waiting.paths.export(waiting.run_id) / "dim_place.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "changed or lost since they were audited: dim_place." in refusal_of(waiting)


def test_publication_is_refused_when_an_exported_file_was_lost(waiting: Run) -> None:
    (waiting.paths.export(waiting.run_id) / "dim_place.parquet").unlink()
    assert "changed or lost since they were audited: dim_place." in refusal_of(waiting)


def test_publication_is_refused_when_the_run_was_exported_again_with_other_content(waiting: Run) -> None:
    waiting.say("delete from marts.dim_place where place_code = '004'")
    export_run(waiting.settings, waiting.paths, waiting.run_id)
    assert "not the one that was audited" in refusal_of(waiting)


def test_publication_is_refused_when_a_description_changed_after_the_audit(waiting: Run) -> None:
    waiting.say("comment on table marts.dim_place is 'One row of something else.'")
    export_run(waiting.settings, waiting.paths, waiting.run_id)
    assert "not the one that was audited" in refusal_of(waiting)


def test_publication_is_refused_when_the_export_is_gone(waiting: Run) -> None:
    shutil.rmtree(waiting.paths.export(waiting.run_id))
    assert "absent or cannot be read" in refusal_of(waiting)


def test_publication_is_refused_when_the_staging_database_is_gone(waiting: Run) -> None:
    waiting.paths.staging_db(waiting.run_id).unlink()
    assert "There is no staging database" in refusal_of(waiting)


def test_publication_is_refused_when_public_tables_are_missing(waiting: Run) -> None:
    waiting.stage(leave_out=["fct_mirror_flow", "dim_place"])
    assert "Public tables are missing: dim_place, fct_mirror_flow." in refusal_of(waiting.audit())


def test_publication_is_refused_when_the_audit_mart_is_missing(waiting: Run) -> None:
    waiting.say(f"drop table marts.{AUDIT_TABLE}")
    assert "none of the public tables that were asked for" in refusal_of(waiting)


@pytest.mark.parametrize(
    "sql",
    [
        f"update marts.{AUDIT_TABLE} set is_passed = false where check_name = 'declaration_ids_are_unique'",
        f"update marts.{AUDIT_TABLE} set figure = 0.5 where check_name = 'declaration_ids_are_unique'",
        f"delete from marts.{AUDIT_TABLE} where check_name = 'declaration_ids_are_unique'",
    ],
)
def test_publication_is_refused_when_the_audit_mart_says_otherwise_than_the_record(waiting: Run, sql: str) -> None:
    text = refusal_of(waiting.say(sql))
    assert "say different things about: landed_declarations.declaration_ids_are_unique." in text


def test_publication_is_refused_when_the_audit_mart_lacks_a_column(waiting: Run) -> None:
    assert "cannot be read" in refusal_of(waiting.say(f"alter table marts.{AUDIT_TABLE} drop column figure"))


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("comment on column marts.dim_place.place_name is null", "dim_place is not described: place_name."),
        ("comment on table marts.dim_place is ' '", "dim_place is not described: the table itself."),
        ("alter table marts.dim_place add column codes varchar[]", "cannot carry: codes (VARCHAR[])."),
        ("alter table marts.dim_place add column total hugeint", "cannot carry: total (HUGEINT)."),
        ("alter table marts.dim_place drop column run_id", "dim_place lacks run_id."),
        ("alter table marts.dim_place add column release_id varchar", "dim_place already has a column release_id."),
        ("alter table marts.dim_place drop column place_code", "dim_place has no primary key among its columns"),
        ("create table marts.stray as select 1 as a", "stray has no primary key among its columns (none named)."),
        (
            "update marts.dim_place set run_id = 'run-0001' where place_code = '004'",
            "run_id is run-0001, run-0002, not",
        ),
        ("update marts.dim_place set run_id = null", "run_id is NULL, not run-0002"),
        ("update marts.dim_place set method_version = 'old'", "method_version is old, not"),
    ],
)
def test_publication_is_refused_when_a_table_has_not_the_promised_form(waiting: Run, sql: str, words: str) -> None:
    assert words in refusal_of(waiting.say(sql).audit())


def test_all_reasons_are_told_at_once_when_there_are_several(waiting: Run) -> None:
    run = waiting.stage(leave_out=["dim_place"]).gate(changed=[failed("declaration_ids_are_unique")], tests=[]).audit()
    text = refusal_of(run)
    for words in ("declaration_ids_are_unique failed", "Tests of the models are absent", "Public tables are missing"):
        assert words in text


def test_a_damaged_release_of_the_same_id_is_not_replaced_when_it_is_published_again(waiting: Run) -> None:
    release = waiting.publish()
    path = release.path / "CHANGES.md"
    path.chmod(0o644)
    path.write_text("forged", encoding="utf-8")
    text = refusal_of(waiting)
    assert "does not verify: CHANGES.md was changed" in text
    assert "move" in text


def test_the_run_publishes_when_the_damaged_release_was_moved_away(waiting: Run) -> None:
    release = waiting.publish()
    (release.path / "CHANGES.md").unlink()
    release.path.rename(waiting.paths.root / "damaged")
    again = waiting.publish()
    assert (again.release_id, again.is_new, again.is_published) == (release.release_id, True, True)


def test_warnings_do_not_stop_publication_when_they_fail(waiting: Run) -> None:
    release = again(waiting, changed=[failed("the_median_gap_is_small")]).publish()
    assert len(release.warnings) == 1


def test_nothing_is_recorded_when_the_staging_database_was_written_to_after_the_export(waiting: Run) -> None:
    run = waiting.stage().gate()
    export_run(run.settings, run.paths, run.run_id)
    run.say("update marts.dim_place set place_name = 'x'")
    with pytest.raises(ReleaseError, match="is not the one that was exported"):
        record_audit(run.settings, run.paths, run.run_id, run.execution_id, run.fingerprint)


def test_nothing_is_recorded_when_nothing_was_exported(make_run: MakeRun) -> None:
    run = make_run().stage().gate()
    with pytest.raises(ReleaseError, match="absent or cannot be read"):
        record_audit(run.settings, run.paths, run.run_id, run.execution_id, run.fingerprint)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda _run: None, "There is no staging database"),
        (lambda run: run.stage(leave_out=MODELS), "none of the public tables"),
    ],
)
def test_nothing_is_exported_when_there_is_nothing_to_export(
    make_run: MakeRun, prepare: Callable[[Run], object], words: str
) -> None:
    run = make_run()
    prepare(run)
    with pytest.raises(ReleaseError, match=words):
        export_run(run.settings, run.paths, run.run_id)


def test_required_tests_are_those_of_public_models_before_the_gate_when_read_from_the_models(
    models: Path, make_run: MakeRun
) -> None:
    assert isinstance(make_run().settings, Settings)
    assert required_tests(models / "target" / "manifest.json") == tuple(sorted(TESTS))
