"""The month at which a monthly series breaks, and how surely.

Belongs here: the largest F over all places of a break in the mean (Quandt 1960; Andrews 1993), up and down apart. Does
not belong here: what the break means (dbt models).

Where an edition of the Harmonized System made a family's codes, the series begins with that edition: nothing is
compared across it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import false_discovery_control

from orchestration.passages.changes import Embargo, collected_everywhere, embargoes_of
from orchestration.passages.families import NEW_CODE, FamilyTables
from orchestration.passages.schema import BREAKS, CELL, PLACEBO, conform

Array = npt.NDArray[np.float64]
RISE, FALL = "rise", "fall"
# Months left at either end, where no break can be told.
SHORTEST_SIDE = 4
SIMULATED_SERIES, SEED = 10_000, 20220224


def breaks(
    flows: pl.DataFrame, complete: pl.DataFrame, tables: FamilyTables, collected: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The strongest rise and the strongest fall of every monthly series of a watched or decoy family.

    Args: monthly flows of all months (schema FAMILY_FLOWS); complete and collected as for `changes`. Returns: schema
    BREAKS, one row per cell and direction, for every embargo; break_start is the first month of the new level. A month
    that neither side filed is not known. p from simulated series without a break, of the same length; q over the cells
    of one direction.
    """
    held = collected if collected is not None else collected_everywhere(flows)
    made = [_breaks_of(flows, complete, tables, embargo, held) for embargo in embargoes_of(tables)]
    return conform(pl.concat(made), BREAKS, ("embargo_code", *CELL, "break_direction"))


def _breaks_of(
    flows: pl.DataFrame, complete: pl.DataFrame, tables: FamilyTables, embargo: Embargo, collected: pl.DataFrame
) -> pl.DataFrame:
    monthly = flows.filter((pl.col("frequency") == "M") & (pl.col("family_kind") != PLACEBO))
    smallest = tables.smallest_tested_usd()
    total = monthly.group_by(CELL).agg(pl.col("reconciled_mean_fob_usd").max().alias("_largest"))
    monthly = monthly.join(total.filter(pl.col("_largest") >= smallest / 12.0), on=list(CELL), how="semi")
    if monthly.is_empty():
        return pl.DataFrame(schema=dict(BREAKS))
    months = sorted(monthly["period"].unique())
    first = tables.family_breaks.filter(pl.col("break_kind") == NEW_CODE).join(
        tables.hs_editions.select("hs_revision", "valid_from"), on="hs_revision"
    )
    is_guarded = tables.is_on("edition_breaks")
    edition_start = dict(first.select("family_code", "valid_from").iter_rows()) if is_guarded else {}
    cells = monthly.select(*CELL, "family_kind").unique().sort(CELL)
    values = _matrix(monthly, cells, months, complete, 0.0 if not tables.is_on("completeness_gate") else np.nan)
    starts = [pl.Series([m]).str.to_date("%Y%m").to_list()[0] for m in months]
    held = {key: set(own["period"]) for (key,), own in collected.group_by("family_code")}
    absent = {
        family: np.array([m not in held.get(family, set()) for m in months]) for family in cells["family_code"].unique()
    }
    for row, family in enumerate(cells["family_code"]):
        if tables.is_on("completeness_gate"):
            values[row, absent[family]] = np.nan
        if family in edition_start:
            values[row, [day < edition_start[family] for day in starts]] = np.nan
    floor = tables.growth_floor_usd() / 12.0
    found = [_described(values, floor, direction) for direction in (RISE, FALL)]
    tables_made = []
    for direction, part in zip((RISE, FALL), found, strict=True):
        own = cells.hstack(part).with_columns(break_direction=pl.lit(direction))
        own = own.with_columns(
            break_start=pl.Series([starts[n] if n >= 0 else None for n in own["_at"].to_list()], dtype=pl.Date),
            series_start=pl.Series([starts[n] if n >= 0 else None for n in own["_first"].to_list()], dtype=pl.Date),
        )
        tables_made.append(_tested(own.filter(pl.col("break_start").is_not_null())))
    return (
        pl.concat(tables_made)
        .with_columns(
            embargo_code=pl.lit(embargo.code),
            is_after_control=pl.col("break_start") >= pl.lit(embargo.reference_date).dt.month_start(),
        )
        .select(list(BREAKS))
    )


def _matrix(
    monthly: pl.DataFrame, cells: pl.DataFrame, months: list[str], complete: pl.DataFrame, unknown: float
) -> Array:
    """Values by cell (rows) and month (columns), `unknown` (NaN) where neither side filed the month."""
    known = {}
    for side in ("exporter", "importer"):
        own = complete.filter((pl.col("side") == side) & pl.col("period").is_in(months))
        known[side] = set(own.select("reporter_code", "period").iter_rows())
    place = {month: number for number, month in enumerate(months)}
    filed = {
        side: {code: np.array([(code, m) in known[side] for m in months]) for code in cells[f"{side}_code"].unique()}
        for side in known
    }
    values = np.full((cells.height, len(months)), unknown)
    ends = cells.select("exporter_code", "importer_code").rows()
    for row, (exporter, importer) in enumerate(ends):
        values[row, filed["exporter"][exporter] | filed["importer"][importer]] = 0.0
    numbered = monthly.join(cells.with_row_index("_row"), on=[*CELL, "family_kind"]).select(
        "_row", "reconciled_mean_fob_usd", _month=pl.col("period").replace_strict(place, return_dtype=pl.Int64)
    )
    rows, columns = numbered["_row"].to_numpy(), numbered["_month"].to_numpy()
    seen = ~np.isnan(values[rows, columns])
    values[rows[seen], columns[seen]] = numbered["reconciled_mean_fob_usd"].to_numpy()[seen]
    return values


