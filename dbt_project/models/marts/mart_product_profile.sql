-- My goods to this country, beside my peers': each exporter's growth in a family and importer against the median growth
-- of the other exporters to the same importer.
with years as (

    select * from {{ ref('stg_passages__family_changes') }}
    where family_kind = 'watched' and growth_log is not null

),

peers as (

    select
        embargo_code,
        importer_code,
        family_code,
        period,
        median(growth_log) as peer_growth_log,
        cast(count(*) as bigint) as peer_exporter_count
    from years
    group by embargo_code, importer_code, family_code, period

)

select
    years.embargo_code,
    years.exporter_code,
    years.importer_code,
    years.family_code,
    years.period,
    years.period_start,
    years.value_fob_usd,
    years.baseline_fob_usd,
    years.growth_log,
    peers.peer_growth_log,
    years.growth_log - peers.peer_growth_log as growth_above_peers_log,
    peers.peer_exporter_count,
    years.effect_z_score,
    years.effect_q_value,
    {{ run_columns() }}
from years
inner join peers
    on
        years.embargo_code = peers.embargo_code
        and years.importer_code = peers.importer_code
        and years.family_code = peers.family_code
        and years.period = peers.period
