"""Switching one effect off leaves the draws of all others untouched.

Two proofs. The honest world with one effect missing differs from the honest world only in the rows and columns that
are that effect's own. And what an effect does to a cell is the same number when it is alone as when all are on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pytest

from orchestration.sample import Delivery, WorldConfig
from orchestration.sample.evasion import boom_place
from tests.unit.sample.worlds import (
    EFFECTS,
    HONEST,
    PAIR,
    PLAIN,
    ROW,
    SPECIAL_PARTNERS,
    Worlds,
    alone,
    coded,
    side,
    without,
)

MONEY = ("primaryValue", "cifvalue", "fobvalue")
WEIGHT = ("qty", "netWgt", "altQty")
QUANTITY = (*WEIGHT, "grossWgt", "qtyUnitCode", "altQtyUnitCode", "isQtyEstimated", "isNetWgtEstimated",
            "isAltQtyEstimated", "legacyEstimationFlag")  # fmt: skip
EVERYTHING = pl.lit(True)
NOTHING = pl.lit(False)
IMPORTS = pl.col("flow").is_in(["M", "RM", "FM"])
SMALL = pl.col("primaryValue") < 200_000
"""Far above every threshold: rows larger than this do not come and go when a value changes."""
IS_SPECIAL = pl.col("partner").is_in(SPECIAL_PARTNERS)
TO_DESTINATION = pl.col("partner").is_in(["643", "112"])
BOOMS = pl.col("booms")
"""Rows on either end of which the innocently booming place stands."""


@dataclass(frozen=True)
class Domain:
    """What an effect may change: columns of rows that stay, and which rows may come or go."""

    columns: tuple[str, ...] = ()
    stays: pl.Expr = EVERYTHING
    comes_and_goes: pl.Expr = NOTHING


_VALUES = Domain((*MONEY, *WEIGHT), EVERYTHING, SMALL)
DOMAINS: Mapping[str, Domain] = {
    "reporting_error": _VALUES,
    "one_role_reporters": _VALUES,
    "persistent_bias": _VALUES,
    "gross_errors": _VALUES,
    "cif_margin": Domain((*MONEY, *WEIGHT), IMPORTS, IMPORTS & SMALL),
    "fob_importers": Domain((*MONEY, *WEIGHT), IMPORTS, IMPORTS & SMALL),
    "observed_margin": Domain(("fobvalue",), IMPORTS),
    "absent_fob_as_zero": Domain((*MONEY, *WEIGHT, "grossWgt")),
    "timing_lag": Domain((*MONEY, *WEIGHT), IMPORTS, IMPORTS),
    "threshold": Domain(comes_and_goes=pl.col("primaryValue") < 10_000),
    "confidential": Domain(comes_and_goes=EVERYTHING),
    "nes_partners": Domain(comes_and_goes=EVERYTHING),
    "mixed_editions": Domain(comes_and_goes=EVERYTHING),
    "reexport_hubs": Domain(comes_and_goes=pl.col("flow").is_in(["RX", "DX", "RM", "FM"])),
    "origin_recording": Domain((*MONEY, *WEIGHT), IMPORTS, IMPORTS),
    "non_reporting": Domain(comes_and_goes=EVERYTHING),
    "russia_silent": Domain(comes_and_goes=pl.col("reporter") == "643"),
    "belarus_silent": Domain(comes_and_goes=pl.col("reporter") == "112"),
    "partial_years": Domain(comes_and_goes=EVERYTHING),
    "rolled_up_years": Domain(comes_and_goes=EVERYTHING),
    "breakdowns": Domain(
        comes_and_goes=(pl.col("transport") != 0)
        | (pl.col("customs") != "C00")
        | (pl.col("partner2") != "000")
        | (pl.col("reporter") == "051")
    ),
    "control_totals": Domain(),
    "estimated_quantities": Domain(QUANTITY),
    "missing_quantities": Domain(QUANTITY),
    "self_trade": Domain(comes_and_goes=pl.col("reporter") == pl.col("partner")),
    "padded_codes": Domain(("mosCode",)),
    "embargo": Domain((*MONEY, *WEIGHT), TO_DESTINATION | IS_SPECIAL, EVERYTHING),
    "innocent_boom": Domain((*MONEY, *WEIGHT), BOOMS | IS_SPECIAL, SMALL & (BOOMS | IS_SPECIAL)),
}
DIFFERENT_IN_A_MONTH = (
    "timing_lag",
    "threshold",
    "non_reporting",
    "partial_years",
    "rolled_up_years",
    "control_totals",
)
# Effects whose rows all come on one side: switched on they add rows, or take rows away.
ADDS = {"reexport_hubs", "self_trade"}
TAKES = {"threshold", "non_reporting", "russia_silent", "belarus_silent", "partial_years", "rolled_up_years"}


def _basic(worlds: Worlds, config: WorldConfig, key: str) -> pl.DataFrame:
    """Rows that stand for themselves: six digits, by partner, not secret. The others are sums of these."""
    rows = coded(worlds.kept(config, key).declared).filter(
        (pl.col("aggrLevel") == 6) & (pl.col("partner") != "000") & (pl.col("product") != "999999")
    )
    world = worlds.world(HONEST)
    place = f"{world.places.code[boom_place(world.places, world.draws)]:03d}"
    rows = rows.with_columns(booms=(pl.col("reporter") == place) | (pl.col("partner") == place))
    # An older edition files several products under one code: such a row may hold one cell that moved and one not.
    return rows.filter(pl.col("classificationCode") == "H6")


def _without_words(rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    return rows.drop(columns).sort(ROW)


def test_every_effect_has_a_domain_when_the_settings_are_listed() -> None:
    assert set(DOMAINS) == set(EFFECTS)


@pytest.mark.parametrize(
    ("effect", "key"),
    [*((effect, "A-2023") for effect in EFFECTS), *((effect, "M-202305") for effect in DIFFERENT_IN_A_MONTH)],
)
def test_only_what_is_its_own_changes_when_an_effect_is_switched(worlds: Worlds, effect: str, key: str) -> None:
    base = HONEST.with_effects(gross_errors=True) if effect == "gross_errors" else HONEST
    other = HONEST if effect == "gross_errors" else without(effect)
    domain = DOMAINS[effect]
    on, off = (_basic(worlds, one, key) for one in (base, other))
    both_on, both_off = on.join(off, on=ROW, how="semi"), off.join(on, on=ROW, how="semi")
    assert both_on.height > 2_000
    for untouched, columns in ((~domain.stays, ()), (domain.stays, domain.columns)):
        one, two = (_without_words(rows.filter(untouched), columns) for rows in (both_on, both_off))
        assert one.equals(two)
    only_on, only_off = on.join(off, on=ROW, how="anti"), off.join(on, on=ROW, how="anti")
    for rows in (only_on, only_off):
        assert rows.filter(~domain.comes_and_goes).height == 0
    assert not (effect in ADDS and only_off.height)
    assert not (effect in TAKES and only_on.height)


@pytest.mark.parametrize("effect", ["reporting_error", "persistent_bias", "cif_margin"])
def test_a_cell_is_changed_by_the_same_factor_when_the_effect_is_alone_or_among_all(
    worlds: Worlds, effect: str
) -> None:
    key, compared = "A-2023", 0
    names = ("one_role_reporters", effect) if effect == "reporting_error" else (effect,)
    few, many = [alone(*names), PLAIN], [HONEST, without(effect)]
    for flow in "XM":
        factors = []
        for on, off in (few, many):
            sides = [side(worlds.kept(one, key).declared, flow) for one in (on, off)]
            both = sides[0].join(sides[1], on=PAIR, suffix="_off")
            factor = (pl.col("value_usd") / pl.col("value_usd_off")).log()
            factors.append(both.filter(pl.col("value_usd_off") > 5_000).select(*PAIR, factor=factor))
        cells = factors[0].join(factors[1], on=PAIR, suffix="_among_all")
        cells = _in_newest_edition(worlds, cells, flow)
        compared += cells.height
        apart = (cells["factor"] - cells["factor_among_all"]).abs()
        assert apart.quantile(0.97) < 1e-4  # a few cells were merged under another partner
    assert compared > 3_000


def _in_newest_edition(worlds: Worlds, cells: pl.DataFrame, flow: str) -> pl.DataFrame:
    rows = coded(worlds.kept(HONEST, "A-2023").declared).filter(pl.col("classificationCode") == "H6")
    reporter = "exporter_code" if flow == "X" else "importer_code"
    by_fob = set(worlds.frames["valuation_by_reporter_year"]["reporter_code"])
    return cells.filter(pl.col(reporter).is_in(set(rows["reporter"]) - by_fob))


@pytest.mark.parametrize(
    ("effect", "column"),
    [("padded_codes", "mosCode"), ("missing_quantities", "qtyUnitCode"), ("estimated_quantities", "isNetWgtEstimated")],
)
def test_the_same_rows_are_marked_when_the_effect_is_alone_or_among_all(
    worlds: Worlds, effect: str, column: str
) -> None:
    few, many = (_basic(worlds, one, "A-2023") for one in (alone(effect), HONEST))
    both = few.join(many, on=ROW, suffix="_among_all")
    if effect == "estimated_quantities":
        both = both.filter((pl.col("qtyUnitCode") != -1) & (pl.col("qtyUnitCode_among_all") != -1))
    assert both.height > 4_000
    assert both[column].n_unique() > 1
    assert both[column].equals(both[f"{column}_among_all"])


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_truth_is_untouched_when_an_effect_of_reporting_is_switched(worlds: Worlds, effect: str) -> None:
    config = HONEST.with_effects(gross_errors=True) if effect == "gross_errors" else without(effect)
    same_flows = (
        worlds.kept(HONEST, "A-2023").truth["true_flow"].equals(worlds.kept(config, "A-2023").truth["true_flow"])
    )
    assert same_flows is (effect not in {"embargo", "innocent_boom"})
    on, off = worlds.lasting(HONEST), worlds.lasting(config)
    errors = {"reporting_error", "one_role_reporters", "persistent_bias"}
    assert on["reporter_error"].equals(off["reporter_error"]) is (effect not in errors)
    assert on["cif_margin"].equals(off["cif_margin"]) is (effect not in {"cif_margin", "timing_lag"})


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_effect_is_in_the_tiny_world_when_it_is_compared_with_one_that_lacks_it(
    worlds: Worlds, tiny: dict[str, Delivery], effect: str
) -> None:
    config = WorldConfig.tiny()
    other = config.with_effects(**{effect: not getattr(config.effects, effect)})
    assert any(
        not worlds.made(other, key).declared.equals(tiny[key].declared)
        for key in ("A-2023", "M-202305", "A-2019", "A-2022", "M-202312", "M-202412", "A-2024")
    )
