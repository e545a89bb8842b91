with filed as (

    select distinct product_code
    from {{ ref('stg_comtrade__declarations') }}
    where product_code is not null

),

named as (

    select
        product_code,
        product_name,
        basket,
        source as fact_source
    from {{ ref('products') }}

),

controlled as (

    select distinct product_code
    from {{ ref('controls') }}
    where jurisdiction <> 'none'

),

watched as (

    select product_code from {{ ref('int_watched_products') }}

),

-- A row of a newer edition may stand in the flows under the older edition's code, which nobody filed. Only codes some
-- edition holds: one that reconciliation made up must fail the test of fct_mirror_flow.
converted as (

    select distinct flows.product_code
    from {{ ref('stg_reconciled__mirror_flows') }} as flows
    inner join {{ ref('hs_codes') }} as held on flows.product_code = held.product_code

),

codes as (

    select product_code from filed
    union
    select product_code from converted
    union
    select product_code from named
    union
    select product_code from watched

),

-- The editions of a code stand in one text, oldest first: H3 H4 H5.
known as (

    select
        product_code,
        hs_revisions,
        substring(hs_revisions, 1, 2) as first_hs_revision,
        substring(hs_revisions, length(hs_revisions) - 1, 2) as last_hs_revision,
        source as fact_source
    from {{ ref('hs_codes') }}

),

editions as (

    select
        hs_revision,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from {{ ref('hs_editions') }}

)

select
    codes.product_code,
    case when codes.product_code = 'TOTAL' then 0 else cast(length(codes.product_code) as bigint) end as product_level,
    case when codes.product_code = 'TOTAL' then null else substring(codes.product_code, 1, 2) end as chapter_code,
    known.hs_revisions,
    first_editions.valid_from,
    last_editions.valid_to,
    named.product_name,
    named.basket as sample_basket,
    controlled.product_code is not null as is_controlled,
    watched.product_code is not null as is_watched,
    known.product_code is not null as is_known_code,
    coalesce(named.fact_source, known.fact_source, 'filed by a reporter, unknown to every HS edition') as fact_source,
    {{ run_columns() }}
from codes
left join named on codes.product_code = named.product_code
left join controlled on codes.product_code = controlled.product_code
left join watched on codes.product_code = watched.product_code
left join known on codes.product_code = known.product_code
left join editions as first_editions on known.first_hs_revision = first_editions.hs_revision
left join editions as last_editions on known.last_hs_revision = last_editions.hs_revision
