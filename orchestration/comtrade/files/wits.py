"""The World Bank's WITS downloads: ISO3 letters, flow numbers of their own, values in thousand USD.

Belongs here: bringing WITS codes to Comtrade's. Does not belong here: whether a place or product is known.
"""

from __future__ import annotations

import polars as pl

FLOWS = {"3": "RX", "4": "RM", "5": "M", "6": "X"}
UNITS = {"Item": "5", "Kg": "8", "N.Q.": "-1"}
# Letters of WITS that Comtrade's table of places writes otherwise or not at all.
OWN_LETTERS = {"WLD": "000", "ASEAN": "975"}
# Places whose letters stand for several codes of the same years: the code that today's declarations use.
CURRENT_CODES = ("251", "380", "579", "757", "842")
ALL_PRODUCTS = "Total"
USD_PER_UNIT = 1000.0
_USD_DECIMALS = 3


def adapt(frame: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Adds reporterCode, partnerCode and qtyUnitCode, and brings flow and value (USD) to the API's.

    A code that cannot be translated keeps its raw text, so that its row is flagged with it.
    """
    text = {name: pl.col(name).cast(pl.String).str.strip_chars() for name in ("flowCode", "period", "qtyUnitAbbr")}
    present = {name: expr for name, expr in text.items() if name in frame.columns}
    frame = frame.with_columns(**present).with_columns(
        pl.col("flowCode").replace(FLOWS), pl.col("cmdCode").replace(ALL_PRODUCTS, "TOTAL"), _usd()
    )
    if "qtyUnitAbbr" in frame.columns:
        frame = frame.with_columns(pl.col("qtyUnitAbbr").replace(UNITS).alias("qtyUnitCode"))
    for side in ("reporter", "partner"):
        frame = _with_code(frame, side, places)
    return frame


def _usd() -> pl.Expr:
    filed = pl.col("primaryValue")
    usd = (filed.cast(pl.Float64, strict=False) * USD_PER_UNIT).round(_USD_DECIMALS)
    # What is no number keeps its text and is flagged with it.
    return pl.coalesce(usd.cast(pl.String), filed.cast(pl.String)).alias("primaryValue")


def _with_code(frame: pl.DataFrame, side: str, places: pl.DataFrame) -> pl.DataFrame:
    letters = pl.col(f"{side}ISO").cast(pl.String).str.strip_chars()
    pairs = frame.select(letters.alias("iso3"), pl.col("period").alias("year")).unique()
    codes = code_by_letters(pairs, places)
    named = frame.with_columns(letters.alias(f"{side}ISO"))
    joined = named.join(
        codes.rename({"iso3": f"{side}ISO", "year": "period", "place_code": f"{side}Code"}),
        on=[f"{side}ISO", "period"],
        how="left",
        maintain_order="left",
        nulls_equal=True,
    )
    return joined.with_columns(pl.coalesce(f"{side}Code", f"{side}ISO").alias(f"{side}Code"))


def code_by_letters(pairs: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Comtrade's code (place_code) for each pair of iso3 and year (text); NULL where no place of that year has it.

    Letters are shared by a place and its predecessors: the one whose dates hold the year is meant, of two such the
    one in CURRENT_CODES, else the one that began last.
    """
    own = pl.DataFrame(
        {"iso3": list(OWN_LETTERS), "own_code": list(OWN_LETTERS.values())}, schema_overrides={"iso3": pl.String}
    )
    known = places.select(
        pl.col("iso3").str.strip_chars(),
        "place_code",
        pl.col("valid_from").cast(pl.Date).dt.year().alias("first_year"),
        pl.col("valid_to").cast(pl.Date).dt.year().alias("last_year"),
    )
    year = pl.col("year").cast(pl.Int32, strict=False)
    meant = (
        pairs.join(known, on="iso3", how="inner")
        .filter((pl.col("first_year") <= year) & (year <= pl.col("last_year")).fill_null(True))
        .with_columns(is_current=pl.col("place_code").is_in(CURRENT_CODES))
        .sort("iso3", "year", "is_current", "first_year", "place_code", descending=[False, False, True, True, True])
        .unique(["iso3", "year"], keep="first", maintain_order=True)
        .select("iso3", "year", "place_code")
    )
    return (
        pairs.join(meant, on=["iso3", "year"], how="left", nulls_equal=True)
        .join(own, on="iso3", how="left")
        .select("iso3", "year", pl.coalesce("own_code", "place_code").alias("place_code"))
    )
