"""What a second engine would read otherwise, or not at all, as rules over SQL text.

Belongs here: the rules and how text is prepared for them. Does not belong here: which files are held to them.
Comments, strings and Jinja blocks are taken out first; what a macro of macros/portable.sql writes is not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A pattern that must not occur, why, and what to write instead."""

    name: str
    pattern: re.Pattern[str]
    mend: str


def _rule(name: str, pattern: str, mend: str) -> Rule:
    return Rule(name, re.compile(pattern, re.IGNORECASE), mend)


RULES = (
    _rule("qualify", r"\bqualify\b", "filter a row number in the next common table expression"),
    _rule("quantile_cont", r"\bquantile(_cont|_disc)?\s*\(", "percentile_cont(...) within group (order by ...)"),
    _rule("mad", r"\bmad\s*\(", "median of absolute distances from the median"),
    _rule("arg_max", r"\barg_(max|min)\s*\(", "max_by or min_by"),
    _rule("windowed percentile", r"within\s+group\s*\([^()]*\)\s*over\b", "group first, then join"),
    _rule("asof join", r"\basof\b", "join on a range and a row number"),
    _rule("array literal", r"(?<![\w\])])\[", "a table of rows"),
    _rule("array indexing", r"[\w\])]\s*\[", "a table of rows"),
    _rule("struct literal", r"\{\s*\w+\s*:", "columns"),
    _rule("list", r"\b(list|array_agg|list_\w+)\s*\(", "rows; string_agg belongs into portable.sql"),
    _rule("unnest", r"\bunnest\s*\(", "a table of rows"),
    _rule("lambda", r"->(?!>)|\blambda\b", "a common table expression"),
    _rule("exclude", r"\*\s*(exclude|except|replace)\b", "name the columns"),
    _rule("union by name", r"\bby\s+name\b", "name the columns in the same order"),
    _rule("strptime", r"\bstrp?[fp]time\s*\(", "try_cast(x as date), make_date"),
    _rule("date_diff", r"\bdate_?(diff|sub)\s*\(", "dbt.datediff"),
    _rule("generate_series", r"\b(generate_series|range)\s*\(", "a dimension that holds the values"),
    _rule("cast as varchar", r"\bas\s+(varchar|text)\b", "cast(x as string)"),
    _rule("double-quoted identifier", r'"', "a name that needs no quotes"),
    _rule("count distinct over", r"\bcount\s*\(\s*distinct\b[^()]*\)\s*over\b", "group first, then join"),
    _rule("double colon", r"::", "cast(x as type)"),
    _rule("log without base", r"\blog\s*\(", "ln or log10"),
    _rule("concat", r"\bconcat(_ws)?\s*\(", "||, with NULL dealt with in words"),
    _rule("regexp_replace", r"\bregexp_replace\s*\(", "a macro of portable.sql: one engine replaces once, one always"),
    _rule("engine function", r"\b(skewness|kurtosis|hash|dayofweek)\s*\(", "portable.sql: the engines disagree"),
)
_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)
_NULLS_LAST = re.compile(r"\bnulls\s+last\s*$", re.IGNORECASE)
_ORDER_ENDS = re.compile(r"\b(rows|range|groups)\s+between\b|\blimit\b|\bunion\b", re.IGNORECASE)
_TAKEN_OUT = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|'(?:[^']|'')*'", re.DOTALL)


def plain(sql: str) -> str:
    """SQL without comments, strings and Jinja; each string and expression leaves a word in its place."""
    return _TAKEN_OUT.sub(lambda found: " it " if found.group(0).startswith(("'", "{{")) else " ", sql)


def violations(sql: str) -> list[str]:
    """Names of the rules that a text breaks, each once, with what to write instead."""
    text = plain(sql)
    broken = [f"{rule.name}: write {rule.mend}" for rule in RULES if rule.pattern.search(text)]
    if any(not _NULLS_LAST.search(term) for term in _order_terms(text)):
        broken.append("order without nulls last: write where NULL goes, the engines disagree")
    return broken


def _order_terms(text: str) -> list[str]:
    """Every term of every `order by`, up to the bracket that closes it or the clause that follows."""
    terms: list[str] = []
    for found in _ORDER_BY.finditer(text):
        depth, term = 0, ""
        clause = text[found.end() :]
        ends = _ORDER_ENDS.search(clause)
        for letter in clause[: ends.start() if ends else None]:
            depth += (letter == "(") - (letter == ")")
            if depth < 0:
                break
            if letter == "," and depth == 0:
                terms.append(term.strip())
                term = ""
            else:
                term += letter
        terms.append(term.strip())
    return terms
