select
    frequency,
    period,
    period_start,
    reporter_code,
    reporter_iso3,
    older_delivery_id,
    newer_delivery_id,
    keys_added_count,
    keys_removed_count,
    keys_revised_count,
    keys_unchanged_count,
    editions_changed_count,
    older_value_usd,
    newer_value_usd,
    {{ run_columns() }}
from {{ ref('stg_comtrade__revisions') }}
