"""What honest reporters make of the true movements of one period: the filed cells at HS6.

Belongs here: reporting error and bias, CIF valuation, the importer's view of origin, areas nes, the code of the
reporter's own edition, thresholds, confidential codes, trade with itself. Does not belong here: rows derived from
filed cells (`totals`) and the columns of the source (`declare`).

Money and weight are held as whole thousandths (of a dollar, of a kilogram), so that sums do not depend on order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.cells import Cells
from orchestration.sample.config import Effects
from orchestration.sample.draws import Draws, Flags, Floats, Ints, Stream, keys_of
from orchestration.sample.places import PlaceTable
from orchestration.sample.products import DECOY, OLDEST_EDITION, WATCH, ProductTable
from orchestration.sample.reporters import EXPORTER, IMPORTER, ReporterTable
from orchestration.sample.truth import Movements

EXPORT, IMPORT = 0, 1
MONEY = ("usd", "cif", "fob")
AMOUNTS = (*MONEY, "grams", "pieces")
_LASTING_SHARE = 0.3
_STREAMS = {
    EXPORTER: (Stream.LASTING_EXPORTER, Stream.ERROR_EXPORTER, Stream.WEIGHT_EXPORTER, Stream.GROSS_EXPORTER),
    IMPORTER: (Stream.LASTING_IMPORTER, Stream.ERROR_IMPORTER, Stream.WEIGHT_IMPORTER, Stream.GROSS_IMPORTER),
}
_NES_STREAMS = {EXPORTER: Stream.NES_EXPORTER, IMPORTER: Stream.NES_IMPORTER}
# Area nes by rough continent of the partner; places without a better name go to 899, a few to bunkers and zones.
_ANYWHERE_NES, _BUNKERS, _FREE_ZONES, _SPECIAL = 899, 837, 838, 839
_EUROPE_NES, _AFRICA_NES, _AMERICA_NES, _OCEANIA_NES = 568, 577, 636, 527


@dataclass(frozen=True)
class PeriodContext:
    """Everything lasting that turns movements of one period into rows; `period` is 2017 or 202101.

    `files` says who reports the period, `group` which reporters this part is about, `edition` and `files_fob` are
    by trader.
    """

    frequency: str
    period: int
    effects: Effects
    places: PlaceTable
    products: ProductTable
    reporters: ReporterTable
    cells: Cells
    files: Flags
    group: Flags
    edition: Ints
    files_fob: Flags
    draws: Draws


def filed_cells(context: PeriodContext, moved: Movements) -> pl.DataFrame:
    """One row per reporter, flow (0 X, 1 M), partner and code actually traded, before anything is hidden.

    Columns: reporter, flow, partner, code (indices), usd, cif, fob, grams, pieces (Int64, thousandths but pieces),
    may_hide (0 or 1). Rows below the reporter's threshold are gone.
    """
    parts = [_side(context, moved, role) for role in (EXPORTER, IMPORTER)]
    if context.effects.self_trade:
        parts.append(_self_trade(context))
    cells = (
        pl.concat(parts)
        .group_by("reporter", "flow", "partner", "code")
        .agg(pl.col(AMOUNTS).sum(), pl.col("may_hide").min())
    )
    threshold = np.rint(context.reporters.threshold_usd[cells["reporter"].to_numpy()] * 1000.0)
    return cells.filter(cells["usd"].to_numpy() >= np.maximum(threshold, 1.0))


def with_hidden_codes(context: PeriodContext, filed: pl.DataFrame) -> pl.DataFrame:
    """Add `shown` (the code of the bilateral row) and `world_shown` (of the World row): 999999 where confidential.

    A reporter hides a product in one flow for good; half of the hidden products are still shown against World.
    What it lives on it does not hide.
    """
    reporter, code = filed["reporter"].to_numpy(), filed["code"].to_numpy()
    key = keys_of(context.places.code[reporter], filed["flow"].to_numpy(), context.products.code_number[code])
    hidden = context.draws.below(Stream.CONFIDENTIAL_PRODUCT, key, context.reporters.confidential_share[reporter])
    hidden &= ~(context.reporters.is_steady[reporter] & _is_story_code(context.products)[code])
    hidden &= filed.select(pl.col("may_hide").min().over("reporter", "flow", "code"))["may_hide"].to_numpy() == 1
    by_partner_only = context.draws.below(Stream.CONFIDENTIAL_MODE, key, 0.5)
    secret = context.products.confidential_index
    return filed.with_columns(
        shown=np.where(hidden, secret, code), world_shown=np.where(hidden & ~by_partner_only, secret, code)
    )


def _is_story_code(products: ProductTable) -> Flags:
    """Codes, in any edition, of watched and decoy products: reporters on the planted routes do not hide them."""
    story = np.isin(products.basket, (WATCH, DECOY))
    flags = np.zeros(len(products.codes), dtype=np.bool_)
    flags[products.filed_as[:, story].ravel()] = True
    return flags


def _side(context: PeriodContext, moved: Movements, role: int) -> pl.DataFrame:
    """Rows of all exporters (X) or all importers (M) of the part that file the period."""
    cells, reporters = context.cells, context.reporters
    who = cells.exporter if role == EXPORTER else cells.importer
    amount = moved.fob_usd if role == EXPORTER else moved.arriving_usd * cells.import_factor
    rows = np.flatnonzero((amount > 0) & (context.files & context.group)[who])
    reporter, case = who[rows], cells.case[rows]
    error, weight_error = _errors(context, rows, reporter, role)
    value = amount[rows] * np.exp(reporters.bias[role][reporter] + error)
    carried = moved.fob_usd[rows] if role == EXPORTER else moved.arriving_usd[rows]
    kg = carried / cells.unit_value[rows] * np.exp(weight_error)
    product = (cells.exporter_product if role == EXPORTER else cells.importer_product)[rows]
    true_product = cells.product[rows]
    partner = _partners(context, rows, role)
    partner = np.where(case >= 0, partner, _with_areas_nes(context, rows, reporter, partner, role))
    zero = np.zeros(rows.size)
    cif = zero if role == EXPORTER else value * np.exp(cells.cif_log[rows] * context.effects.cif_margin)
    files_fob = context.files_fob[reporter] | (role == EXPORTER)
    pieces = np.maximum(np.rint(kg / context.products.piece_kg[true_product]), 1.0)
    return _frame(
        reporter=reporter,
        flow=np.full(rows.size, EXPORT if role == EXPORTER else IMPORT),
        partner=partner,
        code=context.products.filed_as[context.edition[reporter] - OLDEST_EDITION, product],
        may_hide=context.reporters.may_hide[role, reporter, product],
        usd=np.where(files_fob, value, cif) * 1000.0,
        cif=np.where(files_fob, zero, cif) * 1000.0,
        fob=np.where(files_fob | reporters.files_both_values[reporter], value, zero) * 1000.0,
        grams=kg * 1000.0,
        pieces=pieces,
    )


def _frame(**columns: Ints | Floats | Flags) -> pl.DataFrame:
    """Indices as Int32, amounts as whole Int64."""
    return pl.DataFrame(
        {
            name: np.rint(values).astype(np.int64) if name in AMOUNTS else values.astype(np.int32)
            for name, values in columns.items()
        }
    )


def _errors(context: PeriodContext, rows: Ints, reporter: Ints, role: int) -> tuple[Floats, Floats]:
    """Log errors of value and of weight: part of it lasts over the periods, weight and value go together."""
    lasting, passing, weight, gross = _STREAMS[role]
    draws, period, key = context.draws, context.period, context.cells.key[rows]
    standard = np.sqrt(_LASTING_SHARE) * draws.normal(lasting, key) + np.sqrt(1.0 - _LASTING_SHARE) * draws.normal(
        passing, key, period
    )
    sigma = context.reporters.sigma[role][reporter]
    error = sigma * standard
    weight_error = sigma * (0.5 * standard + 0.6 * draws.normal(weight, key, period))
    if context.effects.gross_errors:
        number = draws.uniform(gross, key, period)
        error = error + np.log(10.0) * ((number < 0.003).astype(np.float64) - (number > 0.997))
    return error, weight_error


def _partners(context: PeriodContext, rows: Ints, role: int) -> Ints:
    """Partner that the declarant would name; some importers name the origin of goods that came through a hub."""
    cells = context.cells
    if role == EXPORTER:
        return cells.exporter_partner[rows]
    partner, importer, key = cells.importer_partner[rows], cells.importer[rows], cells.key[rows]
    looks_through = (
        context.reporters.records_origin[importer]
        & context.reporters.is_hub[cells.exporter[rows]]
        & (cells.case[rows] < 0)
        & context.draws.below(Stream.ORIGIN_CELL, key, 0.3)
    )
    maker = ~context.places.is_transit | context.places.is_producer
    large = np.flatnonzero((context.places.mass >= 1_000.0) & maker)
    origin = large[np.floor(large.size * context.draws.uniform(Stream.ORIGIN_REPORTER, key, 1)).astype(np.int64)]
    return np.where(looks_through & (origin != importer), origin, partner)


def _with_areas_nes(context: PeriodContext, rows: Ints, reporter: Ints, partner: Ints, role: int) -> Ints:
    """Some partners become areas nes, bunkers, free zones or special categories; lasting per cell."""
    places, key = context.places, context.cells.key[rows]
    chosen = context.draws.below(_NES_STREAMS[role], key, context.reporters.nes_share[reporter])
    number = context.draws.uniform(Stream.NES_CODE, key)
    codes = np.select(
        [number < 0.06, number < 0.12, number < 0.22, number < 0.6],
        [_BUNKERS, _FREE_ZONES, _SPECIAL, _area_of(places, partner)],
        _ANYWHERE_NES,
    )
    index = np.full(1000, -1, dtype=np.int64)
    index[places.code] = np.arange(places.code.size)
    special = index[codes]
    return np.where(chosen & (special >= 0), special, partner)


def _area_of(places: PlaceTable, partner: Ints) -> Ints:
    """Area nes of the partner's continent by rough boxes of latitude and longitude."""
    lat, lon = places.latitude[partner], places.longitude[partner]
    return np.select(
        [lon < -30, (lat > 35) & (lon < 40), (lon < 52) & (lat < 35) & (lat > -40), (lat < 0) & (lon > 110)],
        [_AMERICA_NES, _EUROPE_NES, _AFRICA_NES, _OCEANIA_NES],
        _ANYWHERE_NES,
    )


