with source as (

    select * from {{ source('reconciled', 'reliability') }}

),

renamed as (

    select
        window_start_year,
        window_end_year,
        frequency,
        reporter_code,
        reporter_iso3,
        measure,
        role,
        bias_log,
        bias_se_log,
        sigma_log,
        sigma_se_log,
        distance_log,
        pair_count,
        is_shrunk,
        months_weight_ratio,
        method_name,
        method_version
    from source

)

select * from renamed
