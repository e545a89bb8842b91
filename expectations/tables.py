"""Opens the data of one run for the gate: DuckDB views over Parquet folders, seeds, marts and the last
release.

Belongs here: finding, opening and projecting tables so that every check can run even when a column is
missing or has the wrong type (the schema checks say so; the others see NULL). Does not belong here: any
verdict.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from expectations.model import GateError, GateInputs
from expectations.schemas import (
    CONTRACTED_TABLES,
    DECLARATIONS,
    LEADS,
    MART_COLUMNS_READ,
    MIRROR_FLOWS,
    RECONCILED_TABLES,
    RELIABILITY,
    SEED_COLUMNS,
)

MEMORY_LIMIT = "1500MB"
MAX_THREADS = 4
SAMPLE_ROWS = 20
# What the contract takes for an amount of money or goods: NaN and infinity are none either.
LARGEST_AMOUNT = 1e18
_LANDED_COLUMNS = {"delivery_id": "VARCHAR", "primaryValue": "DOUBLE"}


@dataclass
class GateTables:
    """An open DuckDB session with one view per table.

    `problems` names the tables that are absent or unreadable, with the reason. `not_comparable` says why
    nothing is compared with an earlier release, or is None. `public_tables` are the tables of schema marts
    in the staging file.
    """

    con: duckdb.DuckDBPyConnection
    inputs: GateInputs
    problems: dict[str, str] = field(default_factory=dict)
    not_comparable: str | None = None
    public_tables: tuple[str, ...] = ()
    mart_columns: dict[str, dict[str, str]] = field(default_factory=dict)

    def frame(self, sql: str) -> Any:
        """The answer to a query as a pandas frame; only for bounded answers."""
        return self._ask(sql).df()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to a query as tuples; only for bounded answers."""
        return list(self._ask(sql).fetchall())

    def _ask(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Sums of doubles depend on the order of adding, and equal data must give equal figures: a query that adds
        anything runs in one thread.
        """
        threads = 1 if "sum(" in sql else min(MAX_THREADS, os.cpu_count() or 1)
        self.con.execute(f"set threads = {threads}")
        return self.con.execute(sql)

    def failing_rows(self, sql: str) -> tuple[int, list[dict[str, Any]]]:
        """How many rows a query finds, and the first of them in the query's own order."""
        relation = f"({sql})"
        count = int(self.rows(f"select count(*) from {relation}")[0][0])
        if count == 0:
            return 0, []
        answer = self.con.execute(f"{sql} limit {SAMPLE_ROWS}")
        names = [column[0] for column in answer.description or []]
        return count, [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@contextmanager
def open_tables(inputs: GateInputs) -> Iterator[GateTables]:
    """Open everything the inputs name; closes the session afterwards. Raises GateError for missing seeds."""
    with (
        tempfile.TemporaryDirectory(prefix="gate-") as spill,
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill}) as con,
    ):
        con.execute("set enable_progress_bar = false")
        tables = GateTables(con, inputs)
        for name, columns in CONTRACTED_TABLES.items():
            _open_folder(tables, name, inputs.contracted_dir / name, columns)
        for name, columns in RECONCILED_TABLES.items():
            _open_folder(tables, name, _reconciled_path(inputs.reconciled_dir, name), columns)
        _open_seeds(tables)
        _open_marts(tables)
        _open_last_release(tables)
        yield tables


def _reconciled_path(reconciled_dir: Path, name: str) -> Path:
    return reconciled_dir / "parameters" / f"{name}.parquet" if name == "reliability" else reconciled_dir / name


def _open_folder(tables: GateTables, name: str, path: Path, columns: Mapping[str, str]) -> None:
    """Create view `name` with exactly the promised columns, and `<name>_found` with the columns the files
    hold.
    """
    pattern = path if path.suffix == ".parquet" else path / "*.parquet"
    found: dict[str, str] = {}
    try:
        found = _describe(tables, pattern)
    except duckdb.Error as error:
        tables.problems[name] = _first_line(error)
    _create_found(tables, name, found, pattern)
    source = f"read_parquet({_text(pattern)}, union_by_name = true)" if found else "(select 1 where false)"
    tables.con.execute(f"create view {_name(name)} as select {_projection(found, columns)} from {source}")


def _describe(tables: GateTables, pattern: Path) -> dict[str, str]:
    relation = f"read_parquet({_text(pattern)}, union_by_name = true)"
    return {str(row[0]): str(row[1]) for row in tables.rows(f"describe select * from {relation}")}


def _create_found(tables: GateTables, name: str, found: Mapping[str, str], pattern: Path) -> None:
    """Types per file, so that one odd file among hundreds is seen: (column_name, data_type, file_count,
    a_file).
    """
    if found:
        body = (
            "select name as column_name, duckdb_type as data_type, count(distinct file_name) as file_count, "
            "min(parse_filename(file_name)) as a_file, "
            f"(select count(distinct file_name) from parquet_schema({_text(pattern)})) as all_files "
            f"from parquet_schema({_text(pattern)}) where duckdb_type is not null group by all"
        )
    else:
        body = "select '' as column_name, '' as data_type, 0 as file_count, '' as a_file, 0 as all_files where false"
    # A view: the footers of hundreds of files are read only by the suite that asks.
    tables.con.execute(f"create view {_name(name + '_found')} as {body}")


def _projection(found: Mapping[str, str], columns: Mapping[str, str]) -> str:
    def one(name: str, wanted: str) -> str:
        if name not in found:
            return f"cast(null as {wanted}) as {_name(name)}"
        return _name(name) if found[name] == wanted else f"try_cast({_name(name)} as {wanted}) as {_name(name)}"

    return ", ".join(one(name, wanted) for name, wanted in columns.items())