def f_scores(series: Array) -> tuple[Array, Array]:
    """F and shift in the mean for every place of a break (rows x places); NaN where a side is too short.

    Args: series by row, NaN where not known. Place t: the new level begins with column t.
    """
    known = ~np.isnan(series)
    filled = np.where(known, series, 0.0)
    count, total, square = (np.cumsum(part, axis=1) for part in (known.astype(float), filled, filled**2))
    before_n, before = count[:, :-1], total[:, :-1]
    after_n, after = count[:, -1:] - before_n, total[:, -1:] - before
    with np.errstate(divide="ignore", invalid="ignore"):
        between = before**2 / before_n + after**2 / after_n - total[:, -1:] ** 2 / count[:, -1:]
        within = square[:, -1:] - before**2 / before_n - after**2 / after_n
        degrees = count[:, -1:] - 2.0
        # A series that is flat on both sides has no scatter of its own: a little keeps F finite.
        f = between / (np.maximum(within, 1e-3 * count[:, -1:]) / degrees)
        shift = after / after_n - before / before_n
    short = (before_n < SHORTEST_SIDE) | (after_n < SHORTEST_SIDE)
    return np.where(short, np.nan, f), np.where(short, np.nan, shift)


def strongest(series: Array, direction: str) -> tuple[Array, npt.NDArray[np.int64], Array, npt.NDArray[np.int64]]:
    """F, place, shift and end of the strongest break of one direction in each row; F is 0 where there is none.

    A passage that closes again is a rise and then a fall, which one break describes badly: a rise is also looked for
    in the months before the strongest fall, and a fall in the months after the strongest rise. The end is the column
    after the last one that was looked at (of a rise), or the first one (of a fall).
    """
    months = series.shape[1]
    best = _best(series, direction)
    other = _best(series, FALL if direction == RISE else RISE)
    columns = np.arange(months)[None, :]
    is_kept = columns < other[1][:, None] if direction == RISE else columns >= other[1][:, None]
    part = np.where(is_kept | (other[0] <= 0)[:, None], series, np.nan)
    again = _best(part, direction)
    better = again[0] > best[0]
    whole_end = np.full(series.shape[0], months if direction == RISE else 0)
    end = np.where(better, np.where(other[0] > 0, other[1], whole_end), whole_end)
    f, at, shift = (np.where(better, new, old) for new, old in zip(again, best, strict=True))
    return f, at.astype(np.int64), shift, end.astype(np.int64)


def _best(series: Array, direction: str) -> tuple[Array, Array, Array]:
    f, shift = f_scores(series)
    wanted = shift > 0 if direction == RISE else shift < 0
    score = np.where(wanted & ~np.isnan(f), f, 0.0)
    place = np.argmax(score, axis=1)
    rows = np.arange(series.shape[0])
    return score[rows, place], (place + 1).astype(float), shift[rows, place]


def _described(values: Array, floor: float, direction: str) -> pl.DataFrame:
    """The strongest break of one direction in each row, with the monthly means on both sides of it."""
    score, at, shift, end = strongest(np.arcsinh(values / floor), direction)
    has, known = score > 0, ~np.isnan(values)
    columns = np.arange(values.shape[1])[None, :]
    inside = columns < end[:, None] if direction == RISE else columns >= end[:, None]
    later = (columns >= at[:, None]) & inside
    earlier = (columns < at[:, None]) & inside
    filled = np.where(known, values, 0.0)

    def mean(part: npt.NDArray[np.bool_]) -> Array:
        number = np.count_nonzero(known & part, axis=1)
        average: Array = np.einsum("ij,ij->i", filled, (part & known).astype(float)) / np.maximum(number, 1)
        return average

    return pl.DataFrame(
        {
            "_at": np.where(has, at, -1),
            "_first": np.where(known.any(axis=1), np.argmax(known, axis=1), -1),
            "month_count": np.count_nonzero(known, axis=1).astype(np.int64),
            "before_monthly_fob_usd": mean(earlier),
            "after_monthly_fob_usd": mean(later),
            "active_month_count": np.count_nonzero(later & (filled > 0), axis=1).astype(np.int64),
            "shift_log": np.where(has, shift, np.nan),
            "break_f_score": np.where(has, score, np.nan),
        }
    )


def _tested(rows: pl.DataFrame) -> pl.DataFrame:
    """Add p_value, q_value and tested_cell_count."""
    p = np.full(rows.height, np.nan)
    length, score = rows["month_count"].to_numpy(), rows["break_f_score"].to_numpy()
    for months in np.unique(length):
        own = length == months
        null = simulated_scores(int(months)) if months >= 2 * SHORTEST_SIDE else np.zeros(1)
        p[own] = (1.0 + null.size - np.searchsorted(null, score[own], side="left")) / (1.0 + null.size)
    q = false_discovery_control(p, method="bh") if p.size else p
    return rows.with_columns(
        break_p_value=pl.Series(p), break_q_value=pl.Series(q), tested_cell_count=pl.lit(rows.height, dtype=pl.Int64)
    )


@cache
def simulated_scores(months: int) -> Array:
    """Sorted largest F of one direction in normal series of this length that have no break (fixed seed)."""
    draws = np.random.default_rng(SEED).standard_normal((SIMULATED_SERIES, months))
    largest: Array = np.sort(strongest(draws, RISE)[0])
    return largest
