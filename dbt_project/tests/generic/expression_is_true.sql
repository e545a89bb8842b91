{#- The expression is true in every row; an unknown answer (NULL) fails as well. -#}
{% test expression_is_true(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
