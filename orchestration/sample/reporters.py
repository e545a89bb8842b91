"""How each place reports: its errors per role, its habits, and which periods it files.

Belongs here: lasting traits of reporters and their calendar, with the truth table `reporter_error`. Does not belong
here: their use on the rows of a period (`reporting`, `totals`, `declare`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.cells import Cells
from orchestration.sample.config import WorldConfig
from orchestration.sample.draws import Draws, Flags, Floats, Ints, Keys, Stream
from orchestration.sample.evasion import Case, boom_place, month_number
from orchestration.sample.places import (
    BELARUS_CODE,
    DESTINATION_CODE,
    NEVER_FILES_A_TOTAL_ROW,
    PlaceTable,
)

EXPORTER, IMPORTER = 0, 1
ROLE_NAMES = ("exporter", "importer")
SILENT_MONTH = month_number(2022, 2)
STEADY_MASS = 2_500.0
SIGMA_RANGE = (0.03, 0.7)
MAX_HIDDEN_SHARE = 0.05
THRESHOLDS_USD = (0.0, 1_000.0, 2_500.0, 10_000.0)
NO_BREAKDOWN, BY_TRANSPORT, BY_CUSTOMS, BY_PARTNER2, TRANSPORT_WITHOUT_TOTAL = range(5)


@dataclass(frozen=True)
class ReporterTable:
    """Traits by trader index. `sigma`, `bias` have two rows: as exporter, as importer (log points).

    `may_hide` is by role, trader and product: false for the goods a reporter lives on.
    """

    sigma: Floats
    bias: Floats
    threshold_usd: Floats
    confidential_share: Floats
    may_hide: Flags
    nes_share: Floats
    late_years: Ints
    never_updated: Flags
    records_origin: Flags
    files_domestic_exports: Flags
    files_reimports: Flags
    files_both_values: Flags
    writes_zero: Flags
    is_unsd_built: Flags
    pads_codes: Flags
    quantity_missing_share: Floats
    quantity_estimated_share: Floats
    trades_with_itself: Flags
    breakdown: Ints
    files_bilateral_levels: Flags
    files_world_levels: Flags
    never_reports: Flags
    files_years_only: Flags
    is_steady: Flags
    is_hub: Flags


def build_reporters(
    config: WorldConfig, places: PlaceTable, planned: tuple[Case, ...], cells: Cells, draws: Draws
) -> ReporterTable:
    """Draw every reporter's traits; switched-off effects give neutral traits (calendars: see `files_period`)."""
    on, keys = config.effects, places.keys
    steady = _steady(places, planned, draws)
    never = _some_but(steady, draws.uniform(Stream.NEVER_REPORTS, keys), 0.06)
    barred = steady | never

    def some(stream: Stream, chance: float, switch: bool) -> Flags:
        return _some(draws.uniform(stream, keys), chance) & switch

    def share(stream: Stream, chance: float, low: float, high: float) -> Floats:
        """0 for most reporters, between low and high for the others."""
        number = draws.uniform(stream, keys)
        return np.where(_some(number, chance), low + (high - low) * np.minimum(number / chance, 1.0), 0.0)

    edition = np.where(barred, 0.5, draws.uniform(Stream.EDITION, keys))
    late = np.where(_some_but(barred, edition, 0.10), 2, np.where(edition < 0.26, 1, 0)) * on.mixed_editions
    return ReporterTable(
        sigma=_sigma(config, keys, draws),
        bias=_bias(config, keys, draws),
        threshold_usd=np.array(THRESHOLDS_USD)[_quarter(draws.uniform(Stream.THRESHOLD, keys))] * on.threshold,
        confidential_share=_confidential_share(places, draws) * on.confidential,
        may_hide=_minor_products(places, cells),
        nes_share=share(Stream.NES_REPORTER, 0.5, 0.005, 0.04) * on.nes_partners,
        late_years=late.astype(np.int64),
        never_updated=(edition > 0.97) & on.mixed_editions,
        records_origin=some(Stream.ORIGIN_REPORTER, 0.35, on.origin_recording),
        files_domestic_exports=draws.below(Stream.HUB_STYLE, keys, 0.6),
        files_reimports=some(Stream.RE_IMPORT, 0.05, on.reexport_hubs),
        files_both_values=some(Stream.BOTH_VALUES, 0.22, on.observed_margin),
        writes_zero=some(Stream.ABSENT_AS_ZERO, 0.55, on.absent_fob_as_zero),
        is_unsd_built=draws.below(Stream.UNSD_BUILT, keys, 0.5),
        pads_codes=some(Stream.PADDED_CODE, 0.2, on.padded_codes),
        quantity_missing_share=share(Stream.QUANTITY_MISSING, 0.5, 0.01, 0.10) * on.missing_quantities,
        quantity_estimated_share=share(Stream.QUANTITY_STYLE, 0.7, 0.05, 0.35) * on.estimated_quantities,
        trades_with_itself=_some_but(barred, draws.uniform(Stream.SELF_TRADE, keys), 0.2) & on.self_trade,
        breakdown=_breakdown(places, steady, never, draws) * on.breakdowns,
        files_bilateral_levels=some(Stream.LEVEL_STYLE, 0.15, on.control_totals),
        files_world_levels=some(Stream.LEVEL_STYLE, 0.3, on.control_totals),
        never_reports=never,
        files_years_only=draws.below(Stream.ANNUAL_ONLY, keys, 0.10) & ~steady,
        is_steady=steady,
        is_hub=places.is_hub,
    )


