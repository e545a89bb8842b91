"""The forms of a release: the manifest against the Parquet files, the database file that older clients open."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from orchestration.reconcile import METHOD_VERSION
from orchestration.release import ReleaseError, build, database
from orchestration.release.database import STORAGE_NUMBER, storage_number, write_database
from orchestration.release.engine import session
from orchestration.release.files import sha256_of
from orchestration.release.manifest import is_for_spreadsheets, unit_of
from orchestration.release.tables import AUDIT_TABLE, Column, Table
from tests.unit.release.conftest import Published
from tests.unit.release.world import MODELS, Run

PUBLIC = sorted([*MODELS, AUDIT_TABLE])
CHANGES = ["lead_change", "revision_effect"]
ARROW_TYPES = {
    "string": {"string", "large_string"},
    "integer": {"int8", "int16", "int32", "int64"},
    "number": {"float", "double"},
    "boolean": {"bool"},
    "date": {"date32[day]"},
}


@pytest.fixture
def manifest(published: Published) -> dict[str, Any]:
    """datapackage.json of the published release."""
    found: dict[str, Any] = json.loads((published.release.path / "datapackage.json").read_text(encoding="utf-8"))
    return found


def test_the_manifest_says_where_the_release_comes_from_when_read(
    published: Published, manifest: dict[str, Any]
) -> None:
    run, release = published.run, published.release
    said = {key: manifest[key] for key in ("source", "run_id", "input_fingerprint", "release_id", "method_version")}
    assert said == {
        "source": "sample",
        "run_id": run.run_id,
        "input_fingerprint": run.fingerprint,
        "release_id": release.release_id,
        "method_version": METHOD_VERSION,
    }
    assert manifest["row_counts"] == release.row_counts
    assert sorted(manifest["row_counts"]) == PUBLIC
    assert manifest["left_out_of_csv"] == {}


@pytest.mark.parametrize("table", [*PUBLIC, *CHANGES])
def test_fields_agree_with_the_parquet_schema_when_compared_column_by_column(
    published: Published, manifest: dict[str, Any], table: str
) -> None:
    resource = next(one for one in manifest["resources"] if one["name"] == table)
    path = published.release.path / resource["path"]
    schema, fields = pq.read_schema(path), resource["schema"]["fields"]
    assert [field["name"] for field in fields] == schema.names
    for field in fields:
        assert str(schema.field(field["name"]).type) in ARROW_TYPES[field["type"]], field
        assert field["description"].strip()
    assert set(resource["schema"]["primaryKey"]) <= set(schema.names)
    assert resource["schema"]["primaryKey"]
    assert resource["rows"] == pq.read_metadata(path).num_rows
    assert resource["bytes"] == path.stat().st_size
    assert resource["hash"] == f"sha256:{sha256_of(path)}"
    assert resource["description"].strip()


@pytest.mark.parametrize("table", [*PUBLIC, *CHANGES])
def test_the_csv_resource_agrees_with_its_file_when_compared(
    published: Published, manifest: dict[str, Any], table: str
) -> None:
    parquet, csv = (next(one for one in manifest["resources"] if one["name"] == n) for n in (table, f"{table}-csv"))
    path = published.release.path / csv["path"]
    head = path.read_text(encoding="utf-8").splitlines()[0].replace('"', "")
    assert head.split(",") == [field["name"] for field in csv["schema"]["fields"]]
    assert csv["schema"] == parquet["schema"]
    assert csv["hash"] == f"sha256:{sha256_of(path)}"


def test_every_resource_exists_once_when_listed(published: Published, manifest: dict[str, Any]) -> None:
    names = [one["name"] for one in manifest["resources"]]
    assert sorted(names) == sorted([*PUBLIC, *CHANGES, *(f"{table}-csv" for table in (*PUBLIC, *CHANGES))])
    assert all((published.release.path / one["path"]).is_file() for one in manifest["resources"])


@pytest.mark.parametrize(("limit", "held"), [("CSV_ROW_LIMIT", 39), ("CSV_CELL_LIMIT", 279)])
def test_a_large_table_is_left_out_of_csv_when_no_spreadsheet_holds_it(
    waiting: Run, monkeypatch: pytest.MonkeyPatch, limit: str, held: int
) -> None:
    """fct_declaration has 40 rows of 7 columns, fct_mirror_flow 12 of 10."""
    monkeypatch.setattr(f"orchestration.release.manifest.{limit}", held)
    release = waiting.publish()
    manifest = json.loads((release.path / "datapackage.json").read_text(encoding="utf-8"))
    assert not (release.path / "csv" / "fct_declaration.csv").exists()
    assert (release.path / "csv" / "fct_mirror_flow.csv").exists()
    assert manifest["left_out_of_csv"].keys() == {"fct_declaration", AUDIT_TABLE}
    assert "40 rows, 280 cells; spreadsheets hold " in manifest["left_out_of_csv"]["fct_declaration"]
    assert "fct_declaration-csv" not in [one["name"] for one in manifest["resources"]]
    assert (release.path / "parquet" / "fct_declaration.parquet").exists()


def test_a_table_is_published_as_csv_when_a_spreadsheet_just_holds_it() -> None:
    columns = tuple(Column(f"c{number}", "DOUBLE", "") for number in range(9))
    table = Table("t", "", columns, (), 1_000_000, "", (), ())
    assert is_for_spreadsheets(table)
    assert not is_for_spreadsheets(replace(table, row_count=1_000_001))
    narrow = replace(table, columns=columns[:1], row_count=1_048_575)
    assert is_for_spreadsheets(narrow)
    assert not is_for_spreadsheets(replace(narrow, row_count=1_048_576))


@pytest.mark.parametrize(
    ("name", "data_type", "unit"),
    [
        ("gap_fob_usd", "DOUBLE", "USD"),
        ("reconciled_fob_usd_p05", "DOUBLE", "USD"),
        ("net_weight_kg", "DOUBLE", "kg"),
        ("gap_log_ratio", "DOUBLE", "natural logarithm"),
        ("bias_log", "DOUBLE", "natural logarithm"),
        ("coverage_ratio", "DOUBLE", "1"),
        ("declaration_count", "BIGINT", "count"),
        ("exporter_quantity", "DOUBLE", "as in exporter_quantity_unit_code"),
        ("latitude_deg", "DOUBLE", "degree"),
        ("calendar_year", "BIGINT", "calendar year"),
        ("product_code", "VARCHAR", None),
        ("note_usd", "VARCHAR", None),
        ("coefficient", "DOUBLE", None),
    ],
)
def test_the_unit_stands_in_the_name_when_a_column_has_one(name: str, data_type: str, unit: str | None) -> None:
    assert unit_of(Column(name, data_type, "")) == unit


def test_every_table_and_column_is_described_when_the_database_is_opened(published: Published) -> None:
    with duckdb.connect(str(published.release.path / "warehouse.duckdb"), read_only=True) as con:
        tables = con.execute("select schema_name, table_name, comment from duckdb_tables() order by 2").fetchall()
        columns = con.execute(
            "select table_name, column_name, comment from duckdb_columns() where not internal"
        ).fetchall()
    assert [name for schema, name, _ in tables if schema == "marts"] == PUBLIC
    assert [name for schema, name, _ in tables if schema == "changes"] == CHANGES
    assert all(comment == f"One row of {name}; it's here." for schema, name, comment in tables if schema == "marts")
    assert {c for _, _, c in columns if not c} == set()
    assert sum(name == "release_id" for _, name, _ in columns) == len(PUBLIC) + len(CHANGES)
    own = [(name, comment) for table, name, comment in columns if table in PUBLIC and name != "release_id"]
    assert all(comment == f"What {name} holds." for name, comment in own)


def test_the_database_holds_what_the_parquet_files_hold_when_compared(published: Published) -> None:
    folder = published.release.path
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as con:
        for table in PUBLIC:
            inside = con.execute(f"select * from marts.{table}").fetchall()
            assert inside == con.execute(f"select * from '{folder}/parquet/{table}.parquet'").fetchall()


def test_a_client_from_1_0_on_opens_the_database_when_its_header_is_read(published: Published, tmp_path: Path) -> None:
    path = published.release.path / "warehouse.duckdb"
    assert path.read_bytes()[8:20] == b"DUCK" + struct.pack("<Q", 64)
    assert storage_number(path) == STORAGE_NUMBER == 64
    with duckdb.connect(str(tmp_path / "default.duckdb")) as con:
        con.execute("create table t as select 1 as a")
    assert storage_number(tmp_path / "default.duckdb") != STORAGE_NUMBER
    assert not path.with_name("warehouse.duckdb.wal").exists()


def test_nothing_is_published_when_the_database_has_the_default_storage_version(
    waiting: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STORAGE_VERSION", "latest")
    with pytest.raises(ReleaseError, match="its storage version is"):
        waiting.publish()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("comment on column marts.t.a is null", "not described: t.a"),
        ("comment on table marts.t is ''", "not described: t"),
        ("delete from marts.t where a = 1", "t has 1 rows, its Parquet file 2"),
    ],
)
def test_a_database_is_refused_when_it_is_not_what_readers_need(tmp_path: Path, sql: str, words: str) -> None:
    table = two_rows(tmp_path)
    make_database(tmp_path, table)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        con.execute(sql)
    with pytest.raises(ReleaseError, match=words):
        database._prove(tmp_path / "w.duckdb", {"marts": [table]})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.with_name("w.duckdb.wal").touch(), r"still stands in a \.wal file"),
        (lambda path: path.write_bytes(b"nothing of the kind" * 3), "is not a DuckDB file"),
    ],
)
def test_a_file_is_refused_when_it_is_no_checkpointed_database(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    table = two_rows(tmp_path)
    make_database(tmp_path, table)
    damage(tmp_path / "w.duckdb")
    with pytest.raises(ReleaseError, match=words):
        database._prove(tmp_path / "w.duckdb", {"marts": [table]})


def test_paths_are_read_as_they_are_when_they_hold_signs_of_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*c's"
    folder.mkdir()
    table = two_rows(folder)
    make_database(folder, table)
    assert (folder / "w.duckdb").is_file()
    assert [path.name for path in folder.iterdir() if path.name.startswith("spill")] == []


def make_database(folder: Path, table: Table) -> None:
    """The database of one table whose Parquet file stands in a folder."""
    with session(folder) as con:
        write_database(con, folder / "w.duckdb", {"marts": ([table], folder)})


def two_rows(folder: Path) -> Table:
    """A table of two rows, and its Parquet file with the release id."""
    # A connection of its own: the module's shared one may hold an unfinished answer of another test.
    with duckdb.connect() as con:
        con.sql("select 1 as a, 'r-1' as release_id union all select 2, 'r-1'").write_parquet(str(folder / "t.parquet"))
    return Table("t", "One row.", (Column("a", "INTEGER", "A number."),), ("a",), 2, "", (), ())


def test_the_parts_of_a_release_are_written_in_order_when_built(waiting: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checksums come last: a file written after them would not verify."""
    order: list[str] = []
    for step in (
        "write_change_tables",
        "write_database",
        "describe_changes",
        "make_manifest",
        "write_checksums",
        "seal",
    ):
        real = getattr(build, step)

        def noted(*args: Any, step: str = step, real: Callable[..., Any] = real) -> Any:
            order.append(step)
            return real(*args)

        monkeypatch.setattr(build, step, noted)
    waiting.publish()
    assert order == [
        "write_change_tables",
        "write_database",
        "describe_changes",
        "make_manifest",
        "write_checksums",
        "seal",
    ]
