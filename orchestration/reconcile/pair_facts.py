"""Facts that travel with a pair: re-exports, unions, the leave-out rule.

Belongs here: columns that describe a pair and change no value. Does not belong here: pairing, statuses, valuation.
"""

from __future__ import annotations

import polars as pl

from orchestration.reconcile.product_codes import at_level
from orchestration.reconcile.schema import CORRIDOR, PAIR_KEY
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import exact_sum


def with_reexports(pairs: pl.DataFrame, declarations: pl.DataFrame) -> pl.DataFrame:
    """Add reexport_usd, reexport_share_ratio and domestic_export_usd: RX is inside X, a share of it, never added.

    Domestic exports are DX where filed, else X less RX. An exporter of the period's RX rows that files none for this
    flow re-exported nothing of it; of one that never files RX nothing is known (NULL).
    """
    for flow, name in (("RX", "reexport_usd"), ("DX", "_domestic")):
        pairs = pairs.join(_sub_flow(declarations, flow, name), on=list(PAIR_KEY), how="left")
    filers = _finest_sub_flow(declarations, "RX").select("exporter_code", _files=pl.lit(True)).unique()
    pairs = pairs.join(filers, on="exporter_code", how="left")
    exported, again = pl.col("exporter_value_usd"), pl.col("reexport_usd")
    known = pl.coalesce(again, pl.when(pl.col("_files")).then(pl.lit(0.0)))
    return pairs.with_columns(
        reexport_usd=pl.when(exported.is_not_null()).then(again),
        reexport_share_ratio=pl.when(exported > 0).then(again / exported),
        domestic_export_usd=pl.when(exported.is_not_null()).then(
            pl.coalesce("_domestic", (exported - known).clip(lower_bound=0.0))
        ),
    )


def _finest_sub_flow(declarations: pl.DataFrame, flow: str) -> pl.DataFrame:
    """Rows of one sub-flow without those that have finer rows of their own corridor beneath them."""
    rows = declarations.filter(
        (pl.col("flow_code") == flow) & (pl.col("account_reason") == "sub_flow") & (pl.col("product_level") >= 2)
    ).select(
        "product_code",
        "product_level",
        exporter_code="reporter_code",
        importer_code="partner_code",
        value="value_usd",
    )
    above = [rows.filter(pl.col("product_level") > level).select(*CORRIDOR, at_level(level)) for level in (2, 4)]
    return rows.join(pl.concat(above).unique(), on=list(PAIR_KEY), how="anti")


def _sub_flow(declarations: pl.DataFrame, flow: str, name: str) -> pl.DataFrame:
    """Value of one sub-flow per exporter, importer and product at levels 6, 4 and 2."""
    rows = _finest_sub_flow(declarations, flow)
    cut = [rows.filter(pl.col("product_level") >= level).with_columns(at_level(level)) for level in (2, 4, 6)]
    return (
        pl.concat(cut)
        .sort(*PAIR_KEY, "value")
        .group_by(PAIR_KEY, maintain_order=True)
        .agg(exact_sum("value").alias(name))
    )


def with_memberships(pairs: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """Inside the Eurasian Economic Union at the date; left out of every fit by the leave-out rule."""
    union = tables.place_roles.filter(pl.col("role") == "eaeu").select("place_code", "valid_from", "valid_to")
    for side in ("exporter", "importer"):
        named = union.rename({"valid_from": f"_{side}_from", "valid_to": f"_{side}_to"})
        pairs = pairs.join(named, left_on=f"{side}_code", right_on="place_code", how="left")
    inside = [
        (pl.col(f"_{s}_from") <= pl.col("period_start"))
        & (pl.col(f"_{s}_to").is_null() | (pl.col(f"_{s}_to") >= pl.col("period_start")))
        for s in ("exporter", "importer")
    ]
    watched = tables.watched_products().with_columns(_watched=pl.lit(True))
    return (
        pairs.join(watched, on="product_code", how="left")
        .join(_suspect_corridors(pairs, tables), on=list(CORRIDOR), how="left")
        .with_columns(
            is_intra_eaeu=pl.all_horizontal(inside).fill_null(False),
            is_left_out=pl.col("_watched").fill_null(False) | pl.col("_suspect").fill_null(False),
        )
    )


def _suspect_corridors(pairs: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
    """Corridors of this period that the table leaves out; an empty end means any place."""
    corridors = pairs.select(*CORRIDOR, "period_start").unique()
    rules = tables.corridors_left_out.select(
        rule_exporter="exporter_code",
        rule_importer="importer_code",
        rule_from="valid_from",
        rule_to="valid_to",
    )
    matched = corridors.join(rules, how="cross").filter(
        (pl.col("rule_exporter").is_null() | (pl.col("rule_exporter") == pl.col("exporter_code")))
        & (pl.col("rule_importer").is_null() | (pl.col("rule_importer") == pl.col("importer_code")))
        & (pl.col("rule_from") <= pl.col("period_start"))
        & (pl.col("rule_to").is_null() | (pl.col("rule_to") >= pl.col("period_start")))
    )
    return matched.select(*CORRIDOR).unique().with_columns(_suspect=pl.lit(True))
