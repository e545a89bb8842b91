"""What a call asks of the data: its parameters read, and the rows that fit them.

Belongs here: names and values of query parameters, filters, the cut at the cap. Does not belong here: keys, limits
and how rows are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from orchestration.stand_in.holdings import STORED, DataSet

Parameters = Mapping[str, str]

# Null unless descriptions are asked for; the level and the leaf flag come with the descriptions of the products.
DESCRIBED = (
    "reporterISO", "reporterDesc", "flowDesc", "partnerISO", "partnerDesc", "partner2ISO", "partner2Desc",
    "cmdDesc", "aggrLevel", "isLeaf", "customsDesc", "motDesc", "qtyUnitAbbr", "altQtyUnitAbbr",
)  # fmt: skip
CLASSIC = (pl.col("partner2Code") == 0) & (pl.col("customsCode") == "C00") & (pl.col("motCode") == 0)
TARIFF_LINES = pl.col("cmdCode").cast(pl.String).str.len_chars() == 6
_LEVELS = {"AG2": 2, "AG4": 4, "AG6": 6}
_NUMBERS = {"partnercode": "partnerCode", "partner2code": "partner2Code", "motcode": "motCode"}
_TEXTS = {"flowcode": "flowCode", "customscode": "customsCode"}


@dataclass(frozen=True)
class DataQuery:
    """A call's wishes: None means everything; `where` is the filter within a data set, None when there is none."""

    reporters: frozenset[int] | None
    periods: frozenset[str] | None
    where: pl.Expr | None
    max_records: int | None
    count_only: bool
    include_descriptions: bool
    published_from: date | None
    published_to: date | None

    def was_published(self, released: date) -> bool:
        """True when the day lies within publishedDateFrom and publishedDateTo, both included."""
        return (self.published_from or date.min) <= released <= (self.published_to or date.max)


def read_query(parameters: Parameters) -> DataQuery:
    """Read the parameters (names in lower case). A value nobody knows fits no row, as in the source."""
    return DataQuery(
        reporters=_numbers(parameters, "reportercode"),
        periods=_texts(parameters, "period"),
        where=_where(parameters),
        max_records=_whole_number(parameters.get("maxrecords", "")),
        count_only=_is_yes(parameters, "countonly"),
        include_descriptions=_is_yes(parameters, "includedesc"),
        published_from=_day(parameters.get("publisheddatefrom", "")),
        published_to=_day(parameters.get("publisheddateto", "")),
    )


def fitting_rows(data_sets: Iterable[DataSet], where: pl.Expr | None, limit: int | None = None) -> pl.DataFrame:
    """Rows (types `STORED`) that fit, in the order of the data sets, at most `limit`."""
    parts, count = [pl.DataFrame(schema=STORED)], 0
    for rows in _runs(data_sets):
        found = rows if where is None else rows.filter(where)
        if found.height:
            parts.append(found)
            count += found.height
        if limit is not None and count >= limit:
            break
    fitting = pl.concat(parts)
    return fitting if limit is None else fitting.head(limit)


def count_rows(data_sets: Iterable[DataSet], where: pl.Expr | None) -> int:
    """How many rows fit, whatever the cap."""
    return sum(rows.height if where is None else rows.filter(where).height for rows in _runs(data_sets))


def _runs(data_sets: Iterable[DataSet]) -> Iterator[pl.DataFrame]:
    """The rows of the data sets, those that lie side by side in one block together."""
    block, start, end = pl.DataFrame(), 0, 0
    for one in data_sets:
        version = one.current
        if version.block is block and version.offset == end:
            end += version.row_count
            continue
        if end > start:
            yield block.slice(start, end - start)
        block, start, end = version.block, version.offset, version.offset + version.row_count
    if end > start:
        yield block.slice(start, end - start)


def without_descriptions(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as they come when descriptions are not asked for."""
    return rows.with_columns(pl.lit(None, dtype=STORED[name]).alias(name) for name in DESCRIBED)


def _where(parameters: Parameters) -> pl.Expr | None:
    filters = []
    for name, column in _NUMBERS.items():
        numbers = _numbers(parameters, name)
        if numbers is not None:
            filters.append(pl.col(column).is_in(pl.Series(sorted(numbers), dtype=pl.Int32).implode()))
    for name, column in _TEXTS.items():
        texts = _texts(parameters, name)
        if texts is not None:
            filters.append(pl.col(column).is_in(sorted(texts)))
    products = _texts(parameters, "cmdcode")
    if products is not None:
        levels = [_LEVELS[code] for code in sorted(products) if code in _LEVELS]
        named = pl.col("cmdCode").is_in(sorted(products))
        filters.append(named | pl.col("cmdCode").cast(pl.String).str.len_chars().is_in(levels) if levels else named)
    if parameters.get("breakdownmode", "").lower() == "classic":
        filters.append(CLASSIC)
    return pl.all_horizontal(filters) if filters else None


def _texts(parameters: Parameters, name: str) -> frozenset[str] | None:
    given = [part.strip().upper() for part in parameters.get(name, "").split(",")]
    return frozenset(part for part in given if part) if any(given) else None


def _numbers(parameters: Parameters, name: str) -> frozenset[int] | None:
    given = _texts(parameters, name)
    if given is None:
        return None
    read = {_whole_number(text) for text in given}
    return frozenset(number for number in read if number is not None)


def _whole_number(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.removeprefix("-").isdigit() and len(digits) < 10 else None


def _is_yes(parameters: Parameters, name: str) -> bool:
    return parameters.get(name, "").strip().lower() in {"true", "1"}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None
