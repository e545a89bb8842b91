{{ config(materialized='view', tags=['audit']) }}

select
    suite,
    check_name,
    severity,
    is_passed,
    figure,
    threshold,
    threshold_text,
    evidence,
    threshold_date,
    failing_count,
    failing_sample,
    message,
    {{ run_columns() }}
from {{ ref('stg_audit__results') }}
