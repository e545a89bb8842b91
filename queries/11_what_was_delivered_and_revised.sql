-- Question: what was delivered, what replaced what, and what changed between two deliveries of the same data?
-- How to read: one row per delivered file. The key counts add up, over all reporters and periods, what this file
--   changed against the delivery it replaced: keys only it has, keys it dropped, keys whose value differs. NULL: it
--   replaced none.
-- Caveats: superseded rows are kept and counted apart, never added. Values are as filed.
-- Columns:
--   source_file, delivery_id, source_format: the file, the first twelve digits of its SHA-256, how it was read
--   first_period_start, last_period_start, reporter_count: what it covers
--   declaration_count, value_usd: rows and their value as filed
--   superseded_count, quarantined_count, quarantined_share_ratio: rows replaced by a newer file, rows not understood
--   replaced_delivery_count: deliveries it replaced, in part or whole
--   keys_added_count, keys_removed_count, keys_revised_count, keys_unchanged_count: what it changed
--   revision_value_usd: newer less older value of the compared keys, as filed
with parameters as (
    select 200 as row_count
),

revisions as (
    select
        newer_delivery_id,
        count(distinct older_delivery_id) as replaced_delivery_count,
        cast(sum(keys_added_count) as bigint) as keys_added_count,
        cast(sum(keys_removed_count) as bigint) as keys_removed_count,
        cast(sum(keys_revised_count) as bigint) as keys_revised_count,
        cast(sum(keys_unchanged_count) as bigint) as keys_unchanged_count,
        sum(newer_value_usd) - sum(older_value_usd) as revision_value_usd
    from marts.mart_revision
    group by newer_delivery_id
),

ranked as (
    select
        files.source_file,
        files.delivery_id,
        files.source_format,
        files.first_period_start,
        files.last_period_start,
        files.reporter_count,
        files.declaration_count,
        files.value_usd,
        files.superseded_count,
        files.quarantined_count,
        files.quarantined_count / nullif(files.declaration_count, 0) as quarantined_share_ratio,
        revisions.replaced_delivery_count,
        revisions.keys_added_count,
        revisions.keys_removed_count,
        revisions.keys_revised_count,
        revisions.keys_unchanged_count,
        revisions.revision_value_usd,
        row_number() over (
            order by
                case when revisions.newer_delivery_id is null then 1 else 0 end asc nulls last,
                files.source_file asc nulls last,
                files.delivery_id asc nulls last
        ) as place_in_list
    from marts.dim_source_file as files
    left join revisions on files.delivery_id = revisions.newer_delivery_id
)

select
    ranked.source_file,
    ranked.delivery_id,
    ranked.source_format,
    ranked.first_period_start,
    ranked.last_period_start,
    ranked.reporter_count,
    ranked.declaration_count,
    ranked.value_usd,
    ranked.superseded_count,
    ranked.quarantined_count,
    ranked.quarantined_share_ratio,
    ranked.replaced_delivery_count,
    ranked.keys_added_count,
    ranked.keys_removed_count,
    ranked.keys_revised_count,
    ranked.keys_unchanged_count,
    ranked.revision_value_usd
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
