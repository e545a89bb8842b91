-- Question: where do values, weights or unit values of both ends differ beyond their errors: undervalued or diverted?
-- How to read: unit_value_log_ratio is exporter minus importer, both FOB per reported kg. valuation_anomalous: the
--   weights agree and the price does not, as in undervaluation (positive: the importer names the lower price) or
--   overvaluation. volume_anomalous: the price agrees and goods are missing on one side, as in diversion.
--   world_deviation_log compares the reconciled price with the median of all reports of the product in the period.
-- Caveats: anomalous, never guilty. Only flows with a reported weight on both sides can be read; estimated weights are
--   never used. One HS code holds goods of many prices, so that a price far from the world's is common. A slip of units
--   (is_weight_unit_suspect) explains a weight that is a thousand times too large or too small.
-- Columns:
--   period: year or month of the flow
--   exporter_name, importer_name: the two ends, whoever reported
--   product_code, product_name: HS code and its name, where one is known
--   reading: which of value, weight and unit value differ
--   exporter_fob_usd, importer_fob_usd, exporter_net_weight_kg, importer_net_weight_kg: both declarations
--   unit_value_log_ratio: logarithm of the exporter's over the importer's USD per kg
--   z_score, net_weight_z_score, unit_value_z_score: how far value, weight and unit value lie apart, in their errors
--   reconciled_unit_value_fob_usd_per_kg, world_median_unit_value_fob_usd_per_kg, world_deviation_log: price and world
--   is_watched_product, is_weight_unit_suspect: whether it is watched, and whether units may have slipped
--   mirror_flow_id: key of the flow in fct_mirror_flow
with parameters as (
    select
        'A' as frequency,
        date '2022-01-01' as first_day,
        10000 as least_fob_usd,
        30 as rows_per_reading
),

read_flows as (
    select
        flows.period,
        exporters.place_name as exporter_name,
        importers.place_name as importer_name,
        flows.product_code,
        products.product_name,
        flows.reading,
        flows.exporter_fob_usd,
        flows.importer_fob_usd,
        flows.exporter_net_weight_kg,
        flows.importer_net_weight_kg,
        flows.unit_value_log_ratio,
        flows.z_score,
        flows.net_weight_z_score,
        flows.unit_value_z_score,
        flows.reconciled_unit_value_fob_usd_per_kg,
        flows.world_median_unit_value_fob_usd_per_kg,
        flows.world_deviation_log,
        flows.is_watched_product,
        flows.is_weight_unit_suspect,
        flows.mirror_flow_id,
        row_number() over (
            partition by flows.reading
            order by
                flows.is_watched_product desc nulls last,
                abs(ln(flows.exporter_fob_usd) - ln(flows.importer_fob_usd))
                * greatest(flows.exporter_fob_usd, flows.importer_fob_usd) desc nulls last,
                flows.mirror_flow_id asc nulls last
        ) as place_in_reading
    from marts.mart_unit_value as flows
    cross join parameters
    inner join marts.dim_place as exporters on flows.exporter_code = exporters.place_code
    inner join marts.dim_place as importers on flows.importer_code = importers.place_code
    inner join marts.dim_product as products on flows.product_code = products.product_code
    where
        flows.reading in ('valuation_anomalous', 'volume_anomalous', 'valuation_and_volume_anomalous')
        and flows.frequency = parameters.frequency
        and flows.period_start >= parameters.first_day
        and greatest(flows.exporter_fob_usd, flows.importer_fob_usd) >= parameters.least_fob_usd
)

select
    read_flows.period,
    read_flows.exporter_name,
    read_flows.importer_name,
    read_flows.product_code,
    read_flows.product_name,
    read_flows.reading,
    read_flows.exporter_fob_usd,
    read_flows.importer_fob_usd,
    read_flows.exporter_net_weight_kg,
    read_flows.importer_net_weight_kg,
    read_flows.unit_value_log_ratio,
    read_flows.z_score,
    read_flows.net_weight_z_score,
    read_flows.unit_value_z_score,
    read_flows.reconciled_unit_value_fob_usd_per_kg,
    read_flows.world_median_unit_value_fob_usd_per_kg,
    read_flows.world_deviation_log,
    read_flows.is_watched_product,
    read_flows.is_weight_unit_suspect,
    read_flows.mirror_flow_id
from read_flows
cross join parameters
where read_flows.place_in_reading <= parameters.rows_per_reading
order by read_flows.reading asc nulls last, read_flows.place_in_reading asc nulls last
