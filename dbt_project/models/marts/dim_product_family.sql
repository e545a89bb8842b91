select
    family_code,
    family_name,
    product_code,
    hs_revision_from,
    hs_revision_to,
    relation as family_relation,
    cast(is_edition_break as boolean) as is_edition_break,
    reason as family_reason,
    source as fact_source,
    {{ run_columns() }}
from {{ ref('product_families') }}
