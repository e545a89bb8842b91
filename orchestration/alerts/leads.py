"""Alerts on leads: what is new, gone or regraded in a release since the one before it.

Belongs here: which of those changes are told and in what words. Does not belong here: the comparison itself
(`orchestration.release.changes`, which writes CHANGES.md from the same one) and the grades (`mart_passage_lead`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from orchestration.alerts.model import NOT_A_FINDING, Alert, AlertError, Kind
from orchestration.release import PublishedRelease
from orchestration.release.changes import LeadChange, Side, compare_leads
from orchestration.release.engine import scan, session, text

_KINDS: dict[str, Kind] = {"new": "lead_new", "gone": "lead_gone", "regraded": "lead_regraded"}
_COLUMNS = "grade, lead_name, passage_fob_usd, inbound_date, outbound_date, signal_names, holding_explanation_count"


def lead_alerts(
    previous: PublishedRelease | None, release: PublishedRelease, lowest_grade: str = "B", most: int = 20
) -> list[Alert]:
    """One alert per lead whose grade moved and was or is `lowest_grade` or better; beyond `most`, one for the rest.

    Best grade first, then by passage in USD FOB. Without an earlier release that can be compared: one summary.
    Raises AlertError when a release cannot be read.
    """
    moved = _changes(previous, release) if previous is not None else None
    if previous is None or moved is None:
        return _first_summary(release, lowest_grade)
    told = [one for one in moved if min(one.grade_before or "E", one.grade_after or "E") <= lowest_grade]
    single = [_single(one, previous, release) for one in told[:most]]
    rest = told[most:]
    return [*single, _rest_summary(rest, previous, release, lowest_grade)] if rest else single


def _changes(previous: PublishedRelease, release: PublishedRelease) -> tuple[LeadChange, ...] | None:
    try:
        with TemporaryDirectory() as scratch, session(Path(scratch), threads=1) as con:
            before, after = (Side(one.release_id, one.path / "parquet", ()) for one in (previous, release))
            return compare_leads(con, after, before)
    except duckdb.Error as error:
        raise _unreadable(f"{previous.release_id} and {release.release_id}", error) from error


def _single(one: LeadChange, previous: PublishedRelease, release: PublishedRelease) -> Alert:
    name = one.lead_name.removeprefix("Anomalous passage: ")
    headline = {
        "new": f"New anomalous passage of grade {one.grade_after}: {name}.",
        "gone": f"Anomalous passage of grade {one.grade_before} is no longer a lead: {name}.",
        "regraded": f"Anomalous passage regraded from {one.grade_before} to {one.grade_after}: {name}.",
    }[one.change_kind]
    is_gone = one.change_kind == "gone"
    value_usd = one.passage_before_fob_usd if is_gone else one.passage_after_fob_usd
    passage = "unknown" if value_usd is None else f"{value_usd:,.0f}"
    unit = "USD FOB, in the release before" if is_gone else "USD FOB"
    where = f"from marts.mart_passage_lead where lead_id = {text(one.lead_id)}"
    columns = "count(*) as rows_of_this_lead" if is_gone else _COLUMNS
    return Alert(
        kind=_KINDS[one.change_kind],
        subject=one.lead_id,
        message=f"{headline}\nPassage ({unit}): {passage}. {NOT_A_FINDING}",
        release_id=release.release_id,
        query=f"select {columns} {where}",
        facts={
            "lead_name": one.lead_name,
            "grade_before": one.grade_before or "none",
            "grade_after": one.grade_after or "none",
            "since_release": previous.release_id,
        },
    )


def _rest_summary(
    rest: Sequence[LeadChange], previous: PublishedRelease, release: PublishedRelease, lowest_grade: str
) -> Alert:
    counts = Counter(one.change_kind for one in rest)
    return Alert(
        kind="leads_summary",
        subject="the rest",
        message=f"{len(rest)} more anomalous passages moved: {counts['new']} new, {counts['regraded']} regraded, "
        f"{counts['gone']} gone.\nCHANGES.md of the release lists the largest. {NOT_A_FINDING}",
        release_id=release.release_id,
        query=_leads_query(lowest_grade),
        facts={**{kind: str(counts[kind]) for kind in _KINDS}, "since_release": previous.release_id},
    )


def _first_summary(release: PublishedRelease, lowest_grade: str) -> list[Alert]:
    """Counts per grade in one alert; nothing when there is no lead."""
    path = release.path / "parquet" / "mart_passage_lead.parquet"
    if not path.is_file():
        return []
    try:
        with TemporaryDirectory() as scratch, session(Path(scratch), threads=1) as con:
            rows = con.execute(f"select grade, count(*) from {scan(path)} group by grade order by grade").fetchall()
    except duckdb.Error as error:
        raise _unreadable(release.release_id, error) from error
    if not rows:
        return []
    counts = {str(grade): int(count) for grade, count in rows}
    listed = ", ".join(f"{count} of grade {grade}" for grade, count in counts.items())
    message = (
        f"Anomalous passages in release {release.release_id}: {listed}.\nThere is no earlier release of this source on "
        f"disk to compare with, so they are not told one by one. {NOT_A_FINDING}"
    )
    facts = {f"grade_{grade}": str(count) for grade, count in counts.items()}
    return [Alert("leads_summary", "all", message, release.release_id, _leads_query(lowest_grade), facts)]


def _leads_query(lowest_grade: str) -> str:
    where = f"where grade <= {text(lowest_grade)} order by lead_rank"
    return f"select lead_rank, {_COLUMNS} from marts.mart_passage_lead {where}"


def _unreadable(releases: str, error: duckdb.Error) -> AlertError:
    return AlertError(
        f"the leads of {releases} cannot be read ({type(error).__name__}: {error}), so nobody hears which are new; "
        "verify the release, or roll back to one that verifies"
    )
