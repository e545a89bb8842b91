with source as (

    select * from {{ source("reconciled", "cif_model") }}

)

select * from source
