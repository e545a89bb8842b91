select
    frequency,
    period,
    period_start,
    coalesce(reporter_code, 'unknown') as reporter_code,
    coalesce(flow_code, 'unknown') as flow_code,
    cast(count(*) as bigint) as declaration_count,
    cast(sum(coalesce(value_usd, 0)) as double) as declared_usd,
    cast(coalesce(sum(value_usd) filter (where account = 'pair'), 0) as double) as pair_usd,
    cast(coalesce(sum(value_usd) filter (where account = 'total'), 0) as double) as total_usd,
    cast(coalesce(sum(value_usd) filter (where account = 'special'), 0) as double) as special_usd,
    cast(coalesce(sum(value_usd) filter (where account = 'quarantine'), 0) as double) as quarantine_usd,
    {{ run_columns() }}
from {{ ref('stg_comtrade__declarations') }}
group by frequency, period, period_start, coalesce(reporter_code, 'unknown'), coalesce(flow_code, 'unknown')
