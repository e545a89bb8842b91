{{ config(tags=["audit"]) }}

with source as (

    select * from {{ source("audit", "results") }}

)

select * from source
