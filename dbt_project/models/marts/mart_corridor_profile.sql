-- A corridor of a watched family through time, with what each side filed. For a destination that files nothing the
-- share of each supplier rests on the suppliers alone.
with flows as (

    select * from {{ ref('stg_passages__family_flows') }}
    where family_kind <> 'placebo'

),

places as (

    select * from {{ ref('int_passage_place') }}

),

supplied as (

    select
        frequency,
        period,
        importer_code,
        family_code,
        {{ exact_sum('reconciled_mean_fob_usd') }} as importer_total_fob_usd
    from flows
    group by frequency, period, importer_code, family_code

),

spoke as (

    select distinct
        reporter_code,
        frequency,
        period
    from {{ ref('stg_comtrade__coverage') }}
    where flow_code = 'M' and is_complete and declaration_count > 0

)

select
    flows.frequency,
    flows.period,
    flows.period_start,
    flows.exporter_code,
    flows.importer_code,
    flows.family_code,
    flows.exporter_fob_usd,
    flows.importer_fob_usd,
    flows.gap_fob_usd,
    flows.reconciled_mean_fob_usd,
    flows.reconciled_mean_fob_usd / nullif(supplied.importer_total_fob_usd, 0) as supplier_share_ratio,
    spoke.reporter_code is null as is_importer_silent,
    coalesce(exporters.is_coalition, false) as is_exporter_coalition,
    coalesce(exporters.is_transit, false) as is_exporter_transit,
    coalesce(importers.is_transit, false) as is_importer_transit,
    coalesce(importers.is_destination, false) as is_importer_destination,
    {{ run_columns() }}
from flows
inner join supplied
    on
        flows.frequency = supplied.frequency
        and flows.period = supplied.period
        and flows.importer_code = supplied.importer_code
        and flows.family_code = supplied.family_code
left join spoke
    on
        flows.importer_code = spoke.reporter_code
        and flows.frequency = spoke.frequency
        and flows.period = spoke.period
left join places as exporters on flows.exporter_code = exporters.place_code
left join places as importers on flows.importer_code = importers.place_code
