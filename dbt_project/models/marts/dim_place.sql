with places as (

    select * from {{ ref('places') }}

)

select
    place_code,
    iso3 as place_iso3,
    iso2 as place_iso2,
    place_name,
    place_kind,
    mirror_role,
    successor_code as successor_place_code,
    cast(valid_from as date) as valid_from,
    cast(valid_to as date) as valid_to,
    cast(latitude_deg as double) as latitude_deg,
    cast(longitude_deg as double) as longitude_deg,
    cast(is_landlocked as boolean) as is_landlocked,
    source as fact_source,
    {{ run_columns() }}
from places
