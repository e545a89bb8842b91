"""Worlds without any passage in which one innocent cause looks like one.

Belongs here: a quiet world of reconciled flows by hand, one change of it for each false-positive control, and the
control switched off. Does not belong here: verdicts (tests), the planted worlds with passages (`bench.passages`).

The quiet world: four exporters of a coalition trade thirty civilian goods and chips with two transit candidates, a hub
and two bystanders; the transit candidates send a little on to the destination, which files nothing from 2022 on. The
direct trade in chips ends in 2022: the embargo is a fact, and nothing takes its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from orchestration.comtrade.contract.schema import COMPLETENESS, COVERAGE
from orchestration.pipeline.passages import find_passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import write_frame
from orchestration.reconcile.schema import MIRROR_FLOWS, MIRROR_TOTALS, SOURCES
from orchestration.reference import Reference

GERMANY, POLAND, ITALY, JAPAN, CHINA = "276", "616", "381", "392", "156"
KAZAKHSTAN, KYRGYZSTAN, EMIRATES, RUSSIA = "398", "417", "784", "643"
BRAZIL, INDONESIA = "076", "360"
EXPORTERS = (GERMANY, POLAND, ITALY, JAPAN)
TRADERS = (*EXPORTERS, CHINA, KAZAKHSTAN, KYRGYZSTAN, EMIRATES, BRAZIL, INDONESIA)
CHIPS, DRONE, OLD_CAMERA, AIRLINER, HIDDEN = "854231", "880624", "852580", "880240", "999999"
YEARS, MONTHLY_FROM, EMBARGO_YEAR = range(2017, 2025), 2021, 2022
Yearly = Callable[[int], float | None]
Cell = tuple[str, str, str]


@dataclass(frozen=True)
class Quiet:
    """Both sides' yearly values (FOB USD) by exporter, importer and product, and who files nothing when."""

    exported: dict[Cell, Yearly] = field(default_factory=dict)
    imported: dict[Cell, Yearly] = field(default_factory=dict)
    absent: Mapping[str, range] = field(default_factory=dict)
    in_one_month: Mapping[tuple[Cell, str, int], int] = field(default_factory=dict)
    month_scatter_log: float = 0.05
    weights_kg: Mapping[Cell, tuple[Yearly, Yearly]] = field(default_factory=dict)
    """Net weights of both sides; the exporter's is estimated by the source from its value."""

    def changed(self, cell: Cell, exported: Yearly, imported: Yearly | None = None) -> Quiet:
        """The same world with other values of one cell; the importer files what the exporter does unless told."""
        return replace(
            self,
            exported=self.exported | {cell: exported},
            imported=self.imported | {cell: imported if imported is not None else exported},
        )


def steady(value: float) -> Yearly:
    """The same every year."""
    return lambda _year: value


def from_2022(before: float, after: float) -> Yearly:
    """One level until 2021, another from 2022 on."""
    return lambda year: after if year >= EMBARGO_YEAR else before


def from_2023(before: float, after: float) -> Yearly:
    """One level until 2022, another from 2023 on: after the date from which the embargo counts."""
    return lambda year: after if year > EMBARGO_YEAR else before


def quiet_world(goods: tuple[str, ...]) -> Quiet:
    """The world described above; goods are civilian codes."""
    world = Quiet(absent={RUSSIA: range(EMBARGO_YEAR, 2100)})
    cells = [(a, b) for a in TRADERS for b in (*TRADERS, RUSSIA) if a != b]
    for number, (exporter, importer) in enumerate(cells):
        for place, product in enumerate(goods):
            if (number + place) % 3 == 0:
                world = world.changed((exporter, importer, product), steady(4e5 * (1 + (number + place) % 4)))
    # Somebody files chapter 88 in every year: the collection holds it, and a family of it that is absent is silent.
    world = world.changed((GERMANY, JAPAN, AIRLINER), steady(9e6))
    for exporter in EXPORTERS:
        world = world.changed((exporter, RUSSIA, CHIPS), from_2022(8e6, 4e5))
        for importer in (KAZAKHSTAN, KYRGYZSTAN, EMIRATES, BRAZIL):
            world = world.changed((exporter, importer, CHIPS), steady(8e5))
    for transit in (KAZAKHSTAN, KYRGYZSTAN, EMIRATES):
        world = world.changed((transit, RUSSIA, CHIPS), steady(5e5))
        world = world.changed((transit, INDONESIA, CHIPS), steady(3e5))
    return world


