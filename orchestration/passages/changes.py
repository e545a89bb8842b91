"""Change of a pair's trade in a family against the pair's own baseline and against placebo goods.

Belongs here: baselines, growth, what placebo goods did meanwhile, the test. Does not belong here: which legs make a
passage, grades (dbt models).

A level is no signal: each cell is compared with its own years before. The baseline is the larger of the mean of the
baseline years and the check year, so that a trough between them does not make growth. Growth is a difference of
asinh(value / floor): near a logarithm for large values, shrunk to nothing for tiny ones, defined at zero (Burbidge and
others 1988). What placebo goods (a fixed civilian basket) of the same place did in the same year is taken off, and how
far placebo cells of the same size scatter is the yardstick: the scale is matched at their ninety-ninth percentile,
where a normal one would be too short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri
from scipy.stats import false_discovery_control

from orchestration.passages.families import NEW_CODE, FamilyTables
from orchestration.passages.schema import CELL, CHANGES, PLACEBO, conform
from orchestration.sums import count_where, exact_sum

TAIL = 0.99
LEAST_PLACEBO_CELLS = 50
SMALLEST_SCALE_LOG = 0.2
# Classes of baseline value in FOB USD a year: the noise of trade falls with its size.
BASELINE_CLASSES_USD = (100e3, 1e6)


@dataclass(frozen=True)
class Embargo:
    """What one embargo asks of the calendar: its reference date and the years before."""

    code: str
    reference_date: date
    baseline_years: tuple[int, ...]
    check_year: int


def embargoes_of(tables: FamilyTables) -> list[Embargo]:
    """Embargoes by code. Raises ValueError when the rows of one disagree about its dates."""
    columns = ("embargo_code", "reference_date", "baseline_first_year", "baseline_last_year", "check_year")
    rows = tables.embargoes.select(columns).unique().sort("embargo_code")
    if rows["embargo_code"].is_duplicated().any():
        raise ValueError(
            "the rows of one embargo in the table embargoes give several reference dates or baseline years; a change "
            "has one before and one after; give another date to an embargo of its own"
        )
    return [
        Embargo(code, day, tuple(range(first, last + 1)), check) for code, day, first, last, check in rows.iter_rows()
    ]


def changes(
    flows: pl.DataFrame, complete: pl.DataFrame, tables: FamilyTables, collected: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Change of every cell (exporter, importer, family) in every year from the reference date on.

    Args: annual flows of all years (schema FAMILY_FLOWS); complete with period, reporter_code, side (exporter or
    importer), one row for each side that a reporter filed completely; collected (period, family_code) of the families
    whose chapters somebody filed at all in the period, default all: a collection of wood knows nothing of fish.
    Returns: schema CHANGES, for every embargo. A year that neither side filed is not known, never zero; a cell without
    a baseline is not tested. p and q (Benjamini and Hochberg) are one-sided, for a rise, over the watched cells of at
    least the smallest tested value.
    """
    held = collected if collected is not None else collected_everywhere(flows)
    made = [_changes_of(flows, complete, tables, embargo, held) for embargo in embargoes_of(tables)]
    return conform(pl.concat(made), CHANGES, ("embargo_code", *CELL, "period"))


def collected_everywhere(flows: pl.DataFrame) -> pl.DataFrame:
    """Every family in every period: (period, family_code)."""
    return flows.select("period").unique().join(flows.select("family_code").unique(), how="cross")


