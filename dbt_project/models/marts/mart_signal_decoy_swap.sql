-- Goods that leave under a controlled name and arrive under a decoy's: the exporter's surplus in the controlled family
-- and the importer's surplus in the decoy, in one pair and year, each against the pair's own years before.
with years as (

    select * from {{ ref('int_embargo_leg_year') }}
    where leg_kind = 'inbound' and gap_fob_usd is not null

),

rules as (

    select * from {{ ref('int_passage_rules') }}

),

pairs as (

    select
        controlled.embargo_code,
        controlled.destination_code,
        controlled.exporter_code,
        controlled.importer_code,
        controlled.family_code,
        decoy_pairs.decoy_family_code,
        controlled.frequency,
        controlled.period,
        controlled.period_start,
        controlled.exporter_fob_usd as controlled_exporter_fob_usd,
        controlled.importer_fob_usd as controlled_importer_fob_usd,
        decoy.exporter_fob_usd as decoy_exporter_fob_usd,
        decoy.importer_fob_usd as decoy_importer_fob_usd,
        controlled.gap_fob_usd - coalesce(controlled.baseline_gap_fob_usd, 0) as controlled_gap_change_fob_usd,
        decoy.gap_fob_usd - coalesce(decoy.baseline_gap_fob_usd, 0) as decoy_gap_change_fob_usd
    from years as controlled
    inner join {{ ref('decoy_pairs') }} as decoy_pairs on controlled.family_code = decoy_pairs.controlled_family_code
    inner join years as decoy
        on
            controlled.embargo_code = decoy.embargo_code
            and controlled.exporter_code = decoy.exporter_code
            and controlled.importer_code = decoy.importer_code
            and controlled.period = decoy.period
            and decoy_pairs.decoy_family_code = decoy.family_code

)

select
    pairs.embargo_code,
    pairs.destination_code,
    pairs.exporter_code,
    pairs.importer_code,
    pairs.family_code,
    pairs.decoy_family_code,
    pairs.frequency,
    pairs.period,
    pairs.period_start,
    pairs.controlled_exporter_fob_usd,
    pairs.controlled_importer_fob_usd,
    pairs.decoy_exporter_fob_usd,
    pairs.decoy_importer_fob_usd,
    pairs.controlled_gap_change_fob_usd,
    pairs.decoy_gap_change_fob_usd,
    least(pairs.controlled_gap_change_fob_usd, -pairs.decoy_gap_change_fob_usd) as swap_fob_usd,
    least(pairs.controlled_gap_change_fob_usd, -pairs.decoy_gap_change_fob_usd) >= rules.decoy_least_usd
    and least(pairs.controlled_gap_change_fob_usd, -pairs.decoy_gap_change_fob_usd)
    >= rules.lost_least_ratio * pairs.controlled_exporter_fob_usd as is_signal,
    {{ run_columns() }}
from pairs
cross join rules
where pairs.controlled_gap_change_fob_usd > 0 and pairs.decoy_gap_change_fob_usd < 0
