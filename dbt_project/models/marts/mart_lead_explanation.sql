-- `explains` holds the lead at grade D.
with tried as (

    select * from {{ ref('int_lead_explanation') }}

),

leads as (

    select
        lead_id,
        embargo_code,
        origin_code,
        transit_code,
        family_code
    from {{ ref('mart_passage_lead') }}

),

controls as (

    select
        control_code,
        cast(control_number as bigint) as control_number,
        what_it_does
    from {{ ref('false_positive_controls') }}

)

select
    leads.lead_id,
    tried.control_code,
    controls.control_number,
    controls.what_it_does as control_name,
    tried.is_tested,
    tried.figure as figure_value,
    tried.figure_meaning,
    case
        when not tried.is_tested then 'not_tested'
        when tried.is_explaining then 'explains'
        else 'does_not_explain'
    end as verdict,
    {{ run_columns() }}
from tried
inner join leads
    on
        tried.embargo_code = leads.embargo_code
        and tried.origin_code is not distinct from leads.origin_code
        and tried.transit_code = leads.transit_code
        and tried.family_code = leads.family_code
inner join controls on tried.control_code = controls.control_code
