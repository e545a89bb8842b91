-- Lost in transit by the totals of a corridor: seen even where products are hidden. Against the pair's own years
-- before.
with totals as (

    select *
    from {{ ref('stg_reconciled__mirror_totals') }}
    where frequency = 'A' and product_code = 'TOTAL' and gap_fob_usd is not null

),

embargoes as (

    select distinct
        embargo_code,
        destination_code,
        cast(reference_date as date) as reference_date,
        cast(baseline_first_year as int) as baseline_first_year,
        cast(check_year as int) as check_year
    from {{ ref('embargoes') }}

),

transits as (

    select place_code
    from {{ ref('int_passage_place') }}
    where is_transit

),

baseline as (

    select
        embargoes.embargo_code,
        totals.exporter_code,
        totals.importer_code,
        {{ exact_sum('greatest(totals.gap_fob_usd, 0) / nullif(totals.exporter_fob_usd, 0)') }}
        / nullif(count_if(totals.exporter_fob_usd <> 0), 0) as baseline_lost_share_ratio,
        cast(count(*) as bigint) as baseline_year_count
    from totals
    inner join embargoes
        on {{ year_of('totals.period_start') }} between embargoes.baseline_first_year and embargoes.check_year
    group by embargoes.embargo_code, totals.exporter_code, totals.importer_code

),

rules as (

    select * from {{ ref('int_passage_rules') }}

)

select
    embargoes.embargo_code,
    embargoes.destination_code,
    totals.exporter_code,
    totals.importer_code,
    totals.frequency,
    totals.period,
    totals.period_start,
    totals.exporter_fob_usd,
    totals.importer_fob_usd,
    totals.gap_fob_usd,
    greatest(totals.gap_fob_usd, 0) / nullif(totals.exporter_fob_usd, 0) as lost_share_ratio,
    baseline.baseline_lost_share_ratio,
    baseline.baseline_year_count,
    totals.exporter_fob_usd
    * greatest(
        greatest(totals.gap_fob_usd, 0) / nullif(totals.exporter_fob_usd, 0) - baseline.baseline_lost_share_ratio, 0
    ) as excess_change_fob_usd,
    coalesce(
        greatest(totals.gap_fob_usd, 0) / nullif(totals.exporter_fob_usd, 0) - baseline.baseline_lost_share_ratio
        >= rules.totals_lost_least_ratio,
        false
    ) as is_signal,
    {{ run_columns() }}
from totals
inner join transits on totals.importer_code = transits.place_code
inner join embargoes on {{ year_of('totals.period_start') }} >= {{ year_of('embargoes.reference_date') }}
left join baseline
    on
        embargoes.embargo_code = baseline.embargo_code
        and totals.exporter_code = baseline.exporter_code
        and totals.importer_code = baseline.importer_code
cross join rules
