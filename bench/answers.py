"""The answers of all questions on a published release: `python -m bench.answers --release data/sample/releases/latest`.

Belongs here: running every file of queries/ and writing the first rows of its answer to docs/answers.md. Does not
belong here: the questions (queries/), or checks of their answers (tests/warehouse/test_queries.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from orchestration.settings import PROJECT_DIR

ROWS = 5
QUERIES = PROJECT_DIR / "queries"
PAGE = PROJECT_DIR / "docs" / "answers.md"
HEAD = """# What the questions answer on the sample release

The first {rows} rows of each question of `queries/` on release `{release}` of the planted world (`make run`). Places
are real, every figure is invented. Written by `python -m bench.answers`.
"""


def shown(value: Any) -> str:
    """One cell: large numbers without decimals, small ones with three figures."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "/")


def answer(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[str], float]:
    """Markdown lines of one question, and the seconds it took."""
    text = path.read_text(encoding="utf-8")
    question = text.split("-- Question: ", 1)[1].split("\n-- How to read", 1)[0].replace("\n--", "").strip()
    began = time.perf_counter()
    cursor = con.execute(text)
    rows = cursor.fetchall()
    seconds = time.perf_counter() - began
    names = [column[0] for column in cursor.description or []]
    lines = [f"## {path.stem}", "", question[0].upper() + question[1:], ""]
    if not rows:
        return [*lines, "No row: nothing of the kind in this world.", ""], seconds
    lines += ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(shown(value) for value in row) + " |" for row in rows[:ROWS]]
    return [*lines, "", f"{len(rows)} rows.", ""], seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page, or with --time-only print how long each question takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, default=PROJECT_DIR / "data" / "sample" / "releases" / "latest")
    parser.add_argument("--time-only", action="store_true", help="print seconds and write nothing")
    options = parser.parse_args(arguments)
    release = options.release.resolve()
    page = [HEAD.format(rows=ROWS, release=release.name)]
    with duckdb.connect(str(release / "warehouse.duckdb"), read_only=True) as con:
        for path in sorted(QUERIES.glob("*.sql")):
            lines, seconds = answer(con, path)
            page += lines
            sys.stdout.write(f"{path.stem:45s} {seconds:7.2f} s\n")
    if not options.time_only:
        PAGE.write_text("\n".join(page).rstrip("\n") + "\n", encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE.relative_to(PROJECT_DIR)}\n")


if __name__ == "__main__":
    main()
