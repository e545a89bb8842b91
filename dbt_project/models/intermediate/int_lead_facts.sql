-- Everything that a lead's grade rests on, one row per candidate route.
with candidates as (

    select * from {{ ref('int_lead_candidate') }}

),

families as (

    select * from {{ ref('int_embargo_family') }}

),

legs as (

    select * from {{ ref('int_embargo_leg') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

lost as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        max(case when is_signal then 1 else 0 end) as is_signal,
        coalesce({{ exact_sum('excess_change_fob_usd', 'is_signal') }}, 0) as lost_fob_usd,
        min(case when is_signal then gap_q_value end) as gap_q_value,
        max(case when is_explained_by_origin then 1 else 0 end) as is_explained_by_origin,
        max(case when is_explained_by_others then 1 else 0 end) as is_explained_by_others,
        max(case when is_explained_by_hidden_codes then 1 else 0 end) as is_explained_by_hidden_codes,
        max(case when is_explained_by_timing then 1 else 0 end) as is_explained_by_timing,
        max(excess_change_fob_usd) as largest_excess_change_fob_usd,
        max_by(pooled_gap_change_fob_usd, excess_change_fob_usd) as pooled_gap_change_fob_usd,
        max_by(hidden_fob_usd, excess_change_fob_usd) as hidden_fob_usd
    from {{ ref('mart_signal_lost_in_transit') }}
    group by embargo_code, exporter_code, importer_code, family_code

),

swaps as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        {{ exact_sum('swap_fob_usd') }} as swap_fob_usd
    from {{ ref('mart_signal_decoy_swap') }}
    where is_signal
    group by embargo_code, exporter_code, importer_code, family_code

),

new_products as (

    select distinct
        embargo_code,
        place_code,
        family_code
    from {{ ref('mart_signal_new_product') }}
    where is_signal

),

demand as (

    select distinct
        embargo_code,
        place_code,
        family_code
    from {{ ref('mart_signal_implausible_demand') }}
    where is_signal

),

prices as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        max(case when is_signal then 1 else 0 end) as is_signal
    from {{ ref('mart_signal_unit_value') }}
    group by embargo_code, exporter_code, importer_code, family_code

),

totals as (

    select distinct
        embargo_code,
        exporter_code,
        importer_code
    from {{ ref('mart_signal_totals_lost_in_transit') }}
    where is_signal

),

displaced as (

    select distinct
        embargo_code,
        origin_code,
        family_code,
        closed_transit_code as transit_code
    from {{ ref('mart_signal_route_displacement') }}
    where is_signal
    union
    select distinct
        embargo_code,
        origin_code,
        family_code,
        opened_transit_code as transit_code
    from {{ ref('mart_signal_route_displacement') }}
    where is_signal

),

passage as (

    select
        embargo_code,
        origin_code,
        transit_code,
        family_code,
        outbound_family_code,
        {{ exact_sum('passage_fob_usd') }} as passage_fob_usd,
        max(substitution_ratio) as substitution_ratio
    from {{ ref('mart_signal_roundabout') }}
    group by embargo_code, origin_code, transit_code, family_code, outbound_family_code

),

conservation as (

    select
        embargo_code,
        origin_code,
        transit_code,
        family_code,
        outbound_family_code,
        cover_ratio,
        allocated_fob_usd,
        least_passage_fob_usd,
        largest_passage_fob_usd,
        is_signal
    from {{ ref('mart_signal_flow_conservation') }}

),

-- A destination that files nothing after the reference date cannot contradict anybody: it is silent, and said to be.
speaking as (

    select distinct families.embargo_code
    from families
    inner join {{ ref('stg_comtrade__coverage') }} as coverage
        on
            families.destination_code = coverage.reporter_code
            and coverage.frequency = 'A'
            and coverage.flow_code = 'M'
            and coverage.is_complete
            and coverage.declaration_count > 0
            and {{ year_of('coverage.period_start') }} > {{ year_of('families.reference_date') }}

),

-- What the transit country sends to everybody else of the same goods.
elsewhere as (

    select
        changes.embargo_code,
        changes.exporter_code,
        changes.family_code,
        {{ exact_sum('changes.rise_fob_usd') }} as elsewhere_rise_fob_usd
    from {{ ref('stg_passages__family_changes') }} as changes
    inner join families
        on
            changes.embargo_code = families.embargo_code
            and changes.family_code = families.family_code
            and changes.importer_code <> families.destination_code
    group by changes.embargo_code, changes.exporter_code, changes.family_code

)