def _changes_of(
    flows: pl.DataFrame, complete: pl.DataFrame, tables: FamilyTables, embargo: Embargo, collected: pl.DataFrame
) -> pl.DataFrame:
    annual = flows.filter(pl.col("frequency") == "A")
    known = complete.select("period", "reporter_code", "side").unique()
    years = sorted({int(period) for period in annual["period"].unique()})
    grid = _grid(annual, known, years, collected, missing_is_zero=not tables.is_on("completeness_gate"))
    base = _baselines(grid, embargo, tables)
    after = [year for year in years if year >= embargo.reference_date.year]
    rows = grid.filter(pl.col("year").is_in(after)).join(base, on=list(CELL), how="left")
    floor = tables.growth_floor_usd()
    rows = rows.with_columns(
        rise_fob_usd=pl.col("value_fob_usd") - pl.col("baseline_fob_usd"),
        growth_log=(pl.col("value_fob_usd") / floor).arcsinh() - (pl.col("baseline_fob_usd") / floor).arcsinh(),
    )
    rows = _without_placebo(rows, floor, tables.is_on("placebo_basket"))
    rows = _with_gaps(rows, grid, embargo, floor, tables.is_on("own_baseline"))
    rows = _scaled(rows, "effect_log", "effect_z_score").with_columns(effect_se_log="_scale").drop("_scale")
    rows = _scaled(rows, "gap_effect_log", "gap_z_score").drop("_scale")
    rows = _tested(_tested(rows, tables, "effect_", ""), tables, "gap_", "gap_")
    broken = tables.family_breaks.filter(pl.col("break_kind") == NEW_CODE).join(
        tables.hs_editions.select("hs_revision", "valid_from"), on="hs_revision"
    )
    first_year = min(embargo.baseline_years)
    crossing = broken.filter(pl.col("valid_from").dt.year() > first_year).select(
        "family_code", _broken=pl.col("valid_from").dt.year().cast(pl.Int64)
    )
    rows = rows.join(crossing.group_by("family_code").agg(pl.col("_broken").min()), on="family_code", how="left")
    return rows.with_columns(
        embargo_code=pl.lit(embargo.code),
        frequency=pl.lit("A"),
        period=pl.col("year").cast(pl.String),
        period_start=pl.date(pl.col("year"), 1, 1),
        is_across_edition_break=(pl.col("year") >= pl.col("_broken")).fill_null(False),
    ).select(list(CHANGES))


def _grid(
    annual: pl.DataFrame,
    known: pl.DataFrame,
    years: Sequence[int],
    collected: pl.DataFrame,
    missing_is_zero: bool = False,
) -> pl.DataFrame:
    """Every cell in every year: value_fob_usd, 0 where somebody filed the year and nothing of the cell, else NULL.

    missing_is_zero takes every year for filed: the mistake that the completeness gate is there to prevent.
    """
    filed = ("exporter_fob_usd", "importer_fob_usd")
    values = annual.select(*CELL, *filed, year=pl.col("period").cast(pl.Int64), _value="reconciled_mean_fob_usd")
    cells = annual.select(*CELL, "family_kind").unique()
    grid = cells.join(pl.DataFrame({"year": years}, schema={"year": pl.Int64}), how="cross")
    grid = grid.join(values, on=[*CELL, "year"], how="left")
    for side in ("exporter", "importer"):
        own = known.filter(pl.col("side") == side).select(
            pl.col("reporter_code").alias(f"{side}_code"),
            pl.col("period").cast(pl.Int64).alias("year"),
            pl.lit(True).alias(f"is_{side}_complete"),
        )
        grid = grid.join(own, on=[f"{side}_code", "year"], how="left").with_columns(
            pl.col(f"is_{side}_complete").fill_null(missing_is_zero)
        )
    held = collected.select("family_code", year=pl.col("period").cast(pl.Int64)).unique().with_columns(_held=True)
    grid = grid.join(held, on=["family_code", "year"], how="left").with_columns(
        (pl.col(f"is_{side}_complete") & pl.col("_held").fill_null(missing_is_zero)).alias(f"is_{side}_complete")
        for side in ("exporter", "importer")
    )
    is_known = pl.col("is_exporter_complete") | pl.col("is_importer_complete")
    return grid.with_columns(value_fob_usd=pl.when(is_known).then(pl.col("_value").fill_null(0.0))).drop(
        "_value", "_held"
    )


