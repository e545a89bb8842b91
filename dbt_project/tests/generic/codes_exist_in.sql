{#- Every code that stands in one of the columns is a value of `field` in `to`; NULL is no code. -#}
{% test codes_exist_in(model, columns, to, field) %}
with facts as (

    select {{ columns | join(', ') }} from {{ model }}

),

known as (

    select distinct {{ field }} as code from {{ to }}

)

{% for column in columns %}
{% if not loop.first %}union all{% endif %}
select
    '{{ column }}' as column_name,
    facts.{{ column }} as code,
    count(*) as row_count
from facts
left join known on facts.{{ column }} = known.code
where facts.{{ column }} is not null and known.code is null
group by facts.{{ column }}
{% endfor %}
{% endtest %}
