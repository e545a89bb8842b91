{#- Every difference between engines lives here; models contain none. -#}




{% macro text_type() -%} varchar {%- endmacro %}

{% macro run_columns() -%}
    cast('{{ env_var("DBT_RUN_ID") }}' as {{ text_type() }}) as run_id,
    cast('{{ env_var("DBT_METHOD_VERSION") }}' as {{ text_type() }}) as method_version
{%- endmacro %}

{% macro years_of(date_column) -%} cast(extract(year from {{ date_column }}) as bigint) {%- endmacro %}

{% macro months_of(date_column) -%} cast(extract(month from {{ date_column }}) as bigint) {%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name if custom_schema_name is not none else target.schema }}
{%- endmacro %}
