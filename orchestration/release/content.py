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
from pathlib import Path

import duckdb

from orchestration.release.engine import scan, text
from orchestration.release.tables import RELEASE_ID

STAMPED_COLUMNS = (RELEASE_ID, "run_id")


def content_checksum(con: duckdb.DuckDBPyConnection, parquet: Path) -> str:
    """`sha256:` and the SHA-256 of a table's content without STAMPED_COLUMNS: names, types, values and row order.

    Equal for equal tables that the same DuckDB version wrote by `copy_to_parquet`.
    """
    stamped, file = ", ".join(text(one) for one in STAMPED_COLUMNS), text(glob.escape(str(parquet)))
    columns = con.execute(f"describe from {scan(parquet)}").fetchall()
    head = [(column[0], column[1]) for column in columns if column[0] not in STAMPED_COLUMNS]
    # DuckDB names no dictionary page where a chunk has none.
    chunks = con.execute(
        "select least(data_page_offset, coalesce(dictionary_page_offset, data_page_offset)), "
        f"total_compressed_size from parquet_metadata({file}) where path_in_schema not in ({stamped}) "
        "order by row_group_id, column_id"
    ).fetchall()
    digest = hashlib.sha256(json.dumps(head).encode())
    with parquet.open("rb") as handle:
        for offset, size in chunks:
            handle.seek(offset)
            digest.update(handle.read(size))
    return f"sha256:{digest.hexdigest()}"
