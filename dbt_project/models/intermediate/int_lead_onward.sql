-- The leg out of the transit country that a candidate most likely takes: the family itself or, where the pair into the
-- country swapped codes, its decoy. A decoy is asked less, because honest trade in it is large and only few are asked.
with candidates as (

    select * from {{ ref('int_lead_candidate') }}

),

legs as (

    select * from {{ ref('int_embargo_leg') }}
    where leg_kind = 'outbound'

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

swaps as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        decoy_family_code,
        {{ exact_sum('swap_fob_usd') }} as swap_fob_usd
    from {{ ref('mart_signal_decoy_swap') }}
    where is_signal
    group by embargo_code, exporter_code, importer_code, family_code, decoy_family_code

),

ways as (

    select
        candidates.embargo_code,
        candidates.origin_code,
        candidates.transit_code,
        candidates.family_code,
        candidates.family_code as outbound_family_code,
        cast(0 as double) as swap_fob_usd
    from candidates
    union all
    select
        candidates.embargo_code,
        candidates.origin_code,
        candidates.transit_code,
        candidates.family_code,
        swaps.decoy_family_code as outbound_family_code,
        swaps.swap_fob_usd
    from candidates
    inner join swaps
        on
            candidates.embargo_code = swaps.embargo_code
            and candidates.origin_code = swaps.exporter_code
            and candidates.transit_code = swaps.importer_code
            and candidates.family_code = swaps.family_code

),

judged as (

    select
        ways.*,
        legs.rise_total_fob_usd,
        legs.is_rise
        or coalesce(
            ways.swap_fob_usd > 0 and legs.is_break_after_control
            and legs.break_p_value <= rules.decoy_break_p_value
            and legs.after_monthly_fob_usd >= rules.decoy_rise_ratio * legs.before_monthly_fob_usd,
            false
        ) as is_outbound_rise,
        legs.is_timed_rise
        or coalesce(
            ways.swap_fob_usd > 0 and legs.is_break_after_control
            and legs.break_p_value <= rules.decoy_break_p_value
            and legs.after_monthly_fob_usd >= rules.decoy_rise_ratio * legs.before_monthly_fob_usd,
            false
        ) as is_outbound_timed,
        coalesce(legs.rise_date, legs.break_start) as outbound_date,
        legs.growth_log,
        legs.placebo_growth_log,
        legs.effect_q_value,
        legs.break_q_value,
        legs.is_complete,
        legs.is_across_edition_break and not legs.is_monthly_rise as is_across_edition_break,
        legs.is_hub,
        legs.asked_rise_ratio,
        legs.largest_value_fob_usd,
        legs.baseline_fob_usd,
        legs.tested_cell_count
    from ways
    cross join rules
    left join legs
        on
            ways.embargo_code = legs.embargo_code
            and ways.transit_code = legs.exporter_code
            and ways.outbound_family_code = legs.family_code

),

ranked as (

    select
        judged.*,
        row_number() over (
            partition by judged.embargo_code, judged.origin_code, judged.transit_code, judged.family_code
            order by
                case when judged.is_outbound_timed then 0 when judged.is_outbound_rise then 1 else 2 end asc nulls last,
                judged.rise_total_fob_usd desc nulls last,
                judged.outbound_family_code asc nulls last
        ) as way_rank
    from judged

)

select * from ranked
where way_rank = 1
