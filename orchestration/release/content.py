"""What a table says, apart from which run and release say it: a checksum of its content.

Belongs here: the checksum of one Parquet file without the columns that every run and release stamps on it. Does not
belong here: the hash of a file (`files`), and the id of a release (`tables`), which hash those columns too.

Each column of a Parquet file stands in chunks of its own, whose bytes depend on its values, its type and the writer
alone. So the chunks of all other columns are hashed as they lie in the file: one more read, nothing is decoded.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb

from orchestration.release.engine import text
from orchestration.release.tables import RELEASE_ID, Column

STAMPED_COLUMNS = (RELEASE_ID, "run_id")


def content_checksum(con: duckdb.DuckDBPyConnection, parquet: Path, columns: Sequence[Column]) -> str:
    """`sha256:` and the SHA-256 of a table's content without STAMPED_COLUMNS: names, types, values and row order.

    Equal for equal tables that the same DuckDB version wrote by `copy_to_parquet`.
    """
    told = [(column.name, column.data_type) for column in columns if column.name not in STAMPED_COLUMNS]
    digest = hashlib.sha256(json.dumps(told).encode())
    # DuckDB names no dictionary page where a chunk has none.
    chunks = con.execute(
        "select row_group_id, column_id, coalesce(dictionary_page_offset, data_page_offset), total_compressed_size "
        f"from parquet_metadata({text(glob.escape(str(parquet)))}) "
        f"where path_in_schema not in ({', '.join(text(one) for one in STAMPED_COLUMNS)})"
    ).fetchall()
    with parquet.open("rb") as handle:
        for _, _, offset, size in sorted(chunks):
            handle.seek(offset)
            digest.update(handle.read(size))
    return f"sha256:{digest.hexdigest()}"
