select
    frequency,
    period,
    period_start,
    side,
    reporter_code,
    reporter_iso3,
    product_code,
    product_level,
    nes_code,
    partner_code,
    partner_iso3,
    mirror_flow_id,
    nes_declared_fob_usd,
    missing_fob_usd,
    reallocated_fob_usd,
    is_remainder,
    {{ run_columns() }}
from {{ ref('stg_reconciled__nes_reallocations') }}
