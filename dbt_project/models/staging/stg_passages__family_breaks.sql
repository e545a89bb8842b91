with source as (

    select * from {{ source('passages', 'family_breaks') }}

),

renamed as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        family_kind,
        break_direction,
        series_start,
        month_count,
        break_start,
        before_monthly_fob_usd,
        after_monthly_fob_usd,
        active_month_count,
        shift_log,
        break_f_score,
        break_p_value,
        break_q_value,
        tested_cell_count,
        is_after_control
    from source

)

select * from renamed
