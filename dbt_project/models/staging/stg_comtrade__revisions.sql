with source as (

    select * from {{ source("comtrade", "revisions") }}

)

select * from source
