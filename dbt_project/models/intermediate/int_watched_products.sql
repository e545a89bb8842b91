-- Control lists name codes; their families add the codes the same goods stood under before. A heading is watched when
-- a code below it is, because some sets are filed at four digits only. The predecessors of pure decoys are not watched.
with listed as (

    select product_code from {{ ref('controls') }}

),

controlled_families as (

    select distinct family_code
    from {{ ref('product_families') }}
    where relation = 'controlled'

),

members as (

    select families.product_code
    from {{ ref('product_families') }} as families
    inner join controlled_families on families.family_code = controlled_families.family_code
    where families.relation in ('controlled', 'predecessor')

),

codes as (

    select product_code from listed
    union
    select product_code from members

),

levels as (

    select product_code from codes
    union
    select substring(product_code, 1, 4) as product_code from codes

)

select
    product_code,
    cast(length(product_code) as bigint) as product_level
from levels
