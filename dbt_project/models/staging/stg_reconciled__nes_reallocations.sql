with source as (

    select * from {{ source('reconciled', 'nes_reallocations') }}

),

renamed as (

    select
        frequency,
        period,
        period_start,
        side,
        reporter_code,
        reporter_iso3,
        product_code,
        product_level,
        nes_code,
        partner_code,
        partner_iso3,
        mirror_flow_id,
        declared_fob_usd as nes_declared_fob_usd,
        missing_fob_usd,
        reallocated_fob_usd,
        is_remainder
    from source

)

select * from renamed
