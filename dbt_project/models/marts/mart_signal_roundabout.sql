-- D1 is how far the direct route fell, D2 how far the leg into the transit country rose, D3 how far the leg out of it
-- rose, each against the pair's own baseline. The passage is worth no more than the smaller of D2 and D3. Goods that
-- leave the transit country under a decoy's name are looked for under that name too.
with years as (

    select * from {{ ref('int_embargo_leg_year') }}

),

legs as (

    select * from {{ ref('int_embargo_leg') }}

),

onward_families as (

    select distinct
        embargo_code,
        family_code,
        family_code as outbound_family_code
    from {{ ref('int_embargo_family') }}
    union
    select
        families.embargo_code,
        families.family_code,
        decoy_pairs.decoy_family_code as outbound_family_code
    from {{ ref('int_embargo_family') }} as families
    inner join {{ ref('decoy_pairs') }} as decoy_pairs on families.family_code = decoy_pairs.controlled_family_code

),

routes as (

    select
        inbound.embargo_code,
        inbound.destination_code,
        inbound.exporter_code as origin_code,
        inbound.importer_code as transit_code,
        inbound.family_code,
        outbound.family_code as outbound_family_code,
        inbound.frequency,
        inbound.period,
        inbound.period_start,
        inbound.rise_fob_usd as inbound_rise_fob_usd,
        outbound.rise_fob_usd as outbound_rise_fob_usd,
        least(inbound.rise_fob_usd, outbound.rise_fob_usd) as passage_fob_usd,
        inbound.is_across_edition_break or outbound.is_across_edition_break as is_across_edition_break
    from years as inbound
    inner join onward_families
        on inbound.embargo_code = onward_families.embargo_code and inbound.family_code = onward_families.family_code
    inner join years as outbound
        on
            inbound.embargo_code = outbound.embargo_code
            and inbound.importer_code = outbound.exporter_code
            and onward_families.outbound_family_code = outbound.family_code
            and inbound.period = outbound.period
    where
        inbound.leg_kind = 'inbound' and outbound.leg_kind = 'outbound'
        and inbound.rise_fob_usd > 0 and outbound.rise_fob_usd > 0

),

direct as (

    select
        embargo_code,
        exporter_code,
        family_code,
        period,
        baseline_fob_usd as direct_baseline_fob_usd,
        value_fob_usd as direct_fob_usd,
        baseline_fob_usd - value_fob_usd as direct_fall_fob_usd
    from years
    where leg_kind = 'direct' or (leg_kind = 'outbound' and importer_code = destination_code)

)

select
    routes.embargo_code,
    routes.destination_code,
    routes.origin_code,
    routes.transit_code,
    routes.family_code,
    routes.outbound_family_code,
    routes.frequency,
    routes.period,
    routes.period_start,
    direct.direct_baseline_fob_usd,
    direct.direct_fall_fob_usd,
    routes.inbound_rise_fob_usd,
    routes.outbound_rise_fob_usd,
    routes.passage_fob_usd,
    case
        when direct.direct_fall_fob_usd > 0
            then
                {{ exact_sum_over('routes.passage_fob_usd', 'all_transits') }} / direct.direct_fall_fob_usd
    end as substitution_ratio,
    routes.is_across_edition_break,
    coalesce(inbound_legs.is_rise, false) as is_inbound_rise,
    coalesce(outbound_legs.is_rise, false) as is_outbound_rise,
    coalesce(inbound_legs.is_rise and outbound_legs.is_rise, false) as is_signal,
    {{ run_columns() }}
from routes
left join direct
    on
        routes.embargo_code = direct.embargo_code
        and routes.origin_code = direct.exporter_code
        and routes.family_code = direct.family_code
        and routes.period = direct.period
left join legs as inbound_legs
    on
        routes.embargo_code = inbound_legs.embargo_code
        and routes.origin_code = inbound_legs.exporter_code
        and routes.transit_code = inbound_legs.importer_code
        and routes.family_code = inbound_legs.family_code
left join legs as outbound_legs
    on
        routes.embargo_code = outbound_legs.embargo_code
        and routes.transit_code = outbound_legs.exporter_code
        and routes.destination_code = outbound_legs.importer_code
        and routes.outbound_family_code = outbound_legs.family_code
window
    all_transits as (
        partition by
            routes.embargo_code, routes.origin_code, routes.family_code, routes.outbound_family_code, routes.period
    )
