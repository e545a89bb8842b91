"""CHANGES.md: what moved since the last release of this line (the same source).

Belongs here: comparing two releases and telling it, in a fixed order and without a clock. Does not belong here: the
comparison as tables (`change_tables`), and any verdict on what moved (the gate's release-to-release checks give that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from expectations.model import CheckResult
from orchestration.release.audit_record import check_id
from orchestration.release.engine import scan

TOLD_ROWS = 20
"""Rows told in full per section; the sections give the counts of all."""
SAME = 1e-9
"""Relative difference of two values below which they are the same: the noise of adding doubles."""
MOVED = 0.01
"""Relative difference from which a reconciled value is told as moved: parameters are fitted anew in every run."""
ANOMALOUS_Q = 0.05
"""False-discovery rate below which a gap is told as anomalous."""
LEADS = "mart_passage_lead"
REVISION_KEY = ("frequency", "period", "reporter_code", "older_delivery_id", "newer_delivery_id")


@dataclass(frozen=True)
class Side:
    """One release in the comparison: its id, its Parquet folder, its checks, content checksums by table."""

    release_id: str
    parquet: Path
    checks: tuple[CheckResult, ...]
    content_checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeadChange:
    """One lead that is new, gone or of another grade; values in FOB USD, NULL on the side where it is not."""

    lead_id: str
    lead_name: str
    embargo_code: str | None
    change_kind: str
    grade_before: str | None
    grade_after: str | None
    passage_before_fob_usd: float | None
    passage_after_fob_usd: float | None
    rank_before: int | None
    rank_after: int | None


@dataclass(frozen=True)
class Pair:
    """Two releases under comparison, with the columns of every table on either side."""

    con: duckdb.DuckDBPyConnection
    old: Side
    new: Side
    old_columns: Mapping[str, tuple[str, ...]]
    new_columns: Mapping[str, tuple[str, ...]]

    def have(self, table: str, *columns: str) -> bool:
        """Whether both sides hold the table with these columns."""
        sides = (self.old_columns, self.new_columns)
        return all(table in side and set(columns) <= set(side[table]) for side in sides)

    def source(self, table: str) -> str:
        """SQL of the two sides as common table expressions `old` and `new`."""
        return (
            f"with old as (select * from {scan(self.old.parquet / f'{table}.parquet')}), "
            f"new as (select * from {scan(self.new.parquet / f'{table}.parquet')}) "
        )

    def row_count(self, side: Side, table: str) -> int:
        """Rows of a table on one side."""
        return int(self.rows(f"select count(*) from {scan(side.parquet / f'{table}.parquet')}")[0][0])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to a query; only for bounded answers."""
        return list(self.con.execute(sql).fetchall())


def pair_of(con: duckdb.DuckDBPyConnection, new: Side, old: Side, tables: Collection[str] | None = None) -> Pair:
    """Two releases, ready to be compared by these tables; by all when none are named."""
    return Pair(con, old, new, _columns(con, old, tables), _columns(con, new, tables))


def compare_leads(con: duckdb.DuckDBPyConnection, new: Side, old: Side) -> tuple[LeadChange, ...] | None:
    """Leads that are new, gone or of another grade since the older release, the best grade and largest value first.

    None when one of the releases lacks the leads or a column that is compared.
    """
    pair = pair_of(con, new, old, (LEADS,))
    return _changed_leads(pair) if leads_are_comparable(pair) else None


def leads_are_comparable(pair: Pair) -> bool:
    """Whether both releases hold leads with what is compared."""
    columns = ("lead_id", "lead_name", "embargo_code", "grade", "passage_fob_usd", "lead_rank")
    return pair.have(LEADS, *columns)


