with source as (

    select * from {{ source('reconciled', 'sources') }}

),

renamed as (

    select
        declaration_id,
        mirror_flow_id,
        side,
        share_ratio,
        is_rolled_up
    from source

)

select * from renamed
