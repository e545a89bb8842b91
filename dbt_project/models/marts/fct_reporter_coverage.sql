-- A flow that was not filed has no value: NULL, never zero.
with coverage as (

    select * from {{ ref('stg_comtrade__coverage') }}

),

valuation as (

    select * from {{ ref('int_filed_valuation') }}

)

select
    coverage.frequency,
    coverage.period,
    coverage.period_start,
    coverage.reporter_code,
    coverage.reporter_iso3,
    coverage.flow_code,
    coverage.declaration_count,
    valuation.valuation_filed,
    case when coverage.declaration_count > 0 then coverage.pair_value_usd end as pair_value_usd,
    case when coverage.declaration_count > 0 then coverage.special_value_usd end as special_value_usd,
    case when coverage.declaration_count > 0 then coverage.quarantine_value_usd end as quarantine_value_usd,
    coverage.control_total_usd,
    coverage.coverage_ratio,
    case when coverage.declaration_count > 0 then coverage.confidential_value_usd end as confidential_value_usd,
    coverage.confidential_share_ratio,
    coverage.quarantine_share_ratio,
    coverage.is_reporting,
    coverage.is_complete,
    coverage.months_reported_count,
    {{ run_columns() }}
from coverage
left join valuation
    on
        coverage.frequency = valuation.frequency
        and coverage.period = valuation.period
        and coverage.reporter_code = valuation.reporter_code
        and coverage.flow_code = valuation.flow_code
