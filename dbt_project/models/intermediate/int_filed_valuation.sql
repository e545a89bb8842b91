-- What the values of one reporter's set are: one valuation, or mixed. Sums of filed values carry it beside them.
select
    frequency,
    period,
    reporter_code,
    flow_code,
    case when min(valuation_filed) = max(valuation_filed) then min(valuation_filed) else 'mixed' end as valuation_filed
from {{ ref('stg_comtrade__declarations') }}
where reporter_code is not null and flow_code is not null
group by frequency, period, reporter_code, flow_code
