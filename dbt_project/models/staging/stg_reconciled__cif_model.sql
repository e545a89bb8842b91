with source as (

    select * from {{ source('reconciled', 'cif_model') }}

),

renamed as (

    select
        frequency,
        term,
        coefficient,
        standard_error,
        published_coefficient,
        observation_count,
        residual_sd_log,
        reported_share_ratio,
        observed_share_ratio,
        modelled_share_ratio,
        method_name,
        method_version
    from source

)

select * from renamed
