with source as (

    select * from {{ source('comtrade', 'control_totals') }}

),

renamed as (

    select
        frequency,
        period,
        period_start,
        reporter_code,
        reporter_iso3,
        flow_code,
        partner_code,
        partner_iso3,
        product_code,
        product_level,
        hs_revision,
        control_value_usd,
        parts_value_usd,
        coverage_ratio,
        declaration_id
    from source

)

select * from renamed
