"""What kind of planted world is made: its seed, size, span, and one switch per planted effect.

Belongs here: the settings of the generator, its ready-made worlds and the plan of its size. Does not belong here:
how an effect is made (`truth`, `reporters`, `reporting`, `evasion`), nor any reference data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Literal, Self

import numpy as np

Frequency = Literal["A", "M"]

# Rows over the standard span. Light and small worlds have the same places and products; light ones have fewer cells.
SMALL_ROW_COUNT = 400_000
LIGHT_ROW_COUNT = 210_000
_NAMED_SIZES = {"small": SMALL_ROW_COUNT, "light": LIGHT_ROW_COUNT, "tiny": 60_000}


@dataclass(frozen=True)
class Effects:
    """One switch per planted effect of honest reporting; off means the effect is absent everywhere."""

    reporting_error: bool = True
    """Lognormal error by reporter and role."""
    one_role_reporters: bool = True
    """Some reporters are bad as exporter only or as importer only."""
    persistent_bias: bool = True
    """Each reporter is too high or too low by a lasting factor, per role."""
    gross_errors: bool = False
    """A few rows wrong by a factor of ten (units mistaken)."""
    cif_margin: bool = True
    """Imports are valued CIF, the margin depends on distance and product."""
    fob_importers: bool = True
    """Importers of the valuation table report FOB."""
    observed_margin: bool = True
    """Some importers file both cifvalue and fobvalue."""
    absent_fob_as_zero: bool = True
    """Some reporters write 0 into fobvalue (imports) or cifvalue (exports) where nothing was reported."""
    timing_lag: bool = True
    """Goods that sail arrive in the next month or year."""
    threshold: bool = True
    """Reporters leave out flows below their reporting threshold."""
    confidential: bool = True
    """Some products of some reporters are hidden in 999999."""
    nes_partners: bool = True
    """Some flows are filed under areas not elsewhere specified, bunkers or free zones."""
    mixed_editions: bool = True
    """Some reporters adopt an HS edition late, so that the two sides of a pair differ."""
    reexport_hubs: bool = True
    """Hubs file RX (and DX) rows that are inside X; a few reporters file RM and FM rows inside M."""
    origin_recording: bool = True
    """Some importers record re-exported goods under their country of origin, not under the hub."""
    non_reporting: bool = True
    """Places that never report, years and months not reported, late reporters."""
    russia_silent: bool = True
    """Russia files nothing from 2022-02 on; its annual 2022 is absent too."""
    belarus_silent: bool = True
    """Belarus likewise."""
    partial_years: bool = True
    """Reporter-years of which only some months are there and no annual set."""
    rolled_up_years: bool = True
    """Reporter-years with all twelve months and no annual set."""
    breakdowns: bool = True
    """Rows by transport, customs procedure or second partner beside the total; one reporter files no total row."""
    control_totals: bool = True
    """World rows and TOTAL, chapter and heading rows."""
    estimated_quantities: bool = True
    """Quantities and weights estimated from value, flagged so."""
    missing_quantities: bool = True
    """Rows without quantity (unit code -1)."""
    self_trade: bool = True
    """Rows whose partner is the reporter."""
    padded_codes: bool = True
    """mosCode filed as '0 ' by some reporters."""
    embargo: bool = True
    """Coalition exports of watched goods to the destination collapse in March 2022 (a fact of the true world)."""
    innocent_boom: bool = True
    """One transit candidate trades more of everything with everyone from May 2022: growth without evasion."""


@dataclass(frozen=True)
class Evasion:
    """One switch per kind of planted passage."""

    roundabout: bool = True
    """Watched goods to the destination by way of a transit country, declared by both ends of each leg."""
    lost_in_transit: bool = True
    """Declared by the exporter to a transit country that never sees the goods."""
    gun_sights: bool = True
    """A country that never traded telescopic sights imports them and sends them on."""
    decoy_drones: bool = True
    """Drones that leave as drones and arrive as agricultural sprayers."""
    undervaluation: bool = True
    """The importer declares a fraction of the value for the full weight."""
    displacement: bool = True
    """One transit country closes and another takes over."""


@dataclass(frozen=True)
class SizePlan:
    """How many places, products and cells (exporter x importer x product) a world has."""

    place_count: int
    product_count: int
    cell_count: int


@dataclass(frozen=True)
class WorldConfig:
    """Everything that determines a planted world; equal configurations give byte-identical frames.

    `size` is the wanted number of declared rows over the standard span (annual 2017-2024 and monthly 2021-2024,
    control totals and breakdowns included), or the name of a size. A shorter span keeps the same world and holds
    fewer of its periods; only the reporters that are late at its end differ.
    """

    seed: int = 7
    size: int | str = "small"
    start_year: int = 2017
    end_year: int = 2024
    monthly_start_year: int = 2021
    frequencies: tuple[Frequency, ...] = ("A", "M")
    effects: Effects = field(default_factory=Effects)
    evasion: Evasion = field(default_factory=Evasion)
    noise_scale: float = 1.0
    """Multiplies reporting errors and biases."""
    passage_scale: float = 1.0
    """Multiplies the value of planted passages."""
    cases_per_kind: int = 2
    """Passages planted per kind (gun sights: always one)."""
    with_descriptions: bool = True
    """Fill ISO codes and descriptions, as the API does when asked; null otherwise."""
    delivery_row_limit: int = 1_000_000
    """A period of more rows than about this is delivered in parts, each with whole reporters."""

    def __post_init__(self) -> None:
        """Refuse a configuration that no world can be made from."""
        if isinstance(self.size, str) and self.size not in _NAMED_SIZES:
            raise ValueError(
                f"size {self.size!r} is not known; the world cannot be planned without one; "
                f"give a number of rows or one of {sorted(_NAMED_SIZES)}"
            )
        if self.row_count < 1_000:
            raise ValueError(f"size {self.size} is too small for the planted effects; ask for 1,000 rows or more")
        if not 2012 <= self.start_year <= self.end_year:
            raise ValueError(
                f"the span {self.start_year}-{self.end_year} is empty or starts before 2012 (the oldest edition "
                "the world files is HS2012); mend start_year and end_year"
            )
        if not self.frequencies or set(self.frequencies) - {"A", "M"}:
            raise ValueError(f"frequencies {self.frequencies} must be 'A', 'M' or both")

    @property
    def row_count(self) -> int:
        """Wanted number of declared rows over the standard span."""
        return _NAMED_SIZES[self.size] if isinstance(self.size, str) else self.size

    @classmethod
    def standard(cls, seed: int = 7) -> Self:
        """The world that methods are measured on."""
        return cls(seed=seed)

    @classmethod
    def light(cls, seed: int = 7) -> Self:
        """The world of the default run: places, products, effects and passages of the standard one, fewer cells."""
        return cls(seed=seed, size="light")

    @classmethod
    def hard(cls, seed: int = 7) -> Self:
        """Noisier reporters, gross errors and smaller passages."""
        effects = replace(Effects(), gross_errors=True)
        return cls(seed=seed, effects=effects, noise_scale=1.5, passage_scale=0.5)

    @classmethod
    def without_evasion(cls, seed: int = 7) -> Self:
        """The standard world with every innocent effect and no passage."""
        return cls(seed=seed, evasion=Evasion(**{switch.name: False for switch in fields(Evasion)}))

    @classmethod
    def tiny(cls, seed: int = 7) -> Self:
        """A world for tests: every effect present, a tenth of the rows, from 2019 on."""
        return cls(seed=seed, size="tiny", start_year=2019)

    def with_effects(self, **switches: bool) -> Self:
        """The same world with some effects switched; unknown names raise TypeError."""
        return replace(self, effects=replace(self.effects, **switches))

    def with_evasion(self, **switches: bool) -> Self:
        """The same world with some kinds of passage switched; unknown names raise TypeError."""
        return replace(self, evasion=replace(self.evasion, **switches))

    def periods(self) -> Iterator[tuple[Frequency, int]]:
        """(frequency, period) of every delivery: ('A', 2017) ... then ('M', 202101) ..., in time order."""
        for frequency in ("A", "M"):
            if frequency not in self.frequencies:
                continue
            first = self.start_year if frequency == "A" else max(self.start_year, self.monthly_start_year)
            for year in range(first, self.end_year + 1):
                if frequency == "A":
                    yield "A", year
                else:
                    yield from (("M", year * 100 + month) for month in range(1, 13))


def plan_size(config: WorldConfig, available_places: int, available_products: int) -> SizePlan:
    """Places, products and cells that give about the wanted number of rows.

    Light and small worlds are fixed at 60 places and 120 products; larger ones widen first, then grow denser. The rows
    per cell were measured (control totals and breakdowns included), see `_ROWS_PER_CELL`; what is made comes within
    a twentieth of what is asked for.
    """
    counts, widths = np.array(_WIDTH_RATIO).T
    ratio = config.row_count / SMALL_ROW_COUNT
    if ratio < 1.0:
        ratio = float(np.interp(np.log(config.row_count), np.log(counts), widths))
    places = min(available_places, max(22, round(60 * ratio**0.5)))
    products = min(available_products, max(44, round(120 * ratio**0.75)))
    sizes, rows_per_cell = np.log(np.array(_ROWS_PER_CELL).T)
    per_cell = float(np.exp(np.interp(np.log(config.row_count), sizes, rows_per_cell)))
    return SizePlan(places, products, round(config.row_count / per_cell))


# Wanted rows of worlds below the small one, and the square of their places over those of the small one.
_WIDTH_RATIO = ((1_000, 0.0025), (60_000, 0.15), (LIGHT_ROW_COUNT, 1.0))
# Wanted rows and rows per drawn cell, measured over the standard span. They fall with the size, because World and
# TOTAL rows grow more slowly than cells, and because more of the drawn cells are drawn twice.
_ROWS_PER_CELL = (
    (1_000, 926.0),
    (60_000, 319.3),
    (LIGHT_ROW_COUNT, 420.0),
    (400_000, 195.0),
    (1_000_000, 142.9),
    (2_000_000, 115.8),
    (5_000_000, 92.1),
    (20_000_000, 68.4),
    (100_000_000, 47.4),
)
