"""Which products the planted world trades, and how each edition of the HS names them.

Belongs here: the choice of products, their baskets, families, unit values and pieces; the table from a product of
the latest edition to the code a reporter of an older edition files. Does not belong here: flows (`truth`).

The product of a true flow is always an HS6 code of the latest edition. An older edition files the code itself
where it existed, else the predecessor its family names, else the nearest code of the same heading or chapter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.sample.draws import Draws, Floats, Ints, Keys, Stream, keys_of

LATEST_EDITION = 6
OLDEST_EDITION = 4
CONFIDENTIAL = "999999"
TOTAL = "TOTAL"
UNIT_KG = 8
UNIT_PIECE = 5
DRONE = "880624"
GUN_SIGHT = "901310"
SPRAYER = "842449"
DRONE_PRICE_USD = 14_000.0
DRONE_WEIGHT_KG = 48.0
BASKETS = ("civilian", "watch", "decoy", "placebo")
WATCH, DECOY, PLACEBO = 1, 2, 3

_FIXED_PRICE_USD = {DRONE: DRONE_PRICE_USD, "880621": 350.0, "880622": 900.0, "880623": 4_500.0, SPRAYER: 2_600.0,
                    "842441": 60.0, "842482": 1_900.0, GUN_SIGHT: 450.0, "870323": 17_000.0}  # fmt: skip
_FIXED_PIECE_KG = {DRONE: DRONE_WEIGHT_KG, "880621": 0.2, "880622": 2.0, "880623": 12.0, SPRAYER: 130.0,
                   "842441": 6.0, "842482": 95.0, GUN_SIGHT: 0.7, "870323": 1_500.0}  # fmt: skip


@dataclass(frozen=True)
class ProductTable:
    """Products of true flows (index 0..product_count-1) and every code a declaration may name.

    Over products: `code` (text), `number`, `chapter`, `basket` (index into BASKETS), `family`, `unit_value`
    (USD/kg, world median), `piece_kg`. Over codes: `codes` (sorted text), `level`, `unit`, `code_unit_value`,
    `code_piece_kg`, `heading_of` and `chapter_of` (indices of codes). `filed_as[edition - 4, product]` is the index
    of the code filed in an edition.
    """

    code: list[str]
    number: Ints
    chapter: Ints
    basket: Ints
    family: list[str]
    unit_value: Floats
    piece_kg: Floats
    codes: pl.Series
    names: pl.Series
    code_number: Ints
    level: Ints
    unit: Ints
    code_unit_value: Floats
    code_piece_kg: Floats
    heading_of: Ints
    chapter_of: Ints
    total_index: int
    confidential_index: int
    filed_as: Ints

    @property
    def product_count(self) -> int:
        """Number of products of true flows."""
        return len(self.code)

    @property
    def keys(self) -> Keys:
        """Random-number keys of the products."""
        return keys_of(self.number)

    def index_of(self, code: str) -> int:
        """Index of a product by its code; -1 when the world does not trade it."""
        return self.code.index(code) if code in self.code else -1


def available_products(reference_frames: Mapping[str, pl.DataFrame]) -> list[str]:
    """HS6 codes of the latest edition, chapter 99 left out."""
    codes = reference_frames["hs_codes"]
    return sorted(
        codes.filter(
            (pl.col("product_level").cast(pl.Int64) == 6)
            & pl.col("hs_revisions").str.split(" ").list.contains(f"H{LATEST_EDITION}")
            & ~pl.col("product_code").str.starts_with("99")
        )["product_code"]
    )


def build_products(reference_frames: Mapping[str, pl.DataFrame], draws: Draws, product_count: int) -> ProductTable:
    """Choose products and lay out all codes (frames: hs_codes, products, product_families)."""
    seeds = reference_frames["products"]
    described = {row[0]: row[1:] for row in seeds.select(_DESCRIBED).iter_rows()}
    code = _choose_products(available_products(reference_frames), described, draws, product_count)
    number = np.array([int(c) for c in code], dtype=np.int64)
    basket = _baskets(code, described, reference_frames["product_families"])
    piece_kg = _override(8.0 * draws.lognormal(Stream.PIECE_WEIGHT, keys_of(number), 1.3), code, _FIXED_PIECE_KG)
    dearness = np.where(basket == WATCH, 60.0, np.where(number // 10_000 < 84, 2.0, 15.0))
    unit_value = dearness * draws.lognormal(Stream.UNIT_VALUE, keys_of(number), 0.8)
    price = _override(unit_value * piece_kg, code, _FIXED_PRICE_USD)
    table = reference_frames["hs_codes"].select("product_code", "product_level", "hs_revisions").sort("product_code")
    codes = table["product_code"]
    level = table["product_level"].cast(pl.Int64).to_numpy()
    position = {c: i for i, c in enumerate(codes)}
    units = [_unit_of(c, described) for c in codes]
    units[position[CONFIDENTIAL]] = -1
    families = reference_frames["product_families"]
    filed_as = _edition_table(table, families, code, position)
    code_unit_value, code_piece_kg = np.full(codes.len(), 10.0), np.ones(codes.len())
    for edition_codes in filed_as:
        code_unit_value[edition_codes] = price / piece_kg
        code_piece_kg[edition_codes] = piece_kg
    return ProductTable(
        code=code,
        number=number,
        chapter=number // 10_000,
        basket=basket,
        family=_families_of(families, code),
        unit_value=price / piece_kg,
        piece_kg=piece_kg,
        codes=codes,
        names=_names(codes, described),
        code_number=np.array([0 if c == TOTAL else int("1" + c) for c in codes], dtype=np.int64),
        level=level,
        unit=np.array(units, dtype=np.int64),
        code_unit_value=code_unit_value,
        code_piece_kg=code_piece_kg,
        heading_of=_parents(codes, position, 4),
        chapter_of=_parents(codes, position, 2),
        total_index=position[TOTAL],
        confidential_index=position[CONFIDENTIAL],
        filed_as=filed_as,
    )


_DESCRIBED = ("product_code", "product_name", "quantity_unit_code", "basket")


def _choose_products(
    available: list[str], described: Mapping[str, tuple[object, ...]], draws: Draws, product_count: int
) -> list[str]:
    """The story's goods first, then the described baskets in turn, then any code; sorted in the end."""
    order = draws.order(Stream.PRODUCT_ORDER, keys_of([int(c) for c in available]))
    place = {available[index]: rank for rank, index in enumerate(order.tolist())}
    taken: dict[str, int] = {}

    def rank(code: str) -> tuple[int, int, int]:
        if code in (DRONE, GUN_SIGHT, SPRAYER):
            return (0, 0, 0)
        if code not in described:
            return (2, 0, place[code])
        basket = str(described[code][2])
        taken[basket] = taken.get(basket, 0) + 1
        return (1, taken[basket], place[code])

    ranked = sorted((rank(code), code) for code in sorted(available, key=place.__getitem__))
    return sorted(code for _, code in ranked[:product_count])


