-- Question: which goods does a country import that it had never traded before, counted over the whole product family?
-- How to read: one row per transit candidate and family. A family is silent in a year when neither the country nor
--   any of its partners filed a row of a code of the family (its predecessors in older HS editions included). Years
--   before the first code of a family existed are not counted. The first row is the largest good that came out of
--   nothing.
-- Caveats: silence is known only as far back as the release reaches, and only if the country reported: a year without
--   a complete set of the country's imports is not counted as silent by itself (see complete_year_count). New demand
--   is the usual cause. A family that crosses 2021-2022 through a broken edition (is_edition_break) needs a second
--   look.
-- Columns:
--   importer_name: the country
--   family_code, family_name: the product family
--   first_period: first year in which anyone filed the family into the country
--   silent_year_count: years before that in which the family could be filed, all silent
--   complete_year_count: silent years for which the country filed its imports completely
--   import_fob_usd: reconciled imports from the first year on
--   month_count: months with trade since then, where monthly sets are there
--   exporter_count, largest_exporter_name: who sends
--   is_edition_break: whether the family's series breaks at HS2022
with parameters as (
    select
        5 as least_silent_year_count, -- 7 where the release reaches back that far: less is weak evidence
        50000 as least_value_usd,
        30 as row_count
),

members as (
    select
        family_code,
        family_name,
        product_code,
        valid_from,
        is_edition_break
    from marts.dim_product_family
    where family_relation in ('controlled', 'predecessor')
),

families as (
    select
        family_code,
        min(family_name) as family_name,
        min(valid_from) as valid_from,
        max(case when is_edition_break then 1 else 0 end) = 1 as is_edition_break
    from members
    group by family_code
),

importers as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'transit_candidate'
),

imports as (
    select
        flows.importer_code,
        members.family_code,
        flows.frequency,
        flows.period,
        flows.period_start,
        flows.exporter_code,
        flows.reconciled_fob_usd
    from marts.fct_mirror_flow as flows
    inner join importers on flows.importer_code = importers.place_code
    inner join members on flows.product_code = members.product_code
    where flows.reconciled_fob_usd > 0
),

first_years as (
    select
        importer_code,
        family_code,
        min(period_start) as first_start,
        min(period) as first_period
    from imports
    where frequency = 'A'
    group by importer_code, family_code
),

silent as (
    select
        first_years.importer_code,
        first_years.family_code,
        count(distinct periods.period) as silent_year_count,
        count(distinct case when coverage.is_complete then periods.period end) as complete_year_count
    from first_years
    inner join families on first_years.family_code = families.family_code
    inner join marts.dim_period as periods
        on
            periods.frequency = 'A'
            and families.valid_from <= periods.period_start
            and first_years.first_start > periods.period_start
    left join marts.fct_reporter_coverage as coverage
        on
            coverage.frequency = 'A'
            and periods.period = coverage.period
            and first_years.importer_code = coverage.reporter_code
            and coverage.flow_code = 'M'
    group by first_years.importer_code, first_years.family_code
),

by_exporter as (
    select
        importer_code,
        family_code,
        exporter_code,
        sum(reconciled_fob_usd) as exporter_fob_usd,
        row_number() over (
            partition by importer_code, family_code
            order by sum(reconciled_fob_usd) desc nulls last, exporter_code asc nulls last
        ) as exporter_rank
    from imports
    where frequency = 'A'
    group by importer_code, family_code, exporter_code
),

annual as (
    select
        importer_code,
        family_code,
        sum(exporter_fob_usd) as import_fob_usd,
        count(*) as exporter_count,
        max(case when exporter_rank = 1 then exporter_code end) as largest_exporter_code
    from by_exporter
    group by importer_code, family_code
),

monthly as (
    select
        importer_code,
        family_code,
        count(distinct period) as month_count
    from imports
    where frequency = 'M'
    group by importer_code, family_code
),

found as (
    select
        importer_places.place_name as importer_name,
        families.family_code,
        families.family_name,
        first_years.first_period,
        silent.silent_year_count,
        silent.complete_year_count,
        annual.import_fob_usd,
        coalesce(monthly.month_count, 0) as month_count,
        annual.exporter_count,
        exporter_places.place_name as largest_exporter_name,
        families.is_edition_break,
        row_number() over (
            order by
                annual.import_fob_usd desc nulls last,
                first_years.importer_code asc nulls last,
                families.family_code asc nulls last
        ) as place_in_list
    from first_years
    cross join parameters
    inner join silent
        on first_years.importer_code = silent.importer_code and first_years.family_code = silent.family_code
    inner join annual
        on first_years.importer_code = annual.importer_code and first_years.family_code = annual.family_code
    inner join families on first_years.family_code = families.family_code
    inner join marts.dim_place as importer_places on first_years.importer_code = importer_places.place_code
    inner join marts.dim_place as exporter_places on annual.largest_exporter_code = exporter_places.place_code
    left join monthly
        on first_years.importer_code = monthly.importer_code and first_years.family_code = monthly.family_code
    where
        silent.silent_year_count >= parameters.least_silent_year_count
        and annual.import_fob_usd >= parameters.least_value_usd
)

select
    found.importer_name,
    found.family_code,
    found.family_name,
    found.first_period,
    found.silent_year_count,
    found.complete_year_count,
    found.import_fob_usd,
    found.month_count,
    found.exporter_count,
    found.largest_exporter_name,
    found.is_edition_break
from found
cross join parameters
where found.place_in_list <= parameters.row_count
order by found.place_in_list asc nulls last
