-- Question: is my export of one HS6 code to one country abnormal, against the exporters of the same good to it?
-- How to read: one row per exporter of the product to the importer, mine marked by is_mine. growth_log_ratio is the
--   logarithm of the yearly value after over before; peer_median_log_ratio the median growth of the others, and
--   growth_distance how far a row lies from that median in robust standard deviations of the peers (1.4826 times
--   their median absolute distance; NULL with fewer than three peers). gap_share_ratio compares both sides' books
--   after.
-- Caveats: beyond about 3 is unusual, not wrong: a new contract or a moved plant does the same. An exporter without
--   trade before has no growth. Few peers make a weak yardstick: read peer_count first. With the three codes left NULL
--   the question is asked of the most anomalous flow that has enough peers: an example, no ranking.
-- Columns:
--   exporter_name, is_mine: the exporter, and whether it is the one asked about
--   importer_name, product_code, product_name: what was asked
--   before_fob_usd, after_fob_usd: reconciled value a year before and after
--   growth_log_ratio, peer_count, peer_median_log_ratio, growth_distance: growth against peers
--   gap_share_ratio: exporter minus importer over their sum, FOB, years after; NULL where one side filed nothing
--   anomalous_flow_count: flows after with a false-discovery rate of at most 0.05
with parameters as (
    select
        cast(null as string) as exporter_code, -- such as '276'
        cast(null as string) as importer_code, -- such as '398'
        cast(null as string) as product_code, -- such as '854231'
        date '2019-01-01' as before_from,
        date '2021-12-31' as before_to,
        date '2022-01-01' as after_from,
        date '2024-12-31' as after_to,
        0.05 as largest_q_value,
        3 as least_peer_count
),

traded as (
    select
        mirror.exporter_code,
        mirror.importer_code,
        mirror.product_code,
        count(*) over (partition by mirror.importer_code, mirror.product_code) as exporter_count
    from marts.fct_mirror_flow as mirror
    cross join parameters
    where
        mirror.frequency = 'A'
        and mirror.reconciled_fob_usd > 0
        and mirror.period_start between parameters.before_from and parameters.after_to
    group by mirror.exporter_code, mirror.importer_code, mirror.product_code
    having
        min(mirror.period_start) <= min(parameters.before_to) and max(mirror.period_start) >= min(parameters.after_from)
),

examples as (
    select
        traded.exporter_code,
        traded.importer_code,
        traded.product_code,
        row_number() over (
            order by
                flows.q_value asc nulls last,
                abs(flows.gap_fob_usd) desc nulls last,
                flows.mirror_flow_id asc nulls last
        ) as example_rank
    from traded
    cross join parameters
    inner join marts.mart_discrepancy as flows
        on
            traded.exporter_code = flows.exporter_code
            and traded.importer_code = flows.importer_code
            and traded.product_code = flows.product_code
            and flows.frequency = 'A'
            and flows.period_start between parameters.after_from and parameters.after_to
    where traded.exporter_count > parameters.least_peer_count
),

asked as (
    select
        coalesce(parameters.exporter_code, examples.exporter_code) as exporter_code,
        coalesce(parameters.importer_code, examples.importer_code) as importer_code,
        coalesce(parameters.product_code, examples.product_code) as product_code
    from parameters
    left join examples on examples.example_rank = 1
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
    cross join parameters
    inner join asked on mirror.importer_code = asked.importer_code and mirror.product_code = asked.product_code
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
        by_exporter.exporter_code = asked.exporter_code as is_mine
    from by_exporter
    cross join years
    cross join asked
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
