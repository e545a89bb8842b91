-- Question: when one transit country fell, which other took over the same goods of the same exporter?
-- How to read: for each exporter and watched product, the monthly mean of the months before the switch day and after
--   it. One row pairs a transit country that fell with one that rose; displaced_fob_usd is the smaller of fall and
--   rise, per month. onward_change_fob_usd says what happened on the second leg, from the riser to the destination.
-- Caveats: anomalous, never guilty: markets shift for many reasons. Two movements of the same size can meet by
--   chance; the onward leg that rises with it makes the passage likelier. Set the switch day to the day in question.
-- Columns:
--   exporter_name: origin of the goods
--   product_code, product_name: the good
--   fallen_name, risen_name: the transit country that fell and the one that rose
--   fall_fob_usd, rise_fob_usd: change of the monthly mean, both as positive figures
--   displaced_fob_usd: the smaller of both, USD a month
--   fallen_before_fob_usd, risen_before_fob_usd: monthly means before
--   onward_change_fob_usd: change of the riser's monthly exports of the good to the destination
with parameters as (
    select
        '643' as destination_code,
        date '2022-07-01' as before_from,
        date '2023-06-30' as before_to,
        date '2023-07-01' as after_from,
        date '2024-06-30' as after_to,
        0.5 as least_fall_ratio, -- share of its earlier value that the fallen route lost
        20 as row_count
),

months as (
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
    where periods.frequency = 'M'
),

transit as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'transit_candidate'
),

coalition as (
    select distinct place_code
    from marts.dim_place_role
    where place_role = 'coalition'
),

sums as (
    select
        flows.exporter_code,
        flows.importer_code,
        flows.product_code,
        sum(case when flows.period_start <= parameters.before_to then flows.reconciled_fob_usd else 0 end)
            as before_sum,
        sum(case when flows.period_start >= parameters.after_from then flows.reconciled_fob_usd else 0 end) as after_sum
    from marts.fct_mirror_flow as flows
    cross join parameters
    inner join marts.dim_product as products on flows.product_code = products.product_code
    where
        flows.frequency = 'M'
        and products.is_watched
        and (
            flows.period_start between parameters.before_from and parameters.before_to
            or flows.period_start between parameters.after_from and parameters.after_to
        )
    group by flows.exporter_code, flows.importer_code, flows.product_code
),

means as (
    select
        sums.exporter_code,
        sums.importer_code,
        sums.product_code,
        sums.before_sum / months.before_count as before_fob_usd,
        sums.after_sum / months.after_count as after_fob_usd
    from sums
    cross join months
),

inbound as (
    select
        means.exporter_code,
        means.importer_code,
        means.product_code,
        means.before_fob_usd,
        means.after_fob_usd,
        means.after_fob_usd - means.before_fob_usd as change_fob_usd
    from means
    inner join transit on means.importer_code = transit.place_code
    inner join coalition on means.exporter_code = coalition.place_code
),

onward as (
    select
        means.exporter_code,
        means.product_code,
        means.after_fob_usd - means.before_fob_usd as change_fob_usd
    from means
    inner join parameters on means.importer_code = parameters.destination_code
),

ranked as (
    select
        exporters.place_name as exporter_name,
        fallen.product_code,
        products.product_name,
        fallen_places.place_name as fallen_name,
        risen_places.place_name as risen_name,
        -fallen.change_fob_usd as fall_fob_usd,
        risen.change_fob_usd as rise_fob_usd,
        least(-fallen.change_fob_usd, risen.change_fob_usd) as displaced_fob_usd,
        fallen.before_fob_usd as fallen_before_fob_usd,
        risen.before_fob_usd as risen_before_fob_usd,
        onward.change_fob_usd as onward_change_fob_usd,
        row_number() over (
            order by
                least(-fallen.change_fob_usd, risen.change_fob_usd) desc nulls last,
                fallen.exporter_code asc nulls last,
                fallen.product_code asc nulls last,
                fallen.importer_code asc nulls last,
                risen.importer_code asc nulls last
        ) as place_in_list
    from inbound as fallen
    cross join parameters
    inner join inbound as risen
        on fallen.exporter_code = risen.exporter_code and fallen.product_code = risen.product_code
    left join onward on risen.importer_code = onward.exporter_code and risen.product_code = onward.product_code
    inner join marts.dim_place as exporters on fallen.exporter_code = exporters.place_code
    inner join marts.dim_place as fallen_places on fallen.importer_code = fallen_places.place_code
    inner join marts.dim_place as risen_places on risen.importer_code = risen_places.place_code
    inner join marts.dim_product as products on fallen.product_code = products.product_code
    where
        fallen.change_fob_usd < 0
        and risen.change_fob_usd > 0
        and -fallen.change_fob_usd >= parameters.least_fall_ratio * fallen.before_fob_usd
)

select
    ranked.exporter_name,
    ranked.product_code,
    ranked.product_name,
    ranked.fallen_name,
    ranked.risen_name,
    ranked.fall_fob_usd,
    ranked.rise_fob_usd,
    ranked.displaced_fob_usd,
    ranked.fallen_before_fob_usd,
    ranked.risen_before_fob_usd,
    ranked.onward_change_fob_usd
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
