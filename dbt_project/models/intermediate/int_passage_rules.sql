-- One row: every threshold and every switch of a false-positive control under its own name.
with rules as (

    select
        rule_code,
        cast(rule_value as double) as rule_value
    from {{ ref('passage_rules') }}

),

controls as (

    select
        control_code,
        is_on = 'true' as is_on
    from {{ ref('false_positive_controls') }}

),

thresholds as (

    select
    {% for rule in passage_rule_codes() -%}
        max(case when rule_code = '{{ rule }}' then rule_value end) as {{ rule }}{{ "," if not loop.last }}
    {% endfor %}
    from rules

),

switches as (

    select
    {% for control in passage_control_codes() -%}
        max(case when control_code = '{{ control }}' then case when is_on then 1 else 0 end end)
        = 1 as is_{{ control }}_on{{ "," if not loop.last }}
    {% endfor %}
    from controls

)

select
    thresholds.*,
    switches.*
from thresholds
cross join switches
