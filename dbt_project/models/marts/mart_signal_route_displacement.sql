-- One route closes and another opens: the leg out of one transit country falls, that out of another rises within three
-- months, in the same family and from the same origin, both after the reference date.
with legs as (

    select * from {{ ref('int_embargo_leg') }}

),

falls as (

    select *
    from {{ ref('stg_passages__family_breaks') }}
    where break_direction = 'fall' and is_after_control

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

closing as (

    select
        legs.embargo_code,
        legs.destination_code,
        legs.exporter_code as closed_transit_code,
        legs.family_code,
        falls.break_start as closed_start,
        falls.before_monthly_fob_usd - falls.after_monthly_fob_usd as closed_monthly_fob_usd,
        falls.break_q_value as closed_q_value
    from legs
    inner join falls
        on
            legs.embargo_code = falls.embargo_code
            and legs.exporter_code = falls.exporter_code
            and legs.importer_code = falls.importer_code
            and legs.family_code = falls.family_code
    where legs.leg_kind = 'outbound' and legs.is_monthly_rise and falls.break_start > legs.break_start

),

opening as (

    select
        embargo_code,
        exporter_code as opened_transit_code,
        family_code,
        break_start as opened_start,
        after_monthly_fob_usd - before_monthly_fob_usd as opened_monthly_fob_usd,
        break_q_value as opened_q_value
    from legs
    where leg_kind = 'outbound' and is_monthly_rise

),

origins as (

    select distinct
        embargo_code,
        exporter_code as origin_code,
        importer_code as transit_code,
        family_code
    from legs
    where leg_kind = 'inbound' and is_rise

)

select
    closing.embargo_code,
    closing.destination_code,
    from_closed.origin_code,
    closing.family_code,
    closing.closed_transit_code,
    opening.opened_transit_code,
    closing.closed_start,
    opening.opened_start,
    closing.closed_monthly_fob_usd,
    opening.opened_monthly_fob_usd,
    least(closing.closed_monthly_fob_usd, opening.opened_monthly_fob_usd) as moved_monthly_fob_usd,
    closing.closed_q_value,
    opening.opened_q_value,
    closing.closed_q_value <= rules.largest_q_value as is_signal,
    {{ run_columns() }}
from closing
inner join opening
    on
        closing.embargo_code = opening.embargo_code
        and closing.family_code = opening.family_code
        and closing.closed_transit_code <> opening.opened_transit_code
inner join origins as from_closed
    on
        closing.embargo_code = from_closed.embargo_code
        and closing.closed_transit_code = from_closed.transit_code
        and closing.family_code = from_closed.family_code
inner join origins as from_opened
    on
        opening.embargo_code = from_opened.embargo_code
        and opening.opened_transit_code = from_opened.transit_code
        and opening.family_code = from_opened.family_code
        and from_closed.origin_code = from_opened.origin_code
cross join rules
where
    12 * ({{ year_of('opening.opened_start') }} - {{ year_of('closing.closed_start') }})
    + {{ month_of('opening.opened_start') }} - {{ month_of('closing.closed_start') }} between -3 and 3