def files_period(
    config: WorldConfig,
    reporters: ReporterTable,
    places: PlaceTable,
    frequency: str,
    period: int,
    draws: Draws,
) -> Flags:
    """Which traders file the annual (2017) or monthly (202101) data set of a period.

    Who is chosen for a partial or rolled-up year does not depend on which of these effects are switched on.
    """
    year, month = (period, 12) if frequency == "A" else (period // 100, period % 100)
    files = _is_not_silent(config, places, frequency, year, month)
    eligible = ~reporters.is_steady & ~reporters.never_reports & ~reporters.files_years_only
    chosen_partial = _chosen_in_year(Stream.PARTIAL_YEAR, places, eligible, year, draws)
    chosen_rolled = _chosen_in_year(Stream.ROLLED_UP_YEAR, places, eligible & ~chosen_partial, year, draws)
    partial = chosen_partial & config.effects.partial_years
    rolled = chosen_rolled & config.effects.rolled_up_years
    has_months = year >= config.monthly_start_year
    if frequency == "A":
        absent = (partial | rolled) & has_months
    else:
        last = 3 + np.floor(7 * draws.uniform(Stream.PARTIAL_YEAR, places.keys, year + 10_000))
        absent = partial & (month > last)
    gaps = _gaps(config, reporters, places, frequency, year, month, draws)
    gaps &= ~reporters.is_steady & ~chosen_partial & ~chosen_rolled
    return files & ~absent & ~(gaps & config.effects.non_reporting)


def edition_of(reporters: ReporterTable, year: int) -> Ints:
    """HS edition (4, 5, 6) that each reporter files in a year: new ones come in 2017 and 2022, for some later."""
    newest = np.where(year - reporters.late_years >= 2022, 6, np.where(year - reporters.late_years >= 2017, 5, 4))
    return np.where(reporters.never_updated, np.minimum(newest, 5), newest).astype(np.int64)


def fob_importers(valuation: pl.DataFrame, places: PlaceTable, year: int, config: WorldConfig) -> Flags:
    """Importers that file FOB in a year, from the valuation table."""
    first = pl.col("year_from").cast(pl.Int64)
    last = pl.col("year_to").cast(pl.Int64, strict=False).fill_null(9999)
    codes = valuation.filter(
        (pl.col("flow_code") == "M") & (pl.col("valuation") == "FOB") & (first <= year) & (last >= year)
    )["reporter_code"].cast(pl.Int64)
    flags: Flags = np.isin(places.code[: places.trader_count], codes.to_numpy()) & config.effects.fob_importers
    return flags


def error_table(reporters: ReporterTable, places: PlaceTable) -> pl.DataFrame:
    """Truth table `reporter_error`: reporter, role, standard deviation and bias of its log error."""
    code = [f"{number:03d}" for number in places.code[: places.trader_count].tolist()]
    return pl.concat(
        pl.DataFrame(
            {
                "reporter_code": code,
                "role": [ROLE_NAMES[role]] * len(code),
                "sigma_log": reporters.sigma[role],
                "bias_log": reporters.bias[role],
            }
        )
        for role in (EXPORTER, IMPORTER)
    ).sort("reporter_code", "role")


def _some(number: Floats, chance: float) -> Flags:
    """True with a chance, and for at least one reporter, so that every effect occurs in every world."""
    flags: Flags = (number < chance) | (number == number.min(initial=np.inf))
    return flags


def _some_but(barred: Flags, number: Floats, chance: float) -> Flags:
    """`_some` of the reporters that are not barred."""
    flags: Flags = _some(np.where(barred, 1.0, number), chance) & ~barred
    return flags


def _confidential_share(places: PlaceTable, draws: Draws) -> Floats:
    """Share of products that a reporter hides: 5 to 15 % for two in five, none for the large (many traders there)."""
    number = draws.uniform(Stream.CONFIDENTIAL_REPORTER, places.keys)
    share = 0.05 + 0.10 * np.minimum(number / 0.4, 1.0)
    return np.where(_some_but(places.mass >= STEADY_MASS, number, 0.4), share, 0.0)


def _minor_products(places: PlaceTable, cells: Cells) -> Flags:
    """Products of at most MAX_HIDDEN_SHARE of a trader's exports (first) or imports (second) in the long run.

    Hiding more would leave the reporter's control totals without parts.
    """
    value, product = np.exp(cells.ln_base), cells.product[: cells.honest_count]
    count = int(cells.product.max(initial=0)) + 1
    minor = []
    for trader in (cells.exporter[: cells.honest_count], cells.importer[: cells.honest_count]):
        total = np.bincount(trader * count + product, value, places.trader_count * count).reshape(-1, count)
        minor.append(total <= MAX_HIDDEN_SHARE * total.sum(axis=1, keepdims=True))
    return np.stack(minor)


def _quarter(uniform: Floats) -> Ints:
    return np.floor(4 * uniform).astype(np.int64)


def _sigma(config: WorldConfig, keys: Keys, draws: Draws) -> Floats:
    """Standard deviation of log errors: both roles related; about one reporter in six is bad in one role only."""
    exporter = draws.normal(Stream.SIGMA_EXPORTER, keys)
    importer = 0.4 * exporter + 0.92 * draws.normal(Stream.SIGMA_IMPORTER, keys)
    sigma = 0.11 * np.exp(0.85 * np.stack([exporter, importer]))
    one_role = draws.uniform(Stream.ONE_ROLE, keys)
    bad = np.stack([_some(one_role, 0.08), _some(1.0 - one_role, 0.08)])
    if config.effects.one_role_reporters:
        sigma = np.where(bad, np.maximum(3.5 * sigma, 0.4), sigma)
    clipped: Floats = np.clip(sigma, *SIGMA_RANGE) * config.noise_scale
    return clipped * config.effects.reporting_error


def _bias(config: WorldConfig, keys: Keys, draws: Draws) -> Floats:
    bias = np.stack([draws.normal(Stream.BIAS_EXPORTER, keys), draws.normal(Stream.BIAS_IMPORTER, keys)])
    scaled: Floats = np.clip(0.08 * bias, -0.25, 0.25) * config.noise_scale * config.effects.persistent_bias
    return scaled


def _steady(places: PlaceTable, planned: tuple[Case, ...], draws: Draws) -> Flags:
    """Places that always file, on time and in the newest edition: the large ones, those on planned routes, and
    their innocent look-alike.

    A passage through a country that does not report could not be found by anybody.
    """
    code = places.code[: places.trader_count]
    on_route = {i for case in planned for i in (case.origin, case.transit, case.second_transit)}
    on_route.add(boom_place(places, draws))
    named = np.isin(code, [DESTINATION_CODE, BELARUS_CODE])
    steady: Flags = named | (places.mass >= STEADY_MASS) | np.isin(np.arange(code.size), sorted(on_route))
    return steady


def _breakdown(places: PlaceTable, steady: Flags, never: Flags, draws: Draws) -> Ints:
    """Habit of filing breakdown rows: few reporters, none of them large, one of them without total rows."""
    code = places.code[: places.trader_count]
    number = draws.uniform(Stream.BREAKDOWN_REPORTER, places.keys)
    styles = np.select(
        [number < 0.03, number < 0.05, number < 0.07], [BY_TRANSPORT, BY_CUSTOMS, BY_PARTNER2], NO_BREAKDOWN
    )
    styles = np.where(steady & (places.mass > 100.0), NO_BREAKDOWN, styles)
    candidates = np.flatnonzero((places.mass < 400.0) & ~never & (code != NEVER_FILES_A_TOTAL_ROW))
    order = candidates[np.lexsort((number[candidates], steady[candidates]))]
    for style, index in zip((BY_TRANSPORT, BY_CUSTOMS, BY_PARTNER2), order, strict=False):
        styles[index] = style  # every style occurs in every world
    styles[code == NEVER_FILES_A_TOTAL_ROW] = TRANSPORT_WITHOUT_TOTAL
    return styles.astype(np.int64)


def _is_not_silent(config: WorldConfig, places: PlaceTable, frequency: str, year: int, month: int) -> Flags:
    code = places.code[: places.trader_count]
    silent = [
        place
        for place, switch in (
            (DESTINATION_CODE, config.effects.russia_silent),
            (BELARUS_CODE, config.effects.belarus_silent),
        )
        if switch
    ]
    started = year >= 2022 if frequency == "A" else month_number(year, month) >= SILENT_MONTH
    flags: Flags = ~(np.isin(code, silent) & started)
    return flags


def _chosen_in_year(stream: Stream, places: PlaceTable, eligible: Flags, year: int, draws: Draws) -> Flags:
    """About one reporter in thirty, and always at least one."""
    number = np.where(eligible, draws.uniform(stream, places.keys, year), 2.0)
    flags: Flags = (number < 0.03) | ((number == number.min()) & (number < 1.0))
    return flags


def _gaps(
    config: WorldConfig,
    reporters: ReporterTable,
    places: PlaceTable,
    frequency: str,
    year: int,
    month: int,
    draws: Draws,
) -> Flags:
    """Never reporting, annual only, a missing year or month, and not yet reported at the end of the span."""
    keys = places.keys
    lateness = draws.uniform(Stream.LATE, keys)
    if frequency == "A":
        missing = reporters.never_reports | draws.below(Stream.YEAR_GAP, keys, 0.02, year)
        return missing | ((year == config.end_year) & (lateness < 0.15))
    missing = reporters.never_reports | reporters.files_years_only
    missing |= draws.below(Stream.MONTH_GAP, keys, 0.01, year * 100 + month)
    months_to_end = 12 - month if year == config.end_year else 99
    return missing | (lateness < 0.3 - 0.1 * months_to_end)