def _baselines(grid: pl.DataFrame, embargo: Embargo, tables: FamilyTables) -> pl.DataFrame:
    """The baseline of every cell: the larger of the mean of its known baseline years and the check year."""
    before, value = pl.col("year").is_in(embargo.baseline_years), pl.col("value_fob_usd")
    known = value.filter(before & value.is_not_null())
    base = grid.group_by(CELL).agg(
        baseline_year_count=count_where(before & value.is_not_null()),
        _total=exact_sum(known),
        check_year_fob_usd=value.filter(pl.col("year") == embargo.check_year).first(),
    )
    mean = pl.when(pl.col("baseline_year_count") > 0).then(pl.col("_total") / pl.col("baseline_year_count"))
    base = base.with_columns(baseline_mean_fob_usd=mean)
    check = pl.col("check_year_fob_usd") if tables.is_on("base_year_check") else pl.lit(None, dtype=pl.Float64)
    own = pl.max_horizontal("baseline_mean_fob_usd", check)
    if not tables.is_on("own_baseline"):
        # The mistake that this control prevents: the level of the watched goods taken for a rise.
        kinds = grid.group_by(CELL).agg(pl.col("family_kind").first())
        base = base.join(kinds, on=list(CELL))
        own = pl.when(pl.col("family_kind") == PLACEBO).then(own).when(own.is_not_null()).then(0.0)
    return base.with_columns(baseline_fob_usd=own).select(
        *CELL, "baseline_fob_usd", "baseline_mean_fob_usd", "check_year_fob_usd", "baseline_year_count"
    )


def _without_placebo(rows: pl.DataFrame, floor: float, is_on: bool) -> pl.DataFrame:
    """Add placebo_growth_log and effect_log: growth less what placebo goods of the same places did in that year.

    The larger of the exporter's exports to everybody and the importer's imports from everybody, the median over the
    goods of the basket.
    """
    placebo = rows.filter((pl.col("family_kind") == PLACEBO) & pl.col("growth_log").is_not_null())
    for side in ("exporter", "importer"):
        goods = placebo.group_by(f"{side}_code", "year", "family_code").agg(
            exact_sum("value_fob_usd"), exact_sum("baseline_fob_usd")
        )
        growth = (pl.col("value_fob_usd") / floor).arcsinh() - (pl.col("baseline_fob_usd") / floor).arcsinh()
        median = goods.group_by(f"{side}_code", "year").agg(growth.median().alias(f"_{side}"))
        rows = rows.join(median, on=[f"{side}_code", "year"], how="left")
    meanwhile = pl.max_horizontal("_exporter", "_importer").fill_null(0.0) if is_on else pl.lit(0.0)
    rows = rows.with_columns(placebo_growth_log=meanwhile)
    return rows.with_columns(effect_log=pl.col("growth_log") - pl.col("placebo_growth_log"))


def _with_gaps(
    rows: pl.DataFrame, grid: pl.DataFrame, embargo: Embargo, floor: float, against_own: bool
) -> pl.DataFrame:
    """Add what the exporter filed above the importer, and its change against the same pair's years before.

    excess_fob_usd is max(0, exporter minus importer), NULL unless both sides filed the year; gap_effect_log the
    difference asinh(exporter / floor) - asinh(importer / floor) less its mean of the years before.
    """
    x, m = pl.col("exporter_fob_usd"), pl.col("importer_fob_usd")
    both = pl.col("is_exporter_complete") & pl.col("is_importer_complete")
    signed = pl.when(both).then(x.fill_null(0.0) - m.fill_null(0.0))
    gaps = grid.with_columns(
        gap_fob_usd=signed,
        _excess=pl.when(both).then((x.fill_null(0.0) - m.fill_null(0.0)).clip(lower_bound=0.0)),
        _gap=pl.when(both).then((x.fill_null(0.0) / floor).arcsinh() - (m.fill_null(0.0) / floor).arcsinh()),
    )
    before = gaps.filter(
        pl.col("year").is_in((*embargo.baseline_years, embargo.check_year)) & pl.col("_gap").is_not_null()
    )
    own = before.group_by(CELL).agg(
        baseline_gap_year_count=pl.len(),
        baseline_excess_fob_usd=exact_sum("_excess") / pl.len(),
        baseline_gap_fob_usd=exact_sum("gap_fob_usd") / pl.len(),
        _own_gap=exact_sum("_gap") / pl.len(),
    )
    own_year = gaps.select(*CELL, "year", "_gap", "gap_fob_usd", excess_fob_usd="_excess")
    rows = rows.join(own_year, on=[*CELL, "year"], how="left")
    rows = rows.join(own, on=list(CELL), how="left").with_columns(pl.col("baseline_gap_year_count").fill_null(0))
    if not against_own:
        zero = pl.lit(0.0)
        rows = rows.with_columns(baseline_excess_fob_usd=zero, baseline_gap_fob_usd=zero, _own_gap=zero)
    return rows.with_columns(
        excess_change_fob_usd=(pl.col("excess_fob_usd") - pl.col("baseline_excess_fob_usd")).clip(lower_bound=0.0),
        gap_effect_log=pl.col("_gap") - pl.col("_own_gap"),
    )


