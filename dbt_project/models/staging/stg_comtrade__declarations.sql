with source as (

    select * from {{ source('comtrade', 'declarations') }}

),

renamed as (

    select
        declaration_id,
        delivery_id,
        source_file,
        source_line,
        source_format,
        frequency,
        period,
        period_start,
        reporter_code,
        reporter_iso3,
        flow_code,
        partner_code,
        partner_iso3,
        partner2_code,
        product_code,
        product_level,
        chapter_code,
        hs_revision,
        customs_code,
        mot_code,
        mos_code,
        value_usd,
        cif_value_usd,
        fob_value_usd,
        valuation_filed,
        quantity,
        quantity_unit_code,
        is_quantity_estimated,
        net_weight_kg,
        is_net_weight_estimated,
        gross_weight_kg,
        is_reported,
        is_aggregate,
        is_confidential,
        account,
        account_reason,
        quarantine_field,
        quarantine_value
    from source

)

select * from renamed
