with place_roles as (

    select * from {{ ref('place_roles') }}

)

select
    place_code,
    role as place_role,
    cast(valid_from as date) as valid_from,
    cast(valid_to as date) as valid_to,
    source as fact_source,
    {{ run_columns() }}
from place_roles