def _scaled(rows: pl.DataFrame, effect_name: str, z_name: str) -> pl.DataFrame:
    """Add z and _scale of an effect: the effect over the scatter of placebo cells of the same size of baseline."""
    rows = rows.with_columns(_class=_size_class())
    effect = pl.col(effect_name)
    placebo = rows.filter((pl.col("family_kind") == PLACEBO) & effect.is_not_null())
    middle, high = effect.median(), effect.quantile(TAIL, interpolation="linear")
    by_class = placebo.group_by("_class").agg(
        _middle=middle, _scale=(high - middle) / float(ndtri(TAIL)), _count=pl.len()
    )
    # Where a class holds few placebo cells all of them are the yardstick; where there are few at all nothing is tested.
    overall: tuple[float | None, ...] = (None, None)
    if placebo.height >= LEAST_PLACEBO_CELLS:
        overall = placebo.select(_middle=middle, _scale=(high - middle) / float(ndtri(TAIL))).row(0)
    enough = by_class.filter(pl.col("_count") >= LEAST_PLACEBO_CELLS).drop("_count")
    rows = rows.join(enough, on="_class", how="left").with_columns(
        pl.col("_middle").fill_null(pl.lit(overall[0], dtype=pl.Float64)),
        pl.col("_scale").fill_null(pl.lit(overall[1], dtype=pl.Float64)).clip(lower_bound=SMALLEST_SCALE_LOG),
    )
    return rows.with_columns(((effect - pl.col("_middle")) / pl.col("_scale")).alias(z_name)).drop("_middle", "_class")


def _size_class() -> pl.Expr:
    """Number of the class of baseline value, 0 for the smallest."""
    classes = [(pl.col("baseline_fob_usd") > edge).cast(pl.Int64) for edge in BASELINE_CLASSES_USD]
    return pl.fold(pl.lit(0, dtype=pl.Int64), lambda one, other: one + other, classes)


def _tested(rows: pl.DataFrame, tables: FamilyTables, prefix: str, counted: str) -> pl.DataFrame:
    """Add p, q and the number of cells tested, over watched and decoy cells that are large enough; else NULL."""
    z = rows[f"{prefix}z_score"].fill_null(np.nan).to_numpy()
    large = pl.max_horizontal("value_fob_usd", "baseline_fob_usd") >= tables.smallest_tested_usd()
    watched = pl.col("family_kind") != PLACEBO
    is_tested = rows.select((watched & pl.col(f"{prefix}z_score").is_not_null() & large).fill_null(False)).to_series()
    tested = is_tested.to_numpy()
    p = np.where(tested, ndtr(-z), np.nan)
    q = np.full(p.size, np.nan)
    if tested.any():
        q[tested] = false_discovery_control(p[tested], method="bh")
    count = pl.when(is_tested).then(pl.lit(int(np.count_nonzero(tested)), dtype=pl.Int64))
    return rows.with_columns(
        pl.Series(p).fill_nan(None).alias(f"{prefix}p_value"),
        pl.Series(q).fill_nan(None).alias(f"{prefix}q_value"),
        count.alias(f"{counted}tested_cell_count"),
    )
