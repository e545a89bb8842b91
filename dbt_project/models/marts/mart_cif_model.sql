select
    frequency,
    term,
    coefficient,
    standard_error,
    published_coefficient,
    observation_count,
    residual_sd_log,
    reported_share_ratio,
    observed_share_ratio,
    modelled_share_ratio,
    method_name,
    {{ run_columns() }}
from {{ ref('stg_reconciled__cif_model') }}
