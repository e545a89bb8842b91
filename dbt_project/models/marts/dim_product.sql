with filed as (

    select distinct product_code from {{ ref('stg_comtrade__declarations') }}
    where product_code is not null

),

named as (

    select product_code, product_name, basket, source as fact_source from {{ ref('products') }}

),

controlled as (

    select distinct product_code from {{ ref('controls') }}

),

codes as (

    select product_code from filed
    union
    select product_code from named
    union
    select product_code from controlled

)

select
    codes.product_code,
    case when codes.product_code = 'TOTAL' then 0 else cast(length(codes.product_code) as bigint) end as product_level,
    case when codes.product_code = 'TOTAL' then null else substring(codes.product_code, 1, 2) end as chapter_code,
    hs.hs_revisions,
    named.product_name,
    named.basket as sample_basket,
    controlled.product_code is not null as is_controlled,
    hs.product_code is not null as is_known_code,
    coalesce(named.fact_source, hs.source, 'filed by a reporter, unknown to every HS edition') as fact_source,
    {{ run_columns() }}
from codes
left join named on codes.product_code = named.product_code
left join controlled on codes.product_code = controlled.product_code
left join {{ ref('hs_codes') }} as hs on codes.product_code = hs.product_code
