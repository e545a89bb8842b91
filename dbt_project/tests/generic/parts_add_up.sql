{#- The parts add up to the whole, but for rounding of floating sums. -#}
{% test parts_add_up(model, whole, parts) %}
select
    {{ whole }},
    {{ parts | join(',\n    ') }}
from {{ model }}
where coalesce(abs({{ whole }} - ({{ parts | join(' + ') }})) > 1e-6 * greatest(abs({{ whole }}), 1), true)
{% endtest %}
