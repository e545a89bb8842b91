-- What a place may be in a passage: one row per place with any such role.
select
    place_code,
    max(case when role = 'coalition' then 1 else 0 end) = 1 as is_coalition,
    max(case when role = 'transit_candidate' then 1 else 0 end) = 1 as is_transit,
    max(case when role = 'reexport_hub' then 1 else 0 end) = 1 as is_hub,
    max(case when role = 'destination' then 1 else 0 end) = 1 as is_destination,
    min(case when role = 'coalition' then cast(valid_from as date) end) as coalition_date
from {{ ref('place_roles') }}
where role in ('coalition', 'transit_candidate', 'reexport_hub', 'destination')
group by place_code
