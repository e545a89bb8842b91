-- Question: which innocent causes were tried on the first leads, with which figure, and what did they say?
-- How to read: one row for each of the fifteen controls, in their order. explains holds the lead at grade D.
--   not_tested says that the control is switched off or had nothing to look at.
-- Caveats: a cause that does not explain an anomaly by its figure may still be the true one. Anomalous, never guilty.
-- Columns:
--   lead_rank, grade, lead_name: the lead
--   control_number, control_code, control_name: the control
--   figure_value, figure_meaning: what was looked at
--   verdict: explains, does_not_explain or not_tested
with parameters as (
    select
        'RUS_2022' as embargo_code,
        3 as row_count
)

select
    leads.lead_rank,
    leads.grade,
    leads.lead_name,
    explanations.control_number,
    explanations.control_code,
    explanations.control_name,
    explanations.figure_value,
    explanations.figure_meaning,
    explanations.verdict
from marts.mart_passage_lead as leads
inner join parameters on leads.embargo_code = parameters.embargo_code and leads.lead_rank <= parameters.row_count
inner join marts.mart_lead_explanation as explanations on leads.lead_id = explanations.lead_id
order by leads.lead_rank asc nulls last, explanations.control_number asc nulls last
