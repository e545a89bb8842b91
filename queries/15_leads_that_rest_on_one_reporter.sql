-- Question: which leads rest on the word of one reporter?
-- How to read: for each leg of a lead the value since the reference date that both sides filed, that the exporter alone
--   filed and that the importer alone filed. one_reporter_share_ratio is the largest share of the leads' value that a
--   single reporter's declarations carry without anybody's confirmation.
-- Caveats: a silent destination makes every leg out rest on the transit country: no fault of the lead, and no
--   confirmation of it. Anomalous, never guilty.
-- Columns:
--   lead_rank, grade, lead_name: the lead
--   reporter_name: the reporter whose word carries most of it alone
--   unconfirmed_fob_usd: what that reporter alone declared, since the first year
--   evidence_fob_usd: all value behind the lead in these years
--   one_reporter_share_ratio: the first over the second
--   rests_on_one_reporter: whether the share reaches the parameter
--   is_destination_silent: whether the destination files nothing
--   lead_id: key of the lead
with parameters as (
    select
        'RUS_2022' as embargo_code,
        date '2022-01-01' as first_day,
        0.9 as one_reporter_ratio,
        30 as row_count
),

flows as (
    select distinct
        evidence.lead_id,
        evidence.mirror_flow_id,
        evidence.exporter_code,
        evidence.importer_code,
        evidence.exporter_fob_usd,
        evidence.importer_fob_usd,
        evidence.reconciled_fob_usd
    from marts.mart_lead_evidence as evidence
    cross join parameters
    where evidence.leg_kind <> 'direct' and evidence.period_start >= parameters.first_day
),

carried as (
    select
        flows.lead_id,
        case when flows.importer_fob_usd is null then flows.exporter_code else flows.importer_code end as reporter_code,
        sum(flows.reconciled_fob_usd) as unconfirmed_fob_usd
    from flows
    where flows.exporter_fob_usd is null or flows.importer_fob_usd is null
    group by
        flows.lead_id,
        case when flows.importer_fob_usd is null then flows.exporter_code else flows.importer_code end
),

largest as (
    select
        carried.lead_id,
        carried.reporter_code,
        carried.unconfirmed_fob_usd,
        row_number() over (
            partition by carried.lead_id
            order by carried.unconfirmed_fob_usd desc nulls last, carried.reporter_code asc nulls last
        ) as reporter_rank
    from carried
),

totals as (
    select
        flows.lead_id,
        sum(flows.reconciled_fob_usd) as evidence_fob_usd
    from flows
    group by flows.lead_id
)

select
    leads.lead_rank,
    leads.grade,
    leads.lead_name,
    reporters.place_name as reporter_name,
    largest.unconfirmed_fob_usd,
    totals.evidence_fob_usd,
    largest.unconfirmed_fob_usd / nullif(totals.evidence_fob_usd, 0) as one_reporter_share_ratio,
    coalesce(
        largest.unconfirmed_fob_usd >= parameters.one_reporter_ratio * totals.evidence_fob_usd, false
    ) as rests_on_one_reporter,
    leads.is_destination_silent,
    leads.lead_id
from marts.mart_passage_lead as leads
cross join parameters
inner join totals on leads.lead_id = totals.lead_id
left join largest on leads.lead_id = largest.lead_id and largest.reporter_rank = 1
left join marts.dim_place as reporters on largest.reporter_code = reporters.place_code
where leads.embargo_code = parameters.embargo_code and leads.lead_rank <= parameters.row_count
order by leads.lead_rank asc nulls last
