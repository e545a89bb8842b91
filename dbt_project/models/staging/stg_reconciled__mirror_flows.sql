with source as (

    select * from {{ source("reconciled", "mirror_flows") }}

)

select * from source
