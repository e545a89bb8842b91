with source as (

    select * from {{ source('reconciled', 'mirror_totals') }}

),

renamed as (

    select
        frequency,
        period,
        period_start,
        exporter_code,
        exporter_iso3,
        importer_code,
        importer_iso3,
        product_code,
        product_level,
        status,
        exporter_value_usd,
        importer_value_usd,
        exporter_fob_usd,
        importer_fob_usd,
        gap_fob_usd,
        gap_log_ratio,
        exporter_coverage_ratio,
        importer_coverage_ratio,
        flows_mean_fob_usd,
        raking_target_fob_usd,
        raking_residual_fob_usd,
        raking_ratio,
        raking_status
    from source

)

select * from renamed
