{#- The columns stay between two bounds, both included; NULL passes. -#}
{% test is_within(model, columns, low, high) %}
{% for column in columns %}
{% if not loop.first %}union all{% endif %}
select
    '{{ column }}' as column_name,
    cast(min({{ column }}) as double) as lowest_value,
    cast(max({{ column }}) as double) as highest_value,
    count(*) as row_count
from {{ model }}
where {{ column }} < {{ low }} or {{ column }} > {{ high }}
having count(*) > 0
{% endfor %}
{% endtest %}
