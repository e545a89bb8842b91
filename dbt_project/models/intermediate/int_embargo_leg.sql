-- One leg over all years since the reference date: its best year, its break, and whether it rose. A rise is told by the
-- year (effect beyond placebo, q over all cells) or by the month (a break after the reference date); the month decides
-- when it may be asked, because it also says when.
with years as (

    select * from {{ ref('int_embargo_leg_year') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

ranked as (

    select
        years.*,
        row_number() over (
            partition by years.embargo_code, years.exporter_code, years.importer_code, years.family_code
            order by years.effect_z_score desc nulls last, years.period asc nulls last
        ) as best_rank,
        {{ exact_sum_over('greatest(years.rise_fob_usd, 0)', 'leg') }} as rise_total_fob_usd,
        max(years.value_fob_usd) over leg as largest_value_fob_usd,
        max(years.rise_fob_usd) over leg as largest_rise_fob_usd,
        min(years.value_fob_usd) over leg as smallest_value_fob_usd
    from years
    window
        leg as (
            partition by years.embargo_code, years.exporter_code, years.importer_code, years.family_code
        )

),

breaks as (

    select *
    from {{ ref('stg_passages__family_breaks') }}
    where break_direction = 'rise'

),

legs as (

    select
        ranked.embargo_code,
        ranked.destination_code,
        ranked.reference_date,
        ranked.leg_kind,
        ranked.exporter_code,
        ranked.importer_code,
        ranked.family_code,
        ranked.family_kind,
        ranked.is_exporter_coalition,
        ranked.is_exporter_hub or (ranked.leg_kind = 'inbound' and ranked.is_importer_hub) as is_hub,
        ranked.period as best_period,
        ranked.value_fob_usd as best_value_fob_usd,
        ranked.baseline_fob_usd,
        ranked.baseline_mean_fob_usd,
        ranked.check_year_fob_usd,
        ranked.baseline_year_count,
        ranked.largest_value_fob_usd,
        ranked.smallest_value_fob_usd,
        ranked.largest_rise_fob_usd,
        ranked.rise_total_fob_usd,
        ranked.growth_log,
        ranked.placebo_growth_log,
        ranked.effect_log,
        ranked.effect_z_score,
        ranked.effect_q_value,
        ranked.tested_cell_count,
        ranked.exporter_fob_usd,
        ranked.importer_fob_usd,
        ranked.is_exporter_complete,
        ranked.is_importer_complete,
        ranked.is_across_edition_break,
        breaks.break_start,
        breaks.series_start,
        breaks.month_count,
        breaks.before_monthly_fob_usd,
        breaks.after_monthly_fob_usd,
        breaks.active_month_count,
        breaks.break_f_score,
        breaks.break_p_value,
        breaks.break_q_value,
        coalesce(breaks.is_after_control, false) as is_break_after_control,
        case
            when
                rules.is_hubs_on
                and (ranked.is_exporter_hub or (ranked.leg_kind = 'inbound' and ranked.is_importer_hub))
                then rules.hub_rise_ratio
            else rules.least_rise_ratio
        end as asked_rise_ratio,
        rules.smallest_rise_usd,
        rules.rise_z_score,
        rules.largest_q_value,
        rules.largest_p_value,
        rules.break_least_ratio,
        rules.break_least_active_months,
        rules.break_least_monthly_usd,
        rules.shortest_month_count,
        rules.is_minimum_size_on,
        rules.is_false_discovery_on,
        rules.is_edition_breaks_on,
        rules.is_completeness_gate_on
    from ranked
    cross join rules
    left join breaks
        on
            ranked.embargo_code = breaks.embargo_code
            and ranked.exporter_code = breaks.exporter_code
            and ranked.importer_code = breaks.importer_code
            and ranked.family_code = breaks.family_code
    where ranked.best_rank = 1

),

judged as (

    select
        legs.*,
        not legs.is_completeness_gate_on
        or (
            legs.is_exporter_complete and coalesce(legs.baseline_year_count, 0) > 0
            and (legs.is_importer_complete or legs.leg_kind <> 'inbound')
        ) as is_complete,
        coalesce(
            (legs.largest_rise_fob_usd >= legs.smallest_rise_usd or not legs.is_minimum_size_on)
            and legs.largest_value_fob_usd >= legs.asked_rise_ratio * legs.baseline_fob_usd
            and legs.effect_z_score >= legs.rise_z_score
            and (legs.effect_q_value <= legs.largest_q_value or not legs.is_false_discovery_on)
            and not (legs.is_across_edition_break and legs.is_edition_breaks_on),
            false
        ) as is_annual_rise,
        coalesce(
            legs.is_break_after_control
            and (legs.break_q_value <= legs.largest_q_value or not legs.is_false_discovery_on)
            and legs.after_monthly_fob_usd
            >= greatest(legs.break_least_ratio, legs.asked_rise_ratio) * legs.before_monthly_fob_usd
            and legs.active_month_count >= legs.break_least_active_months
            and (legs.after_monthly_fob_usd >= legs.break_least_monthly_usd or not legs.is_minimum_size_on)
            and legs.month_count >= legs.shortest_month_count
            and (
                legs.effect_log is null
                or legs.effect_log > ln(legs.asked_rise_ratio) / 2
                or legs.is_across_edition_break
            ),
            false
        ) as is_monthly_rise
    from legs

)

select
    judged.*,
    judged.is_annual_rise or judged.is_monthly_rise as is_rise,
    -- Months are asked where they are there: a rise that the year has shown needs from them only its date. A year alone
    -- counts as timing only where no month was filed.
    judged.is_monthly_rise
    or (
        judged.is_annual_rise
        and judged.is_break_after_control
        and coalesce(judged.break_p_value <= judged.largest_p_value, false)
    )
    or (judged.is_annual_rise and coalesce(judged.month_count, 0) < judged.shortest_month_count) as is_timed_rise,
    case
        when
            judged.is_monthly_rise or (judged.is_break_after_control and judged.break_p_value <= judged.largest_p_value)
            then judged.break_start
        when judged.is_annual_rise then make_date(cast(judged.best_period as int), 1, 1)
    end as rise_date
from judged