select
    candidates.embargo_code,
    families.destination_code,
    families.reference_date,
    families.first_listed_date,
    families.control_list_count,
    candidates.origin_code,
    candidates.transit_code,
    candidates.family_code,
    onward.outbound_family_code,
    coalesce(inbound.is_exporter_coalition, false) as is_origin_coalition,
    coalesce(inbound.is_rise, false) as is_inbound_rise,
    coalesce(inbound.is_timed_rise, false) as is_inbound_timed,
    inbound.rise_date as inbound_date,
    coalesce(onward.is_outbound_rise, false) as is_outbound_rise,
    coalesce(onward.is_outbound_timed, false) as is_outbound_timed,
    onward.outbound_date,
    speaking.embargo_code is null as is_destination_silent,
    coalesce(lost.is_signal, 0) = 1 as is_lost_in_transit,
    swaps.swap_fob_usd is not null as is_decoy_swap,
    new_products.place_code is not null as is_new_product,
    demand.place_code is not null as is_implausible_demand,
    coalesce(prices.is_signal, 0) = 1 as is_unit_value_anomalous,
    totals.exporter_code is not null as is_total_lost,
    displaced.transit_code is not null as is_route_displaced,
    coalesce(conservation.is_signal, false) as is_conserved,
    conservation.cover_ratio,
    conservation.least_passage_fob_usd,
    conservation.largest_passage_fob_usd,
    conservation.allocated_fob_usd,
    coalesce(
        nullif(
            greatest(
                coalesce(case when onward.is_outbound_rise then passage.passage_fob_usd end, 0),
                coalesce(lost.lost_fob_usd, 0),
                coalesce(swaps.swap_fob_usd, 0)
            ),
            0
        ),
        inbound.rise_total_fob_usd,
        onward.rise_total_fob_usd,
        0
    ) as passage_fob_usd,
    passage.substitution_ratio,
    direct.baseline_fob_usd as direct_baseline_fob_usd,
    direct.smallest_value_fob_usd as direct_fob_usd,
    coalesce(
        direct.baseline_fob_usd >= rules.smallest_rise_usd
        and direct.smallest_value_fob_usd <= (1 - rules.fall_least_ratio) * direct.baseline_fob_usd,
        false
    ) as is_direct_fall,
    inbound.exporter_fob_usd as inbound_exporter_fob_usd,
    inbound.importer_fob_usd as inbound_importer_fob_usd,
    inbound.best_period as inbound_period,
    inbound.largest_value_fob_usd as inbound_value_fob_usd,
    inbound.baseline_fob_usd as inbound_baseline_fob_usd,
    inbound.baseline_mean_fob_usd as inbound_baseline_mean_fob_usd,
    inbound.check_year_fob_usd as inbound_check_year_fob_usd,
    inbound.rise_total_fob_usd as inbound_rise_fob_usd,
    inbound.growth_log as inbound_growth_log,
    inbound.placebo_growth_log as inbound_placebo_growth_log,
    inbound.asked_rise_ratio,
    inbound.is_monthly_rise as is_inbound_monthly_rise,
    coalesce(inbound.is_hub, false) or coalesce(onward.is_hub, false) as is_hub,
    onward.rise_total_fob_usd as outbound_rise_fob_usd,
    onward.largest_value_fob_usd as outbound_value_fob_usd,
    onward.baseline_fob_usd as outbound_baseline_fob_usd,
    onward.growth_log as outbound_growth_log,
    onward.placebo_growth_log as outbound_placebo_growth_log,
    elsewhere.elsewhere_rise_fob_usd,
    least(
        coalesce(inbound.effect_q_value, 1), coalesce(inbound.break_q_value, 1), coalesce(lost.gap_q_value, 1)
    ) as inbound_q_value,
    least(coalesce(onward.effect_q_value, 1), coalesce(onward.break_q_value, 1)) as outbound_q_value,
    greatest(
        coalesce(inbound.tested_cell_count, 0), coalesce(onward.tested_cell_count, 0)
    ) as tested_cell_count,
    coalesce(inbound.is_complete, false) as is_inbound_complete,
    coalesce(onward.is_complete, false) as is_outbound_complete,
    (coalesce(inbound.is_across_edition_break, false) and not coalesce(inbound.is_monthly_rise, false))
    or (coalesce(onward.is_outbound_rise, false) and coalesce(onward.is_across_edition_break, false))
        as is_across_edition_break,
    -- The importer alone shows the rise, and the exporter, who filed the year, does not: origin, not consignment.
    coalesce(
        inbound.is_exporter_complete
        and coalesce(inbound.exporter_fob_usd, 0) < rules.origin_pool_ratio * inbound.largest_rise_fob_usd
        and coalesce(inbound.importer_fob_usd, 0) >= inbound.largest_rise_fob_usd,
        false
    ) as is_origin_only,
    coalesce(lost.is_explained_by_origin, 0) = 1 as is_gap_of_origin,
    coalesce(lost.is_explained_by_others, 0) = 1 as is_gap_of_others,
    coalesce(lost.is_explained_by_hidden_codes, 0) = 1 as is_gap_hidden,
    coalesce(lost.is_explained_by_timing, 0) = 1 as is_gap_of_timing,
    -- A gap that no year shows beyond its innocent causes, and no other sign at the leg in than the gap.
    coalesce(lost.is_signal, 0) = 0
    and swaps.swap_fob_usd is null
    and new_products.place_code is null
    and not coalesce(
        inbound.exporter_fob_usd >= inbound.asked_rise_ratio * inbound.baseline_fob_usd
        and inbound.importer_fob_usd >= inbound.asked_rise_ratio * inbound.baseline_fob_usd,
        false
    ) as is_gap_alone,
    lost.largest_excess_change_fob_usd,
    lost.pooled_gap_change_fob_usd,
    lost.hidden_fob_usd,
    coalesce(
        inbound.exporter_fob_usd >= inbound.asked_rise_ratio * inbound.baseline_fob_usd
        and inbound.importer_fob_usd >= inbound.asked_rise_ratio * inbound.baseline_fob_usd,
        false
    ) as is_inbound_two_sided_rise
