{#- Thresholds of the seed passage_rules that models read. -#}
{% macro passage_rule_codes() -%}
    {{ return([
        'smallest_rise_usd', 'least_rise_ratio', 'hub_rise_ratio', 'rise_z_score', 'largest_q_value',
        'break_least_ratio', 'break_least_active_months', 'break_least_monthly_usd', 'shortest_month_count',
        'lost_least_ratio', 'origin_pool_ratio', 'fall_least_ratio', 'silent_years', 'new_product_floor_usd',
        'new_product_least_periods', 'decoy_least_usd', 'conservation_least_ratio', 'demand_ratio',
        'totals_lost_least_ratio', 'unit_value_log', 'hidden_least_ratio', 'everyone_least_ratio',
        'decoy_break_p_value', 'decoy_rise_ratio',
        'largest_p_value'
    ]) }}
{%- endmacro %}

{#- Controls of the seed false_positive_controls that models read; the others are applied where flows are made. -#}
{% macro passage_control_codes() -%}
    {{ return([
        'completeness_gate', 'own_baseline', 'origin_or_consignment', 'hubs', 'edition_breaks', 'lag_windows',
        'placebo_basket', 'everyone', 'base_year_check', 'minimum_size', 'reported_weights', 'false_discovery',
        'confidential_codes'
    ]) }}
{%- endmacro %}
