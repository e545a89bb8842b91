"""Areas not elsewhere specified: what a reporter filed under no partner, set beside the flows it did not file.

Belongs here: which declarations these are, how much of them a missing flow may take, the rows that say so. Does not
belong here: the reconciled value, which they never change; regional areas, bunkers and free zones, which are left
where they were filed.

A reporter that keeps a partner secret files the goods under "areas, nes". Its mirror then stands alone. Up to the
mirror's own value, the area's declaration may be that flow; it cannot be shown to be. So every amount is a row of its
own, flagged, and what no missing flow asks for stays with the area.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.schema import (
    MIRROR_FLOWS,
    NES_DECLARED,
    NES_REALLOCATIONS,
    PAIR_KEY,
    FrameError,
    conform,
    require,
)
from orchestration.reconcile.tables import ReconcileTables
from orchestration.reconcile.valuation import with_fob_importers
from orchestration.sums import exact_sum

NES_ROLE = "areas_nes"
NES_KEY = ("frequency", "period", "side", "reporter_code", "product_code", "partner_code")
_CELL = ("side", "reporter_code", "product_code")
_DECIMALS = 6


def nes_declared(declarations: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """What each reporter filed under areas nes: one row per side, reporter, area and product of one period.

    Args: declarations after the source contract (any accounts; a year with its rolled-up months). An area is a place
    with the role `areas_nes` on the period's day. Returns: schema NES_DECLARED, USD as filed; declared_fob_usd is
    NULL for imports unless each row carried a FOB value.
    """
    areas = tables.place_roles.filter(pl.col("role") == NES_ROLE).select(
        partner_code="place_code", _from="valid_from", _to="valid_to"
    )
    filed = declarations.lazy().filter(
        (pl.col("account") == "special")
        & (pl.col("account_reason") == "special_partner")
        & pl.col("flow_code").is_in(["X", "M"])
        & (pl.col("product_level") >= 2)
    )
    rows = filed.collect().join(areas, on="partner_code", how="inner")
    day = pl.col("period_start")
    in_force = (day >= pl.col("_from")) & (pl.col("_to").is_null() | (day <= pl.col("_to")))
    is_export = pl.col("flow_code") == "X"
    rows = rows.filter(in_force.fill_null(False)).with_columns(
        side=pl.when(is_export).then(pl.lit("exporter")).otherwise(pl.lit("importer")),
        _fob=pl.when(is_export).then(pl.col("value_usd")).when(pl.col("fob_value_usd") > 0).then("fob_value_usd"),
    )
    key = ("frequency", "period", "period_start", *_CELL, "reporter_iso3", "product_level", "partner_code")
    summed = rows.group_by(key).agg(
        declared_usd=exact_sum("value_usd"),
        declared_fob_usd=pl.when(pl.col("_fob").null_count() == 0).then(exact_sum("_fob")),
        declaration_count=pl.len().cast(pl.Int64),
    )
    return conform(summed, NES_DECLARED, NES_KEY)


def reallocate_nes(
    declared: pl.DataFrame,
    flows: pl.DataFrame,
    mean_cif_rate_ratio: float,
    valuation_by_reporter_year: pl.DataFrame,
) -> pl.DataFrame:
    """Set the areas' declarations of one period beside the flows that the same reporter did not file.

    Args: declared (schema NES_DECLARED), flows with MIRROR_FLOWS' keys and FOB values, the mean margin (CIF over FOB
    minus one) that takes imports to FOB where the reporter gave none, the valuation table (FOB importers).
    Returns: schema NES_REALLOCATIONS. A missing flow is one of the same product that the partner filed with a
    positive value and the reporter not at all, or as zero. Their values less the reporter's add up to `missing`;
    min(declared, missing) is given to them in proportion, so that none takes more than it lacks and every gap
    narrows. What is left is a row with the area as partner, no flow and is_remainder: the rows of a cell add up to
    what was declared. Confidential flows take nothing. Source: Gaulier and Zignago (2010), appendix on areas nes;
    reconciliation step S8.
    """
    require(declared, NES_DECLARED, "the frame of areas nes")
    require(flows, (*PAIR_KEY, "mirror_flow_id", "exporter_fob_usd", "importer_fob_usd"), "the flows frame")
    if declared.is_empty():
        return conform(declared.clear(), NES_REALLOCATIONS, NES_KEY)
    cells = _valued_cells(declared, mean_cif_rate_ratio, valuation_by_reporter_year)
    lacking = pl.concat([_missing(flows, "exporter"), _missing(flows, "importer")])
    parts = cells.join(lacking, on=list(_CELL), how="inner")
    whole = exact_sum("missing_fob_usd").over(_CELL)
    share = (pl.col("declared_fob_usd") / whole).clip(0.0, 1.0)
    parts = parts.with_columns(
        # Cut, not rounded: the parts must not add up to more than was declared, nor one pass its flow.
        reallocated_fob_usd=_cut(pl.col("missing_fob_usd") * share),
        is_remainder=pl.lit(False),
    )
    given = parts.group_by(_CELL).agg(_given=exact_sum("reallocated_fob_usd"))
    rest = cells.join(given, on=list(_CELL), how="left").with_columns(
        partner_code="nes_code",
        # Beyond 1e10 USD a double no longer holds a millionth: what is left may come out a hair below nothing.
        reallocated_fob_usd=(pl.col("declared_fob_usd") - pl.col("_given").fill_null(0.0)).round(_DECIMALS).clip(0.0),
        is_remainder=pl.lit(True),
    )
    return conform(pl.concat([parts, rest], how="diagonal"), NES_REALLOCATIONS, NES_KEY)


def with_nes(flows: pl.DataFrame, reallocations: pl.DataFrame) -> pl.DataFrame:
    """Reconciled flows with nes_reallocated_fob_usd: what areas nes of the silent side may be of this flow, else 0.

    Args: flows (schema MIRROR_FLOWS), reallocations (schema NES_REALLOCATIONS) of the same period. Raises FrameError
    when a reallocation names a flow that is not there.
    """
    taken = reallocations.filter(~pl.col("is_remainder")).group_by("mirror_flow_id")
    found = flows.drop("nes_reallocated_fob_usd", strict=False).join(
        taken.agg(nes_reallocated_fob_usd=exact_sum("reallocated_fob_usd")),
        on="mirror_flow_id",
        how="left",
        maintain_order="left",
    )
    if found["nes_reallocated_fob_usd"].drop_nulls().len() != reallocations["mirror_flow_id"].drop_nulls().n_unique():
        raise FrameError(
            "areas nes were given to flows that are not in the frame; their value would be lost; pass the flows that "
            "the reallocation was made from"
        )
    return conform(found.with_columns(pl.col("nes_reallocated_fob_usd").fill_null(0.0)), MIRROR_FLOWS, PAIR_KEY)


def _valued_cells(declared: pl.DataFrame, mean_margin: float, valuation: pl.DataFrame) -> pl.DataFrame:
    """One row per side, reporter and product: all its areas together, in FOB USD; the first area names the rest."""
    rows = with_fob_importers(declared.with_columns(importer_code="reporter_code"), valuation)
    margin = pl.when(pl.col("is_fob_importer")).then(1.0).otherwise(1.0 + mean_margin)
    rows = rows.with_columns(
        declared_fob_usd=pl.coalesce("declared_fob_usd", pl.col("declared_usd") / margin).round(_DECIMALS)
    )
    shared = ("frequency", "period", "period_start", "reporter_iso3", "product_level")
    return rows.group_by(_CELL).agg(
        pl.col(shared).first(),
        nes_code=pl.col("partner_code").min(),
        declared_fob_usd=exact_sum("declared_fob_usd"),
    )


def _missing(flows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Flows that only the partner of `side` filed with a value, as that side's missing declarations."""
    other = "importer" if side == "exporter" else "exporter"
    own, mirror = pl.col(f"{side}_fob_usd"), pl.col(f"{other}_fob_usd")
    lacks = (own.is_null() | (own == 0)) & (mirror > 0) & ~pl.col("is_confidential")
    return flows.filter(lacks).select(
        pl.lit(side).alias("side"),
        "product_code",
        "mirror_flow_id",
        pl.col(f"{side}_code").alias("reporter_code"),
        pl.col(f"{other}_code").alias("partner_code"),
        pl.col(f"{other}_iso3").alias("partner_iso3"),
        mirror.alias("missing_fob_usd"),
    )


def _cut(amount: pl.Expr) -> pl.Expr:
    scale = 10.0**_DECIMALS
    return (amount * scale).floor() / scale
