"""Worlds for the tests of the planted world, and how a declaration is held against the truth.

Belongs here: configurations with one effect alone or one effect missing, deliveries made once, and joins of
declared rows with true flows. Does not belong here: what is expected of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import cast

import polars as pl

from orchestration.sample import Delivery, Effects, Evasion, World, WorldConfig, build_world, deliver, lasting_truth
from orchestration.sample.config import Frequency

EFFECTS = tuple(switch.name for switch in fields(Effects))
KINDS = tuple(switch.name for switch in fields(Evasion))
PAIR = ("exporter_code", "importer_code", "product_code")
ROW = ("reporter", "flow", "partner", "partner2", "product", "customs", "transport")
SPECIAL_PARTNERS = ("472", "492", "527", "568", "577", "636", "637", "697", "837", "838", "839", "879", "899")

FULL = WorldConfig(with_descriptions=False)
HONEST = replace(FULL, evasion=Evasion(**dict.fromkeys(KINDS, False)))
"""Every innocent effect, no passage."""
PLAIN = replace(HONEST, effects=Effects(**dict.fromkeys(EFFECTS, False)))
"""Everybody declares the truth, in full, on time."""


def alone(*effects: str) -> WorldConfig:
    """The plain world with these effects only."""
    return PLAIN.with_effects(**dict.fromkeys(effects, True))


def without(effect: str) -> WorldConfig:
    """The honest world of every effect but one."""
    return HONEST.with_effects(**{effect: False})


def passage_alone(kind: str, *effects: str) -> WorldConfig:
    """Passages of one kind in a world that otherwise declares the truth; the destination is silent."""
    return alone("russia_silent", *effects).with_evasion(**{kind: True})


class Worlds:
    """Builds each world once, and each delivery once when it is asked for by `kept`."""

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self.frames = frames
        self._worlds: dict[WorldConfig, World] = {}
        self._lasting: dict[WorldConfig, dict[str, pl.DataFrame]] = {}
        self._kept: dict[tuple[WorldConfig, str], Delivery] = {}

    def world(self, config: WorldConfig) -> World:
        """The lasting part of a world."""
        if config not in self._worlds:
            self._worlds[config] = build_world(config, self.frames)
        return self._worlds[config]

    def made(self, config: WorldConfig, key: str) -> Delivery:
        """The delivery 'A-2023' or 'M-202305'; must not be cut into parts."""
        frequency, period = key.split("-")
        (delivery,) = deliver(self.world(config), cast(Frequency, frequency), int(period))
        return delivery

    def kept(self, config: WorldConfig, key: str) -> Delivery:
        """As `made`, remembered for the session."""
        if (config, key) not in self._kept:
            self._kept[config, key] = self.made(config, key)
        return self._kept[config, key]

    def lasting(self, config: WorldConfig) -> dict[str, pl.DataFrame]:
        """The truth tables that last over the periods."""
        if config not in self._lasting:
            self._lasting[config] = lasting_truth(self.world(config))
        return self._lasting[config]


def coded(declared: pl.DataFrame) -> pl.DataFrame:
    """Declared rows with their keys as text in the columns ROW, beside all columns of the source."""
    place = {
        name: pl.col(column).cast(pl.String).str.zfill(3)
        for name, column in (("reporter", "reporterCode"), ("partner", "partnerCode"), ("partner2", "partner2Code"))
    }
    return declared.with_columns(
        **place, flow=pl.col("flowCode"), product=pl.col("cmdCode"), customs=pl.col("customsCode"), transport="motCode"
    )


def is_whole() -> pl.Expr:
    """Rows that are no part of a breakdown."""
    return (pl.col("customsCode") == "C00") & (pl.col("motCode") == 0) & (pl.col("partner2Code") == 0)


def bilateral(declared: pl.DataFrame) -> pl.DataFrame:
    """The six-digit rows by partner, without breakdowns and control totals, with keys as text."""
    return coded(declared.filter(is_whole() & (pl.col("aggrLevel") == 6) & (pl.col("partnerCode") != 0)))


def cells(declared: pl.DataFrame) -> pl.DataFrame:
    """X and M by reporter, flow, partner and product, each once: the total row, else the sum of its breakdown."""
    key = ["reporter", "flow", "partner", "product"]
    rows = coded(declared).filter(
        (pl.col("aggrLevel") == 6) & (pl.col("partner") != "000") & pl.col("flow").is_in(["X", "M"])
    )
    whole = rows.filter(is_whole()).select(*key, "primaryValue", "netWgt")
    broken = rows.filter(~is_whole()).join(whole, on=key, how="anti")
    return pl.concat([whole, broken.group_by(key).agg(pl.col("primaryValue", "netWgt").sum())])


def side(declared: pl.DataFrame, flow: str) -> pl.DataFrame:
    """Declarations of all exporters (X) or importers (M) by PAIR: value_usd, kg, cif and fob as filed."""
    exporter, importer = ("reporter", "partner") if flow == "X" else ("partner", "reporter")
    return (
        bilateral(declared)
        .filter(pl.col("flow") == flow)
        .select(
            exporter_code=pl.col(exporter),
            importer_code=pl.col(importer),
            product_code=pl.col("product"),
            value_usd=pl.col("primaryValue"),
            kg=pl.col("netWgt"),
            cif="cifvalue",
            fob="fobvalue",
        )
    )


def against_truth(delivery: Delivery, flow: str) -> pl.DataFrame:
    """True flows of a period with one side's declarations beside them (null where it declared nothing)."""
    return delivery.truth["true_flow"].join(side(delivery.declared, flow), on=PAIR, how="left")


def log_ratio(delivery: Delivery, flow: str) -> pl.DataFrame:
    """As `against_truth`, declared cells only, with `log_ratio` = ln(declared / true) and `reporter_code`."""
    reporter = "exporter_code" if flow == "X" else "importer_code"
    return (
        against_truth(delivery, flow)
        .filter(pl.col("value_usd").is_not_null() & (pl.col("true_fob_usd") > 1_000))
        .with_columns(log_ratio=(pl.col("value_usd") / pl.col("true_fob_usd")).log(), reporter_code=pl.col(reporter))
    )
