"""Rows that cannot be understood: set aside with the field and the raw value, never dropped, never defaulted.

Belongs here: the checks one row can fail on its own, in the order they are asked. Does not belong here: what
needs other rows (`duplicates`, `breakdowns`, `vintages`, `levels`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.comtrade.contract.normalise import HS_REVISIONS
from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.comtrade.contract.tables import WORLD_CODE, ContractTables
from orchestration.sums import is_amount

_AMOUNTS = ("primaryValue", "cifvalue", "fobvalue", "qty", "netWgt", "grossWgt")


@dataclass(frozen=True)
class RowCheck:
    """One way a row can fail: the reason it is booked under, the source field, and the condition."""

    reason: str
    field: pl.Expr
    raw_value: pl.Expr
    fails: pl.Expr


def quarantine_rows(frame: pl.DataFrame, tables: ContractTables) -> pl.DataFrame:
    """`frame` (of `normalise`) with `_reason` (NULL when the row is understood), quarantine_field and _value."""
    checks = _row_checks(tables)
    failed: pl.Expr = pl.lit(None, dtype=pl.Int32)
    for number, check in reversed(list(enumerate(checks))):
        failed = pl.when(check.fails.fill_null(False)).then(pl.lit(number, dtype=pl.Int32)).otherwise(failed)
    frame = frame.with_columns(failed.alias("_check"))
    return frame.with_columns(
        _choose(checks, "reason").alias("_reason"),
        _choose(checks, "field").alias("quarantine_field"),
        _choose(checks, "raw_value").alias("quarantine_value"),
    ).drop("_check")


def _choose(checks: list[RowCheck], part: str) -> pl.Expr:
    chosen: pl.Expr = pl.lit(None, dtype=pl.String)
    for number, check in enumerate(checks):
        value = pl.lit(check.reason) if part == "reason" else getattr(check, part)
        chosen = pl.when(pl.col("_check") == number).then(value).otherwise(chosen)
    return chosen


def _row_checks(tables: ContractTables) -> list[RowCheck]:
    return [*_reader_checks(), *_period_and_value_checks(), *_code_checks(tables)]


def _reader_checks() -> list[RowCheck]:
    field, value = pl.col("quarantine_field"), pl.col("quarantine_value")
    known_field = field.is_in(list(API_COLUMNS))
    return [
        RowCheck("unparseable_field", field, value, field.is_not_null() & known_field),
        RowCheck("unknown_column", field, value, field.is_not_null()),
    ]


def _period_and_value_checks() -> list[RowCheck]:
    value = pl.col("primaryValue")
    missing = value.is_null() | ~value.is_finite()
    return [
        _check("unparseable_field", "freqCode", ~_among(pl.col("frequency"), ["A", "M"])),
        _check("unparseable_field", "period", pl.col("period_start").is_null()),
        _check("missing_value", "primaryValue", missing),
        _check("negative_value", "primaryValue", value < 0),
        *(_check("impossible_amount", name, pl.col(name).is_finite() & ~is_amount(name)) for name in _AMOUNTS),
    ]


def _code_checks(tables: ContractTables) -> list[RowCheck]:
    is_hs = pl.col("_is_hs")  # Other classifications are booked apart whole; their codes are not ours to judge.
    edition = pl.col("classificationCode")
    no_edition = edition.is_null() | edition.is_in([*HS_REVISIONS, "HS"])
    checks = [
        _check("unknown_flow", "flowCode", ~_among(pl.col("flow_code"), tables.flows["flow_code"])),
        *_place_checks(tables),
        _check("unknown_product", "classificationCode", ~no_edition),
        _check("unknown_product", "cmdCode", ~_among(pl.col("product_code"), tables.hs_codes["product_code"])),
        _check(
            "unknown_customs",
            "customsCode",
            ~_among(pl.col("customs_code"), tables.customs_procedures["customs_code"]),
        ),
        _check("unknown_transport", "motCode", ~_among(pl.col("mot_code"), tables.transport_modes["mot_code"])),
        _check("unknown_mode_of_supply", "mosCode", ~_among(pl.col("mos_code"), tables.modes_of_supply["mos_code"])),
        _check("unknown_unit", "qtyUnitCode", _unknown_unit(tables)),
    ]
    return [RowCheck(c.reason, c.field, c.raw_value, is_hs & c.fails.fill_null(False)) for c in checks]


def _place_checks(tables: ContractTables) -> list[RowCheck]:
    known = tables.places["place_code"]
    reporter_unknown = ~_among(pl.col("reporter_code"), known) | (pl.col("reporter_code") == WORLD_CODE)
    return [
        _check("unknown_place", "reporterCode", reporter_unknown),
        _check("unknown_place", "partnerCode", ~_among(pl.col("partner_code"), known)),
        _check("unknown_place", "partner2Code", ~_among(pl.col("partner2_code"), known)),
        _check("place_not_valid_at_date", "reporterCode", _outside_its_dates("reporter")),
        _check("place_not_valid_at_date", "partnerCode", _outside_its_dates("partner")),
    ]


def _outside_its_dates(side: str) -> pl.Expr:
    """True when the place had ended before the period began or began after it ended.

    A successor is no substitute: SACU is not South Africa, and a code filed late may mean either state. The
    grace a reporter is given is the table's own valid_to.
    """
    start = pl.col("period_start")
    end = pl.when(pl.col("frequency") == "A").then(start.dt.offset_by("1y")).otherwise(start.dt.offset_by("1mo"))
    return ((pl.col(f"_{side}_to") < start).fill_null(False)) | (pl.col(f"_{side}_from") >= end).fill_null(False)


def _unknown_unit(tables: ContractTables) -> pl.Expr:
    unit = pl.col("quantity_unit_code")
    return unit.is_not_null() & ~unit.is_in(tables.quantity_units["quantity_unit_code"].implode())


def _among(code: pl.Expr, known: pl.Series | list[str]) -> pl.Expr:
    known_list = known.implode() if isinstance(known, pl.Series) else known
    return code.is_in(known_list).fill_null(False)


def _check(reason: str, column: str, fails: pl.Expr) -> RowCheck:
    return RowCheck(reason, pl.lit(column), pl.col(column).cast(pl.String), fails)
