"""What changed between two deliveries of the same data.

Belongs here: which deliveries are vintages of one another, and keys added, removed and revised. Does not belong
here: which one is current (`vintages`).
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.schema import ORDER, REVISIONS, conform
from orchestration.comtrade.contract.vintages import CELL
from orchestration.sums import count_where, exact_sum

_KEY = (*CELL, "flow_code", "partner_code")
_PAIR = ("older_delivery_id", "newer_delivery_id")
_SET = ("frequency", "period", "product_code")
_VERSION = ("_rank", "_data_set", "_withdrawn_by")


def measure_revisions(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per reporter, period and pair of consecutive vintages (schema REVISIONS, USD).

    A key is (flow, partner, product); it is revised when its value differs at all. Value moved adds up what every
    key moved by, whichever way: a key on one side only counts whole. `frame` holds the counting rows of every
    delivery, superseded ones too, with `_rank`, `_counts`, `_data_set` and `_withdrawn_by` (see `vintages`).
    """
    keys = (
        frame.filter(pl.col("_counts"))
        .group_by(*_KEY, "delivery_id", *_VERSION, maintain_order=True)
        .agg(exact_sum("value_usd"), pl.col("hs_revision").sort().first())
    )
    if keys["_rank"].n_unique() <= 1:
        return pl.DataFrame(schema=REVISIONS)
    return _count_changes(keys, _compared_cells(keys))


def _compared_cells(keys: pl.DataFrame) -> pl.DataFrame:
    """Cells (reporter, product, period) with the older and the newer delivery they are compared between.

    A cell that both deliveries hold is compared, unless it was withdrawn between them. Two versions of one data set
    are vintages of one another whatever they hold: a cell that a version has and the one before lacks was added by it,
    a cell that was withdrawn (`vintages`) was removed. Of other deliveries a cell that only one holds counts as added
    or removed only where the two share more than half of the smaller one's reporters for that product: files of
    different reporters are not vintages of one another.
    """
    cells = keys.select(*CELL, "delivery_id", *_VERSION).unique().sort(*CELL, "_rank")
    cells = cells.join(_versions_before(keys), on=["_data_set", "_rank"], how="left", maintain_order="left")
    cells = cells.with_columns(
        pl.col("delivery_id").shift(1).over(CELL).alias("_previous"),
        pl.col("_withdrawn_by").shift(1).over(CELL).alias("_previous_withdrawn_by"),
        pl.col("_rank").shift(-1).over(CELL).alias("_following"),
    )
    is_standing = (pl.col("_previous_withdrawn_by") > pl.col("_rank")).fill_null(True)
    both = cells.filter(pl.col("_previous").is_not_null() & is_standing).select(
        *CELL, pl.col("_previous").alias("older_delivery_id"), pl.col("delivery_id").alias("newer_delivery_id")
    )
    related = _related_deliveries(cells, both)
    is_new = pl.col("_previous").is_null() | ~is_standing
    is_version = pl.col("_version_before").is_not_null()
    is_last = pl.col("_following").is_null()
    is_withdrawn = pl.col("_withdrawn_by").is_not_null()
    return (
        pl.concat(
            [
                both,
                _added_by_versions(cells.filter(is_new & is_version)),
                _withdrawn(
                    cells.filter(is_withdrawn & (is_last | (pl.col("_withdrawn_by") < pl.col("_following")))), keys
                ),
                _one_sided(cells.filter(pl.col("_previous").is_null() & ~is_version), related, "newer_delivery_id"),
                _one_sided(cells.filter(is_last & ~is_withdrawn), related, "older_delivery_id"),
            ]
        )
        .unique()
        .sort(*CELL, *_PAIR)
    )


