-- The fifteen innocent causes, each tried on every candidate: what was looked at, its figure, and whether it explains
-- the anomaly. A cause that is switched off in the table of controls is still shown, as not tested. `explains` holds a
-- lead at grade D; the last two are rules of how the tests are made and cannot explain.
with facts as (

    select * from {{ ref('int_lead_facts') }}

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

tried as (

    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'completeness_gate' as control_code,
        rules.is_completeness_gate_on as is_tested,
        case when facts.is_inbound_complete or facts.origin_code is null then 0 else 1 end
        + case
            when facts.is_outbound_complete or (facts.is_lost_in_transit and not facts.is_outbound_rise) then 0
            else 1
        end as figure,
        'legs of which a side or the baseline is not complete' as figure_meaning,
        not(
            (facts.is_inbound_complete or facts.origin_code is null)
            and (facts.is_outbound_complete or (facts.is_lost_in_transit and not facts.is_outbound_rise))
        ) as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'own_baseline' as control_code,
        rules.is_own_baseline_on and facts.inbound_baseline_fob_usd is not null as is_tested,
        facts.inbound_value_fob_usd / nullif(facts.inbound_baseline_fob_usd, 0) as figure,
        'leg into the transit country over its own baseline' as figure_meaning,
        coalesce(
            facts.inbound_value_fob_usd < rules.least_rise_ratio * facts.inbound_baseline_fob_usd
            and not facts.is_inbound_monthly_rise,
            false
        ) as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'origin_or_consignment' as control_code,
        rules.is_origin_or_consignment_on
        and (facts.largest_excess_change_fob_usd is not null or facts.inbound_importer_fob_usd is not null)
            as is_tested,
        facts.pooled_gap_change_fob_usd / nullif(facts.largest_excess_change_fob_usd, 0) as figure,
        'share of the gap that all exporters of the block show together' as figure_meaning,
        facts.is_origin_only or (facts.is_gap_of_origin and facts.is_gap_alone) as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'hubs' as control_code,
        rules.is_hubs_on and facts.is_hub as is_tested,
        facts.inbound_value_fob_usd / nullif(facts.inbound_baseline_fob_usd, 0) as figure,
        'multiple of the baseline; more is asked of a re-export hub' as figure_meaning,
        facts.is_hub
        and coalesce(facts.inbound_value_fob_usd < rules.hub_rise_ratio * facts.inbound_baseline_fob_usd, false)
            as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'edition_breaks' as control_code,
        rules.is_edition_breaks_on as is_tested,
        case when facts.is_across_edition_break then 1 else 0 end as figure,
        'whether the rise rests on years on both sides of an edition that made the codes' as figure_meaning,
        facts.is_across_edition_break as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'lag_windows' as control_code,
        rules.is_lag_windows_on and facts.largest_excess_change_fob_usd is not null as is_tested,
        case when facts.is_gap_of_timing then 1 else 0 end as figure,
        'whether the year before or after takes half of the gap back' as figure_meaning,
        facts.is_gap_of_timing and facts.is_gap_alone as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'fitted_cif' as control_code,
        facts.inbound_importer_fob_usd is not null as is_tested,
        facts.inbound_importer_fob_usd as figure,
        'the importer at FOB, the fitted margin taken off, in USD' as figure_meaning,
        false as explains
    from facts
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'placebo_basket' as control_code,
        rules.is_placebo_basket_on as is_tested,
        greatest(facts.inbound_placebo_growth_log, facts.outbound_placebo_growth_log) as figure,
        'growth of placebo goods at the same places meanwhile, in logarithms' as figure_meaning,
        -- Asked of the legs that rose: a leg that did not has no growth to explain.
        coalesce(facts.is_inbound_rise and facts.inbound_placebo_growth_log > facts.inbound_growth_log / 2, false)
        or coalesce(facts.is_outbound_rise and facts.outbound_placebo_growth_log > facts.outbound_growth_log / 2, false)
            as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'everyone' as control_code,
        rules.is_everyone_on and facts.outbound_rise_fob_usd > 0 as is_tested,
        facts.elsewhere_rise_fob_usd / nullif(facts.outbound_rise_fob_usd, 0) as figure,
        'rise of the transit country''s exports to everybody else over that to the destination' as figure_meaning,
        coalesce(
            facts.is_outbound_rise and not facts.is_lost_in_transit
            and facts.elsewhere_rise_fob_usd >= rules.everyone_least_ratio * facts.outbound_rise_fob_usd,
            false
        ) as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'base_year_check' as control_code,
        rules.is_base_year_check_on and rules.is_own_baseline_on and facts.inbound_check_year_fob_usd is not null
            as is_tested,
        facts.inbound_check_year_fob_usd / nullif(facts.inbound_baseline_mean_fob_usd, 0) as figure,
        'check year over the mean of the baseline years; the larger of the two is the baseline' as figure_meaning,
        coalesce(
            facts.inbound_value_fob_usd < rules.least_rise_ratio * facts.inbound_check_year_fob_usd
            and not facts.is_inbound_monthly_rise,
            false
        ) as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'minimum_size' as control_code,
        rules.is_minimum_size_on as is_tested,
        facts.passage_fob_usd as figure,
        'value of the passage in FOB USD' as figure_meaning,
        facts.passage_fob_usd < rules.smallest_rise_usd as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'reported_weights' as control_code,
        rules.is_reported_weights_on and facts.is_unit_value_anomalous as is_tested,
        case when facts.is_unit_value_anomalous then 1 else 0 end as figure,
        'whether a unit value from reported weights supports the lead' as figure_meaning,
        false as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'false_discovery' as control_code,
        rules.is_false_discovery_on as is_tested,
        greatest(
            case when facts.origin_code is null then 0 else facts.inbound_q_value end,
            case when facts.is_outbound_rise and not facts.is_decoy_swap then facts.outbound_q_value else 0 end
        ) as figure,
        'false-discovery rate of the weaker leg over all tested cells' as figure_meaning,
        greatest(
            case when facts.origin_code is null then 0 else facts.inbound_q_value end,
            case when facts.is_outbound_rise and not facts.is_decoy_swap then facts.outbound_q_value else 0 end
        ) > rules.largest_q_value as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'confidential_codes' as control_code,
        rules.is_confidential_codes_on and facts.largest_excess_change_fob_usd is not null as is_tested,
        facts.hidden_fob_usd / nullif(facts.largest_excess_change_fob_usd, 0) as figure,
        'share of the gap that hidden codes and unnamed partners may hold' as figure_meaning,
        facts.is_gap_hidden and facts.is_gap_alone as explains
    from facts
    cross join rules
    union all
    select
        facts.embargo_code,
        facts.origin_code,
        facts.transit_code,
        facts.family_code,
        'fixed_lists' as control_code,
        true as is_tested,
        cast(facts.control_list_count as double) as figure,
        'lists that named the family before any growth was looked at' as figure_meaning,
        false as explains
    from facts

)

select
    embargo_code,
    origin_code,
    transit_code,
    family_code,
    control_code,
    coalesce(is_tested, false) as is_tested,
    cast(figure as double) as figure,
    figure_meaning,
    coalesce(is_tested and explains, false) as is_explaining
from tried
