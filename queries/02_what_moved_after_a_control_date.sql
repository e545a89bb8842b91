-- Question: what moved after a control date, and did it move for controlled goods more than for others?
-- How to read: one row per leg of the passage. Values are reconciled, FOB, per year: mean of the years before and of
--   the years after. A change of the watched goods means something only beside other_change_ratio, that of all other
--   goods on the same leg: prices, demand and growth move both. difference_log_ratio is the one change over the other
--   (0: alike).
-- Caveats: a change is not a finding. The year of the control itself is in neither window. Reconciled values of a
--   silent reporter rest on its partners alone. A place with two roles counts in each.
-- Columns:
--   leg: direct (coalition to destination), inbound (coalition to transit), outbound (transit to destination)
--   transit_name: the transit candidate; NULL on the direct leg
--   watched_before_fob_usd, watched_after_fob_usd: watched goods per year
--   watched_change_fob_usd, watched_change_ratio: their change, in USD a year and over the value before
--   other_before_fob_usd, other_after_fob_usd, other_change_ratio: the same of all other goods
--   difference_log_ratio: ln of the watched change over the other change
with parameters as (
    select
        '643' as destination_code,
        date '2019-01-01' as before_from,
        date '2021-12-31' as before_to,
        date '2023-01-01' as after_from,
        date '2024-12-31' as after_to,
        40 as row_count
),

years as (
    select
        count(distinct case
            when periods.period_start between parameters.before_from and parameters.before_to
                then periods.period
        end) as before_year_count,
        count(distinct case
            when periods.period_start between parameters.after_from and parameters.after_to
                then periods.period
        end) as after_year_count
    from marts.dim_period as periods
    cross join parameters
    where periods.frequency = 'A'
),

coalition as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'coalition'
),

transit as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'transit_candidate'
),

flows as (
    select
        mirror.exporter_code,
        mirror.importer_code,
        mirror.reconciled_fob_usd,
        products.is_watched,
        mirror.period_start between parameters.before_from and parameters.before_to as is_before,
        mirror.period_start between parameters.after_from and parameters.after_to as is_after,
        parameters.destination_code
    from marts.fct_mirror_flow as mirror
    cross join parameters
    inner join marts.dim_product as products on mirror.product_code = products.product_code
    where mirror.frequency = 'A'
),

legs as (
    select
        'direct' as leg,
        cast(null as string) as transit_code,
        flows.is_watched,
        flows.is_before,
        flows.is_after,
        flows.reconciled_fob_usd
    from flows
    inner join coalition on flows.exporter_code = coalition.place_code
    where flows.importer_code = flows.destination_code
    union all
    select
        'inbound' as leg,
        flows.importer_code as transit_code,
        flows.is_watched,
        flows.is_before,
        flows.is_after,
        flows.reconciled_fob_usd
    from flows
    inner join coalition on flows.exporter_code = coalition.place_code
    inner join transit on flows.importer_code = transit.place_code
    union all
    select
        'outbound' as leg,
        flows.exporter_code as transit_code,
        flows.is_watched,
        flows.is_before,
        flows.is_after,
        flows.reconciled_fob_usd
    from flows
    inner join transit on flows.exporter_code = transit.place_code
    where flows.importer_code = flows.destination_code
),

sums as (
    select
        leg,
        transit_code,
        coalesce(sum(case when is_watched and is_before then reconciled_fob_usd end), 0) as watched_before,
        coalesce(sum(case when is_watched and is_after then reconciled_fob_usd end), 0) as watched_after,
        coalesce(sum(case when not is_watched and is_before then reconciled_fob_usd end), 0) as other_before,
        coalesce(sum(case when not is_watched and is_after then reconciled_fob_usd end), 0) as other_after
    from legs
    group by leg, transit_code
),

means as (
    select
        sums.leg,
        sums.transit_code,
        sums.watched_before / nullif(years.before_year_count, 0) as watched_before_fob_usd,
        sums.watched_after / nullif(years.after_year_count, 0) as watched_after_fob_usd,
        sums.other_before / nullif(years.before_year_count, 0) as other_before_fob_usd,
        sums.other_after / nullif(years.after_year_count, 0) as other_after_fob_usd
    from sums
    cross join years
),

ranked as (
    select
        means.leg,
        places.place_name as transit_name,
        means.watched_before_fob_usd,
        means.watched_after_fob_usd,
        means.watched_after_fob_usd - means.watched_before_fob_usd as watched_change_fob_usd,
        means.watched_after_fob_usd / nullif(means.watched_before_fob_usd, 0) - 1 as watched_change_ratio,
        means.other_before_fob_usd,
        means.other_after_fob_usd,
        means.other_after_fob_usd / nullif(means.other_before_fob_usd, 0) - 1 as other_change_ratio,
        case
            when
                means.watched_before_fob_usd > 0
                and means.watched_after_fob_usd > 0
                and means.other_before_fob_usd > 0
                and means.other_after_fob_usd > 0
                then
                    ln(means.watched_after_fob_usd / means.watched_before_fob_usd)
                    - ln(means.other_after_fob_usd / means.other_before_fob_usd)
        end as difference_log_ratio,
        row_number() over (
            order by
                means.watched_after_fob_usd - means.watched_before_fob_usd desc nulls last,
                means.leg asc nulls last,
                means.transit_code asc nulls last
        ) as place_in_list
    from means
    left join marts.dim_place as places on means.transit_code = places.place_code
)

select
    ranked.leg,
    ranked.transit_name,
    ranked.watched_before_fob_usd,
    ranked.watched_after_fob_usd,
    ranked.watched_change_fob_usd,
    ranked.watched_change_ratio,
    ranked.other_before_fob_usd,
    ranked.other_after_fob_usd,
    ranked.other_change_ratio,
    ranked.difference_log_ratio
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count or ranked.leg = 'direct'
order by case when ranked.leg = 'direct' then 0 else 1 end asc nulls last, ranked.place_in_list asc nulls last
