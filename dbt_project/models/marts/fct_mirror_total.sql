-- A control total is a filed row of its own: what its value is (FOB or CIF) is read from that row.
with totals as (

    select * from {{ ref('stg_reconciled__mirror_totals') }}

),

valued as (

    select
        controls.frequency,
        controls.period,
        controls.flow_code,
        controls.reporter_code,
        controls.partner_code,
        controls.product_code,
        declarations.valuation_filed
    from {{ ref('stg_comtrade__control_totals') }} as controls
    inner join {{ ref('stg_comtrade__declarations') }} as declarations
        on controls.declaration_id = declarations.declaration_id

)

select
    totals.frequency,
    totals.period,
    totals.period_start,
    totals.exporter_code,
    totals.exporter_iso3,
    totals.importer_code,
    totals.importer_iso3,
    totals.product_code,
    totals.product_level,
    totals.status,
    totals.exporter_value_usd,
    exports.valuation_filed as exporter_valuation,
    totals.importer_value_usd,
    imports.valuation_filed as importer_valuation,
    totals.exporter_fob_usd,
    totals.importer_fob_usd,
    totals.gap_fob_usd,
    totals.gap_log_ratio,
    totals.exporter_coverage_ratio,
    totals.importer_coverage_ratio,
    totals.flows_mean_fob_usd,
    totals.raking_target_fob_usd,
    totals.raking_residual_fob_usd,
    totals.raking_ratio,
    totals.raking_status,
    {{ run_columns() }}
from totals
left join valued as exports
    on
        totals.frequency = exports.frequency
        and totals.period = exports.period
        and totals.exporter_code = exports.reporter_code
        and totals.importer_code = exports.partner_code
        and totals.product_code = exports.product_code
        and exports.flow_code = 'X'
left join valued as imports
    on
        totals.frequency = imports.frequency
        and totals.period = imports.period
        and totals.importer_code = imports.reporter_code
        and totals.exporter_code = imports.partner_code
        and totals.product_code = imports.product_code
        and imports.flow_code = 'M'
