with source as (

    select * from {{ source('passages', 'family_flows') }}

),

renamed as (

    select
        frequency,
        period,
        period_start,
        exporter_code,
        importer_code,
        family_code,
        family_kind,
        exporter_fob_usd,
        importer_fob_usd,
        gap_fob_usd,
        reconciled_mean_fob_usd,
        two_sided_fob_usd,
        silent_importer_fob_usd,
        silent_exporter_fob_usd,
        reexport_usd,
        uncounted_fob_usd,
        flow_count,
        confidential_flow_count,
        is_edition_mismatch
    from source

)

select * from renamed
