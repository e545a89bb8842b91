"""What the source works out from rows: trade balances, both sides of a flow, standard unit values.

Belongs here: these three tables. Does not belong here: filters (`query`). Only the official client's reading of these
answers is known; names of columns that it does not read are near the source's, not recorded.
"""

from __future__ import annotations

import polars as pl

KEYS = (
    "typeCode", "freqCode", "refPeriodId", "refYear", "refMonth", "period", "reporterCode", "reporterISO",
    "reporterDesc", "partnerCode", "partnerISO", "partnerDesc", "partner2Code", "classificationCode", "cmdCode",
    "cmdDesc", "customsCode", "motCode",
)  # fmt: skip
_OTHER_SIDE = {"M": "X", "X": "M", "RX": "RM", "RM": "RX", "DX": "FM", "FM": "DX"}
_MIRRORED = ("reporterCode", "partnerCode", "cmdCode", "flowCode", "period", "primaryValue")
_UNIT_VALUE_KEYS = ("typeCode", "freqCode", "period", "classificationCode", "flowCode", "cmdCode", "qtyUnitCode")


def trade_balance(rows: pl.DataFrame) -> pl.DataFrame:
    """Exports, imports and their difference in USD per reporter, partner, product and period."""
    exports = _side(rows, "X", "primaryValueExport")
    imports = _side(rows, "M", "primaryValueImport")
    both = exports.join(imports, on=KEYS, how="full", coalesce=True, nulls_equal=True, maintain_order="left_right")
    return both.with_columns(
        tradeBalance=pl.col("primaryValueExport").fill_null(0.0) - pl.col("primaryValueImport").fill_null(0.0)
    )


def _side(rows: pl.DataFrame, flow: str, name: str) -> pl.DataFrame:
    side = rows.filter(pl.col("flowCode").cast(pl.String) == flow)
    return side.select(*KEYS, pl.col("primaryValue").alias(name)).unique(KEYS, keep="first", maintain_order=True)


def both_sides(rows: pl.DataFrame, partner_rows: pl.DataFrame) -> pl.DataFrame:
    """Each row beside what the partner declared of the same flow (USD), null where it did not."""
    mirrored = _plain_keys(partner_rows.select(_MIRRORED)).select(
        pl.col("partnerCode").alias("reporterCode"),
        pl.col("reporterCode").alias("partnerCode"),
        "cmdCode",
        "period",
        pl.col("flowCode").replace(_OTHER_SIDE),
        pl.col("primaryValue").alias("partnerPrimaryValue"),
    )
    on = ["reporterCode", "partnerCode", "cmdCode", "flowCode", "period"]
    return _plain_keys(rows).join(mirrored.unique(on, keep="first"), on=on, how="left", maintain_order="left")


def other_sides(flows: frozenset[str]) -> frozenset[str]:
    """The flows that partners declare these flows as."""
    return frozenset(_OTHER_SIDE.get(flow, flow) for flow in flows)


def standard_unit_values(rows: pl.DataFrame) -> pl.DataFrame:
    """Median USD per unit of quantity of each product, flow, unit and period, over all reporters."""
    weighed = rows.filter(pl.col("qty") > 0, pl.col("primaryValue") > 0)
    unit_value = (pl.col("primaryValue") / pl.col("qty")).median().alias("suv")
    return _plain_keys(weighed).group_by(_UNIT_VALUE_KEYS).agg(unit_value).sort([*_UNIT_VALUE_KEYS[2:], "suv"])


def _plain_keys(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col(pl.Categorical).cast(pl.String))
