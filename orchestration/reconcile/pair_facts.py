"""Facts that travel with a pair: re-exports, unions, the leave-out rule.

Belongs here: columns that describe a pair and change no value. Does not belong here: pairing, statuses, valuation.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from orchestration.reconcile.product_codes import at_level
from orchestration.reconcile.schema import CORRIDOR, PAIR_KEY
from orchestration.reconcile.tables import ReconcileTables
from orchestration.sums import exact_sum


def with_reexports(pairs: pl.DataFrame, sub_flows: pl.DataFrame) -> pl.DataFrame:
    """Add reexport_usd, reexport_share_ratio and domestic_export_usd: RX is inside X, a share of it, never added.

    Args: pairs, sub_flows as `editions.sub_flows_like` returns them. Domestic exports are DX where filed, else X less
    RX. An exporter of the period's RX rows that files none for this flow re-exported nothing of it; of one that never
    files RX nothing is known (NULL).
    """
    parts = sub_flows.select(
        *("flow_code", "product_code", "product_level"),
        exporter_code="reporter_code",
        importer_code="partner_code",
        value="value_usd",
    )
    levels = [level for level in (2, 4, 6) if level in set(pairs["product_level"].unique())]
    again_filed, domestic = (_finest(parts.filter(pl.col("flow_code") == flow)) for flow in ("RX", "DX"))
    for rows, name in ((again_filed, "reexport_usd"), (domestic, "_domestic")):
        pairs = pairs.join(_by_level(rows, levels, name), on=list(PAIR_KEY), how="left", maintain_order="left")
    filers = again_filed.select("exporter_code", _files=pl.lit(True)).unique()
    pairs = pairs.join(filers, on="exporter_code", how="left", maintain_order="left")
    exported, again = pl.col("exporter_value_usd"), pl.col("reexport_usd")
    known = pl.coalesce(again, pl.when(pl.col("_files")).then(pl.lit(0.0)))
    return pairs.with_columns(
        reexport_usd=pl.when(exported.is_not_null()).then(again),
        reexport_share_ratio=pl.when(exported > 0).then(again / exported),
        domestic_export_usd=pl.when(exported.is_not_null()).then(
            pl.coalesce("_domestic", (exported - known).clip(lower_bound=0.0))
        ),
    )


def _finest(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one sub-flow without those that have finer rows of their own corridor beneath them."""
    coarser = rows.filter(pl.col("product_level") < 6)
    if coarser.is_empty():
        return rows
    above = [rows.filter(pl.col("product_level") > level).select(*CORRIDOR, at_level(level)) for level in (2, 4)]
    return rows.join(pl.concat(above).unique(), on=list(PAIR_KEY), how="anti")


def _by_level(rows: pl.DataFrame, levels: Sequence[int], name: str) -> pl.DataFrame:
    """Value of one sub-flow per exporter, importer and product at each of the levels."""
    cut = [rows.filter(pl.col("product_level") >= level).with_columns(at_level(level)) for level in levels]
    return pl.concat([rows.clear(), *cut]).group_by(PAIR_KEY).agg(exact_sum("value").alias(name))


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
    days = pairs.select("period_start").unique()
    rules = tables.corridors_left_out.select(
        rule_exporter="exporter_code",
        rule_importer="importer_code",
        rule_from="valid_from",
        rule_to="valid_to",
    )
    in_force = (pl.col("rule_from") <= pl.col("period_start")) & (
        pl.col("rule_to").is_null() | (pl.col("rule_to") >= pl.col("period_start"))
    )
    rules = rules.join(days, how="cross").filter(in_force)
    if rules.is_empty():
        return pairs.select(*CORRIDOR, _suspect=pl.lit(True)).clear()
    corridors = pairs.select(*CORRIDOR, "period_start").unique()
    matched = corridors.join(rules, on="period_start").filter(
        (pl.col("rule_exporter").is_null() | (pl.col("rule_exporter") == pl.col("exporter_code")))
        & (pl.col("rule_importer").is_null() | (pl.col("rule_importer") == pl.col("importer_code")))
    )
    return matched.select(*CORRIDOR).unique().with_columns(_suspect=pl.lit(True))
