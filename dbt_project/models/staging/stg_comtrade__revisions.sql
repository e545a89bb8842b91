with source as (

    select * from {{ source('comtrade', 'revisions') }}

),

renamed as (

    select
        frequency,
        period,
        {{ first_day_of_period('frequency', 'period') }} as period_start,
        reporter_code,
        older_delivery_id,
        newer_delivery_id,
        keys_added_count,
        keys_removed_count,
        keys_revised_count,
        keys_unchanged_count,
        older_value_usd,
        newer_value_usd,
        value_added_usd,
        value_removed_usd,
        value_moved_usd,
        net_change_usd,
        editions_changed_count
    from source

)

select * from renamed
