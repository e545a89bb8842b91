with source as (

    select * from {{ source("comtrade", "control_totals") }}

)

select * from source
