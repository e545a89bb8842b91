"""Rows that are derived from filed cells: sub-flows, breakdowns, and control totals.

Belongs here: RX, DX, RM and FM rows inside X and M; rows by transport, customs procedure and second partner; World
rows and TOTAL, chapter and heading rows. Does not belong here: the filed cells (`reporting`) nor the source's
columns (`declare`).

Every derived row is made of whole thousandths, so that parts add up to their total exactly.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from orchestration.sample.draws import Floats, Ints, Keys, Stream, keys_of
from orchestration.sample.places import WORLD_CODE
from orchestration.sample.reporters import (
    BY_CUSTOMS,
    BY_PARTNER2,
    BY_TRANSPORT,
    TRANSPORT_WITHOUT_TOTAL,
)
from orchestration.sample.reporting import AMOUNTS, EXPORT, IMPORT, PeriodContext

FLOWS = ("X", "M", "RX", "DX", "RM", "FM")
RE_EXPORT, DOMESTIC_EXPORT, RE_IMPORT, FOREIGN_IMPORT = 2, 3, 4, 5
CUSTOMS = ("C00", "C01", "C04", "C06")
# Modes of transport of a breakdown: each row is a share of the total; children stand inside their parent.
_TRANSPORT_PARENTS = (1000, 2000, 3000)
_TRANSPORT_CHILDREN = {2000: (2100,), 3000: (3200, 3100)}
_FLAT_TRANSPORT = (1000, 2100, 3200)
ROW_COLUMNS = ("reporter", "flow", "partner", "code", *AMOUNTS, "transport", "customs", "partner2", "level")


def period_rows(context: PeriodContext, hidden: pl.DataFrame) -> pl.DataFrame:
    """All rows of the part: bilateral cells, sub-flows, breakdowns and control totals (columns ROW_COLUMNS).

    `hidden` is the frame of `with_hidden_codes`. Partner and second partner are place indices, customs an index of
    CUSTOMS, level the number of digits of the code (0 for TOTAL).
    """
    bilateral = _sum(hidden, "reporter", "flow", "partner", code="shown").with_columns(level=pl.lit(6, dtype=pl.Int32))
    parts = [*_sub_flows(context, bilateral), *_broken_down(context, bilateral)]
    if context.effects.control_totals:
        parts.extend(_control_totals(context, bilateral, hidden))
    world = context.places.index_of(WORLD_CODE)
    whole = {"transport": 0, "customs": 0, "partner2": world}
    return pl.concat(
        [
            part.with_columns(
                pl.lit(value, dtype=pl.Int32).alias(name) for name, value in whole.items() if name not in part.columns
            ).select(ROW_COLUMNS)
            for part in parts
        ]
    )


def _sum(frame: pl.DataFrame, *keys: str, code: str) -> pl.DataFrame:
    """Sum the amounts by keys and a code column, which is named `code` in the answer."""
    return frame.group_by(*keys, pl.col(code).cast(pl.Int32).alias("code")).agg(pl.col(AMOUNTS).sum())


def _scaled(rows: pl.DataFrame, share: Floats) -> pl.DataFrame:
    """The rows with all amounts multiplied by a share and made whole again."""
    return rows.with_columns(
        pl.Series(name, np.floor(rows[name].to_numpy() * share).astype(np.int64)) for name in AMOUNTS
    )


def _less(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows with the amounts of aligned other rows taken away."""
    return rows.with_columns(rows[name] - other[name] for name in AMOUNTS)


def _keys(context: PeriodContext, rows: pl.DataFrame) -> Keys:
    """Random-number keys of rows by reporter, flow, partner and code."""
    places = context.places.code
    return keys_of(
        places[rows["reporter"].to_numpy()],
        rows["flow"].to_numpy(),
        places[rows["partner"].to_numpy()],
        context.products.code_number[rows["code"].to_numpy()],
    )


def _in_flow(rows: pl.DataFrame, flow: int) -> pl.DataFrame:
    return rows.with_columns(flow=pl.lit(flow, dtype=pl.Int32))


def _sub_flows(context: PeriodContext, bilateral: pl.DataFrame) -> list[pl.DataFrame]:
    """Re-exports of hubs (and, for most hubs, domestic exports), re-imports of a few reporters."""
    reporters, draws = context.reporters, context.draws
    reporter, flow = bilateral["reporter"].to_numpy(), bilateral["flow"].to_numpy()
    parts = []
    if context.effects.reexport_hubs:
        exports = bilateral.filter(reporters.is_hub[reporter] & (flow == EXPORT))
        goods = keys_of(
            context.places.code[exports["reporter"].to_numpy()],
            context.products.code_number[exports["code"].to_numpy()],
        )
        again = _scaled(exports, 0.2 + 0.6 * draws.uniform(Stream.HUB_SHARE, goods))
        files_domestic = reporters.files_domestic_exports[exports["reporter"].to_numpy()]
        parts.append(_in_flow(again, RE_EXPORT))
        parts.append(_in_flow(_less(exports, again), DOMESTIC_EXPORT).filter(files_domestic))
    imports = bilateral.filter(reporters.files_reimports[reporter] & (flow == IMPORT))
    key = _keys(context, imports)
    share = np.where(draws.below(Stream.RE_IMPORT, key, 0.3), 0.04, 0.0)
    back = _scaled(imports, share)
    parts.append(_in_flow(back, RE_IMPORT).filter(share > 0))
    parts.append(_in_flow(_less(imports, back), FOREIGN_IMPORT))
    return [part.filter(pl.col("usd") > 0) for part in parts]


