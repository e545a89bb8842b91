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

    select
        embargo_code,
        destination_code,
        family_code,
        reference_date
    from families
    union
    select
        embargo_code,
        destination_code,
        family_code,
        reference_date
    from decoys

),

places as (

    select * from {{ ref('int_passage_place') }}

)

select
    changes.embargo_code,
    changes.exporter_code,
    changes.importer_code,
    changes.family_code,
    changes.family_kind,
    changes.frequency,
    changes.period,
    changes.period_start,
    changes.value_fob_usd,
    changes.baseline_fob_usd,
    changes.baseline_mean_fob_usd,
    changes.check_year_fob_usd,
    changes.baseline_year_count,
    changes.rise_fob_usd,
    changes.growth_log,
    changes.placebo_growth_log,
    changes.effect_log,
    changes.effect_se_log,
    changes.effect_z_score,
    changes.effect_p_value,
    changes.effect_q_value,
    changes.tested_cell_count,
    changes.exporter_fob_usd,
    changes.importer_fob_usd,
    changes.gap_fob_usd,
    changes.baseline_gap_fob_usd,
    changes.excess_fob_usd,
    changes.baseline_excess_fob_usd,
    changes.excess_change_fob_usd,
    changes.baseline_gap_year_count,
    changes.gap_effect_log,
    changes.gap_z_score,
    changes.gap_p_value,
    changes.gap_q_value,
    changes.gap_tested_cell_count,
    changes.is_exporter_complete,
    changes.is_importer_complete,
    changes.is_across_edition_break,
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
