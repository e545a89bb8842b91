with quarantined as (

    select
        coalesce(frequency, 'unknown') as frequency,
        coalesce(period, 'unknown') as period,
        period_start,
        coalesce(reporter_code, 'unknown') as reporter_code,
        account_reason,
        coalesce(quarantine_field, 'unknown') as quarantine_field,
        coalesce(quarantine_value, 'unknown') as quarantine_value,
        valuation_filed,
        value_usd,
        declaration_id
    from {{ ref('stg_comtrade__declarations') }}
    where account = 'quarantine'

)

select
    frequency,
    period,
    min(period_start) as period_start,
    reporter_code,
    account_reason,
    quarantine_field,
    quarantine_value,
    cast(count(*) as bigint) as declaration_count,
    case when min(valuation_filed) = max(valuation_filed) then min(valuation_filed) else 'mixed' end as valuation_filed,
    {{ exact_sum('value_usd') }} as value_usd,
    min(declaration_id) as example_declaration_id,
    {{ run_columns() }}
from quarantined
group by frequency, period, reporter_code, account_reason, quarantine_field, quarantine_value
