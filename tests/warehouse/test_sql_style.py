"""The SQL of models and queries reads alike: sqlfluff with the rules of .sqlfluff.

Belongs here: running the linter. Does not belong here: engine differences (`portability`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlfluff.core import FluffConfig, Linter

FOLDERS = ("dbt_project/models", "queries")


@pytest.fixture(scope="module")
def linter(project_dir: Path) -> Iterator[Linter]:
    """A linter with the project's own configuration, run from its root (macros are found relative to it)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project_dir)
        yield Linter(config=FluffConfig.from_root())


def test_sql_is_written_in_one_style_when_all_files_are_read(project_dir: Path) -> None:
    program = Path(sys.executable).with_name("sqlfluff")
    outcome = subprocess.run(
        [str(program), "lint", "--processes", "1", "--nocolor", *FOLDERS],
        cwd=project_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT a FROM t\n", "CP01"),
        ("select a, b from t\n", "LT09"),
        ("select\n    a as x,\n    b y\nfrom t\n", "AL02"),
        ("select a from t where b = 1 and\n    c = 2\n", "LT03"),
        ("select a from t join\n", "PRS"),
        ("select a from {{ unknown_macro('t') }}\n", "TMP"),
    ],
)
def test_a_bad_style_is_found_when_a_file_has_it(linter: Linter, sql: str, code: str) -> None:
    assert code in {found.rule_code() for found in linter.lint_string(sql).get_violations()}
