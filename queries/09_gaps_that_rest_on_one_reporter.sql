-- Question: which large gaps into a destination or a transit candidate rest on one reporter alone?
-- How to read: one row per importer and product family with anomalous gaps. largest_share_ratio is the share of the
--   gap that comes from the one exporter with the largest; rests_on_one_reporter is true where that is nearly all of
--   it. The exporter's own reliability stands beside it: a wide error_sigma_log or a large bias_log is the first
--   explanation to try.
-- Caveats: a gap that several exporters show independently is stronger evidence than a larger one from a single book;
--   one that rests on one reporter may be that reporter's mistake. Anomalous, never guilty.
-- Columns:
--   importer_name, family_code: where the goods should have arrived, and which (the code itself where it has no
--     family)
--   flow_count, exporter_count: anomalous flows and their exporters
--   gap_fob_usd: sum of the absolute gaps
--   largest_exporter_name, largest_share_ratio: the exporter with the largest part
--   rests_on_one_reporter: whether that part is at least the parameter's share
--   bias_log, error_sigma_log, pair_count, is_shrunk: that exporter's reliability as exporter, latest window
with parameters as (
    select
        'A' as frequency,
        date '2022-01-01' as first_day,
        0.05 as largest_q_value,
        0.9 as one_reporter_ratio,
        30 as row_count
),

importers as (
    select distinct place_code
    from marts.dim_place_role
    where place_role in ('destination', 'transit_candidate')
),

decoy_families as (
    select distinct family_code
    from marts.dim_product_family
    where family_relation = 'decoy'
),

families as (
    select
        members.product_code,
        min(members.family_code) as family_code
    from marts.dim_product_family as members
    left join decoy_families on members.family_code = decoy_families.family_code
    where decoy_families.family_code is null
    group by members.product_code
),

gaps as (
    select
        flows.importer_code,
        coalesce(families.family_code, flows.product_code) as family_code,
        flows.exporter_code,
        abs(flows.gap_fob_usd) as gap_fob_usd
    from marts.mart_discrepancy as flows
    cross join parameters
    inner join importers on flows.importer_code = importers.place_code
    left join families on flows.product_code = families.product_code
    where
        flows.is_watched_product
        and flows.frequency = parameters.frequency
        and flows.period_start >= parameters.first_day
        and flows.q_value <= parameters.largest_q_value
),

by_exporter as (
    select
        importer_code,
        family_code,
        exporter_code,
        count(*) as flow_count,
        sum(gap_fob_usd) as gap_fob_usd,
        row_number() over (
            partition by importer_code, family_code
            order by sum(gap_fob_usd) desc nulls last, exporter_code asc nulls last
        ) as exporter_rank
    from gaps
    group by importer_code, family_code, exporter_code
),

by_family as (
    select
        importer_code,
        family_code,
        cast(sum(flow_count) as bigint) as flow_count,
        count(*) as exporter_count,
        sum(gap_fob_usd) as gap_fob_usd,
        max(case when exporter_rank = 1 then exporter_code end) as exporter_code,
        max(case when exporter_rank = 1 then gap_fob_usd end) as largest_gap_fob_usd
    from by_exporter
    group by importer_code, family_code
),

latest as (
    select
        frequency,
        reporter_code,
        max(window_end_year) as window_end_year
    from marts.mart_reporter_reliability
    where measure = 'value' and role = 'exporter'
    group by frequency, reporter_code
),

reliability as (
    select
        windows.reporter_code,
        windows.bias_log,
        windows.sigma_log,
        windows.pair_count,
        windows.is_shrunk
    from marts.mart_reporter_reliability as windows
    inner join parameters on windows.frequency = parameters.frequency
    inner join latest
        on
            windows.frequency = latest.frequency
            and windows.reporter_code = latest.reporter_code
            and windows.window_end_year = latest.window_end_year
    where windows.measure = 'value' and windows.role = 'exporter'
),

ranked as (
    select
        receivers.place_name as importer_name,
        by_family.family_code,
        by_family.flow_count,
        by_family.exporter_count,
        by_family.gap_fob_usd,
        exporters.place_name as largest_exporter_name,
        by_family.largest_gap_fob_usd / nullif(by_family.gap_fob_usd, 0) as largest_share_ratio,
        by_family.largest_gap_fob_usd
        >= parameters.one_reporter_ratio * by_family.gap_fob_usd as rests_on_one_reporter,
        reliability.bias_log,
        reliability.sigma_log as error_sigma_log,
        reliability.pair_count,
        reliability.is_shrunk,
        row_number() over (
            order by
                by_family.gap_fob_usd desc nulls last,
                by_family.importer_code asc nulls last,
                by_family.family_code asc nulls last
        ) as place_in_list
    from by_family
    cross join parameters
    inner join marts.dim_place as receivers on by_family.importer_code = receivers.place_code
    inner join marts.dim_place as exporters on by_family.exporter_code = exporters.place_code
    left join reliability on by_family.exporter_code = reliability.reporter_code
)

select
    ranked.importer_name,
    ranked.family_code,
    ranked.flow_count,
    ranked.exporter_count,
    ranked.gap_fob_usd,
    ranked.largest_exporter_name,
    ranked.largest_share_ratio,
    ranked.rests_on_one_reporter,
    ranked.bias_log,
    ranked.error_sigma_log,
    ranked.pair_count,
    ranked.is_shrunk
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
