{#- period_start is the first day of the period as filed: 2017 of frequency A, 202101 of frequency M. -#}
{% test period_start_opens_period(model) %}
select
    frequency,
    period,
    period_start,
    count(*) as row_count
from {{ model }}
where
    period_start is not null
    and coalesce(period_start <> {{ first_day_of_period('frequency', 'period') }}, true)
group by frequency, period, period_start
{% endtest %}
