-- A place that traded nothing of a whole family, its predecessors in older editions included, for years that it filed,
-- and then does. A year that nobody filed is no silence.
with flows as (

    select * from {{ ref('stg_passages__family_flows') }}
    where family_kind = 'watched'

),

sides as (

    select
        frequency,
        period,
        period_start,
        importer_code as place_code,
        'import' as trade_direction,
        family_code,
        reconciled_mean_fob_usd,
        uncounted_fob_usd
    from flows
    union all
    select
        frequency,
        period,
        period_start,
        exporter_code as place_code,
        'export' as trade_direction,
        family_code,
        reconciled_mean_fob_usd,
        uncounted_fob_usd
    from flows

),

traded as (

    select
        frequency,
        period,
        period_start,
        place_code,
        trade_direction,
        family_code,
        {{ exact_sum('reconciled_mean_fob_usd') }} as value_fob_usd,
        {{ exact_sum('uncounted_fob_usd') }} as uncounted_fob_usd
    from sides
    group by frequency, period, period_start, place_code, trade_direction, family_code

),

-- Any trade at all, however small, ends a silence.
first_trade as (

    select
        place_code,
        trade_direction,
        family_code,
        min(period) as first_period
    from traded
    where frequency = 'A' and value_fob_usd + uncounted_fob_usd > 0
    group by place_code, trade_direction, family_code

),

filed as (

    select
        reporter_code,
        period,
        case when flow_code = 'X' then 'export' else 'import' end as trade_direction
    from {{ ref('stg_comtrade__coverage') }}
    where frequency = 'A' and is_complete and declaration_count > 0

),

silence as (

    select
        first_trade.place_code,
        first_trade.trade_direction,
        first_trade.family_code,
        first_trade.first_period,
        cast(count(filed.period) as bigint) as silent_year_count
    from first_trade
    left join filed
        on
            first_trade.place_code = filed.reporter_code
            and first_trade.trade_direction = filed.trade_direction
            and first_trade.first_period > filed.period
    group by first_trade.place_code, first_trade.trade_direction, first_trade.family_code, first_trade.first_period

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

after as (

    select
        traded.place_code,
        traded.trade_direction,
        traded.family_code,
        {{ exact_sum('traded.value_fob_usd', "traded.frequency = 'A'") }} as value_fob_usd,
        cast(
            count_if(traded.frequency = 'A' and traded.value_fob_usd >= rules.new_product_floor_usd) as bigint
        ) as year_above_floor_count,
        cast(
            count_if(traded.frequency = 'M' and traded.value_fob_usd >= rules.new_product_floor_usd / 12) as bigint
        ) as month_above_floor_count
    from traded
    cross join rules
    group by traded.place_code, traded.trade_direction, traded.family_code

)

select
    families.embargo_code,
    families.destination_code,
    silence.place_code,
    silence.trade_direction,
    silence.family_code,
    silence.first_period,
    make_date(cast(silence.first_period as int), 1, 1) as period_start,
    silence.silent_year_count,
    after.value_fob_usd,
    after.year_above_floor_count,
    after.month_above_floor_count,
    silence.silent_year_count >= rules.silent_years
    and after.value_fob_usd >= rules.new_product_floor_usd
    and greatest(after.year_above_floor_count, after.month_above_floor_count) >= rules.new_product_least_periods
    and make_date(cast(silence.first_period as int), 12, 31) >= families.reference_date as is_signal,
    {{ run_columns() }}
from silence
inner join after
    on
        silence.place_code = after.place_code
        and silence.trade_direction = after.trade_direction
        and silence.family_code = after.family_code
inner join {{ ref('int_embargo_family') }} as families on silence.family_code = families.family_code
inner join {{ ref('int_passage_place') }} as places
    on silence.place_code = places.place_code and places.is_transit
cross join rules
where silence.silent_year_count > 0
