-- Both vintages are filed values; what they are (FOB, CIF) is that of the reporter's whole set in the period.
with revisions as (

    select * from {{ ref('stg_comtrade__revisions') }}

),

places as (

    select
        place_code,
        iso3
    from {{ ref('places') }}

),

valuation as (

    select
        frequency,
        period,
        reporter_code,
        case
            when min(valuation_filed) = max(valuation_filed) then min(valuation_filed)
            else 'mixed'
        end as valuation_filed
    from {{ ref('int_filed_valuation') }}
    group by frequency, period, reporter_code

)

select
    revisions.frequency,
    revisions.period,
    revisions.period_start,
    revisions.reporter_code,
    places.iso3 as reporter_iso3,
    revisions.older_delivery_id,
    revisions.newer_delivery_id,
    revisions.keys_added_count,
    revisions.keys_removed_count,
    revisions.keys_revised_count,
    revisions.keys_unchanged_count,
    revisions.editions_changed_count,
    valuation.valuation_filed,
    revisions.older_value_usd,
    revisions.newer_value_usd,
    {{ run_columns() }}
from revisions
left join places on revisions.reporter_code = places.place_code
left join valuation
    on
        revisions.frequency = valuation.frequency
        and revisions.period = valuation.period
        and revisions.reporter_code = valuation.reporter_code