def open_landed(tables: GateTables, landed: Path) -> None:
    """Create table landed_by_delivery: dollars and rows of each delivery, read from the landed files once.

    Only for the suite that asks: there are thousands of files.
    """
    pattern = landed / "**" / "*.parquet"
    sums = (
        "create table landed_by_delivery as select delivery_id, "
        f"sum(primaryValue) filter (where abs(primaryValue) < {LARGEST_AMOUNT}) as usd, count(*) as row_count "
        "from {} group by 1"
    )
    try:
        tables.con.execute(sums.format(f"read_parquet({_text(pattern)}, hive_partitioning = false)"))
    except duckdb.Error as error:
        tables.problems["landed"] = _first_line(error)
        tables.con.execute(sums.format(f"(select {_projection({}, _LANDED_COLUMNS)} where false)"))


def open_list(tables: GateTables, name: str, path: Path | None, columns: Mapping[str, str]) -> None:
    """Create a table of a list that the landing wrote as JSON; empty where the source has no such list.

    A list that cannot be read counts as one finding, under its own name: nobody could say that it is empty.
    """
    typed = ", ".join(f"{_name(column)} {kind}" for column, kind in columns.items())
    tables.con.execute(f"create table {_name(name)} ({typed})")
    if path is None:
        return
    wanted = ", ".join(f"{_name(column)}: {_text(kind)}" for column, kind in columns.items())
    listed = f"read_json({_text(path)}, format = 'array', columns = {{{wanted}}})"
    try:
        json.loads(path.read_text(encoding="utf-8"))  # DuckDB takes an empty file for an empty list.
        tables.con.execute(f"insert into {_name(name)} select * from {listed}")
    except (OSError, ValueError, duckdb.Error) as error:
        tables.problems[name] = _first_line(error)
        problem = f"the list cannot be read: {type(error).__name__}; run the landing again"
        tables.con.execute(
            f"insert into {_name(name)} (source_file, what) values ({_text(path.name)}, {_text(problem)})"
        )


def _open_seeds(tables: GateTables) -> None:
    for name, column in SEED_COLUMNS.items():
        path = tables.inputs.seeds_dir / f"{name}.csv"
        try:
            tables.con.execute(
                f"create table {_name(name)} as select distinct {_name(column)} as code from "
                f"read_csv({_text(path)}, all_varchar = true, header = true, delim = ',', quote = '\"')"
            )
        except duckdb.Error as error:
            raise GateError(
                f"The reference table {path.name} cannot be read: {_first_line(error)} Without it no code "
                "can be "
                f"called known or unknown. Restore dbt_project/seeds/{path.name} with its column {column}."
            ) from error


def _open_marts(tables: GateTables) -> None:
    """Attach the staging file; views of the public tables that the gate reads, with the columns it reads."""
    path = tables.inputs.staging_db
    if path is not None and path.is_file():
        tables.con.execute(f"attach {_text(path)} as staging (read_only)")
        for table, column, data_type in tables.rows(
            "select table_name, column_name, data_type from duckdb_columns() where database_name = 'staging' "
            "and "
            "schema_name = 'marts' order by 1, column_index"
        ):
            tables.mart_columns.setdefault(str(table), {})[str(column)] = str(data_type)
    tables.public_tables = tuple(sorted(tables.mart_columns))
    for name, columns in MART_COLUMNS_READ.items():
        found = tables.mart_columns.get(name, {})
        source = f"staging.marts.{_name(name)}" if found else "(select 1 where false)"
        tables.con.execute(f"create view {_name(name)} as select {_projection(found, columns)} from {source}")
        listed = ", ".join(f"({_text(column)}, {_text(kind)}, 1, '', 1)" for column, kind in found.items())
        listed = listed or "('', '', 0, '', 0)"
        tables.con.execute(
            f"create table {_name(name + '_found')} as select * from (values "
            f"{listed}) t(column_name, data_type, file_count, a_file, all_files)"
        )


def _open_last_release(tables: GateTables) -> None:
    """Create the views last_* of the earlier release, or say why nothing can be compared."""
    release = tables.inputs.last_release_dir
    tables.not_comparable = _why_not_comparable(release, tables.inputs.source)
    for view, table, columns in (
        ("last_declarations", "fct_declaration", DECLARATIONS),
        ("last_mirror_flows", "fct_mirror_flow", MIRROR_FLOWS),
        ("last_reliability", "mart_reporter_reliability", RELIABILITY),
        ("last_leads", "mart_passage_lead", LEADS),
    ):
        path = release / "parquet" / f"{table}.parquet" if release is not None else Path(table)
        usable = tables.not_comparable is None and path.is_file()
        found = _describe(tables, path) if usable else {}
        source = f"read_parquet({_text(path)})" if usable else "(select 1 where false)"
        tables.con.execute(f"create view {view} as select {_projection(found, columns)} from {source}")


def _why_not_comparable(release: Path | None, source: str) -> str | None:
    if release is None:
        return "no earlier release"
    manifest = release / "datapackage.json"
    try:
        earlier = str(json.loads(manifest.read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError) as error:
        raise GateError(
            f"The manifest of the last release cannot be read ({release.name}/{manifest.name}: {error!r}). A "
            "run that "
            "cannot be compared with what analysts see now might silently take data away from them. Roll "
            "back to a "
            "release that verifies, or move the damaged one away."
        ) from error
    return None if earlier == source else f"the earlier release is of another source ({earlier})"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].replace("\n", " ")


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
