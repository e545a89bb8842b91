{#- The marks every public table carries; release_id is stamped at publication. The environment is read when a model
    runs, not when the project is parsed: otherwise a new run would parse every model again. -#}
{% macro run_columns() -%}
    cast('{{ env_var("DBT_RUN_ID") if execute }}' as string) as run_id,
    cast('{{ env_var("DBT_METHOD_VERSION") if execute }}' as string) as method_version
{%- endmacro %}
