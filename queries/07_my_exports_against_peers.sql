-- Question: is my export of one HS6 code to one country abnormal, against the exporters of the same good to it?
-- How to read: one row per exporter of the product to the importer, mine marked by is_mine. growth_log_ratio is the
--   logarithm of the yearly value after over before; peer_median_log_ratio the median growth of the others, and
--   growth_distance how far a row lies from that median in robust standard deviations of the peers (1.4826 times
--   their median absolute distance; NULL with fewer than three peers). gap_share_ratio compares both sides' books
--   after.
-- Caveats: beyond about 3 is unusual, not wrong: a new contract or a moved plant does the same. An exporter without
--   trade before has no growth. Few peers make a weak yardstick: read peer_count first.
-- Columns:
--   exporter_name, is_mine: the exporter, and whether it is the one asked about
--   importer_name, product_code, product_name: what was asked
--   before_fob_usd, after_fob_usd: reconciled value a year before and after
--   growth_log_ratio, peer_count, peer_median_log_ratio, growth_distance: growth against peers
--   gap_share_ratio: exporter minus importer over their sum, FOB, years after; NULL where one side filed nothing
--   anomalous_flow_count: flows after with a false-discovery rate of at most 0.05
with parameters as (
    select
        '842' as exporter_code,
        '156' as importer_code,
        '842449' as product_code,
        date '2019-01-01' as before_from,
        date '2021-12-31' as before_to,
        date '2022-01-01' as after_from,
        date '2024-12-31' as after_to,
        0.05 as largest_q_value
),

flows as (
    select
        mirror.exporter_code,
        mirror.importer_code,
        mirror.product_code,
        mirror.period,
        mirror.reconciled_fob_usd,
        mirror.exporter_fob_usd,
        mirror.importer_fob_usd,
        mirror.q_value,
        mirror.period_start <= parameters.before_to as is_before,
        mirror.period_start >= parameters.after_from as is_after
    from marts.fct_mirror_flow as mirror
    inner join parameters
        on mirror.importer_code = parameters.importer_code and mirror.product_code = parameters.product_code
    where
        mirror.frequency = 'A'
        and mirror.period_start between parameters.before_from and parameters.after_to
),

years as (
    select
        nullif(count(distinct case
            when periods.period_start between parameters.before_from and parameters.before_to
                then periods.period
        end), 0) as before_count,
        nullif(count(distinct case
            when periods.period_start between parameters.after_from and parameters.after_to
                then periods.period
        end), 0) as after_count
    from marts.dim_period as periods
    cross join parameters
    where periods.frequency = 'A'
),

by_exporter as (
    select
        flows.exporter_code,
        flows.importer_code,
        flows.product_code,
        coalesce(sum(case when flows.is_before then flows.reconciled_fob_usd end), 0) as before_sum,
        coalesce(sum(case when flows.is_after then flows.reconciled_fob_usd end), 0) as after_sum,
        sum(case when flows.is_after then flows.exporter_fob_usd end) as exporter_sum,
        sum(case when flows.is_after then flows.importer_fob_usd end) as importer_sum,
        cast(count_if(flows.is_after and flows.q_value <= parameters.largest_q_value) as bigint)
            as anomalous_flow_count
    from flows
    cross join parameters
    group by flows.exporter_code, flows.importer_code, flows.product_code
),

growth as (
    select
        by_exporter.exporter_code,
        by_exporter.importer_code,
        by_exporter.product_code,
        by_exporter.before_sum / years.before_count as before_fob_usd,
        by_exporter.after_sum / years.after_count as after_fob_usd,
        case
            when by_exporter.before_sum > 0 and by_exporter.after_sum > 0
                then ln((by_exporter.after_sum / years.after_count) / (by_exporter.before_sum / years.before_count))
        end as growth_log_ratio,
        (by_exporter.exporter_sum - by_exporter.importer_sum)
        / nullif(by_exporter.exporter_sum + by_exporter.importer_sum, 0) as gap_share_ratio,
        by_exporter.anomalous_flow_count,
        by_exporter.exporter_code = parameters.exporter_code as is_mine
    from by_exporter
    cross join years
    cross join parameters
),

peers as (
    select
        growth.exporter_code,
        median(rivals.growth_log_ratio) as peer_median_log_ratio,
        count(rivals.growth_log_ratio) as peer_count
    from growth
    left join growth as rivals on growth.exporter_code <> rivals.exporter_code
    group by growth.exporter_code
),

spreads as (
    select
        peers.exporter_code,
        median(abs(rivals.growth_log_ratio - peers.peer_median_log_ratio)) as peer_distance_log
    from peers
    left join growth as rivals on peers.exporter_code <> rivals.exporter_code
    group by peers.exporter_code
)

select
    exporters.place_name as exporter_name,
    growth.is_mine,
    importers.place_name as importer_name,
    growth.product_code,
    products.product_name,
    growth.before_fob_usd,
    growth.after_fob_usd,
    growth.growth_log_ratio,
    peers.peer_count,
    peers.peer_median_log_ratio,
    case
        when peers.peer_count >= 3
            then
                (growth.growth_log_ratio - peers.peer_median_log_ratio)
                / nullif(1.4826 * spreads.peer_distance_log, 0)
    end as growth_distance,
    growth.gap_share_ratio,
    growth.anomalous_flow_count
from growth
inner join peers on growth.exporter_code = peers.exporter_code
inner join spreads on growth.exporter_code = spreads.exporter_code
inner join marts.dim_place as exporters on growth.exporter_code = exporters.place_code
inner join marts.dim_place as importers on growth.importer_code = importers.place_code
inner join marts.dim_product as products on growth.product_code = products.product_code
order by growth.is_mine desc nulls last, growth.after_fob_usd desc nulls last, growth.exporter_code asc nulls last
