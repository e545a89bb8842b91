"""The folder `changes` of a release: what moved in the leads since the release before, as tables for analysts.

Belongs here: the two tables with their descriptions, and writing them as Parquet. Does not belong here: telling it in
words (`changes`) and what a revision moved in the declarations, which `mart_revision` of the release itself holds.

These tables depend on what was published before, and a release id must not: they stand beside the content that is
hashed, not in it. Without a release before, or with one that cannot be compared, they are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.release.changes import LEADS, REVISION_KEY, Pair, Side, leads_are_comparable, moved_leads, pair_of
from orchestration.release.engine import copy_to_parquet, name, scan, text
from orchestration.release.files import sha256_of
from orchestration.release.tables import RELEASE_ID, Column, Table

_READ = (LEADS, "mart_lead_evidence", "mart_revision", "fct_declaration")
_SET = ("frequency", "period", "reporter_code")
_KEYS = ", ".join(REVISION_KEY)
_SINCE = Column("since_release_id", "VARCHAR", "Release before, with which this one is compared.")
_TEXT, _COUNT, _USD = "VARCHAR", "BIGINT", "DOUBLE"


@dataclass(frozen=True)
class _Form:
    """One table of changes before it has rows."""

    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]


LEAD_CHANGE = _Form(
    "lead_change",
    "One lead that is new, gone or of another grade since the release before, and the revised declarations it rests "
    "on. Empty in a first release. Anomalous, never guilty.",
    (
        Column("lead_id", _TEXT, "Stable id of the lead, as in mart_passage_lead of either release."),
        Column("lead_name", _TEXT, "The lead in words."),
        Column("embargo_code", _TEXT, "Embargo that the lead is about; ranks are within it."),
        Column("change_kind", _TEXT, "new, gone or regraded."),
        Column("grade_before", _TEXT, "Grade in the release before; NULL where the lead is new."),
        Column("grade_after", _TEXT, "Grade in this release; NULL where the lead is gone."),
        Column("passage_before_fob_usd", _USD, "Value of the passage in the release before, FOB USD a year."),
        Column("passage_after_fob_usd", _USD, "Value of the passage in this release, FOB USD a year."),
        Column("rank_before", _COUNT, "Place in the list of the release before."),
        Column("rank_after", _COUNT, "Place in the list of this release."),
        Column(
            "is_evidence_revised",
            "BOOLEAN",
            "Whether its evidence in either release holds rows of a data set that was revised since the release "
            "before; NULL where the release before does not tell its revisions. A lead may also move without: "
            "parameters are fitted anew in every run.",
        ),
        Column(
            "revised_sets",
            _TEXT,
            "Those data sets as frequency-period-reporter code, separated by spaces; NULL where there is none.",
        ),
        _SINCE,
    ),
    ("lead_id",),
)
REVISION_EFFECT = _Form(
    "revision_effect",
    "One data set (reporter and period) that a newer delivery replaced since the release before, and what became of "
    "the leads whose evidence holds its rows in either release. Empty in a first release.",
    (
        Column("frequency", _TEXT, "A or M."),
        Column("period", _TEXT, "Period as filed: 2017 of frequency A, 202101 of frequency M."),
        Column("reporter_code", _TEXT, "Reporter that revised, UN Comtrade code."),
        Column("older_delivery_id", _TEXT, "Delivery that was replaced."),
        Column("newer_delivery_id", _TEXT, "Delivery that replaced it."),
        Column("reporter_iso3", _TEXT, "Reporter that revised, ISO 3166 alpha-3."),
        Column("valuation_filed", _TEXT, "Valuation of the reporter's filed values: FOB, CIF or mixed."),
        Column("value_moved_usd", _USD, "What the keys moved by, without sign, in USD as filed (mart_revision)."),
        Column("leads_new_count", _COUNT, "Leads that rest on it and are new."),
        Column("leads_gone_count", _COUNT, "Leads that rested on it and are gone."),
        Column("leads_regraded_count", _COUNT, "Leads that rest on it and are of another grade."),
        Column("leads_same_grade_count", _COUNT, "Leads that rest on it and kept their grade."),
        _SINCE,
    ),
    REVISION_KEY,
)


def write_change_tables(con: duckdb.DuckDBPyConnection, folder: Path, new: Side, old: Side | None) -> Sequence[Table]:
    """Write <folder>/<table>.parquet of both tables, ordered by key; equal pairs of releases give equal bytes."""
    pair = pair_of(con, new, old, _READ) if old is not None else None
    selects = {LEAD_CHANGE: _lead_change(pair), REVISION_EFFECT: _revision_effect(pair)}
    return tuple(_write(con, folder, form, select, new.release_id) for form, select in selects.items())


def _write(con: duckdb.DuckDBPyConnection, folder: Path, form: _Form, select: str | None, release_id: str) -> Table:
    path = folder / f"{form.name}.parquet"
    typed = ", ".join(f"cast({name(c.name)} as {c.data_type}) as {name(c.name)}" for c in form.columns)
    order = ", ".join(name(one) for one in form.primary_key)
    rows = f"select {typed}, {text(release_id)} as {RELEASE_ID} from ({select or _no_rows(form)}) order by {order}"
    copy_to_parquet(con, rows, path)
    count = con.execute(f"select count(*) from {scan(path)}").fetchall()[0][0]
    return Table(form.name, form.description, form.columns, form.primary_key, int(count), sha256_of(path), (), ())


def _no_rows(form: _Form) -> str:
    return f"select {', '.join(f'null as {name(column.name)}' for column in form.columns)} where false"


def _lead_change(pair: Pair | None) -> str | None:
    if pair is None or not leads_are_comparable(pair):
        return None
    moved = moved_leads(pair)
    if not _revisions_are_comparable(pair):
        return f"select *, null as is_evidence_revised, null as revised_sets, {_since(pair)} from {moved}"
    return (
        f"with {_resting(pair)}, named as (select lead_id, string_agg(distinct concat_ws('-', {', '.join(_SET)}), ' ' "
        f"order by concat_ws('-', {', '.join(_SET)})) as revised_sets from resting group by lead_id) "
        f"select moved.*, named.lead_id is not null as is_evidence_revised, named.revised_sets, "
        f"{_since(pair)} from {moved} as moved "
        "left join named using (lead_id)"
    )


def _revision_effect(pair: Pair | None) -> str | None:
    if pair is None or not (leads_are_comparable(pair) and _revisions_are_comparable(pair)):
        return None
    counts = ", ".join(
        f"count(*) filter (where change_kind = '{kind}') as leads_{kind}_count" for kind in ("new", "gone", "regraded")
    )
    return (
        f"with {_resting(pair)}, effect as (select {_KEYS}, {counts}, count(lead_id) filter (where change_kind is "
        f"null) as leads_same_grade_count from resting left join {moved_leads(pair)} using (lead_id) group by {_KEYS}) "
        f"select {_KEYS}, reporter_iso3, valuation_filed, value_moved_usd, "
        "coalesce(leads_new_count, 0) as leads_new_count, coalesce(leads_gone_count, 0) as leads_gone_count, "
        "coalesce(leads_regraded_count, 0) as leads_regraded_count, "
        f"coalesce(leads_same_grade_count, 0) as leads_same_grade_count, {_since(pair)} from revised "
        f"left join effect using ({_KEYS})"
    )


def _revisions_are_comparable(pair: Pair) -> bool:
    return (
        pair.have("mart_revision", *REVISION_KEY, "reporter_iso3", "valuation_filed", "value_moved_usd")
        and pair.have("mart_lead_evidence", "lead_id", "declaration_id")
        and pair.have("fct_declaration", "declaration_id", "delivery_id", *_SET)
    )


def _resting(pair: Pair) -> str:
    """CTEs `revised` (data sets replaced since the older release) and `resting` (those sets and leads, each once).

    A lead rests on a set when its evidence holds a row of the newer delivery in the new release, or one of the older
    delivery in the old release: a lead that is gone has evidence only there.
    """
    revised = f"revised as ({pair.source('mart_revision')} select new.* from new anti join old using ({_KEYS}))"
    sides = " union ".join(
        f"select {', '.join(f'revised.{key}' for key in REVISION_KEY)}, evidence.lead_id from revised "
        f"join {_parquet(side, 'fct_declaration')} as filed on filed.delivery_id = revised.{delivery} "
        + "".join(f"and filed.{one} = revised.{one} " for one in _SET)
        + f"join {_parquet(side, 'mart_lead_evidence')} as evidence using (declaration_id)"
        for side, delivery in ((pair.new, "newer_delivery_id"), (pair.old, "older_delivery_id"))
    )
    return f"{revised}, resting as ({sides})"


def _since(pair: Pair) -> str:
    return f"{text(pair.old.release_id)} as {_SINCE.name}"


def _parquet(side: Side, table: str) -> str:
    return scan(side.parquet / f"{table}.parquet")
