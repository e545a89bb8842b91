with controls as (

    select * from {{ ref('controls') }}

)

select
    list_code,
    product_code,
    tier as control_tier,
    hs_revision,
    family_code,
    jurisdiction,
    jurisdiction <> 'none' as is_control,
    cast(valid_from as date) as valid_from,
    cast(valid_to as date) as valid_to,
    confidence as date_confidence,
    source as fact_source,
    {{ run_columns() }}
from controls
