-- Question: what did a revision move: how much value, how many flows and leads stand on it, and which leads changed?
-- How to read: the first row is all revised data sets of the release together; then one row per data set (reporter and
--   period) in two deliveries, those that moved leads first, then by value moved. The first counts come from this
--   release alone; the last three compare it with the release before and are NULL for a data set revised earlier.
-- Caveats: a lead may move without a revision, because parameters are fitted anew in every run; such leads are not
--   counted here (changes.lead_change has all). In a first release nothing can be compared. Anomalous, never guilty.
-- Columns:
--   reporter_name, frequency, period: the data set; NULL in the row of all
--   older_delivery_id, newer_delivery_id: what was replaced by what
--   keys_added_count, keys_removed_count, keys_revised_count: keys that came, went, or have another value
--   value_moved_usd, net_change_usd: what the keys moved by, without sign and with it, as filed
--   moved_share_ratio: value moved over the value that stood there before
--   flows_touched_count, leads_resting_count, leads_above_d_resting_count: what holds rows of the newer delivery; in
--     the row of all, a flow or lead counts for each data set it rests on
--   leads_new_count, leads_gone_count, leads_regraded_count: leads that rest on it and moved since the release before;
--     in the row of all, each lead counts once
with parameters as (
    select 100 as row_count
),

ranked as (
    select
        places.place_name as reporter_name,
        revisions.frequency,
        revisions.period,
        revisions.older_delivery_id,
        revisions.newer_delivery_id,
        revisions.keys_added_count,
        revisions.keys_removed_count,
        revisions.keys_revised_count,
        revisions.value_moved_usd,
        revisions.net_change_usd,
        revisions.moved_share_ratio,
        revisions.flows_touched_count,
        revisions.leads_resting_count,
        revisions.leads_above_d_resting_count,
        effects.leads_new_count,
        effects.leads_gone_count,
        effects.leads_regraded_count,
        row_number() over (
            order by
                effects.leads_new_count + effects.leads_gone_count + effects.leads_regraded_count desc nulls last,
                revisions.value_moved_usd desc nulls last,
                revisions.reporter_code asc nulls last,
                revisions.frequency asc nulls last,
                revisions.period asc nulls last,
                revisions.newer_delivery_id asc nulls last,
                revisions.older_delivery_id asc nulls last
        ) as place_in_list
    from marts.mart_revision as revisions
    inner join marts.dim_place as places on revisions.reporter_code = places.place_code
    left join changes.revision_effect as effects
        on
            revisions.frequency = effects.frequency
            and revisions.period = effects.period
            and revisions.reporter_code = effects.reporter_code
            and revisions.older_delivery_id = effects.older_delivery_id
            and revisions.newer_delivery_id = effects.newer_delivery_id
),

moved_leads as (
    select
        count_if(change_kind = 'new') as leads_new_count,
        count_if(change_kind = 'gone') as leads_gone_count,
        count_if(change_kind = 'regraded') as leads_regraded_count
    from changes.lead_change
    where is_evidence_revised
),

totals as (
    select
        cast(coalesce(sum(keys_added_count), 0) as bigint) as keys_added_count,
        cast(coalesce(sum(keys_removed_count), 0) as bigint) as keys_removed_count,
        cast(coalesce(sum(keys_revised_count), 0) as bigint) as keys_revised_count,
        coalesce(sum(value_moved_usd), 0.0) as value_moved_usd,
        coalesce(sum(net_change_usd), 0.0) as net_change_usd,
        sum(value_moved_usd) / nullif(sum(older_value_usd), 0) as moved_share_ratio,
        cast(coalesce(sum(flows_touched_count), 0) as bigint) as flows_touched_count,
        cast(coalesce(sum(leads_resting_count), 0) as bigint) as leads_resting_count,
        cast(coalesce(sum(leads_above_d_resting_count), 0) as bigint) as leads_above_d_resting_count
    from marts.mart_revision
),

listed as (
    select
        cast(null as string) as reporter_name,
        cast(null as string) as frequency,
        cast(null as string) as period,
        cast(null as string) as older_delivery_id,
        cast(null as string) as newer_delivery_id,
        totals.keys_added_count,
        totals.keys_removed_count,
        totals.keys_revised_count,
        totals.value_moved_usd,
        totals.net_change_usd,
        totals.moved_share_ratio,
        totals.flows_touched_count,
        totals.leads_resting_count,
        totals.leads_above_d_resting_count,
        moved_leads.leads_new_count,
        moved_leads.leads_gone_count,
        moved_leads.leads_regraded_count,
        0 as place_in_list
    from totals
    cross join moved_leads
    union all
    select
        ranked.reporter_name,
        ranked.frequency,
        ranked.period,
        ranked.older_delivery_id,
        ranked.newer_delivery_id,
        ranked.keys_added_count,
        ranked.keys_removed_count,
        ranked.keys_revised_count,
        ranked.value_moved_usd,
        ranked.net_change_usd,
        ranked.moved_share_ratio,
        ranked.flows_touched_count,
        ranked.leads_resting_count,
        ranked.leads_above_d_resting_count,
        ranked.leads_new_count,
        ranked.leads_gone_count,
        ranked.leads_regraded_count,
        ranked.place_in_list
    from ranked
)

select
    listed.reporter_name,
    listed.frequency,
    listed.period,
    listed.older_delivery_id,
    listed.newer_delivery_id,
    listed.keys_added_count,
    listed.keys_removed_count,
    listed.keys_revised_count,
    listed.value_moved_usd,
    listed.net_change_usd,
    listed.moved_share_ratio,
    listed.flows_touched_count,
    listed.leads_resting_count,
    listed.leads_above_d_resting_count,
    listed.leads_new_count,
    listed.leads_gone_count,
    listed.leads_regraded_count
from listed
cross join parameters
where listed.place_in_list <= parameters.row_count
order by listed.place_in_list asc nulls last
