{#- Each column holds only the values listed for it; NULL is left to the not-null constraints. -#}
{% test values_are_among(model, allowed) %}
{% for column, values in allowed.items() %}
{% if not loop.first %}union all{% endif %}
select
    '{{ column }}' as column_name,
    {{ column }} as found_value,
    count(*) as row_count
from {{ model }}
where {{ column }} not in ('{{ values | join("', '") }}')
group by {{ column }}
{% endfor %}
{% endtest %}
