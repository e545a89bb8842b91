-- A gap of values, in logarithms, is a gap of weights plus one of unit values: the reading says which of the two is
-- there. Each must differ beyond the reporters' errors by its own z score, and the values must at least not agree. The
-- unit value has a z of its own and not one made of the other two, since errors of value and weight go together. A slip
-- of units is read as such first: a reporter that always files tonnes has so wide a spread that nothing differs.
with flows as (

    select
        mirror_flow_id,
        frequency,
        period,
        period_start,
        exporter_code,
        exporter_iso3,
        importer_code,
        importer_iso3,
        product_code,
        product_level,
        chapter_code,
        exporter_fob_usd,
        importer_fob_usd,
        exporter_net_weight_kg,
        importer_net_weight_kg,
        case
            when exporter_fob_usd > 0 and exporter_net_weight_kg > 0 and not exporter_is_weight_estimated
                then exporter_fob_usd / exporter_net_weight_kg
        end as exporter_unit_value,
        case
            when importer_fob_usd > 0 and importer_net_weight_kg > 0 and not importer_is_weight_estimated
                then importer_fob_usd / importer_net_weight_kg
        end as importer_unit_value,
        gap_log_ratio,
        reconciled_fob_usd,
        reconciled_net_weight_kg,
        reconciled_unit_value_fob_usd_per_kg,
        reconciled_unit_value_fob_usd_per_kg_p05,
        reconciled_unit_value_fob_usd_per_kg_p25,
        reconciled_unit_value_fob_usd_per_kg_p75,
        reconciled_unit_value_fob_usd_per_kg_p95,
        unit_value_sd_log,
        z_score,
        net_weight_z_score,
        unit_value_z_score,
        is_weight_unit_suspect,
        is_edition_mismatch,
        is_rolled_up,
        is_intra_eaeu,
        is_confidential
    from {{ ref('stg_reconciled__mirror_flows') }}

),

reports as (

    select
        frequency,
        period,
        product_code,
        exporter_unit_value as unit_value
    from flows
    where exporter_unit_value is not null
    union all
    select
        frequency,
        period,
        product_code,
        importer_unit_value as unit_value
    from flows
    where importer_unit_value is not null

),

world as (

    select
        frequency,
        period,
        product_code,
        median(unit_value) as median_unit_value,
        count(*) as unit_value_count
    from reports
    group by frequency, period, product_code

),

thresholds as (

    select
        max(case when threshold_code = 'agreeing' then cast(threshold_z_score as double) end) as agreeing,
        max(case when threshold_code = 'anomalous' then cast(threshold_z_score as double) end) as anomalous
    from {{ ref('unit_value_thresholds') }}

),

compared as (

    select
        flows.mirror_flow_id,
        ln(flows.exporter_net_weight_kg) - ln(flows.importer_net_weight_kg) as net_weight_log_ratio,
        abs(flows.z_score) < thresholds.agreeing as values_agree,
        abs(flows.net_weight_z_score) < thresholds.agreeing as weights_agree,
        abs(flows.net_weight_z_score) >= thresholds.anomalous as weights_differ,
        abs(flows.unit_value_z_score) < thresholds.agreeing as unit_values_agree,
        abs(flows.unit_value_z_score) >= thresholds.anomalous as unit_values_differ
    from flows
    cross join thresholds
    where flows.exporter_unit_value is not null and flows.importer_unit_value is not null

),

watched as (

    select product_code from {{ ref('int_watched_products') }}

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
    flows.gap_log_ratio,
    flows.exporter_net_weight_kg,
    flows.importer_net_weight_kg,
    compared.net_weight_log_ratio,
    flows.exporter_unit_value as exporter_unit_value_fob_usd_per_kg,
    flows.importer_unit_value as importer_unit_value_fob_usd_per_kg,
    ln(flows.exporter_unit_value) - ln(flows.importer_unit_value) as unit_value_log_ratio,
    flows.z_score,
    flows.net_weight_z_score,
    flows.unit_value_z_score,
    case
        when flows.is_weight_unit_suspect
            then 'weight_anomalous'
        when compared.values_agree and compared.weights_agree and compared.unit_values_agree
            then 'agreement'
        when not compared.values_agree and compared.weights_agree and compared.unit_values_differ
            then 'valuation_anomalous'
        when not compared.values_agree and compared.weights_differ and compared.unit_values_agree
            then 'volume_anomalous'
        when not compared.values_agree and compared.weights_differ and compared.unit_values_differ
            then 'valuation_and_volume_anomalous'
        when compared.values_agree and compared.weights_differ and not compared.unit_values_agree
            then 'weight_anomalous'
        else 'unclear'
    end as reading,
    flows.is_weight_unit_suspect,
    flows.reconciled_fob_usd,
    flows.reconciled_net_weight_kg,
    flows.reconciled_unit_value_fob_usd_per_kg,
    flows.reconciled_unit_value_fob_usd_per_kg_p05,
    flows.reconciled_unit_value_fob_usd_per_kg_p25,
    flows.reconciled_unit_value_fob_usd_per_kg_p75,
    flows.reconciled_unit_value_fob_usd_per_kg_p95,
    flows.unit_value_sd_log,
    world.median_unit_value as world_median_unit_value_fob_usd_per_kg,
    world.unit_value_count as world_unit_value_count,
    ln(flows.reconciled_unit_value_fob_usd_per_kg) - ln(world.median_unit_value) as world_deviation_log,
    watched.product_code is not null as is_watched_product,
    flows.is_edition_mismatch,
    flows.is_rolled_up,
    flows.is_intra_eaeu,
    flows.is_confidential,
    {{ run_columns() }}
from flows
inner join compared on flows.mirror_flow_id = compared.mirror_flow_id
inner join world
    on
        flows.frequency = world.frequency
        and flows.period = world.period
        and flows.product_code = world.product_code
left join watched on flows.product_code = watched.product_code