def _self_trade(context: PeriodContext) -> pl.DataFrame:
    """Imports of some reporters from themselves (goods that came back)."""
    products, draws = context.products, context.draws
    chosen = np.flatnonzero(context.reporters.trades_with_itself & context.files & context.group)
    key = keys_of(context.places.code[chosen][:, None], products.number[None, :])
    number = draws.uniform(Stream.SELF_TRADE, key)
    row, product = np.nonzero((number < 0.06) | (number == number.min(axis=1, keepdims=True)))
    reporter, cell = chosen[row], key[row, product]
    months = 12.0 if context.frequency == "A" else 1.0
    value = 8_000.0 * months * draws.lognormal(Stream.SELF_TRADE, cell, 1.2, context.period)
    kg = value / products.unit_value[product]
    fob = context.files_fob[reporter]
    return _frame(
        reporter=reporter,
        flow=np.full(reporter.size, IMPORT),
        partner=reporter,
        code=products.filed_as[context.edition[reporter] - OLDEST_EDITION, product],
        may_hide=np.ones(reporter.size, dtype=np.int64),
        usd=value * 1000.0,
        cif=np.where(fob, 0.0, value) * 1000.0,
        fob=np.where(fob, value, 0.0) * 1000.0,
        grams=kg * 1000.0,
        pieces=np.maximum(np.rint(kg / products.piece_kg[product]), 1.0),
    )
