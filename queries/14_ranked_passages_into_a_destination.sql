-- Question: which passages into a destination deserve a look first, why, and what speaks against them?
-- How to read: grade A to D is a rule over components that all stand in mart_passage_lead: A a passage on which flow,
--   placebo goods and a third leg agree, B a passage in time, C two families of signals, D one anomaly or one that an
--   innocent cause explains. Inside a grade the larger passage comes first. passage_fob_usd is what can have passed in
--   all years since the reference date, the smaller of the two rises.
-- Caveats: anomalous, never guilty. A lead names a route and a family of goods, nobody. Where the destination files
--   nothing, its side cannot confirm or contradict. tested_cell_count says among how many cells q was found.
-- Columns:
--   lead_rank, grade: place and grade
--   origin_name, transit_name, destination_name: the route; no origin where only the leg out is known
--   family_code, outbound_family_code: the goods, and the name under which they leave the transit country
--   passage_fob_usd, least_passage_fob_usd: the passage, and the least that must have come from this origin
--   inbound_exporter_fob_usd, inbound_importer_fob_usd: both declarations of the leg in, in its strongest year
--   outbound_value_fob_usd: the leg out in its largest year
--   inbound_date, outbound_date: when the legs rose
--   inbound_q_value, outbound_q_value, tested_cell_count: how unusual, among how many
--   signal_names: the signals that point at the route
--   holding_explanation_count, tested_explanation_count: innocent causes that hold, of those that were tried
--   lead_id: key of the lead, the same in every release
with parameters as (
    select
        'RUS_2022' as embargo_code,
        'D' as lowest_grade,
        30 as row_count
)

select
    leads.lead_rank,
    leads.grade,
    origins.place_name as origin_name,
    transits.place_name as transit_name,
    destinations.place_name as destination_name,
    leads.family_code,
    leads.outbound_family_code,
    leads.passage_fob_usd,
    leads.least_passage_fob_usd,
    leads.inbound_exporter_fob_usd,
    leads.inbound_importer_fob_usd,
    leads.outbound_value_fob_usd,
    leads.inbound_date,
    leads.outbound_date,
    leads.inbound_q_value,
    leads.outbound_q_value,
    leads.tested_cell_count,
    leads.signal_names,
    leads.holding_explanation_count,
    leads.tested_explanation_count,
    leads.lead_id
from marts.mart_passage_lead as leads
cross join parameters
left join marts.dim_place as origins on leads.origin_code = origins.place_code
left join marts.dim_place as transits on leads.transit_code = transits.place_code
left join marts.dim_place as destinations on leads.destination_code = destinations.place_code
where
    leads.embargo_code = parameters.embargo_code
    and leads.grade <= parameters.lowest_grade
    and leads.lead_rank <= parameters.row_count
order by leads.lead_rank asc nulls last
