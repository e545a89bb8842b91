"""Links of a few invented codes and short ways to pair rows filed in several editions.

Belongs here: what the two test modules of editions share. Does not belong here: any verdict.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from orchestration import reconcile
from orchestration.reconcile.pair import PairResult
from orchestration.reconcile.tables import CORRELATION_COLUMNS
from tests.unit.reconcile.builders import CANADA, GERMANY, KAZAKHSTAN, POLAND, complete, frame, small_tables

# 440791 was called 440710; 440792 was split over two codes of two headings; 440793 over two of one heading; 440794
# leads to eleven codes. In H5, 440792 came from 440799 of H4.
_LINKS = [
    ("H6", "440791", "H5", "440710"),
    ("H6", "440792", "H5", "440720"),
    ("H6", "440792", "H5", "440810"),
    ("H6", "440793", "H5", "440730"),
    ("H6", "440793", "H5", "440740"),
    *(("H6", "440794", "H5", f"4409{n}") for n in range(10, 21)),
    ("H5", "440710", "H4", "440999"),
    ("H6", "850100", "H5", "850200"),
]
LINKS = pl.DataFrame(_LINKS, schema=list(CORRELATION_COLUMNS), orient="row")
TABLES = small_tables(hs_correlations=LINKS)
NEW: dict[str, Any] = {"hs_revision": "H6"}
AMOUNTS = ("value_usd", "cif_value_usd", "fob_value_usd", "quantity", "net_weight_kg")


def pair_rows(*rows: dict[str, Any], tables: reconcile.ReconcileTables = TABLES) -> PairResult:
    """Pairs and sources of annual rows of four complete reporters."""
    return reconcile.pair(frame(*rows), complete(GERMANY, POLAND, CANADA, KAZAKHSTAN), tables)


def flows_of(*rows: dict[str, Any], tables: reconcile.ReconcileTables = TABLES) -> dict[str, dict[str, Any]]:
    """The pairs of these rows by product code."""
    return {row["product_code"]: row for row in pair_rows(*rows, tables=tables).pairs.iter_rows(named=True)}
