"""The rows of a period in UN Comtrade's own schema: 47 columns, names, order and types as the API answers them.

Belongs here: the schema and the way the source writes things (codes, absent values, estimation flags). Does not
belong here: which rows there are and what they are worth (`reporting`, `totals`).

What the source writes was read off real answers: refMonth 52 for a year; import fobvalue 0 or null where absent;
qtyUnitCode -1 with qty 0 or null where no quantity is known; legacyEstimationFlag 2 for an estimated quantity, 4
for an estimated net weight, 6 for both; mosCode '0', by some reporters '0 '.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from orchestration.sample.draws import Flags, Floats, Ints, Stream, keys_of
from orchestration.sample.products import UNIT_KG, UNIT_PIECE
from orchestration.sample.reporting import PeriodContext
from orchestration.sample.totals import CUSTOMS, FLOWS

API_SCHEMA = pl.Schema(
    {
        "typeCode": pl.String, "freqCode": pl.String, "refPeriodId": pl.Int64, "refYear": pl.Int64,
        "refMonth": pl.Int64, "period": pl.String, "reporterCode": pl.Int64, "reporterISO": pl.String,
        "reporterDesc": pl.String, "flowCode": pl.String, "flowDesc": pl.String, "partnerCode": pl.Int64,
        "partnerISO": pl.String, "partnerDesc": pl.String, "partner2Code": pl.Int64, "partner2ISO": pl.String,
        "partner2Desc": pl.String, "classificationCode": pl.String, "classificationSearchCode": pl.String,
        "isOriginalClassification": pl.Boolean, "cmdCode": pl.String, "cmdDesc": pl.String,
        "aggrLevel": pl.Int64, "isLeaf": pl.Boolean, "customsCode": pl.String, "customsDesc": pl.String,
        "mosCode": pl.String, "motCode": pl.Int64, "motDesc": pl.String, "qtyUnitCode": pl.Int64,
        "qtyUnitAbbr": pl.String, "qty": pl.Float64, "isQtyEstimated": pl.Boolean, "altQtyUnitCode": pl.Int64,
        "altQtyUnitAbbr": pl.String, "altQty": pl.Float64, "isAltQtyEstimated": pl.Boolean,
        "netWgt": pl.Float64, "isNetWgtEstimated": pl.Boolean, "grossWgt": pl.Float64,
        "isGrossWgtEstimated": pl.Boolean, "cifvalue": pl.Float64, "fobvalue": pl.Float64,
        "primaryValue": pl.Float64, "legacyEstimationFlag": pl.Int64, "isReported": pl.Boolean,
        "isAggregate": pl.Boolean,
    }
)  # fmt: skip

ANNUAL_REF_MONTH = 52
_FLOW_NAMES = ("Export", "Import", "Re-export", "Domestic Export", "Re-import", "Foreign Import")
_CUSTOMS_NAMES = ("TOTAL CPC", "Clearance for home use", "Customs warehouses", "Inward processing")
_TRANSPORT_NAMES = {0: "TOTAL MOT", 1000: "Air", 2000: "Water", 2100: "Sea", 3000: "Land", 3100: "Railway",
                    3200: "Road"}  # fmt: skip
_UNIT_NAMES = {-1: "N/A", UNIT_PIECE: "u", UNIT_KG: "kg"}
_DESCRIPTIONS = (
    "reporterISO", "reporterDesc", "flowDesc", "partnerISO", "partnerDesc", "partner2ISO", "partner2Desc",
    "cmdDesc", "customsDesc", "motDesc", "qtyUnitAbbr", "altQtyUnitAbbr",
)  # fmt: skip


def declare(context: PeriodContext, rows: pl.DataFrame, with_descriptions: bool) -> pl.DataFrame:
    """Turn rows (columns `totals.ROW_COLUMNS`) into declarations (API_SCHEMA), in a fixed order."""
    ordered = _ordered(context, rows)
    columns = {
        **_keys_of_period(context, ordered.height),
        **_places_and_flows(context, ordered),
        **_goods(context, ordered),
        **_quantities(context, ordered),
        **_values(context, ordered),
    }
    if not with_descriptions:
        columns |= {name: pl.repeat(None, ordered.height, dtype=pl.String, eager=True) for name in _DESCRIPTIONS}
    return pl.DataFrame({name: columns[name] for name in API_SCHEMA}, schema=API_SCHEMA)


def _ordered(context: PeriodContext, rows: pl.DataFrame) -> pl.DataFrame:
    """By reporter, flow, partner, code, transport, customs, second partner: the key of the source, so no ties."""
    code = pl.Series(context.places.code)
    return rows.with_columns(
        reporter_code=code.gather(rows["reporter"]),
        partner_code=code.gather(rows["partner"]),
        partner2_code=code.gather(rows["partner2"]),
    ).sort("reporter_code", "flow", "partner_code", "code", "transport", "customs", "partner2_code")


_Columns = dict[str, pl.Series]


def _same(value: str | int | bool, height: int) -> pl.Series:
    return pl.repeat(value, height, eager=True)


def _keys_of_period(context: PeriodContext, height: int) -> _Columns:
    annual = context.frequency == "A"
    year, month = (context.period, 1) if annual else divmod(context.period, 100)
    return {
        "typeCode": _same("C", height),
        "freqCode": _same(context.frequency, height),
        "refPeriodId": _same(year * 10_000 + month * 100 + 1, height),
        "refYear": _same(year, height),
        "refMonth": _same(ANNUAL_REF_MONTH if annual else month, height),
        "period": _same(str(context.period), height),
        "classificationSearchCode": _same("HS", height),
        "isOriginalClassification": _same(True, height),
    }


def _gather(values: tuple[str, ...] | list[str], index: pl.Series) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(index)


def _places_and_flows(context: PeriodContext, rows: pl.DataFrame) -> _Columns:
    places, reporters = context.places, context.reporters
    reporter = rows["reporter"].to_numpy()
    padded = pl.Series(reporters.pads_codes[reporter].astype(np.int32))
    modes = rows["transport"].replace_strict(_TRANSPORT_NAMES, return_dtype=pl.String)
    return {
        "reporterCode": rows["reporter_code"],
        "reporterISO": places.iso3.gather(rows["reporter"]),
        "reporterDesc": places.name.gather(rows["reporter"]),
        "flowCode": _gather(FLOWS, rows["flow"]),
        "flowDesc": _gather(_FLOW_NAMES, rows["flow"]),
        "partnerCode": rows["partner_code"],
        "partnerISO": places.iso3.gather(rows["partner"]),
        "partnerDesc": places.name.gather(rows["partner"]),
        "partner2Code": rows["partner2_code"],
        "partner2ISO": places.iso3.gather(rows["partner2"]),
        "partner2Desc": places.name.gather(rows["partner2"]),
        "customsCode": _gather(CUSTOMS, rows["customs"]),
        "customsDesc": _gather(_CUSTOMS_NAMES, rows["customs"]),
        "mosCode": _gather(["0", "0 "], padded),
        "motCode": rows["transport"].cast(pl.Int64),
        "motDesc": modes,
    }


def _goods(context: PeriodContext, rows: pl.DataFrame) -> _Columns:
    edition = pl.Series(context.edition[rows["reporter"].to_numpy()])
    level = rows["level"].cast(pl.Int64)
    built = context.reporters.is_unsd_built[rows["reporter"].to_numpy()]
    aggregate = pl.Series(built) | (level < 6)
    return {
        "classificationCode": pl.Series("H" + edition.cast(pl.String)),
        "cmdCode": context.products.codes.gather(rows["code"]),
        "cmdDesc": context.products.names.gather(rows["code"]),
        "aggrLevel": level,
        "isLeaf": level == 6,
        "isReported": ~aggregate,
        "isAggregate": aggregate,
    }


def _quantities(context: PeriodContext, rows: pl.DataFrame) -> _Columns:
    """Quantity, net weight and their estimation; TOTAL rows and hidden codes carry none."""
    unit = context.products.unit[rows["code"].to_numpy()]
    has_goods = (rows["level"].to_numpy() == 6) & (unit > 0)
    missing, estimated_weight, estimated_quantity = _quantity_flags(context, rows)
    known = has_goods & ~missing
    worth_kg = _estimated_kg(context, rows)
    worth_pieces = worth_kg / context.products.code_piece_kg[rows["code"].to_numpy()]
    kg = np.where(estimated_weight, worth_kg, rows["grams"].to_numpy() / 1000.0)
    kg = np.where(known, np.round(kg, 3), 0.0)
    in_pieces = known & (unit == UNIT_PIECE)
    pieces = np.where(estimated_quantity, np.round(worth_pieces, 3), rows["pieces"].to_numpy())
    quantity = np.where(in_pieces, pieces, kg)
    shown_unit = np.where(known, unit, -1)
    weight_flag = known & estimated_weight
    quantity_flag = known & np.where(unit == UNIT_KG, estimated_weight, estimated_quantity)
    zero = context.reporters.writes_zero[rows["reporter"].to_numpy()]
    return {
        "qtyUnitCode": pl.Series(shown_unit),
        "qtyUnitAbbr": _unit_names(shown_unit),
        "qty": _absent(quantity, ~known, zero),
        "isQtyEstimated": pl.Series(quantity_flag),
        "altQtyUnitCode": pl.Series(np.where(in_pieces, UNIT_KG, -1)),
        "altQtyUnitAbbr": _unit_names(np.where(in_pieces, UNIT_KG, -1)),
        "altQty": _absent(kg, ~in_pieces, zero),
        "isAltQtyEstimated": pl.Series(in_pieces & weight_flag),
        "netWgt": _absent(kg, ~known, zero),
        "isNetWgtEstimated": pl.Series(weight_flag),
        "grossWgt": _absent(kg, np.ones(kg.size, dtype=np.bool_), zero),
        "isGrossWgtEstimated": _same(False, rows.height),
        "legacyEstimationFlag": pl.Series(2 * quantity_flag.astype(np.int64) + 4 * weight_flag.astype(np.int64)),
    }


def _quantity_flags(context: PeriodContext, rows: pl.DataFrame) -> tuple[Flags, Flags, Flags]:
    """Missing, weight estimated, pieces estimated; the same for a row and its breakdown."""
    reporters, places = context.reporters, context.places.code
    reporter = rows["reporter"].to_numpy()
    key = keys_of(
        places[reporter],
        rows["flow"].to_numpy(),
        places[rows["partner"].to_numpy()],
        context.products.code_number[rows["code"].to_numpy()],
    )
    number = context.draws.uniform(Stream.QUANTITY_ESTIMATED, key, context.period)
    share = reporters.quantity_estimated_share[reporter]
    missing = context.draws.below(
        Stream.QUANTITY_MISSING, key, reporters.quantity_missing_share[reporter], context.period
    )
    return missing, number < share, (number > 0.4 * share) & (number < 1.4 * share)


def _estimated_kg(context: PeriodContext, rows: pl.DataFrame) -> Floats:
    """Weight that the world median unit value of the code gives to the declared value."""
    kg: Floats = rows["usd"].to_numpy() / 1000.0 / context.products.code_unit_value[rows["code"].to_numpy()]
    return kg


def _unit_names(unit: Ints) -> pl.Series:
    return pl.Series(unit).replace_strict(_UNIT_NAMES, return_dtype=pl.String)


def _absent(values: Floats, is_absent: Flags, as_zero: Flags) -> pl.Series:
    """Values with the absent ones written as 0 by some reporters and as null by the others."""
    shown = pl.Series(np.where(is_absent, 0.0, values))
    return shown.set(pl.Series(is_absent & ~as_zero), None)


def _values(context: PeriodContext, rows: pl.DataFrame) -> _Columns:
    """primaryValue is the export FOB, the import CIF, or the import FOB of importers that value so."""
    zero = context.reporters.writes_zero[rows["reporter"].to_numpy()]
    money: Mapping[str, Floats] = {name: rows[name].to_numpy() / 1000.0 for name in ("usd", "cif", "fob")}
    return {
        "cifvalue": _absent(money["cif"], money["cif"] == 0.0, zero),
        "fobvalue": _absent(money["fob"], money["fob"] == 0.0, zero),
        "primaryValue": pl.Series(money["usd"]),
    }
