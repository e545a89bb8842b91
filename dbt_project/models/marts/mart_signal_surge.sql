-- Growth of a leg beyond that of placebo goods of the same places (difference in differences of asinh values).
with years as (

    select * from {{ ref('int_embargo_leg_year') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

)

select
    years.embargo_code,
    years.destination_code,
    years.leg_kind,
    years.exporter_code,
    years.importer_code,
    years.family_code,
    years.frequency,
    years.period,
    years.period_start,
    years.value_fob_usd,
    years.baseline_fob_usd,
    years.baseline_mean_fob_usd,
    years.check_year_fob_usd,
    years.baseline_year_count,
    years.rise_fob_usd,
    years.growth_log,
    years.placebo_growth_log,
    years.effect_log,
    years.effect_se_log,
    years.effect_z_score,
    years.effect_p_value,
    years.effect_q_value,
    years.tested_cell_count,
    years.is_across_edition_break,
    coalesce(
        years.rise_fob_usd >= rules.smallest_rise_usd and years.effect_z_score >= rules.rise_z_score
        and years.effect_q_value <= rules.largest_q_value and not years.is_across_edition_break,
        false
    ) as is_signal,
    {{ run_columns() }}
from years
cross join rules
where years.value_fob_usd is not null
