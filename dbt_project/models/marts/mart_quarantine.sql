select
    frequency,
    period,
    period_start,
    coalesce(reporter_code, 'unknown') as reporter_code,
    account_reason,
    coalesce(quarantine_field, 'unknown') as quarantine_field,
    coalesce(quarantine_value, 'unknown') as quarantine_value,
    cast(count(*) as bigint) as declaration_count,
    cast(sum(coalesce(value_usd, 0)) as double) as value_usd,
    min(declaration_id) as example_declaration_id,
    {{ run_columns() }}
from {{ ref('stg_comtrade__declarations') }}
where account = 'quarantine'
group by
    frequency, period, period_start, coalesce(reporter_code, 'unknown'), account_reason,
    coalesce(quarantine_field, 'unknown'), coalesce(quarantine_value, 'unknown')