def moved_leads(pair: Pair) -> str:
    """SQL of the leads that are new, gone or of another grade: the columns of LeadChange, in no order."""
    return (
        f"({pair.source(LEADS)} select lead_id, coalesce(new.lead_name, old.lead_name) as lead_name, "
        "coalesce(new.embargo_code, old.embargo_code) as embargo_code, case when old.grade is null then 'new' when "
        "new.grade is null then 'gone' else 'regraded' end as change_kind, old.grade as grade_before, new.grade as "
        "grade_after, old.passage_fob_usd as passage_before_fob_usd, new.passage_fob_usd as passage_after_fob_usd, "
        "old.lead_rank as rank_before, new.lead_rank as rank_after from old full join new using (lead_id) "
        "where old.grade is distinct from new.grade)"
    )


def _changed_leads(pair: Pair) -> tuple[LeadChange, ...]:
    rows = pair.rows(
        f"select * from {moved_leads(pair)} order by least(coalesce(grade_before, 'E'), coalesce(grade_after, 'E')), "
        "coalesce(passage_after_fob_usd, passage_before_fob_usd) desc nulls last, lead_id"
    )
    return tuple(LeadChange(*row) for row in rows)


def describe_changes(con: duckdb.DuckDBPyConnection, new: Side, old: Side | None, source: str) -> str:
    """The text of CHANGES.md; equal releases give equal bytes."""
    if old is None:
        return f"# Release {new.release_id}\n\nThere is no earlier release of source `{source}` to compare with.\n"
    con.execute("set threads = 1")  # sums of doubles depend on the order of adding
    pair = pair_of(con, new, old)
    parts = [section(pair) for section in _SECTIONS]
    head = (
        f"# Release {new.release_id}, since {old.release_id}\n\nBoth are of source `{source}`. Gaps are exporter "
        "minus importer; an anomaly is not a finding about anyone."
    )
    return "\n\n".join([head, *parts]) + "\n"


def _tables(pair: Pair) -> str:
    rows: list[Sequence[str]] = []
    for table in sorted({*pair.old_columns, *pair.new_columns}):
        before = pair.row_count(pair.old, table) if table in pair.old_columns else None
        after = pair.row_count(pair.new, table) if table in pair.new_columns else None
        change = "new table" if before is None else "gone" if after is None else f"{after - before:+,}"
        rows.append((table, _count(before), _count(after), change, _column_changes(pair, table)))
    return "## Rows per table\n\n" + _markdown(("table", "before", "after", "change", "columns"), rows)


def _column_changes(pair: Pair, table: str) -> str:
    if table not in pair.old_columns or table not in pair.new_columns:
        return ""
    before, after = pair.old_columns[table], pair.new_columns[table]
    new = [f"+{one}" for one in after if one not in before]
    return " ".join(new + [f"-{one}" for one in before if one not in after])


def _unchanged(pair: Pair) -> str:
    title = "## Tables with the same content"
    before, after = pair.old.content_checksums, pair.new.content_checksums
    both = sorted(before.keys() & after.keys())
    if not both:
        return f"{title}\n\nNot comparable: one of the releases tells no content checksums."
    same = [table for table in both if before[table] == after[table]]
    listed = f" Unchanged but for the ids of run and release: {', '.join(same)}." if same else ""
    return f"{title}\n\n{len(same)} of {len(both)}.{listed}"


def _declared(pair: Pair) -> str:
    title = "## Declared value, by reporter, flow and period"
    keys = ("frequency", "period", "reporter_code", "flow_code")
    if not pair.have("mart_conservation", *keys, "declared_usd"):
        return _not_comparable(title)
    moved = pair.source("mart_conservation") + _full_join(keys, "declared_usd")
    counts = pair.rows(
        f"{moved} select count(*) filter (where before is null), count(*) filter (where after is null), "
        "count(*) filter (where before is not null and after is not null) from moved"
    )[0]
    largest = pair.rows(
        f"{moved} select {', '.join(keys)}, before, after from moved order by "
        f"abs(coalesce(after, 0) - coalesce(before, 0)) desc, {', '.join(keys)} limit {TOLD_ROWS}"
    )
    told = [(*row[:4], _usd(row[4]), _usd(row[5])) for row in largest]
    return f"{title}\n\nNew: {counts[0]:,}. Gone: {counts[1]:,}. Revised: {counts[2]:,}." + _largest(
        ("frequency", "period", "reporter", "flow", "before USD", "after USD"), told, sum(counts)
    )


