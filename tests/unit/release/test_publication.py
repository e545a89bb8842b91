"""What stands in a published release, and that equal staging content gives equal bytes."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from orchestration.pipeline.releases import (
    export_run,
    list_releases,
    published_fingerprint,
    published_release,
    verify_release,
)
from orchestration.reconcile import METHOD_VERSION
from orchestration.release import ReleaseError
from orchestration.release.tables import AUDIT_TABLE, release_id_of
from orchestration.settings import Settings
from tests.unit.release.conftest import MakeRun, Published
from tests.unit.release.world import EXECUTION, MODELS, Run, failed, snapshot

PUBLIC = sorted([*MODELS, AUDIT_TABLE])


def test_every_part_is_there_when_a_run_is_published(published: Published) -> None:
    run, release = published.run, published.release
    assert release.is_new
    assert release.is_published
    assert release.release_id == release.path.name
    assert sorted(path.name for path in release.path.iterdir()) == [
        "CHANGES.md", "audit.json", "changes", "checksums.sha256", "csv", "datapackage.json", "parquet",
        "warehouse.duckdb",
    ]  # fmt: skip
    assert sorted(path.stem for path in (release.path / "parquet").iterdir()) == PUBLIC
    assert sorted(path.stem for path in (release.path / "csv").iterdir()) == PUBLIC
    assert sorted(path.name for path in (release.path / "changes").iterdir()) == [
        "lead_change.csv", "lead_change.parquet", "revision_effect.csv", "revision_effect.parquet",
    ]  # fmt: skip
    assert sorted(path.name for path in run.paths.releases.iterdir()) == ["history.json", "latest", release.release_id]
    assert (run.paths.releases / "latest").resolve() == release.path.resolve()
    assert release.row_counts["fct_declaration"] == 40
    assert (release.checks_failed, release.removed) == (0, ())
    assert release.warnings == ("reconciled_flows.the_median_gap_is_small: It does not hold.",)


def test_every_row_names_its_release_when_read_in_any_form(published: Published) -> None:
    release = published.release
    with duckdb.connect(str(release.path / "warehouse.duckdb"), read_only=True) as con:
        for table in PUBLIC:
            for source in (
                f"marts.{table}",
                f"'{release.path}/parquet/{table}.parquet'",
                f"read_csv('{release.path}/csv/{table}.csv', all_varchar = true)",
            ):
                found = con.execute(f"select distinct release_id from {source}").fetchall()
                assert found == [(release.release_id,)] or (found == [] and table == "mart_revision"), source


def test_equal_bytes_and_the_same_id_come_out_when_the_same_content_is_published_twice(
    make_run: MakeRun, published: Published
) -> None:
    again = make_run(folder="two", execution="execution-2").stage()
    two = again.gate(changed=[failed("the_median_gap_is_small")]).audit().publish()
    one = published.release
    assert one.release_id == two.release_id
    differing = {"warehouse.duckdb", "checksums.sha256"}
    first, second = (snapshot(release.path) for release in (one, two))
    assert first.keys() == second.keys()
    assert {path for path in first if first[path] != second[path]} <= differing


def test_another_id_comes_out_when_one_value_differs(make_run: MakeRun) -> None:
    run = make_run().stage()
    before = export_run(run.settings, run.paths, run.run_id)
    run.say("update marts.fct_declaration set value_usd = 0.5 where declaration_id = 'd039'")
    after = export_run(run.settings, run.paths, run.run_id)
    assert release_id_of(after.tables) != release_id_of(before.tables)


def test_checksums_verify_when_the_standard_tool_reads_them(published: Published) -> None:
    release = published.release
    said = subprocess.run(
        ["sha256sum", "--check", "--strict", "checksums.sha256"], cwd=release.path, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
    files = {str(p.relative_to(release.path)) for p in release.path.rglob("*") if p.is_file()}
    assert len(said.stdout.splitlines()) == len(files) - 1
    assert verify_release(release.path) == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: (path / "parquet" / "dim_place.parquet").unlink(), "parquet/dim_place.parquet is absent"),
        (lambda path: _overwrite(path / "CHANGES.md"), "CHANGES.md was changed"),
        (lambda path: (path / "warehouse.duckdb.wal").write_text("x"), "warehouse.duckdb.wal was added"),
        (
            lambda path: (path / "checksums.sha256").unlink(),
            "checksums.sha256 cannot be read",
        ),
    ],
)
def test_damage_is_told_when_a_release_no_longer_verifies(
    waiting: Run, published: Published, damage: Callable[[Path], object], said: str
) -> None:
    release = waiting.paths.releases / published.release.release_id
    damage(release)
    problems = verify_release(release)
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_a_renamed_release_does_not_verify_when_its_manifest_names_another_id(
    waiting: Run, published: Published
) -> None:
    release = waiting.paths.releases / published.release.release_id
    other = release.rename(release.with_name("r-0000000000000000"))
    assert verify_release(other) == (f"datapackage.json is of release {published.release.release_id}",)


def test_files_are_read_only_when_published(published: Published) -> None:
    release = published.release
    modes = {stat.S_IMODE(path.stat().st_mode) for path in release.path.rglob("*") if path.is_file()}
    assert modes == {0o444}


def test_codes_keep_their_zeros_and_null_differs_from_empty_when_written_as_csv(published: Published) -> None:
    release = published.release
    lines = (release.path / "csv" / "dim_place.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].replace('"', "") == "place_code,place_name,valid_from,latitude_deg,run_id,method_version,release_id"
    ending = f'"run-0001","{METHOD_VERSION}","{release.release_id}"'
    assert lines[1] == f'"004","Afghanistan, ""Kabul""",1990-01-01,34.5,{ending}'
    assert lines[2] == f'"643","",,,{ending}'
    assert lines[3].startswith('"792","Türkiye",')


