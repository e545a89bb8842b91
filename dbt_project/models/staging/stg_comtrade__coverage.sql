with source as (

    select * from {{ source('comtrade', 'coverage') }}

),

renamed as (

    select
        frequency,
        period,
        period_start,
        reporter_code,
        reporter_iso3,
        flow_code,
        declaration_count,
        pair_value_usd,
        special_value_usd,
        quarantine_value_usd,
        control_total_usd,
        coverage_ratio,
        confidential_value_usd,
        confidential_share_ratio,
        quarantine_share_ratio,
        is_reporting,
        is_complete,
        months_reported_count
    from source

)

select * from renamed
