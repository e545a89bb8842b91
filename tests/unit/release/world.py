"""Hand-made runs for the tests of publication: a small staging database, its models' manifest, what the gate said.

`version` moves the content: equal versions give equal tables, another version revises a declaration, adds a flow and
takes one away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb

from expectations.model import CheckResult
from expectations.thresholds import load_thresholds
from orchestration.pipeline.gates import SUITES, dbt_results, results_of_run
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.releases import export_run, publish_run, record_audit
from orchestration.reconcile import METHOD_VERSION
from orchestration.release.published import PublishedRelease
from orchestration.release.tables import AUDIT_TABLE
from orchestration.settings import Settings

EXECUTION = "execution-1"
RUN_COLUMNS = {"run_id": "varchar", "method_version": "varchar"}
CONSERVATION_KEY = ("frequency", "period", "reporter_code", "flow_code")
REVISION_KEY = ("frequency", "period", "reporter_code", "older_delivery_id", "newer_delivery_id")


@dataclass(frozen=True)
class Model:
    """One public model: its key, its columns with their types, and the SQL of its rows ({v}: the version)."""

    key: tuple[str, ...]
    columns: dict[str, str]
    rows: str


MODELS = {
    "dim_place": Model(
        ("place_code",),
        {"place_code": "varchar", "place_name": "varchar", "valid_from": "date", "latitude_deg": "double"},
        "select * from (values ('792', 'Türkiye', date '1990-01-01', 39.9), ('004', 'Afghanistan, \"Kabul\"', "
        "date '1990-01-01', 34.5), ('643', '', null, null))",
    ),
    "fct_declaration": Model(
        ("declaration_id",),
        {"declaration_id": "varchar", "product_code": "varchar", "quantity": "double", "value_usd": "double"},
        "select 'd' || lpad(i::varchar, 3, '0'), lpad((i % 7)::varchar, 6, '0'), case when i % 3 > 0 then i / 3.0 end, "
        "i * 1.1 + case when i = 5 then {v} else 0 end from range(40) t(i)",
    ),
    "fct_mirror_flow": Model(
        ("mirror_flow_id",),
        {
            "mirror_flow_id": "varchar",
            "status": "varchar",
            "reconciled_fob_usd": "double",
            "reconciled_fob_usd_p05": "double",
            "gap_fob_usd": "double",
            "gap_log_ratio": "double",
            "is_left_out": "boolean",
        },
        "select 'A-2020-' || lpad(i::varchar, 4, '0'), case when i = 9 and {v} > 0 then 'two_sided' else "
        "'exporter_only' end, 1000.0 * i + case when i = 4 then {v} else 0 end, 900.0 * i, 10.0 * i, 0.01 * i, "
        "i % 2 = 0 from range({v}, {v} + 12) t(i)",
    ),
    "mart_conservation": Model(
        CONSERVATION_KEY,
        {**dict.fromkeys(CONSERVATION_KEY, "varchar"), "declared_usd": "double", "declaration_count": "bigint"},
        "select 'A', '2020', lpad(i::varchar, 3, '0'), 'X', 500.0 * i + {v}, i from range(3) t(i)",
    ),
    "mart_revision": Model(
        REVISION_KEY,
        {
            **dict.fromkeys(REVISION_KEY, "varchar"),
            "keys_added_count": "bigint",
            "keys_removed_count": "bigint",
            "keys_revised_count": "bigint",
            "older_value_usd": "double",
            "newer_value_usd": "double",
            "value_moved_usd": "double",
        },
        "select 'A', '2020', '643', 'old' || i, 'new' || i, i, 2, 3, 100.0, 200.0 + i, 150.0 from range({v}) t(i)",
    ),
    "mart_discrepancy": Model(
        ("mirror_flow_id",),
        {"mirror_flow_id": "varchar", "gap_fob_usd": "double", "z_score": "double", "q_value": "double"},
        "select 'A-2020-' || lpad(i::varchar, 4, '0'), 10.0 * i, 3.0, 0.01 * i from range({v}, {v} + 4) t(i)",
    ),
}
AUDIT_MODEL = Model(
    ("suite", "check_name"),
    {
        "suite": "varchar",
        "check_name": "varchar",
        "severity": "varchar",
        "is_passed": "boolean",
        "figure": "double",
        "failing_count": "bigint",
    },
    "",
)


def write_models_manifest(dbt_dir: Path) -> None:
    """What dbt would say of these models and their tests."""
    nodes: dict[str, object] = {}
    for name, model in {**MODELS, AUDIT_TABLE: AUDIT_MODEL}.items():
        nodes[f"model.p.{name}"] = {
            "resource_type": "model",
            "name": name,
            "tags": ["audit"] if name == AUDIT_TABLE else [],
            "config": {"meta": {"primary_key": list(model.key)}},
            "depends_on": {"nodes": []},
        }
        nodes[f"test.p.{name}_rows_have_one_key_each.0f"] = {
            "resource_type": "test",
            "name": f"{name}_rows_have_one_key_each",
            "config": {},
            "depends_on": {"nodes": [f"model.p.{name}"]},
        }
    path = dbt_dir / "target" / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """One run on hand-made tables; every step can be taken alone, with a defect in it."""

    settings: Settings
    version: int = 1
    execution_id: str = EXECUTION

    @property
    def run_id(self) -> str:
        """Differs by version, as a fingerprint of the input would."""
        return f"run-{self.version:04d}"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the input of this version."""
        return f"input-{self.version:04d}"

    @property
    def paths(self) -> DataPaths:
        """Folders of this run's data folder."""
        return DataPaths(self.settings.data_folder)

    def stage(self, leave_out: Collection[str] = (), shuffled: bool = False) -> Run:
        """Write the staging database as dbt does: comments persisted, rows in any order."""
        path = self.paths.staging_db(self.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as con:
            con.begin()
            con.execute("create schema marts")
            for name, model in MODELS.items():
                if name not in leave_out:
                    rows = model.rows.format(v=self.version)
                    self._create(con, name, model, rows, "order by hash(#1)" if shuffled else "")
            con.commit()
        return self

    def say(self, sql: str) -> Run:
        """Change the staging database."""
        with duckdb.connect(str(self.paths.staging_db(self.run_id))) as con:
            con.execute(sql)
        return self

    def gate(
        self, changed: Collection[CheckResult] = (), absent: Collection[str] = (), tests: Collection[str] | None = None
    ) -> Run:
        """Write what the suites and the model tests said: all well, but for the changed and the absent checks."""
        results = {(one.suite, one.check_name): one for one in (*sound_checks(), *changed)}
        for suite in SUITES:
            kept = [asdict(r) for r in results.values() if r.suite == suite and r.check_name not in absent]
            self._keep(f"{suite}.json", {"execution_id": self.execution_id, "results": kept})
        names = [f"{name}_rows_have_one_key_each" for name in MODELS] if tests is None else tests
        said = [{"unique_id": f"test.p.{n}.0f", "status": "pass", "failures": 0, "message": None} for n in names]
        self._keep("dbt_tests.json", {"execution_id": self.execution_id, "tests": said})
        return self

    def audit(self) -> Run:
        """Export, store the record, build the audit mart: what stands between the gate and publication."""
        export_run(self.settings, self.paths, self.run_id)
        record_audit(self.settings, self.paths, self.run_id, self.execution_id, self.fingerprint)
        return self.build_audit_mart()

    def build_audit_mart(self) -> Run:
        """The audit mart as dbt builds it from the results."""
        with duckdb.connect(str(self.paths.staging_db(self.run_id))) as con:
            self._create(con, AUDIT_TABLE, AUDIT_MODEL, "select '', '', '', true, 0.0, 0 where false", "")
            rows = [(r.suite, r.check_name, r.severity, r.passed, r.figure, r.failing_count) for r in self._results()]
            con.begin()
            marks = ", ".join("?" * len(AUDIT_MODEL.columns))
            run = f"'{self.run_id}', '{METHOD_VERSION}'"
            con.executemany(f"insert into marts.{AUDIT_TABLE} values ({marks}, {run})", rows)
            con.commit()
        return self

    def ready(self) -> Run:
        """A sound run that only waits for publication."""
        return self.stage().gate().audit()

    def publish(self) -> PublishedRelease:
        """Publish the run."""
        return publish_run(self.settings, self.paths, self.run_id, self.execution_id)

    def _results(self) -> list[CheckResult]:
        given = (self.paths, self.run_id, self.execution_id)
        return results_of_run(*given) + dbt_results(*given)

    def _create(self, con: duckdb.DuckDBPyConnection, name: str, model: Model, rows: str, order: str) -> None:
        columns = {**model.columns, **RUN_COLUMNS}
        listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        con.execute(f"create or replace table marts.{name} ({listed})")
        con.execute(f"comment on table marts.{name} is 'One row of {name}; it''s here.'")
        for column in columns:
            con.execute(f"comment on column marts.{name}.{column} is 'What {column} holds.'")
        select = f"select *, '{self.run_id}', '{METHOD_VERSION}' from ({rows}) {order}"
        con.execute(f"insert into marts.{name} {select}")

    def _keep(self, name: str, value: object) -> None:
        path = self.paths.run(self.run_id) / "audit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")


def sound_checks() -> list[CheckResult]:
    """Every check of the gate, passed."""
    return [
        CheckResult(
            suite=one.suite,
            check_name=one.check_name,
            severity=one.severity,
            passed=True,
            figure=0.0,
            threshold=one.threshold,
            threshold_text=f"at most {one.threshold:g} ({one.unit})",
            evidence=one.evidence,
            threshold_date=one.threshold_date,
            failing_count=0,
            failing_sample="[]",
            message="Holds.",
        )
        for one in load_thresholds().values()
    ]


def failed(name: str) -> CheckResult:
    """A check of the gate that failed, by its name."""
    found = next(one for one in sound_checks() if one.check_name == name)
    sample = json.dumps([{"row": "d005", "value_usd": 1.5}])
    return replace(found, passed=False, figure=2.0, failing_count=2, failing_sample=sample, message="It does not hold.")


def snapshot(folder: Path) -> dict[str, str]:
    """Every file, link and folder below a folder with its content: two equal snapshots are the same bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"link to {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[str(path.relative_to(folder))] = "folder"
    return found
