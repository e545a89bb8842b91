-- How much of what left a transit country towards the destination can have come from one origin. Nothing in the
-- declarations says so; what is known are the rises of both legs and the rise of everything that came in and went out.
-- Proportional: the outflow is shared among the inflows by size. Bounds (Frechet): no more than the smaller of the two
-- legs, no less than what the other origins and the other destinations cannot hold. Sums over all years since the
-- reference date, so that a lag of some months between the legs does not matter; the lag is read from the two breaks.
with legs as (

    select * from {{ ref('int_embargo_leg') }}

),

inflow as (

    select
        embargo_code,
        importer_code as transit_code,
        family_code,
        {{ exact_sum('rise_total_fob_usd') }} as inflow_rise_fob_usd
    from legs
    where leg_kind = 'inbound'
    group by embargo_code, importer_code, family_code

),

routes as (

    select distinct
        embargo_code,
        destination_code,
        origin_code,
        transit_code,
        family_code,
        outbound_family_code
    from {{ ref('mart_signal_roundabout') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

legs_together as (

    select
        routes.*,
        inbound.rise_total_fob_usd as inbound_rise_fob_usd,
        outbound.rise_total_fob_usd as outbound_rise_fob_usd,
        inflow.inflow_rise_fob_usd,
        inbound.break_start as inbound_break_start,
        outbound.break_start as outbound_break_start
    from routes
    inner join legs as inbound
        on
            routes.embargo_code = inbound.embargo_code
            and routes.origin_code = inbound.exporter_code
            and routes.transit_code = inbound.importer_code
            and routes.family_code = inbound.family_code
    inner join legs as outbound
        on
            routes.embargo_code = outbound.embargo_code
            and routes.transit_code = outbound.exporter_code
            and routes.destination_code = outbound.importer_code
            and routes.outbound_family_code = outbound.family_code
    inner join inflow
        on
            routes.embargo_code = inflow.embargo_code
            and routes.transit_code = inflow.transit_code
            and routes.family_code = inflow.family_code

)

select
    pairs.embargo_code,
    pairs.destination_code,
    pairs.origin_code,
    pairs.transit_code,
    pairs.family_code,
    pairs.outbound_family_code,
    pairs.inbound_rise_fob_usd,
    pairs.inflow_rise_fob_usd,
    pairs.outbound_rise_fob_usd,
    least(
        pairs.inbound_rise_fob_usd,
        pairs.outbound_rise_fob_usd * pairs.inbound_rise_fob_usd / nullif(pairs.inflow_rise_fob_usd, 0)
    ) as allocated_fob_usd,
    least(
        greatest(0, pairs.outbound_rise_fob_usd - (pairs.inflow_rise_fob_usd - pairs.inbound_rise_fob_usd)),
        pairs.inbound_rise_fob_usd,
        pairs.outbound_rise_fob_usd
    ) as least_passage_fob_usd,
    least(pairs.inbound_rise_fob_usd, pairs.outbound_rise_fob_usd) as largest_passage_fob_usd,
    pairs.inflow_rise_fob_usd / nullif(pairs.outbound_rise_fob_usd, 0) as cover_ratio,
    cast(
        12 * ({{ year_of('pairs.outbound_break_start') }} - {{ year_of('pairs.inbound_break_start') }})
        + {{ month_of('pairs.outbound_break_start') }} - {{ month_of('pairs.inbound_break_start') }} as bigint
    ) as lag_month_count,
    pairs.inflow_rise_fob_usd >= rules.conservation_least_ratio * pairs.outbound_rise_fob_usd as is_conserved,
    coalesce(
        pairs.outbound_rise_fob_usd > 0
        and pairs.inflow_rise_fob_usd >= rules.conservation_least_ratio * pairs.outbound_rise_fob_usd
        and 12 * ({{ year_of('pairs.outbound_break_start') }} - {{ year_of('pairs.inbound_break_start') }})
        + {{ month_of('pairs.outbound_break_start') }} - {{ month_of('pairs.inbound_break_start') }} between -1 and 3,
        false
    ) as is_signal,
    {{ run_columns() }}
from legs_together as pairs
cross join rules
