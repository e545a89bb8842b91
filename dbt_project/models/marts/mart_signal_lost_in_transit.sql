-- What the exporter says it sent and the transit country never saw, beyond what the same pair always lacked. Importers
-- record the origin, exporters the last known destination: goods sent on by a third country are missing here and in
-- excess there. So the coalition is also taken as one block, and all exporters together: a gap that these do not show
-- is one of origin. Goods hidden in confidential codes or filed under no partner may be the missing ones.
with years as (

    select *
    from {{ ref('int_embargo_leg_year') }}
    where leg_kind = 'inbound'

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

together as (

    select
        embargo_code,
        importer_code,
        family_code,
        period,
        {{ exact_sum('gap_fob_usd - coalesce(baseline_gap_fob_usd, 0)', 'is_exporter_coalition') }}
            as coalition_gap_change_fob_usd,
        {{ exact_sum('gap_fob_usd - coalesce(baseline_gap_fob_usd, 0)') }} as everybody_gap_change_fob_usd
    from years
    where gap_fob_usd is not null
    group by embargo_code, importer_code, family_code, period

),

hidden as (

    select
        exporter_code,
        importer_code,
        period,
        {{ exact_sum('importer_fob_usd') }} as hidden_fob_usd
    from {{ ref('stg_reconciled__mirror_flows') }}
    where frequency = 'A' and is_confidential and importer_fob_usd is not null
    group by exporter_code, importer_code, period

),

-- What the importer hid of the same exporter's goods in the years before.
hidden_before as (

    select
        hidden.exporter_code,
        hidden.importer_code,
        years.embargo_code,
        years.family_code,
        years.period,
        max(case when hidden.period = years.period then hidden.hidden_fob_usd end) as hidden_fob_usd,
        {{ exact_sum('hidden.hidden_fob_usd', 'hidden.period < years.period') }}
        / nullif(count_if(hidden.period < years.period), 0) as hidden_before_fob_usd
    from years
    inner join hidden
        on years.exporter_code = hidden.exporter_code and years.importer_code = hidden.importer_code
    where hidden.period <= years.period and years.excess_change_fob_usd > 0
    group by hidden.exporter_code, hidden.importer_code, years.embargo_code, years.family_code, years.period

),

unnamed as (

    select
        flows.exporter_code,
        flows.importer_code,
        flows.period,
        members.family_code,
        {{ exact_sum('flows.nes_reallocated_fob_usd') }} as unnamed_fob_usd
    from {{ ref('stg_reconciled__mirror_flows') }} as flows
    inner join {{ ref('stg_passages__family_members') }} as members on flows.product_code = members.product_code
    where flows.frequency = 'A' and flows.importer_fob_usd is null and flows.nes_reallocated_fob_usd > 0
    group by flows.exporter_code, flows.importer_code, flows.period, members.family_code

),

-- Over all years: the year that takes a gap back has no excess of its own.
neighbours as (

    select
        embargo_code,
        exporter_code,
        importer_code,
        family_code,
        period,
        lead(gap_fob_usd) over cell as next_gap_fob_usd,
        lag(gap_fob_usd) over cell as previous_gap_fob_usd
    from years
    window
        cell as (
            partition by embargo_code, exporter_code, importer_code, family_code
            order by period asc nulls last
        )

),

beside as (

    select
        years.embargo_code,
        years.destination_code,
        years.exporter_code,
        years.importer_code,
        years.family_code,
        years.frequency,
        years.period,
        years.period_start,
        years.exporter_fob_usd,
        years.importer_fob_usd,
        years.excess_fob_usd,
        years.baseline_excess_fob_usd,
        years.excess_change_fob_usd,
        years.baseline_gap_year_count,
        years.gap_effect_log,
        years.gap_z_score,
        years.gap_q_value,
        years.gap_tested_cell_count,
        years.is_exporter_coalition,
        coalesce(
            case when years.is_exporter_coalition then together.coalition_gap_change_fob_usd end,
            together.everybody_gap_change_fob_usd
        ) as pooled_gap_change_fob_usd,
        together.everybody_gap_change_fob_usd,
        greatest(coalesce(hidden_before.hidden_fob_usd, 0) - coalesce(hidden_before.hidden_before_fob_usd, 0), 0)
        + coalesce(unnamed.unnamed_fob_usd, 0) as hidden_fob_usd,
        neighbours.next_gap_fob_usd,
        neighbours.previous_gap_fob_usd,
        years.gap_fob_usd,
        years.baseline_gap_fob_usd,
        years.is_exporter_hub or years.is_importer_hub as is_hub,
        rules.smallest_rise_usd,
        rules.lost_least_ratio,
        rules.origin_pool_ratio,
        rules.hidden_least_ratio,
        rules.largest_q_value,
        rules.is_completeness_gate_on,
        rules.is_own_baseline_on,
        rules.is_origin_or_consignment_on,
        rules.is_hubs_on,
        rules.is_confidential_codes_on,
        rules.is_lag_windows_on,
        rules.is_false_discovery_on,
        rules.is_minimum_size_on
    from years
    cross join rules
    left join together
        on
            years.embargo_code = together.embargo_code
            and years.importer_code = together.importer_code
            and years.family_code = together.family_code
            and years.period = together.period
    left join hidden_before
        on
            years.embargo_code = hidden_before.embargo_code
            and years.exporter_code = hidden_before.exporter_code
            and years.importer_code = hidden_before.importer_code
            and years.family_code = hidden_before.family_code
            and years.period = hidden_before.period
    left join unnamed
        on
            years.exporter_code = unnamed.exporter_code
            and years.importer_code = unnamed.importer_code
            and years.family_code = unnamed.family_code
            and years.period = unnamed.period
    left join neighbours
        on
            years.embargo_code = neighbours.embargo_code
            and years.exporter_code = neighbours.exporter_code
            and years.importer_code = neighbours.importer_code
            and years.family_code = neighbours.family_code
            and years.period = neighbours.period
    where years.excess_change_fob_usd > 0

),

explained as (

    select
        beside.*,
        coalesce(beside.pooled_gap_change_fob_usd < beside.origin_pool_ratio * beside.excess_change_fob_usd, false)
            as is_explained_by_origin,
        coalesce(beside.everybody_gap_change_fob_usd < beside.origin_pool_ratio * beside.excess_change_fob_usd, false)
            as is_explained_by_others,
        beside.hidden_fob_usd
        >= beside.hidden_least_ratio * beside.excess_change_fob_usd as is_explained_by_hidden_codes,
        -- A gap that the year before or after takes back by half is goods under way at the turn of the year.
        coalesce(
            beside.gap_fob_usd + beside.next_gap_fob_usd - 2 * coalesce(beside.baseline_gap_fob_usd, 0)
            < beside.excess_change_fob_usd / 2,
            false
        )
        or coalesce(
            beside.gap_fob_usd + beside.previous_gap_fob_usd - 2 * coalesce(beside.baseline_gap_fob_usd, 0)
            < beside.excess_change_fob_usd / 2,
            false
        ) as is_explained_by_timing
    from beside

)

select
    embargo_code,
    destination_code,
    exporter_code,
    importer_code,
    family_code,
    frequency,
    period,
    period_start,
    exporter_fob_usd,
    importer_fob_usd,
    excess_fob_usd,
    baseline_excess_fob_usd,
    excess_change_fob_usd,
    excess_change_fob_usd / nullif(exporter_fob_usd, 0) as lost_share_ratio,
    baseline_gap_year_count,
    gap_effect_log,
    gap_z_score,
    gap_q_value,
    gap_tested_cell_count,
    pooled_gap_change_fob_usd,
    everybody_gap_change_fob_usd,
    hidden_fob_usd,
    is_explained_by_origin,
    is_explained_by_others,
    is_explained_by_hidden_codes,
    is_explained_by_timing,
    coalesce(
        (excess_change_fob_usd >= smallest_rise_usd or not is_minimum_size_on)
        and excess_change_fob_usd >= lost_least_ratio * exporter_fob_usd
        and (gap_q_value <= largest_q_value or not is_false_discovery_on)
        and (baseline_gap_year_count > 0 or not is_completeness_gate_on or not is_own_baseline_on)
        and not (is_explained_by_origin and is_origin_or_consignment_on)
        and not (is_explained_by_others and is_hub and is_hubs_on)
        and not (is_explained_by_hidden_codes and is_confidential_codes_on)
        and not (is_explained_by_timing and is_lag_windows_on),
        false
    ) as is_signal,
    {{ run_columns() }}
from explained
