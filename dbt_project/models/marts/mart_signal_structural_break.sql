-- The month in which a leg's monthly series breaks most clearly, up and down, beside the date of the embargo.
with legs as (

    select * from {{ ref('int_embargo_leg') }}

),

breaks as (

    select * from {{ ref('stg_passages__family_breaks') }}

)

select
    breaks.embargo_code,
    legs.destination_code,
    legs.leg_kind,
    breaks.exporter_code,
    breaks.importer_code,
    breaks.family_code,
    breaks.break_direction,
    breaks.series_start,
    breaks.month_count,
    legs.reference_date,
    breaks.break_start,
    breaks.before_monthly_fob_usd,
    breaks.after_monthly_fob_usd,
    breaks.active_month_count,
    breaks.shift_log,
    breaks.break_f_score,
    breaks.break_p_value,
    breaks.break_q_value,
    breaks.tested_cell_count,
    breaks.is_after_control,
    breaks.break_direction = 'rise' and legs.is_monthly_rise as is_signal,
    {{ run_columns() }}
from breaks
inner join legs
    on
        breaks.embargo_code = legs.embargo_code
        and breaks.exporter_code = legs.exporter_code
        and breaks.importer_code = legs.importer_code
        and breaks.family_code = legs.family_code