def test_rows_stand_in_key_order_when_the_staging_file_holds_them_in_another(published: Published) -> None:
    release = published.release
    with duckdb.connect(str(release.path / "warehouse.duckdb"), read_only=True) as con:
        for source in ("marts.fct_declaration", f"'{release.path}/parquet/fct_declaration.parquet'"):
            ids = [row[0] for row in con.execute(f"select declaration_id from {source}").fetchall()]
            assert ids == sorted(ids)


def test_the_published_audit_holds_every_check_but_not_the_execution_when_read(published: Published) -> None:
    run, release = published.run, published.release
    text = (release.path / "audit.json").read_text(encoding="utf-8")
    said = json.loads(text)
    assert EXECUTION not in text
    assert said["release_id"] == release.release_id
    assert said["input_fingerprint"] == run.fingerprint
    warning = next(check for check in said["checks"] if check["check_name"] == "the_median_gap_is_small")
    assert warning["failing_sample"] == [{"row": "d005", "value_usd": 1.5}]
    assert {"figure", "passed", "severity", "evidence", "threshold_date", "threshold_text"} <= set(warning)
    assert any(check["suite"] == "dbt_tests" for check in said["checks"])


def test_no_secret_is_published_when_the_settings_hold_one(make_run: MakeRun) -> None:
    run = make_run()
    given = {**run.settings.model_dump(exclude={"webhook_url", "notify"}), "notify": "webhook"}
    settings = Settings(**given, webhook_url="https://hooks.invalid/very-secret-token")
    release = type(run)(settings, 1).ready().publish()
    for path in [*release.path.rglob("*"), run.paths.audit_record("run-0001")]:
        assert path.is_dir() or b"very-secret-token" not in path.read_bytes()
        assert path.is_dir() or b"hooks.invalid" not in path.read_bytes()


def test_nothing_is_written_when_the_published_release_is_published_again(waiting: Run) -> None:
    run, first = waiting, waiting.publish()
    before = snapshot(run.paths.releases), (first.path / "warehouse.duckdb").stat().st_mtime_ns
    again = run.publish()
    assert (snapshot(run.paths.releases), (first.path / "warehouse.duckdb").stat().st_mtime_ns) == before
    assert not again.is_new
    assert again.release_id == first.release_id


def test_only_the_pointer_moves_when_an_earlier_release_is_published_again(waiting: Run, published: Published) -> None:
    old, first = replace(waiting, version=1), published.release
    waiting.publish()
    again = old.publish()
    assert (again.release_id, again.is_new, again.is_published) == (first.release_id, False, True)
    assert [one.release_id for one in list_releases(old.paths)][-1] == first.release_id


def test_the_fingerprint_of_the_published_release_is_told_when_asked(published: Published, make_run: MakeRun) -> None:
    none = make_run()
    assert published_fingerprint(none.paths) is None
    assert list_releases(none.paths) == ()
    with pytest.raises(ReleaseError, match="Nothing is published"):
        published_release(none.paths)
    run = published.run
    assert published_fingerprint(run.paths) == run.fingerprint
    assert published_release(run.paths).run_id == run.run_id


def test_no_temporary_stays_when_a_run_was_published(published: Published) -> None:
    run = published.run
    left = {path.name for path in run.paths.run(run.run_id).iterdir()}
    assert left == {"audit", "audit.json", "export", "export_audit", "staging.duckdb"}


def _overwrite(path: Path) -> None:
    path.chmod(0o644)
    path.write_text("something else", encoding="utf-8")