def _versions_before(keys: pl.DataFrame) -> pl.DataFrame:
    """`_version_before` (a delivery_id) of every version of a data set but the first, by `_data_set` and `_rank`."""
    versions = keys.filter(pl.col("_data_set").is_not_null()).select("_data_set", "_rank", "delivery_id").unique()
    before = pl.col("delivery_id").shift(1).over("_data_set").alias("_version_before")
    return versions.sort("_data_set", "_rank").select("_data_set", "_rank", before)


def _added_by_versions(cells: pl.DataFrame) -> pl.DataFrame:
    return cells.select(*CELL, older_delivery_id="_version_before", newer_delivery_id="delivery_id")


def _withdrawn(cells: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    withdrawing = keys.select(_withdrawn_by="_rank", newer_delivery_id="delivery_id").unique()
    rows = cells.join(withdrawing, on="_withdrawn_by")
    return rows.select(*CELL, pl.col("delivery_id").alias("older_delivery_id"), "newer_delivery_id")


def _related_deliveries(cells: pl.DataFrame, both: pl.DataFrame) -> pl.DataFrame:
    """Period, product and pairs of deliveries that are vintages of one another there."""
    held = cells.group_by(*_SET, "delivery_id").agg(pl.len().alias("_held"))
    shared = both.group_by(*_SET, *_PAIR).agg(pl.len().alias("_shared"))
    for side in _PAIR:
        counts = held.rename({"delivery_id": side, "_held": f"_held_{side}"})
        shared = shared.join(counts, on=[*_SET, side], how="left")
    smaller = pl.min_horizontal(f"_held_{side}" for side in _PAIR)
    return shared.filter(2 * pl.col("_shared") > smaller).select(*_SET, *_PAIR)


def _one_sided(cells: pl.DataFrame, related: pl.DataFrame, side: str) -> pl.DataFrame:
    rows = cells.select(*CELL, pl.col("delivery_id").alias(side)).join(related, on=[*_SET, side])
    # One partner vintage per cell, so that an added key is counted once.
    return rows.sort(*CELL, *_PAIR).unique([*CELL, side], keep="last").select(*CELL, *_PAIR)


def _count_changes(keys: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    older, newer = (_side(keys, cells, side) for side in ("older", "newer"))
    rows = older.join(newer, on=[*_KEY, *_PAIR], how="full", coalesce=True)
    before, after = pl.col("older_usd"), pl.col("newer_usd")
    editions_differ = pl.col("older_revision").ne_missing(pl.col("newer_revision"))
    kept = before.is_not_null() & after.is_not_null()
    change = after.fill_null(0.0) - before.fill_null(0.0)
    grain = ["frequency", "period", "reporter_code", *_PAIR]
    frame = (
        rows.sort(*_KEY, *_PAIR)
        .group_by(grain, maintain_order=True)
        .agg(
            count_where(before.is_null()).alias("keys_added_count"),
            count_where(after.is_null()).alias("keys_removed_count"),
            count_where(kept & (before != after)).alias("keys_revised_count"),
            count_where(kept & (before == after)).alias("keys_unchanged_count"),
            exact_sum(before).alias("older_value_usd"),
            exact_sum(after).alias("newer_value_usd"),
            exact_sum(after.filter(before.is_null())).alias("value_added_usd"),
            exact_sum(before.filter(after.is_null())).alias("value_removed_usd"),
            exact_sum(change.abs()).alias("value_moved_usd"),
            exact_sum(change).alias("net_change_usd"),
            count_where(kept & editions_differ).alias("editions_changed_count"),
        )
    )
    return conform(frame, REVISIONS, "revisions").sort(ORDER["revisions"])


def _side(keys: pl.DataFrame, cells: pl.DataFrame, side: str) -> pl.DataFrame:
    named = keys.rename({"delivery_id": f"{side}_delivery_id"})
    return cells.join(named, on=[*CELL, f"{side}_delivery_id"]).select(
        *_KEY,
        *_PAIR,
        pl.col("value_usd").alias(f"{side}_usd"),
        pl.col("hs_revision").alias(f"{side}_revision"),
    )
