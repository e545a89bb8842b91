-- q of rank k is the smallest p * n / rank at or above k (Benjamini and Hochberg 1995), within one frequency.
with tested as (

    select
        mirror_flow_id,
        frequency,
        p_value
    from {{ ref('stg_reconciled__mirror_flows') }}
    where p_value is not null

),

ranked as (

    select
        mirror_flow_id,
        frequency,
        p_value,
        row_number() over (
            partition by frequency
            order by p_value asc nulls last, mirror_flow_id asc nulls last
        ) as p_rank,
        count(*) over (partition by frequency) as tested_flow_count
    from tested

)

select
    mirror_flow_id,
    cast(tested_flow_count as bigint) as tested_flow_count,
    least(
        cast(1.0 as double),
        min(p_value * tested_flow_count / p_rank) over (
            partition by frequency
            order by p_rank desc nulls last
            rows between unbounded preceding and current row
        )
    ) as q_value
from ranked
