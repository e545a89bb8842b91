"""Amounts are added in one way only, held by reading every module's syntax tree.

Belongs here: that no plain sum or mean of a Polars column slips in. Does not belong here: the sums themselves.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# The generator adds integers, the release reads what is added already.
FOLDERS = ("orchestration/comtrade", "orchestration/reconcile", "orchestration/passages", "orchestration/pipeline")
ORDER_MATTERS = {"sum", "mean", "std", "var", "dot"}


def plain_sums(root: Path) -> list[str]:
    """Every call of `.sum()` and the like below `root`, as 'file:line'. `np.mean(array)` runs in one thread and may."""
    return [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ORDER_MATTERS
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "np")
    ]


def test_amounts_are_added_exactly_when_the_whole_project_is_read(project_dir: Path) -> None:
    assert plain_sums(project_dir) == [], "use exact_sum or count_where of orchestration.sums"


@pytest.mark.parametrize(
    "source", ["frame.group_by('k').agg(pl.col('v').sum())\n", "series.sum()\n", "pl.col('v').mean().over('k')\n"]
)
def test_a_plain_sum_is_reported_when_a_module_adds_doubles(tmp_path: Path, source: str) -> None:
    path = tmp_path / "orchestration" / "reconcile" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert plain_sums(tmp_path) == ["orchestration/reconcile/bad.py:1"]


def test_an_exact_sum_passes_when_a_module_uses_the_helper(tmp_path: Path) -> None:
    path = tmp_path / "orchestration" / "pipeline" / "good.py"
    path.parent.mkdir(parents=True)
    path.write_text("frame.select(exact_sum('v'))\nnp.mean(array)\n", encoding="utf-8")
    assert plain_sums(tmp_path) == []