def _full_join(keys: Sequence[str], value: str) -> str:
    """CTE `moved`: keys of rows whose value is on one side only or differs by more than noise."""
    listed = ", ".join(keys)
    apart = f"abs(new.{value} - old.{value}) > {SAME} * greatest(abs(new.{value}), abs(old.{value}))"
    both = f"new.{keys[0]} is not null and old.{keys[0]} is not null"
    return (
        f", moved as (select {listed}, old.{value} as before, new.{value} as after from old full join new "
        f"using ({listed}) where not ({both}) or {apart})"
    )


def _revisions(pair: Pair) -> str:
    title = "## Data sets replaced by a newer delivery"
    keys, counts = REVISION_KEY, ("keys_added_count", "keys_removed_count", "keys_revised_count")
    told = (*counts, "older_value_usd", "newer_value_usd", "value_moved_usd")
    if not pair.have("mart_revision", *keys, *told):
        return _not_comparable(title)
    found = pair.source("mart_revision") + f"from new anti join old using ({', '.join(keys)}) "
    count = pair.rows(f"{found} select count(*)")[0][0]
    rows = pair.rows(
        f"{found} select {', '.join((*keys, *told))} order by value_moved_usd desc nulls last, "
        f"{', '.join(keys)} limit {TOLD_ROWS}"
    )
    shown = [(*row[:5], *(_count(n) for n in row[5:8]), *(_usd(n) for n in row[8:])) for row in rows]
    keys_told = ("frequency", "period", "reporter", "older", "newer", "added", "removed", "revised")
    heads = (*keys_told, "USD before", "after", "moved")
    return f"{title}\n\nSince the last release: {count:,}." + _largest(heads, shown, count)


def _flows(pair: Pair) -> str:
    title = "## Mirror flows"
    columns = ("mirror_flow_id", "status", "reconciled_fob_usd", "gap_fob_usd")
    if not pair.have("fct_mirror_flow", *columns):
        return _not_comparable(title)
    moved = (
        pair.source("fct_mirror_flow")
        + ", moved as (select mirror_flow_id, old.mirror_flow_id is null as is_new, new.mirror_flow_id is null as "
        "is_gone, old.status as status_before, new.status as status_after, old.reconciled_fob_usd as before, "
        "new.reconciled_fob_usd as after, new.gap_fob_usd as gap_after from old full join new using (mirror_flow_id) "
        "where old.mirror_flow_id is null or new.mirror_flow_id is null or old.status is distinct from new.status or "
        "(old.reconciled_fob_usd is null) <> (new.reconciled_fob_usd is null) or abs(new.reconciled_fob_usd - "
        f"old.reconciled_fob_usd) > {MOVED} * greatest(abs(new.reconciled_fob_usd), abs(old.reconciled_fob_usd)))"
    )
    counts = pair.rows(
        f"{moved} select count(*) filter (where is_new), count(*) filter (where is_gone), count(*) filter (where not "
        "is_new and not is_gone and status_before is distinct from status_after), count(*), "
        "sum(after) filter (where is_new), sum(before) filter (where is_gone) from moved"
    )[0]
    rows = pair.rows(
        f"{moved} select mirror_flow_id, status_before, status_after, before, after, gap_after from moved order by "
        f"abs(coalesce(after, 0) - coalesce(before, 0)) desc, mirror_flow_id limit {TOLD_ROWS}"
    )
    told = [(row[0], row[1] or "", row[2] or "", *(_usd(value) for value in row[3:])) for row in rows]
    return (
        f"{title}\n\nNew: {counts[0]:,} ({_usd(counts[4] or 0)} USD FOB). Gone: {counts[1]:,} "
        f"({_usd(counts[5] or 0)} USD FOB). Other status: {counts[2]:,}. New, gone, of other status or reconciled to "
        f"another value by more than {MOVED:.0%}: {counts[3]:,}."
        + _largest(("mirror flow", "status before", "after", "USD FOB before", "after", "gap now"), told, counts[3])
    )


