with families as (

    select * from {{ ref('product_families') }}

),

editions as (

    select
        hs_revision,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from {{ ref('hs_editions') }}

)

select
    families.family_code,
    families.family_name,
    families.product_code,
    families.hs_revision_from,
    families.hs_revision_to,
    first_editions.valid_from,
    last_editions.valid_to,
    families.relation as family_relation,
    cast(families.is_edition_break as boolean) as is_edition_break,
    families.reason as family_reason,
    families.source as fact_source,
    {{ run_columns() }}
from families
left join editions as first_editions on families.hs_revision_from = first_editions.hs_revision
left join editions as last_editions on families.hs_revision_to = last_editions.hs_revision
