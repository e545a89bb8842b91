-- The legs a passage can be made of, year by year: into a transit candidate, from there into the destination, and
-- the direct route. A family watched by the embargo, or a decoy of one.
with changes as (

    select * from {{ ref('stg_passages__family_changes') }}
    where family_kind <> 'placebo'

),

families as (

    select
        embargo_code,
        destination_code,
        family_code,
        reference_date
    from {{ ref('int_embargo_family') }}

),

decoys as (

    select distinct
        families.embargo_code,
        families.destination_code,
        decoy_pairs.decoy_family_code as family_code,
        families.reference_date
    from families
    inner join {{ ref('decoy_pairs') }} as decoy_pairs on families.family_code = decoy_pairs.controlled_family_code

),

wanted as (

    select * from families
    union
    select * from decoys

),

places as (

    select * from {{ ref('int_passage_place') }}

)

select
    changes.*,
    wanted.destination_code,
    wanted.reference_date,
    case
        when changes.importer_code = wanted.destination_code and coalesce(exporters.is_transit, false)
            then 'outbound'
        when changes.importer_code = wanted.destination_code
            then 'direct'
        else 'inbound'
    end as leg_kind,
    coalesce(exporters.is_coalition, false) as is_exporter_coalition,
    coalesce(exporters.is_hub, false) as is_exporter_hub,
    coalesce(importers.is_hub, false) as is_importer_hub
from changes
inner join wanted on changes.embargo_code = wanted.embargo_code and changes.family_code = wanted.family_code
left join places as exporters on changes.exporter_code = exporters.place_code
left join places as importers on changes.importer_code = importers.place_code
where
    changes.importer_code = wanted.destination_code
    or (coalesce(importers.is_transit, false) and changes.exporter_code <> wanted.destination_code)
