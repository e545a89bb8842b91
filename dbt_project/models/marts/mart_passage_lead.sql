-- One route that deserves a look: from an origin through a transit country towards a destination, in one family. The
-- grade is a rule over components that stay visible, not a score. A: B, and flow conservation holds, placebo goods are
-- quiet, and a third leg or source agrees. B: the leg in rose and, after it may be asked, the leg out too (or the
-- destination is silent and the goods never arrived where they were declared). C: two independent families of signals,
-- and a tie to the destination: the leg out rose or the direct route fell. D: one anomaly, or anything that an
-- innocent cause explains, that rests on origin alone, on incomplete data, or on years on both sides of an edition
-- break. It says anomalous, never guilty.
with facts as (

    select * from {{ ref('int_lead_facts') }}

),

explanations as (

    select
        embargo_code,
        origin_code,
        transit_code,
        family_code,
        cast(count_if(is_tested) as bigint) as tested_explanation_count,
        cast(count_if(is_explaining) as bigint) as holding_explanation_count
    from {{ ref('int_lead_explanation') }}
    group by embargo_code, origin_code, transit_code, family_code

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

-- Goods that were lost on the way show no leg out: of several destinations, the one whose direct route fell most.
falls as (

    select
        embargo_code,
        origin_code,
        transit_code,
        family_code,
        row_number() over (
            partition by origin_code, transit_code, family_code
            order by direct_baseline_fob_usd - direct_fob_usd desc nulls last, embargo_code asc nulls last
        ) as fall_rank
    from facts

),

judged as (

    select
        facts.*,
        explanations.tested_explanation_count,
        explanations.holding_explanation_count,
        case when facts.is_inbound_rise or facts.is_outbound_rise then 1 else 0 end
        + case when facts.is_lost_in_transit or facts.is_total_lost and facts.is_inbound_rise then 1 else 0 end
        + case when facts.is_decoy_swap or facts.is_new_product then 1 else 0 end
        + case when facts.is_unit_value_anomalous then 1 else 0 end as signal_family_count,
        facts.is_inbound_timed
        and (
            facts.is_outbound_timed
            or (
                facts.is_destination_silent and facts.is_lost_in_transit and facts.is_direct_fall
                and falls.fall_rank = 1
            )
        )
        and (facts.is_direct_fall or facts.is_new_product or facts.is_decoy_swap)
        and (facts.is_origin_coalition or facts.is_decoy_swap or facts.is_new_product) as is_passage,
        coalesce(facts.inbound_placebo_growth_log < ln(rules.everyone_least_ratio), true)
        and coalesce(facts.outbound_placebo_growth_log < ln(rules.everyone_least_ratio), true) as is_placebo_quiet,
        facts.is_direct_fall
        and (
            facts.is_inbound_two_sided_rise or facts.is_lost_in_transit or facts.is_decoy_swap
            or facts.is_new_product or facts.is_route_displaced
        ) as is_third_agreeing
    from facts
    cross join rules
    inner join explanations
        on
            facts.embargo_code = explanations.embargo_code
            and facts.origin_code is not distinct from explanations.origin_code
            and facts.transit_code = explanations.transit_code
            and facts.family_code = explanations.family_code
    inner join falls
        on
            facts.embargo_code = falls.embargo_code
            and facts.origin_code is not distinct from falls.origin_code
            and facts.transit_code = falls.transit_code
            and facts.family_code = falls.family_code

),

graded as (

    select
        judged.*,
        case
            when judged.holding_explanation_count > 0 then 'D'
            when
                judged.is_passage and judged.is_conserved and judged.is_placebo_quiet and judged.is_third_agreeing
                then 'A'
            when judged.is_passage then 'B'
            when
                (judged.signal_family_count >= 2 or (judged.is_inbound_rise and judged.is_outbound_rise))
                and (judged.is_outbound_rise or judged.is_direct_fall)
                then 'C'
            else 'D'
        end as grade
    from judged

),

named as (

    select
        graded.*,
        md5(
            graded.embargo_code
            || '|'
            || coalesce(graded.origin_code, 'unknown')
            || '|'
            || graded.transit_code
            || '|'
            || graded.destination_code
            || '|' || graded.family_code
        ) as lead_id
    from graded

),

family_names as (

    select
        family_code,
        max(family_name) as family_name
    from {{ ref('stg_passages__family_members') }}
    group by family_code

)

select
    named.lead_id,
    named.embargo_code,
    named.destination_code,
    named.origin_code,
    named.transit_code,
    named.family_code,
    named.outbound_family_code,
    named.grade,
    cast(
        row_number() over (
            partition by named.embargo_code
            order by
                named.grade asc nulls last, named.passage_fob_usd desc nulls last, named.lead_id asc nulls last
        ) as bigint
    ) as lead_rank,
    'Anomalous passage: ' || coalesce(origins.place_name, 'origin not known') || ' to ' || transits.place_name
    || ' towards '
    || destinations.place_name
    || ', '
    || coalesce(family_names.family_name, named.family_code) as lead_name,
    trim(
        case when named.is_inbound_rise and named.is_outbound_rise then 'roundabout ' else '' end
        || case when named.is_inbound_rise then 'inbound_surge ' else '' end
        || case when named.is_outbound_rise then 'outbound_surge ' else '' end
        || case when named.is_inbound_timed and named.is_inbound_monthly_rise then 'structural_break ' else '' end
        || case when named.is_lost_in_transit then 'lost_in_transit ' else '' end
        || case when named.is_decoy_swap then 'decoy_swap ' else '' end
        || case when named.is_new_product then 'new_product ' else '' end
        || case when named.is_route_displaced then 'route_displacement ' else '' end
        || case when named.is_unit_value_anomalous then 'unit_value ' else '' end
        || case when named.is_implausible_demand then 'implausible_demand ' else '' end
        || case when named.is_conserved then 'flow_conservation ' else '' end
        || case when named.is_total_lost then 'totals_lost_in_transit ' else '' end
    ) as signal_names,
    cast(named.signal_family_count as bigint) as signal_family_count,
    named.reference_date,
    named.first_listed_date,
    named.inbound_date,
    named.outbound_date,
    named.passage_fob_usd,
    named.least_passage_fob_usd,
    named.largest_passage_fob_usd,
    named.substitution_ratio,
    named.inbound_period,
    named.inbound_exporter_fob_usd,
    named.inbound_importer_fob_usd,
    named.inbound_value_fob_usd,
    named.inbound_baseline_fob_usd,
    named.inbound_rise_fob_usd,
    named.outbound_value_fob_usd,
    named.outbound_baseline_fob_usd,
    named.outbound_rise_fob_usd,
    named.direct_baseline_fob_usd,
    named.direct_fob_usd,
    named.inbound_q_value,
    named.outbound_q_value,
    cast(named.tested_cell_count as bigint) as tested_cell_count,
    named.tested_explanation_count,
    named.holding_explanation_count,
    named.is_inbound_rise,
    named.is_outbound_rise,
    named.is_inbound_timed,
    named.is_outbound_timed,
    named.is_destination_silent,
    named.is_direct_fall,
    named.is_lost_in_transit,
    named.is_decoy_swap,
    named.is_new_product,
    named.is_route_displaced,
    named.is_unit_value_anomalous,
    named.is_implausible_demand,
    named.is_conserved,
    named.is_placebo_quiet,
    named.is_third_agreeing,
    named.is_origin_only,
    named.is_across_edition_break,
    named.is_inbound_complete and (named.is_outbound_complete or not named.is_outbound_rise) as is_lead_complete,
    {{ run_columns() }}
from named
left join {{ ref('dim_place') }} as origins on named.origin_code = origins.place_code
left join {{ ref('dim_place') }} as transits on named.transit_code = transits.place_code
left join {{ ref('dim_place') }} as destinations on named.destination_code = destinations.place_code
left join family_names on named.family_code = family_names.family_code
