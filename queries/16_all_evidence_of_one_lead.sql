-- Question: on which filed rows does one lead rest?
-- How to read: every annual flow of the three legs, with both declarations and the file and line of each filed row.
--   Choose the lead by its place; its key in mart_passage_lead is the same in every release.
-- Caveats: a flow has one row for each declaration behind it; its values stand in each of them, so do not add them up.
--   Anomalous, never guilty.
-- Columns:
--   lead_name, grade: the lead
--   leg_kind: inbound, outbound or direct
--   period: year of the flow
--   exporter_name, importer_name: the two ends
--   product_code: HS code of the flow
--   exporter_fob_usd, importer_fob_usd, reconciled_fob_usd: both declarations at FOB, and the reconciled value
--   status: which sides are there
--   declared_side: side of the filed row
--   source_file, source_line: where it was filed
--   declaration_id: key of the filed row in fct_declaration
with parameters as (
    select
        'RUS_2022' as embargo_code,
        1 as lead_rank
)

select
    leads.lead_name,
    leads.grade,
    evidence.leg_kind,
    evidence.period,
    exporters.place_name as exporter_name,
    importers.place_name as importer_name,
    evidence.product_code,
    evidence.exporter_fob_usd,
    evidence.importer_fob_usd,
    evidence.reconciled_fob_usd,
    evidence.status,
    evidence.declared_side,
    declarations.source_file,
    declarations.source_line,
    evidence.declaration_id
from marts.mart_passage_lead as leads
inner join parameters on leads.embargo_code = parameters.embargo_code and leads.lead_rank = parameters.lead_rank
inner join marts.mart_lead_evidence as evidence on leads.lead_id = evidence.lead_id
inner join marts.fct_declaration as declarations on evidence.declaration_id = declarations.declaration_id
inner join marts.dim_place as exporters on evidence.exporter_code = exporters.place_code
inner join marts.dim_place as importers on evidence.importer_code = importers.place_code
order by
    evidence.leg_kind asc nulls last,
    evidence.period asc nulls last,
    evidence.product_code asc nulls last,
    evidence.declared_side asc nulls last,
    evidence.declaration_id asc nulls last