def innocent(control: str, quiet: Quiet, goods: tuple[str, ...]) -> Quiet:
    """The quiet world with the one innocent cause that a control is there for. Raises KeyError for other controls."""
    into, out = (GERMANY, KAZAKHSTAN, CHIPS), (KAZAKHSTAN, RUSSIA, CHIPS)
    if control == "completeness_gate":
        world = quiet.changed(into, steady(5e6)).changed(out, steady(4e6))
        early = range(2000, EMBARGO_YEAR)
        return replace(world, absent={RUSSIA: range(2000, 2100), GERMANY: early, KAZAKHSTAN: early})
    if control == "own_baseline":
        return quiet.changed(into, steady(5e6)).changed(out, steady(4e6))
    if control == "origin_or_consignment":
        world = quiet.changed(into, from_2023(8e5, 6e6), steady(8e5))
        return world.changed((ITALY, KAZAKHSTAN, CHIPS), steady(8e5), from_2023(8e5, 6e6))
    if control == "hubs":
        world = quiet.changed((GERMANY, EMIRATES, CHIPS), from_2023(8e5, 2.6e6))
        return world.changed((EMIRATES, RUSSIA, CHIPS), from_2023(5e5, 1.6e6))
    if control == "edition_breaks":
        world = quiet
        for exporter, importer in ((GERMANY, KAZAKHSTAN), (KAZAKHSTAN, RUSSIA)):
            world = world.changed((exporter, importer, OLD_CAMERA), from_2022(3e6, 0.0))
            world = world.changed((exporter, importer, DRONE), from_2022(0.0, 3e6))
        return world
    if control == "lag_windows":
        sent: Yearly = lambda year: 6e6 if year == 2023 else 8e5  # noqa: E731
        came: Yearly = lambda year: 6e6 if year == 2024 else 8e5  # noqa: E731
        world = quiet.changed(into, sent, came)
        return replace(world, in_one_month={(into, "exporter", 2023): 12, (into, "importer", 2024): 1})
    if control == "placebo_basket":
        world = quiet.changed(into, from_2023(8e5, 3.2e6)).changed(out, from_2023(5e5, 2e6))
        for cell, value in quiet.exported.items():
            if KAZAKHSTAN in cell and cell[2] in goods:
                base = value(2018) or 0.0
                world = world.changed(cell, from_2023(base, 4 * base))
        return world
    if control == "everyone":
        world = quiet.changed(into, from_2023(8e5, 9e6)).changed(out, from_2023(5e5, 3e6))
        return world.changed((KAZAKHSTAN, INDONESIA, CHIPS), from_2023(3e5, 9e6))
    if control == "base_year_check":
        recovered: Yearly = lambda year: 4e6 if year >= 2021 else 8e5  # noqa: E731
        world = quiet.changed(into, recovered)
        return world.changed(out, lambda year: 3e6 if year >= 2021 else 5e5)
    if control == "minimum_size":
        return quiet.changed(into, from_2023(2e3, 4e4)).changed(out, from_2023(1e3, 3e4))
    if control == "reported_weights":
        # The leg in rose and nothing left: one anomaly. The source made the exporter's kilograms of its dollars.
        world = quiet.changed(into, from_2023(8e5, 4e6))
        kept: Yearly = lambda year: 2e4 if year <= EMBARGO_YEAR else 1e5  # noqa: E731
        return replace(world, weights_kg={into: (steady(2e4), kept)})
    if control == "false_discovery":
        return _noisy(quiet, into, out)
    if control == "confidential_codes":
        world = quiet.changed(into, from_2023(8e5, 6e6), steady(8e5))
        return world.changed((GERMANY, KAZAKHSTAN, HIDDEN), steady(0.0), from_2023(1e5, 5.5e6))
    raise KeyError(f"no innocent world is made for the control {control!r}")


def _noisy(quiet: Quiet, into: Cell, out: Cell) -> Quiet:
    """Hundreds of watched cells that scatter, and two that happen to lie high: chance among many tests."""
    random = np.random.default_rng(11)
    world = quiet
    codes = ("845710", "847150", "850440", "851762", "853400", "854110", "854121", "903020", "853224", "848210")
    for exporter in (*EXPORTERS, BRAZIL, INDONESIA):
        for importer in (KAZAKHSTAN, KYRGYZSTAN, EMIRATES):
            for code in codes:
                drift = {year: 4e5 * float(np.exp(0.45 * random.standard_normal())) for year in YEARS}
                world = world.changed((exporter, importer, code), drift.__getitem__)
    for cell, value in quiet.exported.items():
        if cell[2] not in (CHIPS,):
            base = value(2018) or 0.0
            scatter = {year: base * float(np.exp(0.45 * random.standard_normal())) for year in YEARS}
            world = world.changed(cell, scatter.__getitem__)
    high: Yearly = lambda year: 2.5e6 if year == 2024 else 8e5  # noqa: E731
    world = world.changed(into, high).changed(out, lambda year: 1.6e6 if year == 2024 else 5e5)
    return replace(world, month_scatter_log=1.2)


