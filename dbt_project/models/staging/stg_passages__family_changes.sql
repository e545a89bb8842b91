with source as (

    select * from {{ source('passages', 'family_changes') }}

),

renamed as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        family_kind,
        frequency,
        period,
        period_start,
        value_fob_usd,
        baseline_fob_usd,
        baseline_mean_fob_usd,
        check_year_fob_usd,
        baseline_year_count,
        rise_fob_usd,
        growth_log,
        placebo_growth_log,
        effect_log,
        effect_se_log,
        effect_z_score,
        effect_p_value,
        effect_q_value,
        tested_cell_count,
        exporter_fob_usd,
        importer_fob_usd,
        gap_fob_usd,
        baseline_gap_fob_usd,
        excess_fob_usd,
        baseline_excess_fob_usd,
        excess_change_fob_usd,
        baseline_gap_year_count,
        gap_effect_log,
        gap_z_score,
        gap_p_value,
        gap_q_value,
        gap_tested_cell_count,
        is_exporter_complete,
        is_importer_complete,
        is_across_edition_break
    from source

)

select * from renamed
