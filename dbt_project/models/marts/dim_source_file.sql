select
    delivery_id,
    min(source_file) as source_file,
    min(source_format) as source_format,
    cast(count(*) as bigint) as declaration_count,
    {{ exact_sum('value_usd') }} as value_usd,
    case when min(valuation_filed) = max(valuation_filed) then min(valuation_filed) else 'mixed' end as valuation_filed,
    min(period_start) as first_period_start,
    max(period_start) as last_period_start,
    cast(count(distinct reporter_code) as bigint) as reporter_count,
    cast(count_if(account_reason = 'superseded_vintage') as bigint) as superseded_count,
    cast(count_if(account = 'quarantine') as bigint) as quarantined_count,
    {{ run_columns() }}
from {{ ref('stg_comtrade__declarations') }}
group by delivery_id
