-- Which families an embargo watches: those of its lists. The reference date is the embargo's own; the first day a list
-- named a code of the family stands beside it, because lists were published later than the controls.
with embargoes as (

    select * from {{ ref('embargoes') }}

),

controls as (

    select
        list_code,
        family_code,
        cast(valid_from as date) as valid_from
    from {{ ref('controls') }}

)

select
    embargoes.embargo_code,
    embargoes.destination_code,
    controls.family_code,
    max(cast(embargoes.reference_date as date)) as reference_date,
    min(controls.valid_from) as first_listed_date,
    cast(count(distinct controls.list_code) as bigint) as control_list_count
from embargoes
inner join controls on embargoes.list_code = controls.list_code
group by embargoes.embargo_code, embargoes.destination_code, controls.family_code
