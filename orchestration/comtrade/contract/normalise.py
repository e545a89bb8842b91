"""From a landed row in Comtrade's columns to a row in the warehouse's names and units.

Belongs here: renaming, padding of codes, absent values, period dates, the valuation a row was filed under, HS
editions. Does not belong here: whether a code is known (`quarantine`) or where the row is booked (`accounts`).

Columns whose name begins with an underscore are working columns; they never leave the package.
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract import tables as codes
from orchestration.comtrade.contract.tables import ContractTables
from orchestration.sums import amount, is_amount

HS_REVISIONS = tuple(f"H{edition}" for edition in range(7))
# Classifications of UN Comtrade that are not the Harmonized System: SITC, BEC, EBOPS.
NON_HS_CLASSIFICATIONS = (
    "S1", "S2", "S3", "S4", "SS", "B4", "B5", "BE", "EB", "EB02", "EB10", "EB10S"
)  # fmt: skip
# -1 is today's "not available"; downloads of the older website wrote 1, "No Quantity", for the same thing.
NO_QUANTITY_UNITS = (-1, 1)
CONFIDENTIAL_CHAPTER = "99"
_SAME_VALUE_RELATIVE = 1e-9


def normalise(landed: pl.DataFrame, tables: ContractTables) -> pl.DataFrame:
    """Landed rows (schema LANDED) in the columns of DECLARATIONS but account and account_reason, plus working ones.

    Rows are ordered by delivery and line, so that sums do not depend on the order they came in. Nothing is
    dropped. Values in USD, weights in kg.
    """
    frame = landed.sort("delivery_id", "source_line").rechunk()
    frame = frame.with_columns(_codes())
    frame = frame.with_columns(_period(), _product(), *_values(), *_quantities())
    frame = frame.with_columns(_valuation(tables.export_codes()), *_flags())
    for side in ("reporter", "partner"):
        frame = frame.join(tables.place_facts(side), on=f"{side}_code", how="left", maintain_order="left")
    return frame


def _codes() -> list[pl.Expr]:
    # Formats without a dimension (older downloads) file its total: an absent code there means the total.
    mos = pl.col("mosCode").str.strip_chars()
    return [
        (pl.col("delivery_id") + ":" + pl.col("source_line").cast(pl.String)).alias("declaration_id"),
        pl.col("freqCode").alias("frequency"),
        _place("reporterCode").alias("reporter_code"),
        pl.col("flowCode").str.strip_chars().alias("flow_code"),
        _place("partnerCode").alias("partner_code"),
        _place("partner2Code").fill_null(codes.WORLD_CODE).alias("partner2_code"),
        pl.col("cmdCode").str.strip_chars().alias("product_code"),
        _or_total(pl.col("customsCode").str.strip_chars(), codes.TOTAL_CUSTOMS).alias("customs_code"),
        _or_total(pl.col("motCode").cast(pl.String), codes.TOTAL_TRANSPORT).alias("mot_code"),
        _or_total(mos.replace("-1", codes.TOTAL_MODE_OF_SUPPLY), codes.TOTAL_MODE_OF_SUPPLY).alias("mos_code"),
        _hs_revision(),
        _is_hs().alias("_is_hs"),
    ]


def _place(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.zfill(3)


def _or_total(code: pl.Expr, total: str) -> pl.Expr:
    return pl.when(code.is_null() | (code == "")).then(pl.lit(total)).otherwise(code)


def _hs_revision() -> pl.Expr:
    code = pl.col("classificationCode")
    return pl.when(code.is_in(HS_REVISIONS)).then(code).alias("hs_revision")


def _is_hs() -> pl.Expr:
    services = pl.col("typeCode").eq("S").fill_null(False)
    return ~(services | pl.col("classificationCode").is_in(NON_HS_CLASSIFICATIONS).fill_null(False))


def _period() -> pl.Expr:
    first = pl.when(pl.col("frequency") == "A").then(pl.col("period") + "0101").otherwise(pl.col("period") + "01")
    shape = pl.when(pl.col("frequency") == "A").then(pl.lit(4)).otherwise(pl.lit(6))
    fits = pl.col("frequency").is_in(["A", "M"]) & (pl.col("period").str.len_chars() == shape)
    return pl.when(fits).then(first.str.to_date("%Y%m%d", strict=False)).alias("period_start")


def _product() -> pl.Expr:
    level = pl.col("product_code").str.len_chars().cast(pl.Int64)
    return (
        pl.when(pl.col("product_code") == codes.TOTAL_PRODUCT)
        .then(pl.lit(0, dtype=pl.Int64))
        .when(pl.col("_is_hs") & level.is_in([2, 4, 6]))
        .then(level)
        .alias("product_level")
    )


def _present(column: str) -> pl.Expr:
    # Comtrade writes 0 for a cif or fob value that was not filed.
    return pl.when(is_amount(column) & (pl.col(column) != 0)).then(pl.col(column))


def _values() -> list[pl.Expr]:
    return [
        amount("primaryValue").alias("value_usd"),
        _present("cifvalue").alias("cif_value_usd"),
        _present("fobvalue").alias("fob_value_usd"),
    ]


def _quantities() -> list[pl.Expr]:
    has_unit = ~pl.col("qtyUnitCode").is_in(NO_QUANTITY_UNITS)
    return [
        pl.when(has_unit).then(amount("qty")).alias("quantity"),
        pl.when(has_unit).then(pl.col("qtyUnitCode").cast(pl.String)).alias("quantity_unit_code"),
        amount("netWgt").alias("net_weight_kg"),
        amount("grossWgt").alias("gross_weight_kg"),
    ]


def _equals_value(column: str) -> pl.Expr:
    value = pl.col("value_usd")
    return ((pl.col(column) - value).abs() <= _SAME_VALUE_RELATIVE * value.abs()).fill_null(False)


def _valuation(export_codes: list[str]) -> pl.Expr:
    """Exports are FOB unless only a CIF value carries them; an import says itself which value it filed."""
    is_cif, is_fob = _equals_value("cif_value_usd"), _equals_value("fob_value_usd")
    is_export = pl.col("flow_code").is_in(export_codes).fill_null(False)
    return (
        pl.when(is_export & is_cif & ~is_fob)
        .then(pl.lit("CIF"))
        .when(is_export)
        .then(pl.lit("FOB"))
        .when(is_cif)
        .then(pl.lit("CIF"))
        .when(is_fob)
        .then(pl.lit("FOB"))
        .otherwise(pl.lit("unknown"))
        .alias("valuation_filed")
    )


def _flags() -> list[pl.Expr]:
    chapter = pl.when(pl.col("product_level") > 0).then(pl.col("product_code").str.slice(0, 2))
    return [
        chapter.alias("chapter_code"),
        (chapter == CONFIDENTIAL_CHAPTER).fill_null(False).alias("is_confidential"),
        pl.col("isQtyEstimated").alias("is_quantity_estimated"),
        pl.col("isNetWgtEstimated").alias("is_net_weight_estimated"),
        pl.col("isReported").alias("is_reported"),
        pl.col("isAggregate").alias("is_aggregate"),
    ]
