"""Checksums of what a table says: the same when only run and release differ, another when anything else does."""

from __future__ import annotations

import glob
import json
from pathlib import Path

import duckdb
import pytest

from orchestration.release import ReleaseError
from orchestration.release.content import content_checksum
from orchestration.release.engine import ROW_GROUP_ROWS, copy_to_parquet, session
from orchestration.release.manifest import told_checksums
from orchestration.release.tables import AUDIT_TABLE, Column
from tests.unit.release.conftest import MakeRun, Published
from tests.unit.release.world import MODELS, Run

ROWS = "select i as a, case when i % 3 > 0 then 'x' || i % 7 end as b, 0.5 * i as c"


def checksum(folder: Path, select: str) -> str:
    """Content checksum of a query's rows, written as a release writes them."""
    path = folder / "t[1].parquet"
    with session(folder) as con:
        copy_to_parquet(con, select, path)
        described = con.execute("describe from read_parquet(?)", [glob.escape(str(path))]).fetchall()
        return content_checksum(con, path, [Column(row[0], row[1], "") for row in described])


def test_tables_that_do_not_depend_on_a_data_set_keep_their_checksum_when_it_is_revised(
    waiting: Run, published: Published
) -> None:
    before, after = told_checksums(published.release.path), told_checksums(waiting.publish().path)
    same = {table for table in before if before[table] == after[table]}
    # The second version of the small world revises declarations and has another verdict of the gate; places stay.
    assert set(before) == {*MODELS, AUDIT_TABLE}
    assert same == {"dim_place"}


def test_no_other_table_moves_when_one_value_of_one_table_is_revised(make_run: MakeRun) -> None:
    one = make_run(1, "one").ready().publish()
    run = make_run(1, "two")
    run.stage()
    with duckdb.connect(str(run.paths.staging_db(run.run_id))) as con:
        con.execute("update marts.fct_declaration set value_usd = value_usd + 1 where declaration_id = 'd000'")
    two = run.gate().audit().publish()
    before, after = told_checksums(one.path), told_checksums(two.path)
    assert {table for table in before if before[table] != after[table]} == {"fct_declaration"}


def test_parquet_and_csv_tell_one_checksum_when_they_hold_one_table(published: Published) -> None:
    said = json.loads((published.release.path / "datapackage.json").read_text(encoding="utf-8"))["resources"]
    told = {one["name"]: one.get("content_checksum") for one in said}
    assert all(told[table] == told[f"{table}-csv"] for table in MODELS)
    assert {one for one, value in told.items() if value is None} == {
        "lead_change", "lead_change-csv", "revision_effect", "revision_effect-csv",
    }  # fmt: skip


@pytest.mark.parametrize("rows", [0, 40, ROW_GROUP_ROWS + 1000])
def test_the_checksum_stays_when_only_run_and_release_differ(tmp_path: Path, rows: int) -> None:
    source = f"from range({rows}) t(i)"
    bare = checksum(tmp_path, f"{ROWS} {source}")
    one = checksum(tmp_path, f"{ROWS}, 'run-1' as run_id, 'r-1' as release_id {source}")
    two = checksum(tmp_path, f"{ROWS}, 'run-another' as run_id, 'r-another' as release_id {source}")
    assert bare == one == two


@pytest.mark.parametrize(
    "other",
    [
        f"{ROWS} from range(39) t(i)",
        f"{ROWS} from range(40) t(i) order by i desc",
        f"{ROWS}, 1 as d from range(40) t(i)",
        f"select a, b as renamed, c from ({ROWS} from range(40) t(i))",
        f"select a, b, cast(c as float) as c from ({ROWS} from range(40) t(i))",
        f"select a, case when a = 39 then '' else b end as b, c from ({ROWS} from range(40) t(i))",
        f"select a, b, case when a = 39 then 0.25 else c end as c from ({ROWS} from range(40) t(i))",
    ],
)
def test_the_checksum_moves_when_a_row_a_column_or_a_cell_differs(tmp_path: Path, other: str) -> None:
    assert checksum(tmp_path, other) != checksum(tmp_path, f"{ROWS} from range(40) t(i)")


def test_checksums_are_refused_when_the_manifest_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="it is not known which tables are unchanged since"):
        told_checksums(tmp_path)
