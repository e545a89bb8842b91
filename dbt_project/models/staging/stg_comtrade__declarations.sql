with source as (

    select * from {{ source("comtrade", "declarations") }}

)

select * from source
