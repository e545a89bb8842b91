{#- Codes are text of digits in one of the lengths listed for the column: a code read as a number loses its leading zero.
    `words` are values that are no number, such as TOTAL. -#}
{% test codes_keep_their_zeros(model, lengths, words=['TOTAL']) %}
{% for column, allowed in lengths.items() %}
{% if not loop.first %}union all{% endif %}
select
    '{{ column }}' as column_name,
    {{ column }} as code,
    count(*) as row_count
from {{ model }}
where
    {{ column }} not in ('{{ words | join("', '") }}')
    and (length({{ column }}) not in ({{ allowed | join(', ') }}) or try_cast({{ column }} as bigint) is null)
group by {{ column }}
{% endfor %}
{% endtest %}
