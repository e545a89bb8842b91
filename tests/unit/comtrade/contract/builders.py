"""Small hand-made landed declarations for the tests of the source contract.

Belongs here: one plain row and ways to change it. Does not belong here: expectations about the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from orchestration.comtrade.contract import ContractResult, ContractTables, apply_contract
from orchestration.comtrade.contract.schema import LANDED

DELIVERY = "aaaaaaaaaaaa"
_PLAIN: dict[str, Any] = {
    "typeCode": "C", "freqCode": "A", "period": "2017", "reporterCode": 398, "flowCode": "X", "partnerCode": 643,
    "partner2Code": 0, "classificationCode": "H5", "isOriginalClassification": True, "cmdCode": "854231",
    "customsCode": "C00", "mosCode": "0", "motCode": 0, "qtyUnitCode": 5, "qty": 10.0, "isQtyEstimated": False,
    "netWgt": 2.0, "isNetWgtEstimated": False, "primaryValue": 100.0, "fobvalue": 100.0, "isReported": True,
    "isAggregate": False, "source_file": "declarations.csv", "source_format": "api_csv", "delivery_id": DELIVERY,
}  # fmt: skip


def declaration_row(**changes: Any) -> dict[str, Any]:
    """One landed row: Kazakhstan's exports of 854231 to Russia, 2017, 100 USD FOB; columns can be changed."""
    unknown = set(changes) - set(LANDED)
    if unknown:
        raise KeyError(f"not landed columns: {sorted(unknown)}")
    return dict.fromkeys(LANDED) | _PLAIN | changes


def landed(*rows: dict[str, Any]) -> pl.DataFrame:
    """A landed frame; rows without a source_line get the next number of their delivery."""
    lines: dict[str, int] = {}
    numbered = []
    for row in rows:
        lines[row["delivery_id"]] = lines.get(row["delivery_id"], 0) + 1
        numbered.append(row | {"source_line": row["source_line"] or lines[row["delivery_id"]]})
    return pl.DataFrame(numbered, schema=LANDED)


def apply(
    tables: ContractTables,
    frame: pl.DataFrame,
    newest_last: list[str] | None = None,
    versions: Mapping[str, tuple[str, bool]] | None = None,
) -> ContractResult:
    """The contract over a frame; deliveries rank in the order given (default: by name). `versions` gives the data set
    and wholeness of deliveries that are versions of one; the others are downloads.
    """
    deliveries = newest_last or sorted(frame["delivery_id"].unique())
    facts = [(versions or {}).get(delivery, (None, None)) for delivery in deliveries]
    precedence = pl.DataFrame(
        {
            "delivery_id": deliveries,
            "precedence": range(len(deliveries)),
            "data_set": [data_set for data_set, _ in facts],
            "is_whole": [is_whole for _, is_whole in facts],
        }
    )
    return apply_contract(frame, tables, precedence)


def reasons(result: ContractResult) -> list[str]:
    """account/reason of every declaration, in the order of delivery and line."""
    ordered = result.declarations.sort("delivery_id", "source_line")
    return [f"{account}/{reason}" for account, reason in ordered.select("account", "account_reason").rows()]
