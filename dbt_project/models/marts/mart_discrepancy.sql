with hubs as (

    select distinct place_code from {{ ref('place_roles') }}
    where role = 'reexport_hub'

),

watched as (

    select product_code from {{ ref('controls') }}
    union
    select product_code from {{ ref('product_families') }}
    where relation in ('controlled', 'predecessor')

)

select
    flows.mirror_flow_id,
    flows.frequency,
    flows.period,
    flows.period_start,
    flows.exporter_code,
    flows.exporter_iso3,
    flows.importer_code,
    flows.importer_iso3,
    flows.product_code,
    flows.product_level,
    flows.chapter_code,
    flows.reexport_share_ratio,
    flows.is_edition_mismatch,
    flows.is_rolled_up,
    flows.is_intra_eaeu,
    flows.is_confidential,
    flows.exporter_fob_usd,
    flows.importer_fob_usd,
    flows.cif_source,
    flows.gap_fob_usd,
    flows.gap_log_ratio,
    flows.gap_share_ratio,
    flows.reconciled_fob_usd,
    flows.z_score,
    flows.p_value,
    q_values.q_value,
    q_values.tested_flow_count,
    exporter_hubs.place_code is not null or importer_hubs.place_code is not null as is_reexport_hub,
    watched.product_code is not null as is_watched_product,
    {{ run_columns() }}
from {{ ref('stg_reconciled__mirror_flows') }} as flows
inner join {{ ref('int_mirror_flow_q_values') }} as q_values on flows.mirror_flow_id = q_values.mirror_flow_id
left join hubs as exporter_hubs on flows.exporter_code = exporter_hubs.place_code
left join hubs as importer_hubs on flows.importer_code = importer_hubs.place_code
left join watched on flows.product_code = watched.product_code
