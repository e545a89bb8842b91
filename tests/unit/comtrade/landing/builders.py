"""Small deliveries for the tests of landing and ledger.

Belongs here: one plain row and ways to change it. Does not belong here: expectations.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from orchestration.comtrade.contract.schema import LANDED
from orchestration.comtrade.files import Delivery

_PLAIN: dict[str, Any] = {
    "typeCode": "C", "freqCode": "A", "period": "2017", "reporterCode": 398, "flowCode": "X", "partnerCode": 643,
    "partner2Code": 0, "classificationCode": "H5", "cmdCode": "854231", "primaryValue": 100.0,
}  # fmt: skip


def delivery_of(
    *rows: dict[str, Any],
    delivery_id: str = "aaaaaaaaaaaa",
    released_on: date | None = None,
    reader: str = "",
    source_file: str = "rows.csv",
) -> Delivery:
    """A delivery of plain rows with these changes, one per argument, numbered from 1."""
    provenance = {"source_file": source_file, "source_format": "api_csv", "delivery_id": delivery_id}
    numbered = [
        dict.fromkeys(LANDED) | _PLAIN | provenance | row | {"source_line": line}
        for line, row in enumerate(rows, start=1)
    ]
    frame = pl.DataFrame(numbered, schema=LANDED)
    return Delivery(delivery_id, source_file, "api_csv", released_on, frame, reader)
