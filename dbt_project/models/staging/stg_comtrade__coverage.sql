with source as (

    select * from {{ source("comtrade", "coverage") }}

)

select * from source
