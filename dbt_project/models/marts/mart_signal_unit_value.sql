-- A unit value far from that of the world in the same code and year, from reported kilograms only. It supports a lead
-- and never makes one: civilian goods show the same wedge.
with reported as (

    select
        mirror_flow_id,
        exporter_code,
        importer_code,
        product_code,
        frequency,
        period,
        period_start,
        exporter_unit_value_fob_usd_per_kg,
        importer_unit_value_fob_usd_per_kg,
        unit_value_log_ratio,
        world_median_unit_value_fob_usd_per_kg,
        world_deviation_log,
        reading
    from {{ ref('mart_unit_value') }}
    where frequency = 'A'

),

-- Only where the control is switched off: weights that the source estimated from values, of which no price can be told.
estimated as (

    select
        mirror_flow_id,
        exporter_code,
        importer_code,
        product_code,
        frequency,
        period,
        period_start,
        exporter_fob_usd / exporter_net_weight_kg as exporter_unit_value_fob_usd_per_kg,
        importer_fob_usd / importer_net_weight_kg as importer_unit_value_fob_usd_per_kg,
        ln(exporter_fob_usd / exporter_net_weight_kg)
        - ln(importer_fob_usd / importer_net_weight_kg) as unit_value_log_ratio,
        cast(null as double) as world_median_unit_value_fob_usd_per_kg,
        cast(null as double) as world_deviation_log,
        'valuation_anomalous' as reading
    from {{ ref('stg_reconciled__mirror_flows') }}
    where
        frequency = 'A'
        and exporter_fob_usd > 0 and exporter_net_weight_kg > 0
        and importer_fob_usd > 0 and importer_net_weight_kg > 0
        and (exporter_is_weight_estimated or importer_is_weight_estimated)

),

values_of_flows as (

    select * from reported
    union all
    select estimated.*
    from estimated
    cross join {{ ref('int_passage_rules') }} as switches
    where not switches.is_reported_weights_on

),

legs as (

    select distinct
        embargo_code,
        destination_code,
        leg_kind,
        exporter_code,
        importer_code,
        family_code,
        period
    from {{ ref('int_embargo_leg_year') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

spread as (

    select
        period,
        product_code,
        1.4826 * median(abs(world_deviation_log)) as world_spread_log,
        cast(count(*) as bigint) as compared_flow_count
    from values_of_flows
    group by period, product_code

)

select
    legs.embargo_code,
    legs.destination_code,
    legs.leg_kind,
    values_of_flows.mirror_flow_id,
    values_of_flows.exporter_code,
    values_of_flows.importer_code,
    legs.family_code,
    values_of_flows.product_code,
    values_of_flows.frequency,
    values_of_flows.period,
    values_of_flows.period_start,
    values_of_flows.exporter_unit_value_fob_usd_per_kg,
    values_of_flows.importer_unit_value_fob_usd_per_kg,
    values_of_flows.unit_value_log_ratio,
    values_of_flows.world_median_unit_value_fob_usd_per_kg,
    values_of_flows.world_deviation_log,
    spread.world_spread_log,
    values_of_flows.world_deviation_log / nullif(spread.world_spread_log, 0) as world_deviation_score,
    spread.compared_flow_count,
    values_of_flows.reading,
    coalesce(
        abs(values_of_flows.unit_value_log_ratio) >= rules.unit_value_log
        and values_of_flows.reading in ('valuation_anomalous', 'valuation_and_volume_anomalous'),
        false
    ) as is_signal,
    {{ run_columns() }}
from values_of_flows
inner join {{ ref('stg_passages__family_members') }} as members
    on values_of_flows.product_code = members.product_code and members.is_counted
inner join legs
    on
        values_of_flows.exporter_code = legs.exporter_code
        and values_of_flows.importer_code = legs.importer_code
        and values_of_flows.period = legs.period
        and members.family_code = legs.family_code
inner join spread
    on values_of_flows.period = spread.period and values_of_flows.product_code = spread.product_code
cross join rules
