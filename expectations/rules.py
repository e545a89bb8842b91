"""Builders of checks: rules about rows, single figures, sets of codes, promised columns.

Belongs here: turning a rule into the SQL of a bounded batch and of its failing rows. Does not belong here:
the rules themselves (`suites`), their limits (`thresholds.csv`) and their judgement (`engine`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expectations.model import Check, Suite
from expectations.tables import GateTables


@dataclass(frozen=True)
class Part:
    """A batch and the checks that read it."""

    batch: str
    sql: str
    checks: tuple[Check, ...]


def assemble(name: str, parts: Sequence[Part]) -> Suite:
    """A suite of parts; a name that stands twice would hide a check and raises ValueError."""
    checks = tuple(check for part in parts for check in part.checks)
    names = [check.name for check in checks]
    doubles = sorted({one for one in names if names.count(one) > 1})
    if doubles:
        raise ValueError(f"suite {name}: checks named twice: {doubles}")
    return Suite(name, {part.batch: part.sql for part in parts}, checks)


def row_rules(table: str, rules: Mapping[str, str], show: str, order: str, by: str = "frequency, period") -> Part:
    """Rules about single rows: check name -> SQL condition that is true of a *violating* row.

    The batch holds one row per partition (`by`) and one column of violation counts per rule: one pass over
    the table.
    """
    counts = ", ".join(
        f'cast(count(*) filter (where {condition}) as bigint) as "{name}"' for name, condition in rules.items()
    )
    batch = f"rows_of_{table}"
    sql = f"select {by}, cast(count(*) as bigint) as row_count, {counts} from {table} group by {by} order by {by}"
    checks = tuple(
        Check(name, batch, name, failing=f"select {show} from {table} where {condition} order by {order}")
        for name, condition in rules.items()
    )
    return Part(batch, sql, checks)


@dataclass(frozen=True)
class Figure:
    """One number: SQL of a single value, the direction of its limit, SQL of the rows behind it."""

    name: str
    sql: str
    failing: str | None = None
    at_least: bool = False
    not_comparable: str | None = None


def figures(batch: str, members: Sequence[Figure]) -> Part:
    """Single figures side by side in a batch of one row; those that cannot be compared are left out of the
    query.
    """
    asked = [one for one in members if one.not_comparable is None]
    columns = ", ".join(f'cast(({one.sql}) as double) as "{one.name}"' for one in asked) or "0 as nothing"
    checks = tuple(
        Check(
            one.name,
            batch,
            one.name,
            judgement="at_least" if one.at_least else "at_most",
            failing=one.failing,
            not_comparable=one.not_comparable,
        )
        for one in members
    )
    return Part(batch, f"select {columns}", checks)


def known_values(
    name: str,
    table: str,
    column: str,
    known: Sequence[str],
    where: str = "true",
    show: str = "",
    order: str = "",
) -> Part:
    """Every distinct value of a column (an expression is allowed) stands in the known set; NULL is not a
    value here.

    The batch holds the distinct values, the number of rows that carry them, and the value again where it is known. An
    empty known set fails everything.
    """
    batch = f"values_of_{name}"
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in known) or "''"
    sql = (
        f"select value, row_count, case when value in ({listed}) then value end as known_value from (select {column} "
        f"as value, cast(count(*) as bigint) as row_count from {table} where {where} group by 1) where value is not "
        "null order by 1"
    )
    failing = (
        f"select {show or column} from {table} where {where} and {column} is not null and {column} not in "
        f"({listed}) "
        f"order by {order or column}"
    )
    return Part(batch, sql, (Check(name, batch, "value", "columns_equal", failing, "known_value"),))


def promised_columns(name: str, surplus_name: str, promised: Mapping[str, Mapping[str, str]]) -> list[Part]:
    """Every promised column stands in every file with its promised type; columns nobody promised are counted
    apart.
    """
    values = ", ".join(
        f"('{table}', '{column}', '{data_type}')"
        for table, columns in promised.items()
        for column, data_type in columns.items()
    )
    found = " union all ".join(
        f"select '{table}' as table_name, * from {table}_found where all_files > 0" for table in promised
    )
    compared = (
        "select p.table_name, p.column_name, p.data_type as promised_type, case when f.column_name is null "
        "then "
        "'absent' when f.file_count < f.all_files and f.data_type = p.data_type then 'absent in some files' "
        "else f.data_type end as found_type, coalesce(f.a_file, '') as a_file "
        f"from (values {values}) p(table_name, column_name, data_type) left join found f using (table_name, "
        "column_name) "
        "where p.table_name in (select table_name from found) order by 1, 2, 4"
    )
    surplus = (
        "select f.table_name, f.column_name, f.data_type as found_type, f.a_file from found f anti join "
        f"(values {values}) p(table_name, column_name, data_type) using (table_name, column_name) order by "
        "1, 2, 3"
    )
    with_found = f"with found as ({found})"
    failing = f"{with_found} select * from ({compared}) where promised_type <> found_type order by 1, 2, 4"
    batch = f"columns_of_{name}"
    equal = Check(name, batch, "promised_type", "columns_equal", failing, other_column="found_type")
    count = f"{with_found} select count(*) from ({surplus})"
    return [
        Part(batch, f"{with_found} {compared}", (equal,)),
        figures(
            f"surplus_of_{name}",
            [Figure(surplus_name, count, f"{with_found} select * from ({surplus}) order by 1, 2, 3")],
        ),
    ]


def codes(tables: GateTables, seed: str) -> tuple[str, ...]:
    """The known codes of a reference table, in order."""
    return tuple(str(row[0]) for row in tables.rows(f"select code from {seed} where code is not null order by 1"))


def absent_tables(tables: GateTables, names: Sequence[str], must_hold_rows: Sequence[str]) -> str:
    """SQL of the tables that are absent, unreadable or, where rows are needed, empty: (table_name,
    problem).
    """
    parts = []
    for name in names:
        if name in tables.problems:
            reason = tables.problems[name].replace("'", "''")
            parts.append(f"select '{name}' as table_name, '{reason}' as problem")
        elif name in must_hold_rows:
            parts.append(
                f"select '{name}' as table_name, 'holds no row' as problem where not exists (select 1 from {name})"
            )
    return " union all ".join(parts) or "select '' as table_name, '' as problem where false"
