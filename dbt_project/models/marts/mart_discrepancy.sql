-- What could explain a gap innocently stands beside it. Timing: a gap of the opposite sign in the period before or
-- after takes back at least half of this one, as goods under way at the turn of a period do.
with flows as (

    select * from {{ ref('stg_reconciled__mirror_flows') }}

),

hubs as (

    select distinct place_code
    from {{ ref('place_roles') }}
    where role = 'reexport_hub'

),

watched as (

    select product_code from {{ ref('int_watched_products') }}

),

numbered as (

    select
        mirror_flow_id,
        frequency,
        exporter_code,
        importer_code,
        product_code,
        gap_fob_usd,
        {{ year_of('period_start') }} * case when frequency = 'M' then 12 else 1 end
        + case when frequency = 'M' then {{ month_of('period_start') }} else 0 end as period_number
    from flows
    where gap_fob_usd is not null

),

neighbours as (

    select
        mirror_flow_id,
        gap_fob_usd,
        case when lag(period_number) over flow = period_number - 1 then lag(gap_fob_usd) over flow end as gap_before,
        case when lead(period_number) over flow = period_number + 1 then lead(gap_fob_usd) over flow end as gap_after
    from numbered
    window
        flow as (
            partition by frequency, exporter_code, importer_code, product_code
            order by period_number asc nulls last
        )

),

timing as (

    select
        mirror_flow_id,
        coalesce(abs(gap_fob_usd + gap_before) <= abs(gap_fob_usd) / 2, false)
        or coalesce(abs(gap_fob_usd + gap_after) <= abs(gap_fob_usd) / 2, false) as is_timing_plausible
    from neighbours

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
    watched.product_code is not null as is_watched_product,
    exporter_hubs.place_code is not null or importer_hubs.place_code is not null as is_reexport_hub,
    timing.is_timing_plausible,
    flows.is_edition_mismatch,
    flows.is_rolled_up,
    flows.is_intra_eaeu,
    flows.is_confidential,
    flows.reexport_share_ratio,
    {{ run_columns() }}
from flows
inner join {{ ref('int_mirror_flow_q_values') }} as q_values on flows.mirror_flow_id = q_values.mirror_flow_id
inner join timing on flows.mirror_flow_id = timing.mirror_flow_id
left join hubs as exporter_hubs on flows.exporter_code = exporter_hubs.place_code
left join hubs as importer_hubs on flows.importer_code = importer_hubs.place_code
left join watched on flows.product_code = watched.product_code
