with source as (

    select * from {{ source('passages', 'family_members') }}

),

renamed as (

    select
        family_code,
        family_name,
        family_kind,
        product_code,
        hs_revision_from,
        hs_revision_to,
        is_counted
    from source

)

select * from renamed
