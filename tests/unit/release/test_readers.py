"""Readers while releases come and go: one that holds its file open, one that opens the latest again and again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from orchestration.release.audit_record import AuditRecord
from orchestration.release.build import Content
from orchestration.release.export import export_tables
from orchestration.release.publish import publish
from orchestration.release.store import release_ids
from orchestration.release.tables import release_id_of

PUBLICATIONS = 20
TABLES = ("dim_a", "dim_b")
RECORD = AuditRecord("run-1", "execution-1", "sample", "input-1", "method", "hash", ())

READER = """
import json, sys, time
from pathlib import Path
import duckdb

releases, stop = Path(sys.argv[1]), Path(sys.argv[2])
both = "select release_id, n from marts.dim_a union select release_id, n from marts.dim_b"
held = duckdb.connect(str((releases / "latest").resolve() / "warehouse.duckdb"), read_only=True)
seen_held, seen_fresh, mixed = set(), set(), 0
Path(sys.argv[3]).touch()
while not stop.exists() or len(seen_fresh) < 2:
    seen_held |= set(held.execute(both).fetchall())
    with duckdb.connect(str(releases / "latest" / "warehouse.duckdb"), read_only=True) as fresh:
        found = set(fresh.execute(both).fetchall())
    mixed += len(found) != 1
    seen_fresh |= found
    time.sleep(0.05)
print(json.dumps({"held": sorted(seen_held), "fresh": sorted(seen_fresh), "mixed": mixed}))
"""


def publish_version(root: Path, version: int) -> str:
    """Publish a release whose two tables both hold the version; the last two stay."""
    run = root / "runs" / f"run-{version}"
    run.mkdir(parents=True)
    with duckdb.connect(str(run / "staging.duckdb")) as con:
        con.execute("create schema marts")
        for table in TABLES:
            con.execute(f"create table marts.{table} as select {version} as n from range(3000)")
            con.execute(
                f"comment on table marts.{table} is 'One row.'; comment on column marts.{table}.n is 'Version.'"
            )
    export = export_tables(run / "staging.duckdb", {}, lambda _table: True, run / "export")
    paths = {table: run / "export" / f"{table}.parquet" for table in TABLES}
    content = Content(release_id_of(export.tables), export.tables, paths, RECORD, None)
    return publish(root / "releases", content, run / "release.building", keep=2).release_id


def test_readers_meet_no_error_and_no_mixture_when_twenty_releases_are_published(tmp_path: Path) -> None:
    first = publish_version(tmp_path, 0)
    stop, started = tmp_path / "stop", tmp_path / "started"
    arguments = [sys.executable, "-c", READER, str(tmp_path / "releases"), str(stop), str(started)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        while not started.exists() and reader.poll() is None:
            time.sleep(0.01)
        ids = [publish_version(tmp_path, version) for version in range(1, PUBLICATIONS + 1)]
        stop.touch()
        said, errors = reader.communicate()
    assert reader.returncode == 0, errors
    seen = json.loads(said)
    assert seen["held"] == [[first, 0]]
    assert seen["mixed"] == 0
    published = dict(zip([first, *ids], range(PUBLICATIONS + 1), strict=True))
    assert len(published) == PUBLICATIONS + 1
    assert len(seen["fresh"]) > 1
    assert all(published[release] == version for release, version in seen["fresh"])
    assert release_ids(tmp_path / "releases") == tuple(ids[-2:])
    assert not (tmp_path / "releases" / first).exists()
