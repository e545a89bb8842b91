-- What a transit candidate takes in and sends on of a watched family, year by year: to the destination and to
-- everybody else, and how many leads lead through it.
with flows as (

    select * from {{ ref('stg_passages__family_flows') }}
    where frequency = 'A' and family_kind = 'watched'

),

families as (

    select * from {{ ref('int_embargo_family') }}

),

transits as (

    select place_code
    from {{ ref('int_passage_place') }}
    where is_transit

),

years as (

    select
        families.embargo_code,
        families.destination_code,
        transits.place_code,
        flows.family_code,
        flows.period,
        flows.period_start,
        coalesce(
            {{ exact_sum('flows.reconciled_mean_fob_usd', 'flows.importer_code = transits.place_code') }}, 0
        ) as import_fob_usd,
        coalesce(
            {{ exact_sum(
                'flows.reconciled_mean_fob_usd',
                'flows.exporter_code = transits.place_code and flows.importer_code = families.destination_code'
            ) }},
            0
        ) as export_to_destination_fob_usd,
        coalesce(
            {{ exact_sum(
                'flows.reconciled_mean_fob_usd',
                'flows.exporter_code = transits.place_code and flows.importer_code <> families.destination_code'
            ) }},
            0
        ) as export_elsewhere_fob_usd
    from flows
    inner join families on flows.family_code = families.family_code
    inner join transits
        on flows.importer_code = transits.place_code or flows.exporter_code = transits.place_code
    group by
        families.embargo_code, families.destination_code, transits.place_code, flows.family_code, flows.period,
        flows.period_start

),

leads as (

    select
        embargo_code,
        transit_code,
        family_code,
        cast(count(*) as bigint) as lead_count,
        min(grade) as best_grade
    from {{ ref('mart_passage_lead') }}
    group by embargo_code, transit_code, family_code

)

select
    years.embargo_code,
    years.destination_code,
    years.place_code,
    years.family_code,
    years.period,
    years.period_start,
    years.import_fob_usd,
    years.export_to_destination_fob_usd,
    years.export_elsewhere_fob_usd,
    years.export_to_destination_fob_usd
    / nullif(years.export_to_destination_fob_usd + years.export_elsewhere_fob_usd, 0) as destination_share_ratio,
    coalesce(leads.lead_count, 0) as lead_count,
    leads.best_grade,
    {{ run_columns() }}
from years
left join leads
    on
        years.embargo_code = leads.embargo_code
        and years.place_code = leads.transit_code
        and years.family_code = leads.family_code
