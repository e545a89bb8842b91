{#- No value, weight or count is below zero; NULL means not reported and passes. -#}
{% test not_negative(model, columns) %}
{% for column in columns %}
{% if not loop.first %}union all{% endif %}
select
    '{{ column }}' as column_name,
    cast(min({{ column }}) as double) as lowest_value,
    count(*) as row_count
from {{ model }}
where {{ column }} < 0
having count(*) > 0
{% endfor %}
{% endtest %}
