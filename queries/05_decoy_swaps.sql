-- Question: where do controlled goods leave that never arrive, while their decoys arrive that never left, as when
--   drones are declared as sprayers on the way in?
-- How to read: inside one family of decoys and one pair and period, the exporter declares more of a controlled good
--   than the importer (a positive gap) and the importer more of a decoy than the exporter (a negative one).
--   swap_fob_usd is the smaller of the two: the value that may have changed its name on the way.
-- Caveats: anomalous, never guilty. A cell that a side did not declare counts as nothing only where that side filed a
--   complete set. Two unrelated gaps can meet by chance: look for the same pair in many periods (period_count) and
--   for a decoy trade that the exporter hardly has (decoy_exporter_fob_usd).
-- Columns:
--   exporter_name, importer_name: the pair
--   family_code: the decoy family
--   controlled_product_code, decoy_product_code: the two goods with the largest gaps of the pair in these periods
--   first_period, last_period, period_count: months (or years) with a swap
--   swap_fob_usd: value that may have changed its name, summed over the periods
--   swap_share_ratio: that over what the exporter declared of the controlled goods in the same periods
--   controlled_exporter_fob_usd, controlled_importer_fob_usd: both sides of the controlled goods
--   decoy_exporter_fob_usd, decoy_importer_fob_usd: both sides of the decoys
with parameters as (
    select
        'M' as frequency,
        'drone_decoys' as family_code,
        date '2022-01-01' as first_day,
        0.5 as least_swap_share_ratio, -- of the controlled goods the exporter declared in those periods
        1 as least_period_count,
        20 as row_count
),

importers as (
    select distinct place_code
    from marts.dim_place_role
    where place_role in ('transit_candidate', 'destination')
),

members as (
    select
        families.product_code,
        families.family_code,
        case when families.family_relation = 'decoy' then 'decoy' else 'controlled' end as side
    from marts.dim_product_family as families
    inner join parameters on families.family_code = parameters.family_code
    where families.family_relation in ('controlled', 'decoy')
),

cells as (
    select
        flows.exporter_code,
        flows.importer_code,
        flows.period,
        members.family_code,
        members.side,
        flows.product_code,
        coalesce(flows.exporter_fob_usd, 0) as exporter_fob_usd,
        coalesce(flows.importer_fob_usd, 0) as importer_fob_usd
    from marts.fct_mirror_flow as flows
    cross join parameters
    inner join importers on flows.importer_code = importers.place_code
    inner join members on flows.product_code = members.product_code
    where
        flows.frequency = parameters.frequency
        and flows.period_start >= parameters.first_day
        and flows.status in ('two_sided', 'exporter_only_partner_silent', 'importer_only_partner_silent')
),

largest as (
    select
        exporter_code,
        importer_code,
        side,
        product_code,
        row_number() over (
            partition by exporter_code, importer_code, side
            order by
                case
                    when side = 'controlled' then sum(exporter_fob_usd - importer_fob_usd)
                    else sum(importer_fob_usd - exporter_fob_usd)
                end desc nulls last,
                product_code asc nulls last
        ) as gap_rank
    from cells
    group by exporter_code, importer_code, side, product_code
),

by_period as (
    select
        exporter_code,
        importer_code,
        family_code,
        period,
        sum(case when side = 'controlled' then exporter_fob_usd else 0 end) as controlled_exporter,
        sum(case when side = 'controlled' then importer_fob_usd else 0 end) as controlled_importer,
        sum(case when side = 'decoy' then exporter_fob_usd else 0 end) as decoy_exporter,
        sum(case when side = 'decoy' then importer_fob_usd else 0 end) as decoy_importer
    from cells
    group by exporter_code, importer_code, family_code, period
),

swaps as (
    select
        exporter_code,
        importer_code,
        family_code,
        period,
        controlled_exporter,
        controlled_importer,
        decoy_exporter,
        decoy_importer,
        least(controlled_exporter - controlled_importer, decoy_importer - decoy_exporter) as swap_fob_usd
    from by_period
    where controlled_exporter > controlled_importer and decoy_importer > decoy_exporter
),

by_pair as (
    select
        exporter_code,
        importer_code,
        family_code,
        min(period) as first_period,
        max(period) as last_period,
        count(*) as period_count,
        sum(swap_fob_usd) as swap_fob_usd,
        sum(controlled_exporter) as controlled_exporter_fob_usd,
        sum(controlled_importer) as controlled_importer_fob_usd,
        sum(decoy_exporter) as decoy_exporter_fob_usd,
        sum(decoy_importer) as decoy_importer_fob_usd
    from swaps
    group by exporter_code, importer_code, family_code
),

ranked as (
    select
        exporters.place_name as exporter_name,
        receivers.place_name as importer_name,
        by_pair.family_code,
        controlled.product_code as controlled_product_code,
        decoys.product_code as decoy_product_code,
        by_pair.first_period,
        by_pair.last_period,
        by_pair.period_count,
        by_pair.swap_fob_usd,
        by_pair.swap_fob_usd / by_pair.controlled_exporter_fob_usd as swap_share_ratio,
        by_pair.controlled_exporter_fob_usd,
        by_pair.controlled_importer_fob_usd,
        by_pair.decoy_exporter_fob_usd,
        by_pair.decoy_importer_fob_usd,
        row_number() over (
            order by
                by_pair.swap_fob_usd desc nulls last,
                by_pair.exporter_code asc nulls last,
                by_pair.importer_code asc nulls last
        ) as place_in_list
    from by_pair
    cross join parameters
    inner join largest as controlled
        on
            by_pair.exporter_code = controlled.exporter_code
            and by_pair.importer_code = controlled.importer_code
            and controlled.side = 'controlled'
            and controlled.gap_rank = 1
    inner join largest as decoys
        on
            by_pair.exporter_code = decoys.exporter_code
            and by_pair.importer_code = decoys.importer_code
            and decoys.side = 'decoy'
            and decoys.gap_rank = 1
    inner join marts.dim_place as exporters on by_pair.exporter_code = exporters.place_code
    inner join marts.dim_place as receivers on by_pair.importer_code = receivers.place_code
    where
        by_pair.period_count >= parameters.least_period_count
        and by_pair.swap_fob_usd >= parameters.least_swap_share_ratio * by_pair.controlled_exporter_fob_usd
)

select
    ranked.exporter_name,
    ranked.importer_name,
    ranked.family_code,
    ranked.controlled_product_code,
    ranked.decoy_product_code,
    ranked.first_period,
    ranked.last_period,
    ranked.period_count,
    ranked.swap_fob_usd,
    ranked.swap_share_ratio,
    ranked.controlled_exporter_fob_usd,
    ranked.controlled_importer_fob_usd,
    ranked.decoy_exporter_fob_usd,
    ranked.decoy_importer_fob_usd
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
