-- A gap is told against the same pair's own years before; its z is that change over the scatter of placebo goods.
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
    years.exporter_fob_usd,
    years.importer_fob_usd,
    years.gap_fob_usd,
    case
        when coalesce(years.exporter_fob_usd, 0) + coalesce(years.importer_fob_usd, 0) > 0
            then years.gap_fob_usd / (coalesce(years.exporter_fob_usd, 0) + coalesce(years.importer_fob_usd, 0))
    end as gap_share_ratio,
    years.baseline_gap_fob_usd,
    years.baseline_gap_year_count,
    years.gap_effect_log,
    years.gap_z_score,
    years.gap_p_value,
    years.gap_q_value,
    years.gap_tested_cell_count,
    coalesce(
        years.gap_q_value <= rules.largest_q_value and years.gap_effect_log > 0
        and (years.baseline_gap_year_count > 0 or not rules.is_completeness_gate_on),
        false
    ) as is_signal,
    {{ run_columns() }}
from years
cross join rules
where years.gap_fob_usd is not null
