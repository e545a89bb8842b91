"""Files for bulk download: gzipped tab-separated text as the source writes it.

Belongs here: columns, spelling and identity of a file. Does not belong here: the list of files (`lists`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
from functools import lru_cache
from typing import Literal

import polars as pl

from orchestration.stand_in.holdings import DataSet
from orchestration.stand_in.query import CLASSIC, TARIFF_LINES

BulkKind = Literal["final", "classic", "tariffline"]
BULK_COLUMNS = (
    "datasetCode", "typeCode", "freqCode", "refPeriodId", "refYear", "refMonth", "period", "reporterCode", "flowCode",
    "partnerCode", "partner2Code", "classificationSearchCode", "classificationCode", "isOriginalClassification",
    "cmdCode", "customsCode", "mosCode", "motCode", "qtyUnitCode", "qty", "isQtyEstimated", "altQtyUnitCode", "altQty",
    "isAltQtyEstimated", "netWgt", "isNetWgtEstimated", "grossWgt", "isGrossWgtEstimated", "CIFValue", "FOBValue",
    "primaryValue", "legacyEstimationFlag", "isReported", "isAggregate",
)  # fmt: skip
_FILTERS = {"final": pl.lit(True), "classic": CLASSIC, "tariffline": TARIFF_LINES}
_FILES_KEPT = 256


def bulk_id(one: DataSet, kind: BulkKind) -> str:
    """64 hex digits naming a file; a revised data set keeps its own."""
    return hashlib.sha256(f"{kind}:{one.dataset_code}:{tuple(one.key)}".encode()).hexdigest()


def bulk_name(one: DataSet) -> str:
    """The name a file is saved under, as in C/A/32/C_A_32_196201_S1_O.txt.gz."""
    key = one.key
    period = key.period if len(key.period) > 4 else f"{key.period}01"
    stem = f"{key.type_code}_{key.freq_code}_{key.reporter_code}_{period}_{key.classification_code}_O"
    return f"{key.type_code}/{key.freq_code}/{key.reporter_code}/{stem}.txt.gz"


@lru_cache(maxsize=_FILES_KEPT)
def bulk_file(one: DataSet, kind: BulkKind) -> bytes:
    """The file of a data set: all rows, the classic ones or the finest products."""
    return written_rows(one.rows.filter(_FILTERS[kind]), one.dataset_code)


def written_rows(rows: pl.DataFrame, dataset_code: int) -> bytes:
    """Rows as a gzipped file: flags as 1 and 0, empty cells where nothing is known, lines ended as on Windows."""
    plain = rows.rename({"cifvalue": "CIFValue", "fobvalue": "FOBValue"}).with_columns(
        pl.lit(dataset_code).alias("datasetCode"), pl.col(pl.Boolean).cast(pl.Int8)
    )
    buffer = io.BytesIO()
    plain.select(BULK_COLUMNS).write_csv(buffer, separator="\t", line_terminator="\r\n", float_scientific=False)
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)
