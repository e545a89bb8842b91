-- Question: which checks did this release pass, and what do its warnings say?
-- How to read: failed checks first, then those that come nearest to their bound. Only warnings can fail in a
--   published release: a failed error stops publication. failing_count rows broke the check, or were tolerated within
--   its bound.
-- Caveats: a check that held says that nothing it looks for was found, no more. failing_sample and message in
--   mart_audit_result tell which rows and how to mend them.
-- Columns:
--   suite, check_name: the check, a true sentence about the data
--   severity: error or warning
--   is_passed: whether it held
--   figure, threshold_text: what was measured, and its bound in words
--   failing_count: rows behind the figure
--   message: what is wrong, why it matters, how to mend it
with parameters as (
    select
        true as with_dbt_tests,
        500 as row_count
),

ranked as (
    select
        checks.suite,
        checks.check_name,
        checks.severity,
        checks.is_passed,
        checks.figure,
        checks.threshold_text,
        checks.failing_count,
        checks.message,
        row_number() over (
            order by
                checks.is_passed asc nulls last,
                abs(checks.figure - checks.threshold) / nullif(abs(checks.threshold), 0) asc nulls last,
                checks.suite asc nulls last,
                checks.check_name asc nulls last
        ) as place_in_list
    from marts.mart_audit_result as checks
    cross join parameters
    where parameters.with_dbt_tests or checks.suite <> 'dbt_tests'
)

select
    ranked.suite,
    ranked.check_name,
    ranked.severity,
    ranked.is_passed,
    ranked.figure,
    ranked.threshold_text,
    ranked.failing_count,
    ranked.message
from ranked
cross join parameters
where ranked.place_in_list <= parameters.row_count
order by ranked.place_in_list asc nulls last
