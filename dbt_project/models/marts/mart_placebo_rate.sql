-- How often civilian goods rise as a leg would have to: the rate at which chance and honest growth make a signal.
with changes as (

    select * from {{ ref('stg_passages__family_changes') }}
    where family_kind = 'placebo' and effect_z_score is not null

),

rules as (

    select * from {{ ref('int_passage_rules') }}

)

select
    changes.embargo_code,
    changes.period,
    changes.period_start,
    cast(count(*) as bigint) as placebo_cell_count,
    cast(
        count_if(
            changes.rise_fob_usd >= rules.smallest_rise_usd
            and changes.value_fob_usd >= rules.least_rise_ratio * changes.baseline_fob_usd
            and changes.effect_z_score >= rules.rise_z_score
        ) as bigint
    ) as placebo_rise_count,
    count_if(
        changes.rise_fob_usd >= rules.smallest_rise_usd
        and changes.value_fob_usd >= rules.least_rise_ratio * changes.baseline_fob_usd
        and changes.effect_z_score >= rules.rise_z_score
    ) / cast(count(*) as double) as placebo_rise_ratio,
    {{ run_columns() }}
from changes
cross join rules
group by changes.embargo_code, changes.period, changes.period_start
