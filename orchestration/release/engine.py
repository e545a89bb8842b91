"""DuckDB for this package: bounded memory, quoting, reading and writing Parquet.

Belongs here: how a session is opened and how a table is copied, in one place, because equal content must give equal
bytes. Does not belong here: which tables are copied and why.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

MEMORY_LIMIT = "2GB"
MAX_THREADS = 4
ROW_GROUP_ROWS = 122_880


@contextmanager
def session(scratch: Path, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB session that spills below `scratch` beyond MEMORY_LIMIT and leaves nothing behind.

    Rows keep their order. Sums of doubles depend on the number of threads: ask for one where sums are told.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    count = threads if threads is not None else min(MAX_THREADS, os.cpu_count() or 1)
    with (
        tempfile.TemporaryDirectory(prefix="spill-", dir=scratch) as spill,
        duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill, "threads": count}) as con,
    ):
        con.execute("set enable_progress_bar = false")
        con.execute("set preserve_insertion_order = true")
        yield con


def text(value: object) -> str:
    """A value as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def scan(path: Path) -> str:
    """SQL that reads one Parquet file; nothing in its path is taken for a pattern."""
    return f"read_parquet({text(glob.escape(str(path)))}, hive_partitioning = false)"


def scan_json(path: Path) -> str:
    """SQL that reads one JSON file; nothing in its path is taken for a pattern."""
    return f"read_json({text(glob.escape(str(path)))})"


def copy_to_parquet(con: duckdb.DuckDBPyConnection, select: str, path: Path) -> None:
    """Write the rows of a query as zstd Parquet in the query's order; the bytes depend on the rows alone."""
    con.execute(f"copy ({select}) to {text(path)} (format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS})")
