-- From a lead down to the filed rows: every annual flow of its three legs, in the family and under the decoy's name,
-- and the declarations behind it. A flow of which a side filed nothing has no declaration on that side.
with leads as (

    select
        lead_id,
        embargo_code,
        destination_code,
        origin_code,
        transit_code,
        family_code,
        outbound_family_code
    from {{ ref('mart_passage_lead') }}

),

legs as (

    select
        lead_id,
        'inbound' as leg_kind,
        origin_code as exporter_code,
        transit_code as importer_code,
        family_code
    from leads
    where origin_code is not null
    union
    select
        lead_id,
        'inbound' as leg_kind,
        origin_code as exporter_code,
        transit_code as importer_code,
        outbound_family_code as family_code
    from leads
    where origin_code is not null and outbound_family_code is not null
    union
    select
        lead_id,
        'outbound' as leg_kind,
        transit_code as exporter_code,
        destination_code as importer_code,
        coalesce(outbound_family_code, family_code) as family_code
    from leads
    union
    select
        lead_id,
        'direct' as leg_kind,
        origin_code as exporter_code,
        destination_code as importer_code,
        family_code
    from leads
    where origin_code is not null

),

members as (

    select
        family_code,
        product_code
    from {{ ref('stg_passages__family_members') }}
    where is_counted

),

flows as (

    select
        mirror_flow_id,
        frequency,
        period,
        period_start,
        exporter_code,
        importer_code,
        product_code,
        status,
        exporter_fob_usd,
        importer_fob_usd,
        reconciled_fob_usd
    from {{ ref('stg_reconciled__mirror_flows') }}
    where frequency = 'A'

),

sources as (

    select
        mirror_flow_id,
        declaration_id,
        side
    from {{ ref('stg_reconciled__sources') }}

)

select distinct
    legs.lead_id,
    legs.leg_kind,
    legs.family_code,
    flows.mirror_flow_id,
    sources.side as declared_side,
    sources.declaration_id,
    flows.frequency,
    flows.period,
    flows.period_start,
    flows.exporter_code,
    flows.importer_code,
    flows.product_code,
    flows.status,
    flows.exporter_fob_usd,
    flows.importer_fob_usd,
    flows.reconciled_fob_usd,
    {{ run_columns() }}
from legs
inner join members on legs.family_code = members.family_code
inner join flows
    on
        legs.exporter_code = flows.exporter_code
        and legs.importer_code = flows.importer_code
        and members.product_code = flows.product_code
inner join sources on flows.mirror_flow_id = sources.mirror_flow_id
