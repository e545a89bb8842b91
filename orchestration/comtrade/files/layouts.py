"""The column layouts in which declarations come, and how each is brought to the API's names.

Belongs here: what a column of each layout is, which known columns are not used and why a file in a known foreign
layout is refused. Does not belong here: containers (JSON, text, Parquet) and types of cells.

Every known column is taken out of a file one by one; what is left over is unknown and flags its rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.comtrade.files import wits

Adapt = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]


def plain(name: str) -> str:
    """A column name without case, blanks and underscores: partner2_code, partner2code and partner2Code are one."""
    return re.sub(r"[\s_\ufeff]", "", name).lower()


@dataclass(frozen=True)
class Layout:
    """One layout: `marks` are columns without which a file is not of it, `columns` maps plain names to API names,
    `unused` are plain names that are known and say nothing the API columns do not; `adapt` brings codes to the API's.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    columns: Mapping[str, str]
    unused: frozenset[str] = frozenset()
    # Where an absent number is written as a word.
    absent_numbers: tuple[str, ...] = ()
    adapt: Adapt = field(default=lambda frame, _places: frame)


def _legacy_flows(frame: pl.DataFrame, _places: pl.DataFrame) -> pl.DataFrame:
    """Flow numbers of the older website and API to today's letters; an unlisted one stays and is quarantined."""
    code = pl.col("flowCode").cast(pl.String).str.strip_chars()
    return _period_from_candidates(frame.with_columns(code.replace({"1": "M", "2": "X", "3": "RX", "4": "RM"})))


def _period_from_candidates(frame: pl.DataFrame, _places: pl.DataFrame | None = None) -> pl.DataFrame:
    """`period` is the first of period and _period_text that reads like 2017 or 201701, else as filed."""
    found = [pl.col(c).cast(pl.String).str.strip_chars() for c in ("period", "_period_text") if c in frame.columns]
    like = [pl.when(text.str.contains(r"^\d{4}(\d{2})?$")).then(text) for text in found]
    return frame.with_columns(pl.coalesce(*like, *found).alias("period")).drop("_period_text", strict=False)


_API = {plain(name): name for name in API_COLUMNS}
_MARKS = ("reporterCode", "partnerCode", "flowCode", "cmdCode", "period", "primaryValue")
_SNAKE_MARKS = ("reporter_code", "partner_code", "flow_code", "cmd_code", "period", "primary_value")

BULK = Layout("bulk", "UN Comtrade bulk file", ("datasetCode", *_MARKS), _API, frozenset({"datasetcode"}))
API = Layout("api", "UN Comtrade API or website names", _MARKS, _API)
SNAKE = Layout("snake", "UN Comtrade API names in snake case", _SNAKE_MARKS, _API)

# Download of the website before 2023.
LEGACY = Layout(
    "legacy",
    "UN Comtrade website before 2023",
    ("Reporter Code", "Partner Code", "Trade Flow Code", "Commodity Code", "Period", "Trade Value (US$)"),
    {
        "classification": "classificationCode", "period": "period", "perioddesc.": "_period_text",
        "aggregatelevel": "aggrLevel", "isleafcode": "isLeaf", "tradeflowcode": "flowCode", "tradeflow": "flowDesc",
        "reportercode": "reporterCode", "reporter": "reporterDesc", "reporteriso": "reporterISO",
        "partnercode": "partnerCode", "partner": "partnerDesc", "partneriso": "partnerISO",
        "2ndpartnercode": "partner2Code", "2ndpartner": "partner2Desc", "2ndpartneriso": "partner2ISO",
        "customsproc.code": "customsCode", "customs": "customsDesc", "modeoftransportcode": "motCode",
        "modeoftransport": "motDesc", "commoditycode": "cmdCode", "commodity": "cmdDesc",
        "qtyunitcode": "qtyUnitCode", "qtyunit": "qtyUnitAbbr", "qty": "qty", "altqtyunitcode": "altQtyUnitCode",
        "altqtyunit": "altQtyUnitAbbr", "altqty": "altQty", "netweight(kg)": "netWgt", "grossweight(kg)": "grossWgt",
        "tradevalue(us$)": "primaryValue", "ciftradevalue(us$)": "cifvalue", "fobtradevalue(us$)": "fobvalue",
        "flag": "legacyEstimationFlag",
    },
    frozenset({"year"}),
    adapt=_legacy_flows,
)  # fmt: skip

# Answers of the API before 2023, whatever program kept them; `src` names the answer a row was kept from.
LEGACY_API = Layout(
    "legacy_api",
    "UN Comtrade API before 2023",
    ("rtCode", "ptCode", "rgCode", "cmdCode", "period", "TradeValue"),
    {
        "pfcode": "classificationCode", "period": "period", "perioddesc": "_period_text", "aggrlevel": "aggrLevel",
        "isleaf": "isLeaf", "rgcode": "flowCode", "rgdesc": "flowDesc", "rtcode": "reporterCode",
        "rttitle": "reporterDesc", "rt3iso": "reporterISO", "ptcode": "partnerCode", "pttitle": "partnerDesc",
        "pt3iso": "partnerISO", "ptcode2": "partner2Code", "pttitle2": "partner2Desc", "pt3iso2": "partner2ISO",
        "cstcode": "customsCode", "cstdesc": "customsDesc", "motcode": "motCode", "motdesc": "motDesc",
        "cmdcode": "cmdCode", "cmddesce": "cmdDesc", "qtcode": "qtyUnitCode", "qtdesc": "qtyUnitAbbr",
        "tradequantity": "qty", "qtaltcode": "altQtyUnitCode", "qtaltdesc": "altQtyUnitAbbr",
        "altquantity": "altQty", "netweight": "netWgt", "grossweight": "grossWgt", "tradevalue": "primaryValue",
        "cifvalue": "cifvalue", "fobvalue": "fobvalue", "estcode": "legacyEstimationFlag",
    },
    frozenset({"yr", "src"}),
    adapt=_legacy_flows,
)  # fmt: skip

