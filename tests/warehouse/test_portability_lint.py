"""Models, tests of models and queries hold no SQL that a second engine reads otherwise.

Belongs here: which files are held to the rules, and a failing example of each rule. Does not belong here: the rules
(`portability`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.warehouse.portability import RULES, plain, violations

HELD = ("dbt_project/models/**/*.sql", "dbt_project/tests/**/*.sql", "queries/*.sql")
FAILING = {
    "qualify": "select a from t qualify row_number() over (partition by b order by a nulls last) = 1",
    "quantile_cont": "select quantile_cont(a, 0.5) from t",
    "mad": "select mad(a) from t",
    "arg_max": "select arg_max(a, b) from t",
    "windowed percentile": "select percentile_cont(0.5) within group (order by a nulls last) over (order by b) from t",
    "asof join": "select a from t asof join u on t.day >= u.day",
    "array literal": "select [1, 2] as pair from t",
    "array indexing": "select a[1] from t",
    "struct literal": "select {a: 1} as pair from t",
    "list": "select list(a) from t",
    "unnest": "select unnest(a) from t",
    "lambda": "select transform(a, x -> x + 1) from t",
    "exclude": "select * exclude (a) from t",
    "union by name": "select a from t union all by name select a from u",
    "strptime": "select strptime(a, '%Y') from t",
    "date_diff": "select date_diff('day', a, b) from t",
    "generate_series": "select a from generate_series(1, 3) as s (a)",
    "cast as varchar": "select cast(a as varchar) from t",
    "double-quoted identifier": 'select "a" from t',
    "count distinct over": "select count(distinct a) over (partition by b) from t",
    "double colon": "select a::date from t",
    "log without base": "select log(a) from t",
    "concat": "select concat(a, b) from t",
    "regexp_replace": "select regexp_replace(a, 'x', 'y') from t",
    "engine function": "select hash(a) from t",
}


def test_no_file_holds_sql_of_one_engine_when_all_are_read(project_dir: Path) -> None:
    files = sorted(path for pattern in HELD for path in project_dir.glob(pattern))
    assert len(files) > 40
    broken = {str(path.relative_to(project_dir)): violations(path.read_text(encoding="utf-8")) for path in files}
    assert {path: found for path, found in broken.items() if found} == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_finds_its_example_when_a_model_breaks_it(rule: object) -> None:
    name = getattr(rule, "name", "")
    assert [found for found in violations(FAILING[name]) if found.startswith(f"{name}:")] != []


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t order by a",
        "select row_number() over (partition by b order by a desc, c nulls last) from t",
        "select row_number() over (partition by b order by a nulls last, coalesce(c, d) asc) from t",
        "select percentile_cont(0.5) within group (order by a) from t",
        "select sum(a) over (order by b rows between unbounded preceding and current row) from t",
    ],
)
def test_an_order_is_found_when_it_does_not_say_where_null_goes(sql: str) -> None:
    assert violations(sql) == ["order without nulls last: write where NULL goes, the engines disagree"]


@pytest.mark.parametrize(
    "sql",
    [
        'select cast(a as string) as text_code from t -- qualify, a::date, "quoted"',
        "select 'a::date [1] \"x\" -> log(' as words from t",
        "select {{ dbt.datediff('a', 'b', 'day') }} as days, {{ concat(['a']) }} as b from t /* unnest(x) */",
        "select sum(a) over (order by b desc nulls last, c nulls last rows between 1 preceding and current row)",
        "select max_by(a, b), median(c), count(distinct d), catalog(e), list_code from t order by a asc nulls last",
    ],
)
def test_nothing_is_found_when_words_only_look_like_a_rule(sql: str) -> None:
    assert violations(sql) == []


def inexact_sums(sql: str) -> list[str]:
    """Sums and means of doubles that an engine adds in any order: their last bit, and so the release, would change."""
    return re.findall(r"\b(?:sum|avg)\s*\(", plain(sql), re.IGNORECASE)


def test_models_add_amounts_exactly_when_all_are_read(project_dir: Path) -> None:
    files = sorted((project_dir / "dbt_project" / "models").rglob("*.sql"))
    found = {path.name: inexact_sums(path.read_text(encoding="utf-8")) for path in files}
    assert {name: sums for name, sums in found.items() if sums} == {}, "use exact_sum or exact_sum_over"


def test_an_inexact_sum_is_found_when_a_model_holds_one() -> None:
    assert inexact_sums("select sum(a), avg(b) over w, {{ exact_sum('c') }} from t") == ["sum(", "avg("]
