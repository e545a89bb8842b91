"""The alert on late reporters.

Belongs here: what late means. Does not belong here: what was filed (`fct_reporter_coverage`).

A release knows which periods a reporter filed, not on which day. So late is measured in periods, per frequency, within
the newest 24 months (monthly data sets) or 6 years (annual ones) of the release:

- a reporter is usual when it filed more than half of the periods that anybody filed there; others are silent, not late;
- the front is the newest period that more than half of the usual reporters have filed;
- it is behind by the months from its newest filed period to the front;
- its longest pause is the most months it left out between two filed periods;
- it is late when it is behind by more than its longest pause and the tolerance together.

What this cannot see: a reporter that always files half a year after the others looks like one that stopped half a
year ago; a higher tolerance leaves it out. A reporter that stays away is listed until it is no longer usual.
"""

from __future__ import annotations

import duckdb

from orchestration.alerts.model import Alert, AlertError
from orchestration.release import PublishedRelease
from orchestration.release.build import DATABASE

_LATE = """with filed as (
    select distinct
        frequency, reporter_code, reporter_iso3, period, 12 * year(period_start) + month(period_start) as month_number,
        case frequency when 'A' then 12 else 1 end as step, case frequency when 'A' then 72 else 24 end as span
    from marts.fct_reporter_coverage
    where is_reporting
),
recent as (
    select
        *, month_number - lag(month_number) over (partition by frequency, reporter_code order by month_number) as leap,
        count(distinct month_number) over (partition by frequency) as period_count
    from (select * from filed qualify month_number > max(month_number) over (partition by frequency) - span)
),
usual as (
    select
        frequency, reporter_code, any_value(reporter_iso3) as reporter_iso3, max(period) as newest_period,
        max(month_number) as newest, coalesce(max(leap - step), 0) as longest_pause_months
    from recent
    group by frequency, reporter_code, period_count
    having 2 * count(*) > period_count
),
front as (
    select frequency, max(month_number) as front, max(period) as front_period
    from (
        select frequency, month_number, period
        from recent semi join usual using (frequency, reporter_code)
        group by frequency, month_number, period
        having 2 * count(*) > (select count(*) from usual where usual.frequency = recent.frequency)
    )
    group by frequency
)
select
    frequency, reporter_code, reporter_iso3, newest_period, front_period, front - newest as months_behind,
    longest_pause_months
from usual inner join front using (frequency)
where front - newest > longest_pause_months + {tolerance}
order by frequency, months_behind desc, reporter_code"""
_FREQUENCIES = {"A": "annual", "M": "monthly"}


def late_query(tolerance_months: int) -> str:
    """The one statement that decides who is late; it runs on a release's warehouse.duckdb."""
    return _LATE.format(tolerance=int(tolerance_months))


def late_reporter_alerts(release: PublishedRelease, tolerance_months: int = 3) -> list[Alert]:
    """One alert that lists all late reporters of a release; none when nobody is late.

    Raises AlertError when the release cannot be read.
    """
    query = late_query(tolerance_months)
    try:
        with duckdb.connect(str(release.path / DATABASE), read_only=True) as con:
            rows = con.execute(query).fetchall()
    except duckdb.Error as error:
        raise AlertError(
            f"the coverage of release {release.release_id} cannot be read ({type(error).__name__}: {error}), so nobody "
            "hears who is late; verify the release, or roll back to one that verifies"
        ) from error
    if not rows:
        return []
    lines = [
        f"- {iso3 or code} ({_FREQUENCIES[frequency]}): newest period {newest}, most others have {front}; {behind} "
        f"months behind, longest pause before {pause}"
        for frequency, code, iso3, newest, front, behind, pause in rows
    ]
    sets = "1 data set is" if len(rows) == 1 else f"{len(rows)} data sets are"
    message = (
        f"{sets} late in release {release.release_id}.\n"
        + "\n".join(lines)
        + "\nRecent figures of these countries rest "
        "on their partners alone."
    )
    facts = {"late": str(len(rows)), "tolerance_months": str(tolerance_months)}
    return [Alert("reporter_late", "late reporters", message, release.release_id, query, facts)]
