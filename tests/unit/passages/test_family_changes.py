"""Growth is told against the pair's own years and against placebo goods; what was not filed is not zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.passages import FamilyTables, changes
from orchestration.passages.changes import embargoes_of
from orchestration.passages.schema import FAMILY_FLOWS
from orchestration.pipeline.passages import passage_tables
from orchestration.reference import load_reference

CELL = {"exporter_code": "276", "importer_code": "398", "family_code": "integrated_circuits", "family_kind": "watched"}
YEARS = range(2017, 2025)


@pytest.fixture(scope="module")
def tables(seeds_dir: Path) -> FamilyTables:
    return passage_tables(load_reference(seeds_dir))


def rows(values: dict[int, float], **cell: str) -> list[dict[str, Any]]:
    return [
        {"frequency": "A", "period": str(year), "period_start": date(year, 1, 1), "exporter_fob_usd": value}
        | {"importer_fob_usd": value, "reconciled_mean_fob_usd": value, "is_edition_mismatch": False}
        | (CELL | cell)
        for year, value in values.items()
    ]


def placebo(growth: float = 1.0, cells: int = 80) -> list[dict[str, Any]]:
    """Civilian goods of the same pair that scatter a little and grow by a factor from 2022 on."""
    random, made = np.random.default_rng(3), []
    for number in range(cells):
        level = 3e5 * (1 + number % 5)
        values = {y: level * float(np.exp(0.2 * random.standard_normal())) * (growth if y > 2021 else 1) for y in YEARS}
        made += rows(values, family_code=f"placebo_{number:06d}", family_kind="placebo")
    return made


def complete(*absent: tuple[str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (str(year), place, side)
            for year in YEARS
            for place in ("276", "398", "616")
            for side in ("exporter", "importer")
            if (place, year) not in absent
        ],
        schema=["period", "reporter_code", "side"],
        orient="row",
    )


def made(tables: FamilyTables, flows: list[dict[str, Any]], known: pl.DataFrame | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(flows, schema=dict(FAMILY_FLOWS))
    found = changes(frame, complete() if known is None else known, tables)
    return found.filter(pl.col("embargo_code") == "RUS_2022")


def one(found: pl.DataFrame, year: int = 2023) -> dict[str, Any]:
    own = found.filter((pl.col("family_code") == CELL["family_code"]) & (pl.col("period") == str(year)))
    return own.row(0, named=True)


def test_the_baseline_is_the_larger_of_mean_and_check_year(tables: FamilyTables) -> None:
    values = {2017: 1e6, 2018: 2e6, 2019: 3e6, 2020: 1.0, 2021: 5e6, 2022: 4e6, 2023: 9e6, 2024: 9e6}
    row = one(made(tables, rows(values) + placebo()))
    assert (row["baseline_mean_fob_usd"], row["check_year_fob_usd"], row["baseline_fob_usd"]) == (2e6, 5e6, 5e6)
    assert row["rise_fob_usd"] == pytest.approx(4e6)
    assert row["baseline_year_count"] == 3


def test_a_year_that_nobody_filed_is_unknown_and_one_that_somebody_filed_is_zero(tables: FamilyTables) -> None:
    values = {2017: 1e6, 2022: 2e6, 2024: 2e6}
    absent = [(place, 2023) for place in ("276", "398")]
    found = made(tables, rows(values) + placebo(), complete(*absent))
    assert one(found, 2023)["value_fob_usd"] is None
    assert one(found, 2022)["baseline_mean_fob_usd"] == pytest.approx(1e6 / 3)
    half = made(tables, rows(values) + placebo(), complete(("398", 2023)))
    assert one(half, 2023)["value_fob_usd"] == 0.0
    assert one(half, 2023)["is_importer_complete"] is False


def test_a_year_in_which_nobody_filed_the_chapter_is_unknown_whoever_filed_other_chapters(tables: FamilyTables) -> None:
    values = {2022: 5e6, 2023: 5e6, 2024: 5e6}
    flows = pl.DataFrame(rows(values) + placebo(), schema=dict(FAMILY_FLOWS))
    everywhere = flows.select("period").unique().join(flows.select("family_code").unique(), how="cross")
    later = everywhere.filter((pl.col("family_code") != CELL["family_code"]) | (pl.col("period") >= "2022"))
    found = {
        name: one(changes(flows, complete(), tables, held).filter(pl.col("embargo_code") == "RUS_2022"))
        for name, held in (("held", everywhere), ("later", later))
    }
    assert found["held"]["baseline_fob_usd"] == 0.0
    assert found["held"]["effect_q_value"] < 0.05
    assert found["later"]["baseline_fob_usd"] is None
    assert found["later"]["effect_q_value"] is None


def test_a_cell_without_any_known_year_before_is_not_tested(tables: FamilyTables) -> None:
    absent = [(place, year) for place in ("276", "398") for year in range(2017, 2022)]
    row = one(made(tables, rows({2022: 5e6, 2023: 5e6}) + placebo(), complete(*absent)))
    assert row["baseline_fob_usd"] is None
    assert row["effect_q_value"] is None


def test_nothing_is_tested_without_placebo_goods_to_measure_by(tables: FamilyTables) -> None:
    values = dict.fromkeys(range(2017, 2022), 1e6) | dict.fromkeys(range(2022, 2025), 9e6)
    row = one(made(tables, rows(values)))
    assert row["growth_log"] > 2
    assert (row["effect_z_score"], row["effect_q_value"]) == (None, None)


def test_what_placebo_goods_did_is_taken_off(tables: FamilyTables) -> None:
    values = dict.fromkeys(range(2017, 2022), 1e6) | dict.fromkeys(range(2022, 2025), 4e6)
    alone, along = made(tables, rows(values) + placebo(1.0)), made(tables, rows(values) + placebo(4.0))
    assert one(alone)["effect_log"] == pytest.approx(np.log(4), abs=0.15)
    assert one(along)["effect_log"] == pytest.approx(0.0, abs=0.2)
    assert one(alone)["effect_z_score"] > 3 > one(along)["effect_z_score"]
    assert one(alone)["effect_q_value"] < 0.05 < one(along)["effect_q_value"]


def test_a_gap_is_told_against_the_pairs_own_years(tables: FamilyTables) -> None:
    values = dict.fromkeys(YEARS, 4e6)
    always, newly = rows(values), rows(values, exporter_code="616")
    for row in always:
        row["importer_fob_usd"] = 1e6
    for row in newly:
        row["importer_fob_usd"] = 1e6 if int(row["period"]) >= 2022 else 4e6
    found = made(tables, always + newly + placebo())
    level, change = one(found), found.filter((pl.col("exporter_code") == "616") & (pl.col("period") == "2023"))
    assert level["excess_fob_usd"] == 3e6
    assert level["excess_change_fob_usd"] == pytest.approx(0.0)
    assert change["excess_change_fob_usd"].item() == pytest.approx(3e6)
    assert change["gap_q_value"].item() < 0.05 < level["gap_q_value"]


def test_the_order_of_rows_does_not_matter(tables: FamilyTables) -> None:
    flows = rows(dict.fromkeys(YEARS, 1e6)) + placebo()
    assert made(tables, flows).equals(made(tables, list(reversed(flows))))


def test_q_is_never_below_p_and_the_number_of_tests_is_told(tables: FamilyTables) -> None:
    found = made(tables, rows(dict.fromkeys(YEARS, 1e6)) + placebo()).filter(pl.col("effect_q_value").is_not_null())
    assert found.filter(pl.col("effect_q_value") < pl.col("effect_p_value")).height == 0
    assert set(found["tested_cell_count"]) == {found.height}


def test_two_dates_of_one_embargo_are_refused(tables: FamilyTables) -> None:
    first = tables.embargoes["list_code"].to_list()[0]
    other = pl.when(pl.col("list_code") == first).then(pl.lit(date(2020, 1, 1))).otherwise("reference_date")
    with pytest.raises(ValueError, match="several reference dates"):
        embargoes_of(replace(tables, embargoes=tables.embargoes.with_columns(reference_date=other)))
