with source as (

    select * from {{ source("reconciled", "sources") }}

)

select * from source