from candidates
cross join rules
inner join families
    on candidates.embargo_code = families.embargo_code and candidates.family_code = families.family_code
left join {{ ref('int_lead_onward') }} as onward
    on
        candidates.embargo_code = onward.embargo_code
        and candidates.origin_code is not distinct from onward.origin_code
        and candidates.transit_code = onward.transit_code
        and candidates.family_code = onward.family_code
left join legs as inbound
    on
        candidates.embargo_code = inbound.embargo_code
        and candidates.origin_code = inbound.exporter_code
        and candidates.transit_code = inbound.importer_code
        and candidates.family_code = inbound.family_code
left join legs as direct
    on
        candidates.embargo_code = direct.embargo_code
        and candidates.origin_code = direct.exporter_code
        and families.destination_code = direct.importer_code
        and candidates.family_code = direct.family_code
left join lost
    on
        candidates.embargo_code = lost.embargo_code
        and candidates.origin_code = lost.exporter_code
        and candidates.transit_code = lost.importer_code
        and candidates.family_code = lost.family_code
left join swaps
    on
        candidates.embargo_code = swaps.embargo_code
        and candidates.origin_code = swaps.exporter_code
        and candidates.transit_code = swaps.importer_code
        and candidates.family_code = swaps.family_code
left join new_products
    on
        candidates.embargo_code = new_products.embargo_code
        and candidates.transit_code = new_products.place_code
        and candidates.family_code = new_products.family_code
left join demand
    on
        candidates.embargo_code = demand.embargo_code
        and candidates.transit_code = demand.place_code
        and candidates.family_code = demand.family_code
left join prices
    on
        candidates.embargo_code = prices.embargo_code
        and candidates.origin_code = prices.exporter_code
        and candidates.transit_code = prices.importer_code
        and candidates.family_code = prices.family_code
left join totals
    on
        candidates.embargo_code = totals.embargo_code
        and candidates.origin_code = totals.exporter_code
        and candidates.transit_code = totals.importer_code
left join displaced
    on
        candidates.embargo_code = displaced.embargo_code
        and candidates.origin_code = displaced.origin_code
        and candidates.transit_code = displaced.transit_code
        and candidates.family_code = displaced.family_code
left join passage
    on
        candidates.embargo_code = passage.embargo_code
        and candidates.origin_code = passage.origin_code
        and candidates.transit_code = passage.transit_code
        and candidates.family_code = passage.family_code
        and onward.outbound_family_code = passage.outbound_family_code
left join conservation
    on
        candidates.embargo_code = conservation.embargo_code
        and candidates.origin_code = conservation.origin_code
        and candidates.transit_code = conservation.transit_code
        and candidates.family_code = conservation.family_code
        and onward.outbound_family_code = conservation.outbound_family_code
left join elsewhere
    on
        candidates.embargo_code = elsewhere.embargo_code
        and candidates.transit_code = elsewhere.exporter_code
        and candidates.family_code = elsewhere.family_code
left join speaking on candidates.embargo_code = speaking.embargo_code
