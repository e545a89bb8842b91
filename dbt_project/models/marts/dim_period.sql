with periods as (

    select
        frequency,
        period,
        period_start
    from {{ ref('stg_comtrade__declarations') }}
    union
    select
        frequency,
        period,
        period_start
    from {{ ref('stg_reconciled__mirror_flows') }}

)

select
    frequency || '-' || period as period_key,
    frequency,
    period,
    period_start,
    {{ last_day_of_period('frequency', 'period_start') }} as period_end,
    {{ year_of('period_start') }} as calendar_year,
    case when frequency = 'M' then {{ month_of('period_start') }} end as calendar_month,
    {{ run_columns() }}
from periods
where period_start is not null
