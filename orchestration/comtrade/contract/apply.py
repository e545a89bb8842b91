"""The source contract as one pure function over one period's landed rows.

Belongs here: the order of the steps. Does not belong here: the rules of a step, or any reading and writing.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.comtrade.contract.accounts import book
from orchestration.comtrade.contract.breakdowns import choose_breakdown
from orchestration.comtrade.contract.coverage import reporter_coverage
from orchestration.comtrade.contract.duplicates import set_duplicates_aside
from orchestration.comtrade.contract.levels import mark_coarser
from orchestration.comtrade.contract.normalise import normalise
from orchestration.comtrade.contract.quarantine import quarantine_rows
from orchestration.comtrade.contract.revisions import measure_revisions
from orchestration.comtrade.contract.schema import (
    DECLARATIONS,
    LANDED,
    ORDER,
    READER_FLAGS,
    ContractError,
    conform,
)
from orchestration.comtrade.contract.tables import ContractTables
from orchestration.comtrade.contract.totals import control_totals
from orchestration.comtrade.contract.vintages import mark_superseded, rank_deliveries


@dataclass(frozen=True)
class ContractResult:
    """The four tables of the contract; schemas in `schema`, rows in the order of `schema.ORDER`."""

    declarations: pl.DataFrame
    control_totals: pl.DataFrame
    coverage: pl.DataFrame
    revisions: pl.DataFrame


def apply_contract(landed: pl.DataFrame, tables: ContractTables, precedence: pl.DataFrame) -> ContractResult:
    """Book every landed row (schema LANDED) to exactly one account and derive totals, coverage and revisions.

    `precedence` (schema PRECEDENCE) has delivery_id and precedence (Int64, higher is newer) for every delivery of the
    rows. A delivery that is a version of one data set, as a pull lands them, also has data_set (its name) and is_whole
    (it holds every row of that version): a newer whole version withdraws what it lacks. Without these two columns, or
    with NULL in them, a delivery may hold a part of anything and withdraws nothing.

    The result does not depend on the order of the rows. Values in USD as filed. Raises ContractError when a column is
    missing, two rows carry the same delivery_id and source_line, a delivery has no precedence, or it is called whole
    without the name of its data set.
    """
    rows = conform(landed, LANDED, "landed declarations", optional=READER_FLAGS)
    _refuse_unnamed_rows(rows)
    frame = rank_deliveries(quarantine_rows(normalise(rows, tables), tables), precedence)
    frame = choose_breakdown(set_duplicates_aside(frame), tables)
    frame = mark_coarser(mark_superseded(frame))
    frame = book(frame, tables)
    declarations = conform(frame, DECLARATIONS, "declarations").sort(ORDER["declarations"])
    return ContractResult(
        declarations=declarations,
        control_totals=control_totals(declarations),
        coverage=reporter_coverage(declarations),
        revisions=measure_revisions(frame),
    )


def _refuse_unnamed_rows(rows: pl.DataFrame) -> None:
    name = rows.select("delivery_id", "source_line")
    if name.null_count().sum_horizontal().item() or name.is_duplicated().any():
        raise ContractError(
            "landed rows share or lack their delivery_id and source_line; a declaration could not be traced to its "
            "file; number the rows of each delivery from 1"
        )
