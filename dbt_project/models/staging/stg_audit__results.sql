{{ config(materialized='ephemeral', tags=['audit']) }}

with source as (

    select * from {{ source('audit', 'results') }}

),

renamed as (

    select
        suite,
        check_name,
        severity,
        passed as is_passed,
        figure,
        threshold,
        threshold_text,
        evidence,
        threshold_date,
        failing_count,
        failing_sample,
        message
    from source

)

select * from renamed