def _broken_down(context: PeriodContext, bilateral: pl.DataFrame) -> list[pl.DataFrame]:
    """The bilateral rows themselves, and rows of a breakdown beside or instead of them."""
    style = context.reporters.breakdown[bilateral["reporter"].to_numpy()]
    by_transport = bilateral.filter(style == BY_TRANSPORT)
    parents = _split(context, by_transport, "transport", _TRANSPORT_PARENTS)
    children = [
        _split(context, parents.filter(pl.col("transport") == parent).drop("transport"), "transport", modes)
        for parent, modes in _TRANSPORT_CHILDREN.items()
    ]
    flat = _split(context, bilateral.filter(style == TRANSPORT_WITHOUT_TOTAL), "transport", _FLAT_TRANSPORT)
    procedures = _split(context, bilateral.filter(style == BY_CUSTOMS), "customs", tuple(range(1, len(CUSTOMS))))
    return [
        bilateral.filter(style != TRANSPORT_WITHOUT_TOTAL),
        parents,
        *children,
        flat,
        procedures,
        _by_second_partner(context, bilateral.filter(style == BY_PARTNER2)),
    ]


def _split(context: PeriodContext, rows: pl.DataFrame, column: str, values: tuple[int, ...]) -> pl.DataFrame:
    """Each row cut into up to as many as there are values; the last takes what the others leave."""
    key = _keys(context, rows)
    left = rows.select(AMOUNTS).to_numpy()
    pieces = []
    for value in values[:-1]:
        share = context.draws.uniform(Stream.BREAKDOWN_SHARE, keys_of(key, value), context.period)
        piece = np.floor(left * np.where(share < 0.3, 0.0, share)[:, None]).astype(np.int64)
        left = left - piece
        pieces.append(piece)
    amounts = np.concatenate([*pieces, left])
    kept = np.flatnonzero(amounts[:, AMOUNTS.index("usd")] > 0)
    value_of, row_of = np.divmod(kept, max(rows.height, 1))
    return rows.drop(AMOUNTS)[row_of].with_columns(
        *(pl.Series(name, amounts[kept, position]) for position, name in enumerate(AMOUNTS)),
        pl.Series(column, np.array(values, dtype=np.int32)[value_of]),
    )


def _by_second_partner(context: PeriodContext, rows: pl.DataFrame) -> pl.DataFrame:
    """Cut into goods sent directly (second partner = partner) and goods sent through another place."""
    halves = _split(context, rows, "half", (1, 2))
    large = np.flatnonzero(context.places.mass >= 400.0)
    number = context.draws.uniform(Stream.BREAKDOWN_SHARE, _keys(context, halves))
    through = large[np.floor(large.size * number).astype(np.int64)]
    partner = halves["partner"].to_numpy()
    through = np.where(through == partner, large[0] if large.size else partner, through)
    second = np.where(halves["half"].to_numpy() == 1, partner, through)
    return (
        halves.with_columns(partner2=pl.Series(second, dtype=pl.Int32))
        .drop("half")
        .group_by("reporter", "flow", "partner", "code", "level", "partner2")
        .agg(pl.col(AMOUNTS).sum())
    )


def _control_totals(context: PeriodContext, bilateral: pl.DataFrame, hidden: pl.DataFrame) -> list[pl.DataFrame]:
    """TOTAL of every corridor and of the world; chapters, headings and HS6 against World by the reporter's habit.

    World rows at HS6 show products that the reporter hides from its partners only, so that they may exceed the sum
    of partners; TOTAL is the same either way.
    """
    reporters, goods = context.reporters, context.products
    world = context.places.index_of(WORLD_CODE)
    against_world = _sum(hidden, "reporter", "flow", code="world_shown").with_columns(
        partner=pl.lit(world, dtype=pl.Int32)
    )
    levels = reporters.files_bilateral_levels[bilateral["reporter"].to_numpy()]
    details = reporters.files_world_levels[against_world["reporter"].to_numpy()]
    total = np.full(len(goods.codes), goods.total_index, dtype=np.int64)
    itself = np.arange(len(goods.codes), dtype=np.int64)
    parts = [
        _at_level(bilateral, total, 0),
        _at_level(bilateral.filter(levels), goods.chapter_of, 2),
        _at_level(against_world, total, 0),
    ]
    if context.frequency == "A":
        parts += [
            _at_level(against_world, goods.chapter_of, 2),
            _at_level(bilateral.filter(levels), goods.heading_of, 4),
            _at_level(against_world.filter(details), goods.heading_of, 4),
            _at_level(against_world.filter(details), itself, 6),
        ]
    else:
        parts.append(_at_level(against_world.filter(details), goods.chapter_of, 2))
    return parts


def _at_level(rows: pl.DataFrame, parent: Ints, level: int) -> pl.DataFrame:
    """Sum to the parents of the codes."""
    lifted = rows.with_columns(parent=pl.Series(parent[rows["code"].to_numpy()], dtype=pl.Int32))
    return _sum(lifted, "reporter", "flow", "partner", code="parent").with_columns(level=pl.lit(level, dtype=pl.Int32))
