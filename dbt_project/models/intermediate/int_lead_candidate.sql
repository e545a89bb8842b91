-- Every route that some signal points at: embargo, origin, transit country, family. Where only the leg out of a transit
-- country rose, the origin is not known and the route stands without one.
with legs as (

    select * from {{ ref('int_embargo_leg') }}

),

inbound as (

    select * from legs
    where leg_kind = 'inbound'

),

pointed as (

    select
        embargo_code,
        exporter_code as origin_code,
        importer_code as transit_code,
        family_code
    from inbound
    where is_rise and family_kind = 'watched'
    union
    select
        embargo_code,
        exporter_code as origin_code,
        importer_code as transit_code,
        family_code
    from {{ ref('mart_signal_lost_in_transit') }}
    where is_signal
    union
    select
        embargo_code,
        exporter_code as origin_code,
        importer_code as transit_code,
        family_code
    from {{ ref('mart_signal_decoy_swap') }}
    where is_signal
    union
    select
        inbound.embargo_code,
        inbound.exporter_code as origin_code,
        inbound.importer_code as transit_code,
        inbound.family_code
    from inbound
    inner join {{ ref('mart_signal_new_product') }} as new_products
        on
            inbound.embargo_code = new_products.embargo_code
            and inbound.importer_code = new_products.place_code
            and inbound.family_code = new_products.family_code
    where new_products.is_signal and inbound.rise_total_fob_usd > 0

),

wanted as (

    select
        pointed.embargo_code,
        pointed.origin_code,
        pointed.transit_code,
        pointed.family_code
    from pointed
    inner join {{ ref('int_embargo_family') }} as families
        on pointed.embargo_code = families.embargo_code and pointed.family_code = families.family_code

),

without_origin as (

    select
        legs.embargo_code,
        cast(null as string) as origin_code,
        legs.exporter_code as transit_code,
        legs.family_code
    from legs
    left join wanted
        on
            legs.embargo_code = wanted.embargo_code
            and legs.exporter_code = wanted.transit_code
            and legs.family_code = wanted.family_code
    where legs.leg_kind = 'outbound' and legs.is_rise and legs.family_kind = 'watched' and wanted.transit_code is null

)

select * from wanted
union all
select * from without_origin