def _discrepancies(pair: Pair) -> str:
    title = "## Anomalous gaps"
    columns = ("mirror_flow_id", "gap_fob_usd", "q_value")
    if not pair.have("mart_discrepancy", *columns):
        return _not_comparable(title)
    moved = (
        pair.source("mart_discrepancy")
        + f", a as (from old where q_value < {ANOMALOUS_Q}), b as (from new where q_value < {ANOMALOUS_Q}), moved as "
        "(select mirror_flow_id, gap_fob_usd, q_value, true as is_new from b anti join a using (mirror_flow_id) union "
        "all select mirror_flow_id, gap_fob_usd, q_value, false from a anti join b using (mirror_flow_id))"
    )
    new, gone = pair.rows(
        f"{moved} select count(*) filter (where is_new), count(*) filter (where not is_new) from moved"
    )[0]
    rows = pair.rows(
        f"{moved} select is_new, mirror_flow_id, gap_fob_usd, q_value from moved order by abs(gap_fob_usd) desc nulls "
        f"last, mirror_flow_id limit {TOLD_ROWS}"
    )
    told = [("new" if row[0] else "gone", row[1], _usd(row[2]), _figure(row[3])) for row in rows]
    return f"{title}\n\nFalse-discovery rate below {ANOMALOUS_Q:g}. New: {new:,}. Gone: {gone:,}." + _largest(
        ("", "mirror flow", "gap USD FOB", "q value"), told, new + gone
    )


def _leads(pair: Pair) -> str:
    title = "## Leads"
    if not leads_are_comparable(pair):
        return _not_comparable(title)
    moved = _changed_leads(pair)
    kinds = Counter(lead.change_kind for lead in moved)
    told = [
        (
            lead.lead_name,
            lead.grade_before or "new",
            lead.grade_after or "gone",
            _usd(lead.passage_before_fob_usd if lead.grade_after is None else lead.passage_after_fob_usd),
            lead.lead_id,
        )
        for lead in moved[:TOLD_ROWS]
    ]
    return f"{title}\n\nNew: {kinds['new']:,}. Gone: {kinds['gone']:,}. Regraded: {kinds['regraded']:,}." + _largest(
        ("lead", "grade before", "after", "passage USD FOB", "lead id"), told, len(moved)
    )


def _checks(pair: Pair) -> str:
    before = {check_id(check): check for check in pair.old.checks}
    after = {check_id(check): check for check in pair.new.checks}
    rows = [
        (one, _told(before.get(one)), _told(after.get(one)), (after.get(one) or before[one]).threshold_text)
        for one in sorted({*before, *after})
        if _told(before.get(one)) != _told(after.get(one))
    ]
    title = "## Checks whose figure moved"
    return f"{title}\n\n" + (_markdown(("check", "before", "after", "bound"), rows) if rows else "None.")


_SECTIONS: tuple[Callable[[Pair], str], ...] = (
    _tables,
    _unchanged,
    _declared,
    _revisions,
    _leads,
    _flows,
    _discrepancies,
    _checks,
)


def _columns(con: duckdb.DuckDBPyConnection, side: Side, tables: Collection[str] | None) -> dict[str, tuple[str, ...]]:
    return {
        path.stem: tuple(str(row[0]) for row in con.execute(f"describe from {scan(path)}").fetchall())
        for path in sorted(side.parquet.glob("*.parquet"))
        if tables is None or path.stem in tables
    }


def _told(check: CheckResult | None) -> str:
    if check is None:
        return "absent"
    return f"{_figure(check.figure)} ({'holds' if check.passed else 'does not hold'})"


def _largest(heads: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> str:
    if not rows:
        return ""
    note = f" The {len(rows)} largest:" if total > len(rows) else ""
    return f"{note}\n\n{_markdown(heads, rows)}"


def _not_comparable(title: str) -> str:
    return f"{title}\n\nNot comparable: one of the releases lacks the table or its columns."


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _usd(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _figure(value: float | None) -> str:
    return "no figure" if value is None else f"{value:.6g}"