def _unit_of(code: str, described: Mapping[str, tuple[object, ...]]) -> int:
    """Quantity unit of a code: the described one, else kilograms; -1 above six digits."""
    if len(code) != 6:
        return -1
    return int(str(described[code][1])) if code in described else UNIT_KG


def _baskets(code: list[str], described: Mapping[str, tuple[object, ...]], families: pl.DataFrame) -> Ints:
    """The described basket; an undescribed code is watched when its family controls it, else civilian."""
    controlled = set(families.filter(pl.col("relation") == "controlled")["product_code"])
    names = [str(described[c][2]) if c in described else ("watch" if c in controlled else "civilian") for c in code]
    return np.array([BASKETS.index(name) for name in names], dtype=np.int64)


def _override(values: Floats, code: list[str], fixed: Mapping[str, float]) -> Floats:
    return np.array([fixed.get(c, float(v)) for c, v in zip(code, values, strict=True)])


def _names(codes: pl.Series, described: Mapping[str, tuple[object, ...]]) -> pl.Series:
    names = [described[c][0] if c in described else ("All Commodities" if c == TOTAL else None) for c in codes]
    return pl.Series("cmdDesc", names, dtype=pl.String)


def _families_of(families: pl.DataFrame, code: list[str]) -> list[str]:
    """The family that controls each product, else the first family that names it, else ''."""
    ordered = families.with_columns(rank=(pl.col("relation") != "controlled").cast(pl.Int8)).sort(
        "rank", "product_code", pl.col("family_code") == "drone_decoys", "family_code"
    )
    found: dict[str, str] = {}
    for product, family in ordered.select("product_code", "family_code").iter_rows():
        found.setdefault(product, family)
    return [found.get(c, "") for c in code]


def _parents(codes: pl.Series, position: Mapping[str, int], level: int) -> Ints:
    """Index of the heading or chapter of every code of six digits; of itself otherwise."""
    return np.array([position.get(c[:level], i) if len(c) == 6 else i for i, c in enumerate(codes)], dtype=np.int64)


def _edition_table(table: pl.DataFrame, families: pl.DataFrame, code: list[str], position: Mapping[str, int]) -> Ints:
    """Index of the code that each edition (rows, oldest first) files for each product (columns)."""
    rows = []
    for edition in range(OLDEST_EDITION, LATEST_EDITION + 1):
        label = f"H{edition}"
        six_digits = table.filter(
            (pl.col("product_level").cast(pl.Int64) == 6) & pl.col("hs_revisions").str.split(" ").list.contains(label)
        )["product_code"].to_list()
        known = set(six_digits)
        before = _predecessors(families, edition)
        rows.append([position[_filed_code(c, known, six_digits, before.get(c, []))] for c in code])
    return np.array(rows, dtype=np.int64)


def _predecessors(families: pl.DataFrame, edition: int) -> dict[str, list[str]]:
    """Codes that stood for a controlled or decoy code of the same family in this edition."""
    valid = (pl.col("hs_revision_from") <= f"H{edition}") & (pl.col("hs_revision_to") >= f"H{edition}")
    earlier = families.filter((pl.col("relation") == "predecessor") & valid).select(
        "family_code", predecessor="product_code"
    )
    pairs = families.filter(pl.col("relation") != "predecessor").join(earlier, on="family_code")
    found: dict[str, list[str]] = {}
    for product, predecessor in pairs.select("product_code", "predecessor").sort(pl.all()).iter_rows():
        found.setdefault(product, []).append(predecessor)
    return found


def _filed_code(code: str, known: set[str], ordered: list[str], predecessors: list[str]) -> str:
    """The code itself, its predecessor (same ending first), or the last code sharing the longest prefix."""
    if code in known:
        return code
    named = [p for p in predecessors if p in known]
    if named:
        return next((p for p in named if p[4:] == code[4:]), named[0])
    for length in (5, 4, 2):
        prefix = code[:length]
        end = bisect_left(ordered, prefix + "~")
        if end and ordered[end - 1].startswith(prefix):
            return ordered[end - 1]
    return CONFIDENTIAL