def write_world(world: Quiet, folder: Path, reference: Reference) -> Path:
    """Write the reconciled flows, coverage and passages of a world below `folder` (emptied first)."""
    shutil.rmtree(folder, ignore_errors=True)
    paths = DataPaths(folder)
    keys = [f"A-{year}" for year in YEARS]
    keys += [f"M-{year}{month:02d}" for year in YEARS if year >= MONTHLY_FROM for month in range(1, 13)]
    random = np.random.default_rng(5)
    rows: dict[str, list[dict[str, object]]] = {key: [] for key in keys}
    for cell in sorted(set(world.exported) | set(world.imported)):
        for key in keys:
            row = _row(world, cell, key, random)
            if row:
                rows[key].append(row)
    for key in keys:
        write_frame(paths.table("reconciled", "mirror_flows", key), pl.DataFrame(rows[key], schema=dict(MIRROR_FLOWS)))
        write_frame(paths.table("contracted", "coverage", key), _coverage(world, key))
    for name, schema in (("mirror_totals", MIRROR_TOTALS), ("sources", SOURCES)):
        write_frame(paths.table("reconciled", name, keys[0]), pl.DataFrame(schema=dict(schema)))
    complete = [(place, year) for place in (*TRADERS, RUSSIA) for year in YEARS if _files(world, place, year)]
    years = pl.DataFrame(complete, schema={"reporter_code": pl.String, "year": pl.Int64}, orient="row")
    named = years.with_columns(
        months_reported_count=pl.lit(12, dtype=pl.Int64), has_annual_set=pl.lit(True), is_complete=pl.lit(True)
    )
    write_frame(paths.contracted / "completeness.parquet", named.select(list(COMPLETENESS)))
    find_passages(paths, keys, reference, "bench")
    return folder


def switched_off(reference: Reference, control: str) -> Reference:
    """The reference tables with one false-positive control switched off."""
    is_on = pl.when(pl.col("control_code") == control).then(False).otherwise(pl.col("is_on"))
    return replace(reference, false_positive_controls=reference.false_positive_controls.with_columns(is_on=is_on))


def as_seed(frame: pl.DataFrame) -> pl.DataFrame:
    """A reference table as dbt reads it: all text, yes and no as true and false."""
    return frame.select(pl.all().cast(pl.String))


def _files(world: Quiet, place: str, year: int) -> bool:
    return year not in world.absent.get(place, range(0))


def _row(world: Quiet, cell: Cell, key: str, random: np.random.Generator) -> dict[str, object] | None:
    frequency, period = key.split("-")
    year, month = int(period[:4]), int(period[4:] or 1)
    exporter, importer, product = cell
    values: dict[str, float | None] = {}
    for side, place, given in (("exporter", exporter, world.exported), ("importer", importer, world.imported)):
        yearly = given.get(cell, steady(0.0))(year) or 0.0
        if frequency == "M":
            usual = given.get(cell, steady(0.0))(2018) or 0.0
            burst = world.in_one_month.get((cell, side, year))
            yearly = yearly / 12 if burst is None else usual / 12 + (yearly - usual) * (month == burst)
        scatter = world.month_scatter_log if frequency == "M" else 0.05
        noisy = yearly * float(np.exp(scatter * random.standard_normal()))
        values[side] = noisy if _files(world, place, year) and noisy > 0 else None
    x, m = values["exporter"], values["importer"]
    if x is None and m is None:
        return None
    spoke = {side: _files(world, place, year) for side, place in (("exporter", exporter), ("importer", importer))}
    status = "two_sided"
    if m is None:
        status = f"exporter_only_partner_{'silent' if spoke['importer'] else 'nonreporting'}"
    elif x is None:
        status = f"importer_only_partner_{'silent' if spoke['exporter'] else 'nonreporting'}"
    kilograms = world.weights_kg.get(cell)
    both = [value for value in (x, m) if value is not None]
    reconciled = float(np.exp(np.mean(np.log(both))))
    return {
        "mirror_flow_id": f"{key}-{exporter}-{importer}-{product}",
        "frequency": frequency,
        "period": period,
        "period_start": date(year, month, 1),
        "exporter_code": exporter,
        "importer_code": importer,
        "product_code": product,
        "product_level": 6,
        "chapter_code": product[:2],
        "status": status,
        "hs_revision": "H6" if year >= EMBARGO_YEAR else "H5",
        "exporter_fob_usd": x,
        "importer_fob_usd": m,
        "gap_fob_usd": x - m if x is not None and m is not None else None,
        "reconciled_fob_usd": reconciled,
        "reconciled_mean_fob_usd": reconciled,
        "reexport_usd": None,
        "nes_reallocated_fob_usd": 0.0,
        "exporter_net_weight_kg": kilograms[0](year) if kilograms and frequency == "A" else None,
        "importer_net_weight_kg": kilograms[1](year) if kilograms and frequency == "A" else None,
        "exporter_is_weight_estimated": kilograms is not None,
        "importer_is_weight_estimated": False,
        "is_confidential": product == HIDDEN,
        "is_edition_mismatch": False,
        "is_rolled_up": False,
        "is_intra_eaeu": False,
        "is_left_out": False,
    }


def _coverage(world: Quiet, key: str) -> pl.DataFrame:
    frequency, period = key.split("-")
    year, month = int(period[:4]), int(period[4:] or 1)
    rows = [
        {"frequency": frequency, "period": period, "period_start": date(year, month, 1), "reporter_code": place}
        | {"flow_code": flow, "declaration_count": 10, "is_reporting": True, "is_complete": True}
        for place in (*TRADERS, RUSSIA)
        if _files(world, place, year)
        for flow in ("X", "M")
    ]
    return pl.DataFrame(rows, schema=dict(COVERAGE))
