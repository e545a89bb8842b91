{#- The columns ascend from left to right in every row, and are either all there or all NULL: an interval around its value. -#}
{% test columns_are_ordered(model, columns) %}
select
    {{ columns | join(',\n    ') }}
from {{ model }}
where
    {% for column in columns[1:] -%}
    {{ columns[loop.index0] }} > {{ column }}
    or ({{ columns[loop.index0] }} is null) <> ({{ column }} is null)
    {% if not loop.last %}or {% endif %}
    {%- endfor %}
{% endtest %}
