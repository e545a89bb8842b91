-- Both vintages are filed values; what they are (FOB, CIF) is that of the reporter's whole set in the period.
-- Flows and leads are those that stand on the newer delivery in this release. What a revision moved in them depends on
-- the release before, so it is told beside the release (schema changes), not here: equal input, equal content.
with revisions as (

    select * from {{ ref('stg_comtrade__revisions') }}

),

places as (

    select
        place_code,
        iso3
    from {{ ref('places') }}

),

valuation as (

    select
        frequency,
        period,
        reporter_code,
        case
            when min(valuation_filed) = max(valuation_filed) then min(valuation_filed)
            else 'mixed'
        end as valuation_filed
    from {{ ref('int_filed_valuation') }}
    group by frequency, period, reporter_code

),

delivered as (

    select distinct
        frequency,
        period,
        reporter_code,
        newer_delivery_id
    from revisions

),

filed as (

    select
        delivered.frequency,
        delivered.period,
        delivered.reporter_code,
        delivered.newer_delivery_id,
        declarations.declaration_id
    from {{ ref('fct_declaration') }} as declarations
    inner join delivered
        on
            declarations.delivery_id = delivered.newer_delivery_id
            and declarations.frequency = delivered.frequency
            and declarations.period = delivered.period
            and declarations.reporter_code = delivered.reporter_code

),

flows as (

    select
        filed.frequency,
        filed.period,
        filed.reporter_code,
        filed.newer_delivery_id,
        count(distinct sources.mirror_flow_id) as flows_touched_count
    from filed
    inner join {{ ref('stg_reconciled__sources') }} as sources on filed.declaration_id = sources.declaration_id
    group by filed.frequency, filed.period, filed.reporter_code, filed.newer_delivery_id

),

leads as (

    select
        filed.frequency,
        filed.period,
        filed.reporter_code,
        filed.newer_delivery_id,
        count(distinct evidence.lead_id) as leads_resting_count,
        count(distinct case when graded.grade <> 'D' then evidence.lead_id end) as leads_above_d_resting_count
    from filed
    inner join {{ ref('mart_lead_evidence') }} as evidence on filed.declaration_id = evidence.declaration_id
    inner join {{ ref('mart_passage_lead') }} as graded on evidence.lead_id = graded.lead_id
    group by filed.frequency, filed.period, filed.reporter_code, filed.newer_delivery_id

)

select
    revisions.frequency,
    revisions.period,
    revisions.period_start,
    revisions.reporter_code,
    places.iso3 as reporter_iso3,
    revisions.older_delivery_id,
    revisions.newer_delivery_id,
    revisions.keys_added_count,
    revisions.keys_removed_count,
    revisions.keys_revised_count,
    revisions.keys_unchanged_count,
    revisions.editions_changed_count,
    valuation.valuation_filed,
    revisions.older_value_usd,
    revisions.newer_value_usd,
    revisions.value_added_usd,
    revisions.value_removed_usd,
    revisions.value_moved_usd,
    revisions.net_change_usd,
    revisions.value_moved_usd / nullif(revisions.older_value_usd, 0) as moved_share_ratio,
    cast(coalesce(flows.flows_touched_count, 0) as bigint) as flows_touched_count,
    cast(coalesce(leads.leads_resting_count, 0) as bigint) as leads_resting_count,
    cast(coalesce(leads.leads_above_d_resting_count, 0) as bigint) as leads_above_d_resting_count,
    {{ run_columns() }}
from revisions
left join places on revisions.reporter_code = places.place_code
left join valuation
    on
        revisions.frequency = valuation.frequency
        and revisions.period = valuation.period
        and revisions.reporter_code = valuation.reporter_code
left join flows
    on
        revisions.frequency = flows.frequency
        and revisions.period = flows.period
        and revisions.reporter_code = flows.reporter_code
        and revisions.newer_delivery_id = flows.newer_delivery_id
left join leads
    on
        revisions.frequency = leads.frequency
        and revisions.period = leads.period
        and revisions.reporter_code = leads.reporter_code
        and revisions.newer_delivery_id = leads.newer_delivery_id