# Snake-case answers kept by R programs of 2022 and 2023; NA is R's absent number. Their own extras are not used.
TIDY = Layout(
    "tidy",
    "UN Comtrade rows kept by an R program",
    ("reporter_code", "partner_code", "trade_code", "commodity_code", "period_desc", "trade_value_us"),
    {
        "period": "_period_text", "perioddesc": "period", "aggregatelevel": "aggrLevel", "isleafcode": "isLeaf",
        "tradecode": "flowCode", "tradeflow": "flowDesc", "reportercode": "reporterCode", "reporter": "reporterDesc",
        "partnercode": "partnerCode", "partneriso": "partnerISO", "partner": "partnerDesc",
        "commoditycode": "cmdCode", "commodity": "cmdDesc", "motcode": "motCode", "motdesc": "motDesc",
        "qtyunitcode": "qtyUnitCode", "qtyunitabbr": "qtyUnitAbbr", "qty": "qty",
        "isqtyestimated": "isQtyEstimated", "isnetwgtestimated": "isNetWgtEstimated", "netweightkg": "netWgt",
        "tradevalueus": "primaryValue", "cifvalue": "cifvalue", "fobvalue": "fobvalue", "isreported": "isReported",
        "isaggregate": "isAggregate",
    },
    frozenset({"year", "month", "partnerregion"}),
    absent_numbers=("NA",),
    adapt=_period_from_candidates,
)  # fmt: skip

WITS = Layout(
    "wits",
    "World Bank WITS, in thousand USD",
    ("ReporterISO3", "PartnerISO3", "TradeFlowCode", "ProductCode", "Year", "TradeValue in 1000 USD"),
    {
        "nomenclature": "classificationCode",
        "reporteriso3": "reporterISO", "reportername": "reporterDesc", "partneriso3": "partnerISO",
        "partnername": "partnerDesc", "year": "period", "tradeflowcode": "flowCode", "tradeflowname": "flowDesc",
        "productcode": "cmdCode", "tradevaluein1000usd": "primaryValue", "netweightinkgm": "netWgt",
        "quantity": "qty", "qtyunit": "qtyUnitAbbr",
    },
    adapt=wits.adapt,
)  # fmt: skip

# The most demanding first: a bulk file also has every mark of the API's names.
LAYOUTS = (BULK, WITS, TIDY, LEGACY_API, LEGACY, SNAKE, API)


@dataclass(frozen=True)
class ForeignLayout:
    """A layout that is known and holds no UN Comtrade declarations."""

    marks: tuple[str, ...]
    what: str
    why_it_matters: str
    how_to_mend: str


FOREIGN = (
    ForeignLayout(
        ("reporter", "partner", "month", "value", "product", "flow", "indicator", "code"),
        "it holds Eurostat Comext rows (names of countries, product codes of the Combined Nomenclature, euros)",
        "it is not a UN Comtrade format: it has no codes of places, no USD and mixes headings with their parts",
        "take the file out of the folder; the same trade can be downloaded from UN Comtrade in HS codes and USD",
    ),
    ForeignLayout(
        ("comtradr_name", "api_name"),
        "it is a table of column names, not of declarations",
        "nothing in it can be reconciled; the readers know these names themselves",
        "take the file out of the folder of downloads",
    ),
    ForeignLayout(
        ("fileUrl", "rowKey"),
        "it is a list of bulk files that could be downloaded, not the files themselves",
        "it holds no declared value",
        "download the files it lists and put those into the folder",
    ),
)


def layout_of(columns: Sequence[str]) -> Layout | None:
    """The first layout all of whose marks are among the columns (case and blanks around them do not count)."""
    names = {_mark(column) for column in columns}
    return next((layout for layout in LAYOUTS if {_mark(m) for m in layout.marks} <= names), None)


def foreign_layout_of(columns: Sequence[str]) -> ForeignLayout | None:
    """The foreign layout all of whose marks are among the columns."""
    names = {_mark(column) for column in columns}
    return next((foreign for foreign in FOREIGN if {_mark(m) for m in foreign.marks} <= names), None)


def nearest_layout(columns: Sequence[str]) -> tuple[Layout, list[str]]:
    """The layout that most columns speak for, and the marks it misses."""
    names = {_mark(column) for column in columns}
    missing = {layout.name: [m for m in layout.marks if _mark(m) not in names] for layout in LAYOUTS}
    best = min(reversed(LAYOUTS), key=lambda layout: len(missing[layout.name]) / len(layout.marks))
    return best, missing[best.name]


def _mark(column: str) -> str:
    return column.strip(" \ufeff").lower()
