-- Question: which exports to a transit candidate never arrive in its books, beyond what that pair always lost?
-- How to read: lost is what the exporter declared and the importer did not, FOB, per year and product, never
--   negative. The pair's own mean before the control date is its baseline; excess_fob_usd is the loss a year above
--   it. Level alone is no signal: some pairs have always been far apart.
-- Caveats: only years for which the importer filed a complete set count (missing is never zero). Importers record the
--   origin, exporters the last known destination: the gap may lie in another importer's books. Timing, hubs and
--   editions explain many. An excess is anomalous, not a finding about anyone.
-- Columns:
--   exporter_name, importer_name: the pair
--   baseline_year_count, after_year_count: complete years in each window
--   baseline_lost_fob_usd: mean loss a year before
--   after_lost_fob_usd: mean loss a year after
--   excess_fob_usd: after less baseline
--   exported_fob_usd: what the exporter declared a year after, of the same goods
--   baseline_lost_share_ratio, lost_share_ratio: loss over exports before and after
--   silent_share_ratio: share of the loss in cells the importer did not declare at all
--   product_code, product_name, product_share_ratio: the good with the largest loss after, and its share of the loss
--   is_reexport_hub: whether either end is a hub
with parameters as (
    select
        date '2017-01-01' as baseline_from,
        date '2021-12-31' as baseline_to,
        date '2022-01-01' as after_from,
        date '2024-12-31' as after_to,
        0.2 as least_share_rise_ratio, -- a pair that trades more also loses more: the share must have risen
        30 as row_count
),

importers as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'transit_candidate'
),

hubs as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'reexport_hub'
),

complete_years as (
    select
        coverage.reporter_code,
        coverage.period,
        case
            when coverage.period_start between parameters.baseline_from and parameters.baseline_to then 'baseline'
            when coverage.period_start between parameters.after_from and parameters.after_to then 'after'
        end as span
    from marts.fct_reporter_coverage as coverage
    cross join parameters
    inner join importers on coverage.reporter_code = importers.place_code
    where
        coverage.frequency = 'A'
        and coverage.flow_code = 'M'
        and coverage.is_complete
        and coverage.is_reporting
        and coverage.period_start between parameters.baseline_from and parameters.after_to
),

year_counts as (
    select
        reporter_code,
        cast(count_if(span = 'baseline') as bigint) as baseline_year_count,
        cast(count_if(span = 'after') as bigint) as after_year_count
    from complete_years
    group by reporter_code
),

losses as (
    select
        flows.exporter_code,
        flows.importer_code,
        flows.product_code,
        complete_years.span,
        flows.exporter_fob_usd,
        greatest(flows.exporter_fob_usd - coalesce(flows.importer_fob_usd, 0), 0) as lost_fob_usd,
        case when flows.importer_fob_usd is null then flows.exporter_fob_usd else 0 end as silent_fob_usd
    from marts.fct_mirror_flow as flows
    inner join complete_years
        on flows.importer_code = complete_years.reporter_code and flows.period = complete_years.period
    inner join marts.dim_product as products on flows.product_code = products.product_code
    where
        flows.frequency = 'A'
        and products.is_watched
        and flows.status in ('two_sided', 'exporter_only_partner_silent')
),

by_product as (
    select
        exporter_code,
        importer_code,
        product_code,
        coalesce(sum(case when span = 'baseline' then lost_fob_usd end), 0) as baseline_lost,
        coalesce(sum(case when span = 'baseline' then exporter_fob_usd end), 0) as baseline_exported,
        coalesce(sum(case when span = 'after' then lost_fob_usd end), 0) as after_lost,
        coalesce(sum(case when span = 'after' then silent_fob_usd end), 0) as after_silent,
        coalesce(sum(case when span = 'after' then exporter_fob_usd end), 0) as after_exported
    from losses
    group by exporter_code, importer_code, product_code
),

