{#- Every difference between engines lives here; models contain none. -#}

{#- The sum of a money or weight column, the same whatever the order of the rows: doubles are added as decimals with six places. -#}
{% macro exact_sum(expression, condition=none) -%}
    cast(
        sum(cast({{ expression }} as decimal(38, 6))){% if condition %} filter (where {{ condition }}){% endif %} as double
    )
{%- endmacro %}

{#- The same over a named window. -#}
{% macro exact_sum_over(expression, window) -%}
    cast(sum(cast({{ expression }} as decimal(38, 6))) over {{ window }} as double)
{%- endmacro %}

{% macro year_of(date_column) -%} cast(extract(year from {{ date_column }}) as bigint) {%- endmacro %}

{% macro month_of(date_column) -%} cast(extract(month from {{ date_column }}) as bigint) {%- endmacro %}

{#- First day of a period as filed: 2017 of frequency A, 202101 of frequency M. -#}
{% macro first_day_of_period(frequency, period) -%}
    make_date(
        cast(substring({{ period }}, 1, 4) as int),
        case when {{ frequency }} = 'M' then cast(substring({{ period }}, 5, 2) as int) else 1 end,
        1
    )
{%- endmacro %}

{#- Last day of a period that starts on a day. -#}
{% macro last_day_of_period(frequency, period_start) -%}
    last_day(
        case
            when {{ frequency }} = 'M' then {{ period_start }}
            else make_date(cast(extract(year from {{ period_start }}) as int), 12, 1)
        end
    )
{%- endmacro %}
