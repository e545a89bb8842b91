-- Question: who reports what, how complete is it, and what is still missing of each year?
-- How to read: one row per reporter and year. A year is complete when an annual set is there or all twelve months
--   are; missing_month_count says how many months a year still needs that is not. coverage_ratio compares the finest
--   rows with the reporter's own World total: far from 1 means that detail is hidden or missing.
-- Caveats: missing is never zero: an incomplete year says nothing about trade that is not in it. A reporter that
--   never filed in the years of the release has no row at all. Values are as filed: exports usually FOB, imports
--   usually CIF.
-- Columns:
--   reporter_name, reporter_iso3: who files
--   year_start: first day of the year
--   has_annual_set: whether an annual set was filed
--   months_reported_count, missing_month_count, last_month: monthly sets of the year, and the last one filed
--   is_complete: whether the year counts as complete
--   export_value_usd, import_value_usd: value in mirror pairs, as filed; NULL where the flow was not filed
--   export_coverage_ratio, import_coverage_ratio: finest rows over the reporter's own total
--   confidential_share_ratio: larger of both flows' shares under confidential codes
with parameters as (
    select
        date '2019-01-01' as first_day,
        false as incomplete_only
),

coverage as (
    select
        filed.reporter_code,
        filed.reporter_iso3,
        filed.frequency,
        filed.period,
        periods.calendar_year,
        filed.flow_code,
        filed.is_reporting,
        filed.is_complete,
        filed.months_reported_count,
        filed.pair_value_usd,
        filed.coverage_ratio,
        filed.confidential_share_ratio
    from marts.fct_reporter_coverage as filed
    cross join parameters
    inner join marts.dim_period as periods on filed.frequency = periods.frequency and filed.period = periods.period
    where filed.period_start >= parameters.first_day
),

annual as (
    select
        reporter_code,
        calendar_year,
        max(case when is_reporting then 1 else 0 end) = 1 as has_annual_set,
        max(case when is_complete then 1 else 0 end) = 1 as is_complete,
        max(case when flow_code = 'X' then pair_value_usd end) as export_value_usd,
        max(case when flow_code = 'M' then pair_value_usd end) as import_value_usd,
        max(case when flow_code = 'X' then coverage_ratio end) as export_coverage_ratio,
        max(case when flow_code = 'M' then coverage_ratio end) as import_coverage_ratio,
        max(confidential_share_ratio) as confidential_share_ratio
    from coverage
    where frequency = 'A'
    group by reporter_code, calendar_year
),

monthly as (
    select
        reporter_code,
        calendar_year,
        count(distinct period) as months_reported_count,
        max(period) as last_month,
        sum(case when flow_code = 'X' then pair_value_usd end) as export_value_usd,
        sum(case when flow_code = 'M' then pair_value_usd end) as import_value_usd
    from coverage
    where frequency = 'M' and is_reporting
    group by reporter_code, calendar_year
),

reporters as (
    select
        reporter_code,
        min(reporter_iso3) as reporter_iso3,
        calendar_year
    from coverage
    group by reporter_code, calendar_year
),

years as (
    select
        places.place_name as reporter_name,
        reporters.reporter_iso3,
        make_date(cast(reporters.calendar_year as int), 1, 1) as year_start,
        coalesce(annual.has_annual_set, false) as has_annual_set,
        coalesce(monthly.months_reported_count, 0) as months_reported_count,
        case
            when coalesce(annual.is_complete, false) or coalesce(monthly.months_reported_count, 0) >= 12 then 0
            else 12 - coalesce(monthly.months_reported_count, 0)
        end as missing_month_count,
        monthly.last_month,
        coalesce(annual.is_complete, false) or coalesce(monthly.months_reported_count, 0) >= 12 as is_complete,
        coalesce(annual.export_value_usd, monthly.export_value_usd) as export_value_usd,
        coalesce(annual.import_value_usd, monthly.import_value_usd) as import_value_usd,
        annual.export_coverage_ratio,
        annual.import_coverage_ratio,
        annual.confidential_share_ratio,
        reporters.reporter_code
    from reporters
    left join annual
        on reporters.reporter_code = annual.reporter_code and reporters.calendar_year = annual.calendar_year
    left join monthly
        on reporters.reporter_code = monthly.reporter_code and reporters.calendar_year = monthly.calendar_year
    inner join marts.dim_place as places on reporters.reporter_code = places.place_code
)

select
    years.reporter_name,
    years.reporter_iso3,
    years.year_start,
    years.has_annual_set,
    years.months_reported_count,
    years.missing_month_count,
    years.last_month,
    years.is_complete,
    years.export_value_usd,
    years.import_value_usd,
    years.export_coverage_ratio,
    years.import_coverage_ratio,
    years.confidential_share_ratio
from years
cross join parameters
where not (parameters.incomplete_only and years.is_complete)
order by years.year_start desc nulls last, years.is_complete asc nulls last, years.reporter_code asc nulls last
