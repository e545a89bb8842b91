-- A monthly row can stand in two pairs: that of its month, and that of the year it was rolled up into.
-- A row split over several pairs by a conversion of HS editions leads to the pair that holds most of it.
with declarations as (

    select * from {{ ref('stg_comtrade__declarations') }}

),

ranked as (

    select
        declaration_id,
        mirror_flow_id,
        is_rolled_up,
        row_number() over (
            partition by declaration_id, is_rolled_up
            order by share_ratio desc nulls last, mirror_flow_id asc nulls last
        ) as part_number
    from {{ ref('stg_reconciled__sources') }}

),

own_period as (

    select
        declaration_id,
        mirror_flow_id
    from ranked
    where not is_rolled_up and part_number = 1

),

rolled_up as (

    select
        declaration_id,
        mirror_flow_id as annual_mirror_flow_id
    from ranked
    where is_rolled_up and part_number = 1

)

select
    declarations.declaration_id,
    declarations.delivery_id,
    declarations.source_file,
    declarations.source_line,
    declarations.source_format,
    declarations.frequency,
    declarations.period,
    declarations.period_start,
    declarations.reporter_code,
    declarations.reporter_iso3,
    declarations.flow_code,
    declarations.partner_code,
    declarations.partner_iso3,
    declarations.partner2_code,
    declarations.product_code,
    declarations.product_level,
    declarations.chapter_code,
    declarations.hs_revision,
    declarations.customs_code,
    declarations.mot_code,
    declarations.mos_code,
    declarations.value_usd,
    declarations.cif_value_usd,
    declarations.fob_value_usd,
    declarations.valuation_filed,
    declarations.quantity,
    declarations.quantity_unit_code,
    declarations.is_quantity_estimated,
    declarations.net_weight_kg,
    declarations.is_net_weight_estimated,
    declarations.gross_weight_kg,
    declarations.is_reported,
    declarations.is_aggregate,
    declarations.is_confidential,
    declarations.account,
    declarations.account_reason,
    declarations.quarantine_field,
    declarations.quarantine_value,
    own_period.mirror_flow_id,
    rolled_up.annual_mirror_flow_id,
    {{ run_columns() }}
from declarations
left join own_period on declarations.declaration_id = own_period.declaration_id
left join rolled_up on declarations.declaration_id = rolled_up.declaration_id
