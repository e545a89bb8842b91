"""What a whole period says about each of its flows, gathered from its declarations batch by batch.

Belongs here: who speaks, which chapters rest on months, what is declared in every code; small tables that let a large
period be paired slice by slice. Does not belong here: pairing (`pair`), how a period is cut (the pipeline).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from orchestration.reconcile.reporting import rolled_up_chapters, spoken_sides
from orchestration.reconcile.schema import DECLARATIONS, require
from orchestration.sums import exact_total

_CODE = ("hs_revision", "product_code")


@dataclass(frozen=True)
class PeriodFacts:
    """Facts of one period.

    spoken: (reporter_code, side, chapter_code) filed at all; chapters: (chapter_code, is_months_only), empty where
    nothing was rolled up; values: value_usd (decimal) declared in each code of six digits (hs_revision, product_code).
    """

    spoken: pl.DataFrame
    chapters: pl.DataFrame
    values: pl.DataFrame


def period_facts(declarations: pl.DataFrame) -> PeriodFacts:
    """Facts of the declarations at hand (as `pair` takes them): a period, or a part of it to be joined with others."""
    require(declarations, (*DECLARATIONS, "is_rolled_up"), "the declarations frame")
    six = declarations.filter(
        (pl.col("account") == "pair") & pl.col("flow_code").is_in(["X", "M"]) & (pl.col("product_level") == 6)
    )
    return PeriodFacts(
        spoken=spoken_sides(declarations),
        chapters=rolled_up_chapters(declarations),
        values=six.group_by(_CODE).agg(exact_total("value_usd")).sort(_CODE),
    )


def join_facts(parts: Sequence[PeriodFacts]) -> PeriodFacts:
    """Facts of a period from those of its parts, in any order. Raises ValueError when there is no part."""
    if not parts:
        raise ValueError("a period without any part has no facts; pass the facts of at least one part")
    chapters = pl.concat(part.chapters for part in parts).group_by("chapter_code")
    values = pl.concat(part.values for part in parts).group_by(_CODE)
    return PeriodFacts(
        spoken=pl.concat(part.spoken for part in parts).unique().sort("reporter_code", "side", "chapter_code"),
        chapters=chapters.agg(pl.col("is_months_only").all()).sort("chapter_code"),
        values=values.agg(exact_total("value_usd")).sort(_CODE),
    )
