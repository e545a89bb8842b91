"""Control totals mirrored: a corridor's total from both sides.

Belongs here: pairing control totals. Does not belong here: adding them to flows. When HS6 is confidential on one
side, the corridor's total from both sides is the evidence that is left.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.reporting import flow_side, with_status
from orchestration.reconcile.schema import MIRROR_TOTALS, PAIR_KEY, FrameError, conform, require
from orchestration.reconcile.valuation import gap_columns, with_fob_importers

CONTROL_TOTALS_NEEDED = (
    "frequency",
    "period",
    "period_start",
    "reporter_code",
    "reporter_iso3",
    "flow_code",
    "partner_code",
    "partner_iso3",
    "product_code",
    "product_level",
    "control_value_usd",
    "coverage_ratio",
)


def mirror_totals(
    control_totals: pl.DataFrame,
    completeness: pl.DataFrame,
    pairable_places: pl.DataFrame,
    mean_cif_rate_ratio: float,
    valuation_by_reporter_year: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Bilateral control totals (TOTAL, chapters, headings) of one period from both sides.

    Args: control_totals after the source contract; completeness (reporter_code, is_complete); pairable_places with
    place_code of places that may stand in pairs; the mean margin (CIF over FOB minus one) that takes import totals
    to FOB, since a total has no product of its own; the valuation table, whose FOB importers keep their totals.
    Returns: schema MIRROR_TOTALS, USD. A partner that files no bilateral totals of that level on its side is
    nonreporting here: most reporters never do. Raises FrameError when columns are missing or a total stands twice.
    """
    require(control_totals, CONTROL_TOTALS_NEEDED, "the control totals frame")
    # World is no pairable place, so its rows go with the other places that never stand in a pair.
    rows = control_totals.filter(
        (pl.col("partner_code") != pl.col("reporter_code")) & pl.col("flow_code").is_in(["X", "M"])
    )
    for end in ("reporter_code", "partner_code"):
        rows = rows.join(pairable_places.select(pl.col("place_code").alias(end)).unique(), on=end, how="semi")
    _refuse_twice(rows)
    halves = {side: _half(rows, flow, side) for side, flow in (("exporter", "X"), ("importer", "M"))}
    both = halves["exporter"].join(halves["importer"], on=list(PAIR_KEY), how="full", coalesce=True, suffix="_m")
    shared = ("frequency", "period", "period_start", "product_level", "exporter_iso3", "importer_iso3")
    both = both.with_columns(pl.coalesce(c, f"{c}_m").alias(c) for c in shared)
    complete = completeness.filter(pl.col("is_complete")).select("reporter_code").unique()
    speaking = rows.select("reporter_code", "product_level", side=flow_side()).unique()
    valued = with_status(both, speaking.join(complete, on="reporter_code", how="semi"), "product_level")
    if valuation_by_reporter_year is not None:
        valued = with_fob_importers(valued, valuation_by_reporter_year)
    else:
        valued = valued.with_columns(is_fob_importer=pl.lit(False))
    margin = pl.when(pl.col("is_fob_importer")).then(pl.lit(1.0)).otherwise(pl.lit(1.0 + mean_cif_rate_ratio))
    valued = valued.with_columns(
        exporter_fob_usd=pl.col("exporter_value_usd"), importer_fob_usd=pl.col("importer_value_usd") / margin
    )
    return conform(valued.with_columns(gap_columns()), MIRROR_TOTALS, PAIR_KEY)


def _refuse_twice(rows: pl.DataFrame) -> None:
    key = ["period", "reporter_code", "flow_code", "partner_code", "product_code"]
    if rows.select(key).is_duplicated().any():
        raise FrameError(
            "a control total stands twice for one reporter, flow, partner and product; the corridor would be counted "
            "double; let the source contract keep one row per key and pass one frequency at a time"
        )


def _half(rows: pl.DataFrame, flow: str, side: str) -> pl.DataFrame:
    own, other = ("reporter", "partner") if side == "exporter" else ("partner", "reporter")
    return rows.filter(pl.col("flow_code") == flow).select(
        "frequency",
        "period",
        "period_start",
        "product_code",
        "product_level",
        pl.col(f"{own}_code").alias("exporter_code"),
        pl.col(f"{own}_iso3").alias("exporter_iso3"),
        pl.col(f"{other}_code").alias("importer_code"),
        pl.col(f"{other}_iso3").alias("importer_iso3"),
        pl.col("control_value_usd").alias(f"{side}_value_usd"),
        pl.col("coverage_ratio").alias(f"{side}_coverage_ratio"),
    )
