with source as (

    select * from {{ source("reconciled", "reliability") }}

)

select * from source
