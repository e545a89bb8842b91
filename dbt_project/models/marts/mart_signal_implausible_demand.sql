-- Imports of a family per head and per dollar of product, beside the median of the places that import it, now and in
-- the baseline years: a small country that always traded the goods is no anomaly.
with flows as (

    select
        importer_code as place_code,
        family_code,
        period,
        period_start,
        {{ exact_sum('reconciled_mean_fob_usd') }} as import_fob_usd
    from {{ ref('stg_passages__family_flows') }}
    where frequency = 'A' and family_kind = 'watched'
    group by importer_code, family_code, period, period_start

),

economies as (

    select
        place_code,
        cast(population_count as bigint) as population_count,
        cast(gdp_constant_2015_usd as double) as gdp_constant_2015_usd
    from {{ ref('place_economies') }}

),

shares as (

    select
        flows.place_code,
        flows.family_code,
        flows.period,
        flows.period_start,
        flows.import_fob_usd,
        flows.import_fob_usd / economies.population_count as import_per_head_fob_usd,
        flows.import_fob_usd / economies.gdp_constant_2015_usd as import_per_gdp_ratio
    from flows
    inner join economies on flows.place_code = economies.place_code

),

peers as (

    select
        family_code,
        period,
        median(import_per_head_fob_usd) as peer_import_per_head_fob_usd,
        median(import_per_gdp_ratio) as peer_import_per_gdp_ratio,
        cast(count(*) as bigint) as peer_place_count
    from shares
    where import_fob_usd > 0
    group by family_code, period

),

compared as (

    select
        shares.*,
        peers.peer_import_per_head_fob_usd,
        peers.peer_import_per_gdp_ratio,
        peers.peer_place_count,
        shares.import_per_gdp_ratio / nullif(peers.peer_import_per_gdp_ratio, 0) as demand_ratio
    from shares
    inner join peers on shares.family_code = peers.family_code and shares.period = peers.period

),

families as (

    select distinct
        families.embargo_code,
        families.destination_code,
        families.family_code,
        families.reference_date,
        embargoes.baseline_first_year,
        embargoes.baseline_last_year
    from {{ ref('int_embargo_family') }} as families
    inner join {{ ref('embargoes') }} as embargoes on families.embargo_code = embargoes.embargo_code

),

baseline as (

    select
        families.embargo_code,
        compared.place_code,
        compared.family_code,
        max(compared.demand_ratio) as baseline_demand_ratio
    from compared
    inner join families on compared.family_code = families.family_code
    where compared.period between families.baseline_first_year and families.baseline_last_year
    group by families.embargo_code, compared.place_code, compared.family_code

),

rules as (

    select * from {{ ref('int_passage_rules') }}

)

select
    families.embargo_code,
    families.destination_code,
    compared.place_code,
    compared.family_code,
    cast('A' as string) as frequency,
    compared.period,
    compared.period_start,
    compared.import_fob_usd,
    compared.import_per_head_fob_usd,
    compared.import_per_gdp_ratio,
    compared.peer_import_per_head_fob_usd,
    compared.peer_import_per_gdp_ratio,
    compared.peer_place_count,
    compared.demand_ratio,
    baseline.baseline_demand_ratio,
    coalesce(
        compared.demand_ratio >= rules.demand_ratio
        and compared.import_fob_usd >= rules.smallest_rise_usd
        and compared.demand_ratio >= rules.least_rise_ratio * baseline.baseline_demand_ratio,
        false
    ) as is_signal,
    {{ run_columns() }}
from compared
inner join families
    on
        compared.family_code = families.family_code
        and {{ year_of('compared.period_start') }} >= {{ year_of('families.reference_date') }}
inner join {{ ref('int_passage_place') }} as places
    on compared.place_code = places.place_code and places.is_transit
left join baseline
    on
        families.embargo_code = baseline.embargo_code
        and compared.place_code = baseline.place_code
        and compared.family_code = baseline.family_code
cross join rules