ranked_products as (
    select
        exporter_code,
        importer_code,
        product_code,
        baseline_lost,
        baseline_exported,
        after_lost,
        after_silent,
        after_exported,
        row_number() over (
            partition by exporter_code, importer_code
            order by after_lost desc nulls last, product_code asc nulls last
        ) as product_rank
    from by_product
),

by_pair as (
    select
        exporter_code,
        importer_code,
        sum(baseline_lost) as baseline_lost,
        sum(baseline_exported) as baseline_exported,
        sum(after_lost) as after_lost,
        sum(after_silent) as after_silent,
        sum(after_exported) as after_exported,
        max(case when product_rank = 1 then product_code end) as product_code,
        max(case when product_rank = 1 then after_lost end) as product_lost
    from ranked_products
    group by exporter_code, importer_code
),

excess as (
    select
        by_pair.exporter_code,
        by_pair.importer_code,
        year_counts.baseline_year_count,
        year_counts.after_year_count,
        by_pair.baseline_lost / year_counts.baseline_year_count as baseline_lost_fob_usd,
        by_pair.after_lost / year_counts.after_year_count as after_lost_fob_usd,
        by_pair.after_exported / year_counts.after_year_count as exported_fob_usd,
        by_pair.baseline_lost / nullif(by_pair.baseline_exported, 0) as baseline_lost_share_ratio,
        by_pair.after_lost / nullif(by_pair.after_exported, 0) as lost_share_ratio,
        by_pair.after_silent / nullif(by_pair.after_lost, 0) as silent_share_ratio,
        by_pair.product_code,
        by_pair.product_lost / nullif(by_pair.after_lost, 0) as product_share_ratio
    from by_pair
    inner join year_counts on by_pair.importer_code = year_counts.reporter_code
    where year_counts.baseline_year_count > 0 and year_counts.after_year_count > 0
),

ranked as (
    select
        exporters.place_name as exporter_name,
        receivers.place_name as importer_name,
        excess.baseline_year_count,
        excess.after_year_count,
        excess.baseline_lost_fob_usd,
        excess.after_lost_fob_usd,
        excess.after_lost_fob_usd - excess.baseline_lost_fob_usd as excess_fob_usd,
        excess.exported_fob_usd,
        excess.baseline_lost_share_ratio,
        excess.lost_share_ratio,
        excess.silent_share_ratio,
        excess.product_code,
        products.product_name,
        excess.product_share_ratio,
        exporter_hubs.place_code is not null or importer_hubs.place_code is not null as is_reexport_hub,
        row_number() over (
            order by
                excess.after_lost_fob_usd - excess.baseline_lost_fob_usd desc nulls last,
                excess.exporter_code asc nulls last,
                excess.importer_code asc nulls last
        ) as place_in_list
    from excess
    cross join parameters
    inner join marts.dim_place as exporters on excess.exporter_code = exporters.place_code
    inner join marts.dim_place as receivers on excess.importer_code = receivers.place_code
    inner join marts.dim_product as products on excess.product_code = products.product_code
    left join hubs as exporter_hubs on excess.exporter_code = exporter_hubs.place_code
    left join hubs as importer_hubs on excess.importer_code = importer_hubs.place_code
    where
        excess.after_lost_fob_usd > excess.baseline_lost_fob_usd
        and excess.lost_share_ratio
        >= coalesce(excess.baseline_lost_share_ratio, 0) + parameters.least_share_rise_ratio
)

select
    ranked.exporter_name,
    ranked.importer_name,
    ranked.baseline_year_count,
    ranked.after_year_count,
    ranked.baseline_lost_fob_usd,
    ranked.after_lost_fob_usd,
    ranked.excess_fob_usd,
    ranked.exported_fob_usd,
    ranked.baseline_lost_share_ratio,
    ranked.lost_share_ratio,
    ranked.silent_share_ratio,
    ranked.product_code,
    ranked.product_name,
    ranked.product_share_ratio,
    ranked.is_reexport_hub
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
