-- Question: which are the largest anomalous gaps in watched products into a destination and its transit candidates?
-- How to read: gap_fob_usd is exporter minus importer, both FOB. Positive: the exporter says it sent more than the
--   importer says it received. q_value is the false-discovery rate over all tested flows of the frequency.
--   explanation_count counts the innocent explanations that the data itself offers; read those flags first.
-- Caveats: anomalous, never guilty. Only flows that both sides filed can be tested: what a silent destination
--   receives is not here (see 08), nor what an importer never declared (see 04).
-- Columns:
--   period: year or month of the flow
--   exporter_name, importer_name: the two ends, whoever reported
--   importer_role: destination or transit_candidate
--   product_code, product_name: HS code and its name, where one is known
--   exporter_fob_usd, importer_fob_usd: both declarations, taken to FOB
--   gap_fob_usd, gap_share_ratio: the gap in USD and over the sum of both sides
--   z_score, q_value: how unusual the gap is after the two reporters' biases and spreads
--   is_reexport_hub, is_timing_plausible, is_edition_mismatch, is_intra_eaeu: innocent explanations
--   explanation_count: how many of them hold
--   mirror_flow_id: key of the flow in fct_mirror_flow
with parameters as (
    select
        'A' as frequency,
        date '2022-01-01' as first_day,
        0.05 as largest_q_value,
        30 as row_count
),

importers as (
    select
        place_code,
        min(place_role) as importer_role
    from marts.dim_place_role
    where place_role in ('destination', 'transit_candidate')
    group by place_code
),

anomalous as (
    select
        flows.period,
        exporters.place_name as exporter_name,
        receivers.place_name as importer_name,
        importers.importer_role,
        flows.product_code,
        products.product_name,
        flows.exporter_fob_usd,
        flows.importer_fob_usd,
        flows.gap_fob_usd,
        flows.gap_share_ratio,
        flows.z_score,
        flows.q_value,
        flows.is_reexport_hub,
        flows.is_timing_plausible,
        flows.is_edition_mismatch,
        flows.is_intra_eaeu,
        case when flows.is_reexport_hub then 1 else 0 end
        + case when flows.is_timing_plausible then 1 else 0 end
        + case when flows.is_edition_mismatch then 1 else 0 end
        + case when flows.is_intra_eaeu then 1 else 0 end as explanation_count,
        flows.mirror_flow_id,
        row_number() over (order by abs(flows.gap_fob_usd) desc nulls last, flows.mirror_flow_id asc nulls last)
            as place_in_list
    from marts.mart_discrepancy as flows
    cross join parameters
    inner join importers on flows.importer_code = importers.place_code
    inner join marts.dim_place as exporters on flows.exporter_code = exporters.place_code
    inner join marts.dim_place as receivers on flows.importer_code = receivers.place_code
    inner join marts.dim_product as products on flows.product_code = products.product_code
    where
        flows.is_watched_product
        and flows.frequency = parameters.frequency
        and flows.period_start >= parameters.first_day
        and flows.q_value <= parameters.largest_q_value
)

select
    anomalous.period,
    anomalous.exporter_name,
    anomalous.importer_name,
    anomalous.importer_role,
    anomalous.product_code,
    anomalous.product_name,
    anomalous.exporter_fob_usd,
    anomalous.importer_fob_usd,
    anomalous.gap_fob_usd,
    anomalous.gap_share_ratio,
    anomalous.z_score,
    anomalous.q_value,
    anomalous.is_reexport_hub,
    anomalous.is_timing_plausible,
    anomalous.is_edition_mismatch,
    anomalous.is_intra_eaeu,
    anomalous.explanation_count,
    anomalous.mirror_flow_id
from anomalous
cross join parameters
where anomalous.place_in_list <= parameters.row_count
order by anomalous.place_in_list asc nulls last
