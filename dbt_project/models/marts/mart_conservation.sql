-- An account that holds nothing holds 0 USD, and a row without a value adds none. A row whose period, reporter or flow
-- was not understood is counted as unknown.
with declarations as (

    select
        coalesce(frequency, 'unknown') as frequency,
        coalesce(period, 'unknown') as period,
        period_start,
        coalesce(reporter_code, 'unknown') as reporter_code,
        coalesce(flow_code, 'unknown') as flow_code,
        valuation_filed,
        account,
        value_usd
    from {{ ref('stg_comtrade__declarations') }}

)

select
    frequency,
    period,
    min(period_start) as period_start,
    reporter_code,
    flow_code,
    cast(count(*) as bigint) as declaration_count,
    case when min(valuation_filed) = max(valuation_filed) then min(valuation_filed) else 'mixed' end as valuation_filed,
    coalesce({{ exact_sum('value_usd') }}, 0) as declared_usd,
    coalesce({{ exact_sum('value_usd', "account = 'pair'") }}, 0) as pair_usd,
    coalesce({{ exact_sum('value_usd', "account = 'total'") }}, 0) as total_usd,
    coalesce({{ exact_sum('value_usd', "account = 'special'") }}, 0) as special_usd,
    coalesce({{ exact_sum('value_usd', "account = 'quarantine'") }}, 0) as quarantine_usd,
    {{ run_columns() }}
from declarations
group by frequency, period, reporter_code, flow_code
