-- Question: a reporter fell silent: by which routes do its reconstructed imports come, and how have the shares moved?
-- How to read: one row per year and route. The values are reconciled, FOB; where the reporter is silent they rest on
--   its partners' declarations alone (partner_only_share_ratio is 1). watched_share_ratio is the route's share in the
--   watched goods, all_share_ratio its share in everything: a route that gains in the one and not in the other
--   deserves a look.
-- Caveats: what no partner declares is not here. Trade inside the Eurasian Economic Union rests on statistical forms
--   and is under-covered. A partner with two roles counts once, the first of: coalition, transit_candidate,
--   destination.
-- Columns:
--   period: year
--   route: role of the exporter (coalition, transit_candidate, destination, other)
--   watched_fob_usd, watched_share_ratio: watched goods by this route, in USD and as a share of the year
--   all_fob_usd, all_share_ratio: all goods by this route
--   partner_only_share_ratio: share of the value that only the partner declared
--   exporter_count: places on this route
--   largest_exporter_name: the one that sends most watched goods
with parameters as (
    select
        '643' as importer_code,
        date '2019-01-01' as first_day
),

exporters as (
    select
        places.place_code,
        places.place_name,
        coalesce(min(case held.place_role
            when 'coalition' then 1 when 'transit_candidate' then 2 when 'destination' then 3
        end), 4) as role_rank
    from marts.dim_place as places
    left join marts.dim_place_role as held on places.place_code = held.place_code
    group by places.place_code, places.place_name
),

flows as (
    select
        mirror.period,
        mirror.exporter_code,
        exporters.place_name as exporter_name,
        case exporters.role_rank
            when 1 then 'coalition' when 2 then 'transit_candidate' when 3 then 'destination' else 'other'
        end as route,
        mirror.reconciled_fob_usd as all_fob_usd,
        case when products.is_watched then mirror.reconciled_fob_usd else 0 end as watched_fob_usd,
        case when mirror.importer_value_usd is null then mirror.reconciled_fob_usd else 0 end as partner_only_fob_usd
    from marts.fct_mirror_flow as mirror
    inner join parameters on mirror.importer_code = parameters.importer_code
    inner join marts.dim_product as products on mirror.product_code = products.product_code
    inner join exporters on mirror.exporter_code = exporters.place_code
    where mirror.frequency = 'A' and mirror.period_start >= parameters.first_day
),

by_exporter as (
    select
        period,
        route,
        exporter_code,
        exporter_name,
        sum(all_fob_usd) as all_fob_usd,
        sum(watched_fob_usd) as watched_fob_usd,
        sum(partner_only_fob_usd) as partner_only_fob_usd,
        row_number() over (
            partition by period, route
            order by sum(watched_fob_usd) desc nulls last, exporter_code asc nulls last
        ) as exporter_rank
    from flows
    group by period, route, exporter_code, exporter_name
),

by_route as (
    select
        period,
        route,
        sum(watched_fob_usd) as watched_fob_usd,
        sum(all_fob_usd) as all_fob_usd,
        sum(partner_only_fob_usd) as partner_only_fob_usd,
        count(*) as exporter_count,
        max(case when exporter_rank = 1 then exporter_name end) as largest_exporter_name
    from by_exporter
    group by period, route
)

select
    period,
    route,
    watched_fob_usd,
    watched_fob_usd / nullif(sum(watched_fob_usd) over (partition by period), 0) as watched_share_ratio,
    all_fob_usd,
    all_fob_usd / nullif(sum(all_fob_usd) over (partition by period), 0) as all_share_ratio,
    partner_only_fob_usd / nullif(all_fob_usd, 0) as partner_only_share_ratio,
    exporter_count,
    largest_exporter_name
from by_route
order by period asc nulls last, route asc nulls last
