{% test unique_combination(model, columns) %}
{#- Each combination of the columns stands in at most one row; NULL counts as a value. -#}
select
    {{ columns | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
