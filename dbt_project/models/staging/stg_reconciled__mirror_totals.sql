with source as (

    select * from {{ source("reconciled", "mirror_totals") }}

)

select * from source
