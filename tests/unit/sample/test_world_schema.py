"""The planted world speaks as the source does: its columns, its codes, its way of writing what is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.reference import Reference, load_reference
from orchestration.sample import API_SCHEMA, Delivery, WorldConfig
from orchestration.sample.draws import Draws
from orchestration.sample.products import available_products, build_products
from tests.unit.sample.worlds import Worlds, coded

DESCRIPTIONS = [name for name in API_SCHEMA if name.endswith(("ISO", "Desc", "Abbr"))]


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture(scope="module")
def rows(tiny_declared: pl.DataFrame, worlds: Worlds) -> pl.DataFrame:
    """The tiny world (from 2019 on) and the first year of the standard one."""
    return coded(pl.concat([tiny_declared, worlds.made(WorldConfig.standard(), "A-2017").declared]))


def _unknown(values: pl.Series, known: pl.Series) -> list[str]:
    return sorted(set(values.cast(pl.String).unique().to_list()) - set(known.to_list()))


def test_every_delivery_has_the_columns_of_the_schema_when_a_world_is_made(tiny: dict[str, Delivery]) -> None:
    assert len(API_SCHEMA) == 47
    assert {tuple(delivery.declared.schema.items()) for delivery in tiny.values()} == {tuple(API_SCHEMA.items())}


def test_the_schema_is_that_of_a_real_file_when_real_declarations_are_at_hand(shared_dir: Path) -> None:
    files = sorted((shared_dir / "declarations" / "wood_annual_hs4").glob("*.parquet"))
    assert files
    for file in files:
        assert list(pl.read_parquet_schema(file).items()) == list(API_SCHEMA.items())


def test_the_schema_is_the_one_the_contract_reads_when_both_are_compared() -> None:
    assert list(API_SCHEMA.items()) == list(API_COLUMNS.items())


@pytest.mark.parametrize("column", ["reporter", "partner", "partner2"])
def test_places_are_known_and_valid_at_their_date_when_they_are_named(
    rows: pl.DataFrame, reference: Reference, column: str
) -> None:
    assert _unknown(rows[column], reference.places["place_code"]) == []
    first = pl.date(pl.col("refYear"), pl.when(pl.col("freqCode") == "A").then(1).otherwise("refMonth"), 1)
    dated = rows.select(column, first=first).unique().join(reference.places, left_on=column, right_on="place_code")
    outside = dated.filter((pl.col("valid_from") > pl.col("first")) | (pl.col("valid_to") < pl.col("first")))
    assert outside.height == 0


@pytest.mark.parametrize(
    ("column", "table", "key"),
    [
        ("cmdCode", "hs_codes", "product_code"),
        ("flowCode", "flows", "flow_code"),
        ("customsCode", "customs_procedures", "customs_code"),
        ("motCode", "transport_modes", "mot_code"),
        ("qtyUnitCode", "quantity_units", "quantity_unit_code"),
        ("altQtyUnitCode", "quantity_units", "quantity_unit_code"),
    ],
)
def test_codes_are_those_of_the_reference_tables_when_rows_are_declared(
    rows: pl.DataFrame, reference: Reference, column: str, table: str, key: str
) -> None:
    assert _unknown(rows[column], getattr(reference, table)[key]) == []


def test_products_belong_to_the_edition_they_are_filed_in_when_rows_are_declared(
    rows: pl.DataFrame, reference: Reference
) -> None:
    filed = rows.filter(pl.col("cmdCode") != "TOTAL").select("product", "classificationCode").unique()
    filed = filed.join(reference.hs_codes, left_on="product", right_on="product_code", how="left")
    known = pl.col("hs_revisions").str.split(" ").list.contains(pl.col("classificationCode"))
    assert filed.filter(~known.fill_null(False)).height == 0


def test_every_code_a_world_can_file_belongs_to_its_edition_when_all_products_are_traded(
    frames: Mapping[str, pl.DataFrame], reference: Reference
) -> None:
    products = build_products(frames, Draws(7), len(available_products(frames)))
    revisions = dict(reference.hs_codes.select("product_code", "hs_revisions").iter_rows())
    for edition, filed in zip((4, 5, 6), products.filed_as, strict=True):
        codes = set(products.codes.gather(filed).to_list())
        assert [code for code in sorted(codes) if f"H{edition}" not in revisions[code].split()] == []
    assert products.codes.gather(products.filed_as[2]).to_list() == products.code


def test_editions_come_no_earlier_than_their_year_when_reporters_adopt_them(rows: pl.DataFrame) -> None:
    first_year = {"H4": 2012, "H5": 2017, "H6": 2022}
    used = rows.group_by("classificationCode").agg(pl.col("refYear").min())
    assert set(used["classificationCode"]) == set(first_year)
    assert all(year >= first_year[edition] for edition, year in used.iter_rows())


def test_the_level_is_the_length_of_the_code_when_rows_are_declared(rows: pl.DataFrame) -> None:
    length = pl.when(pl.col("cmdCode") == "TOTAL").then(0).otherwise(pl.col("cmdCode").str.len_chars())
    assert rows.filter(pl.col("aggrLevel") != length).height == 0
    assert set(rows["aggrLevel"]) == {0, 2, 4, 6}
    assert rows.filter(pl.col("isLeaf") != (pl.col("aggrLevel") == 6)).height == 0


def test_the_period_columns_agree_when_rows_are_declared(tiny: dict[str, Delivery]) -> None:
    for name, delivery in tiny.items():
        frequency, period = name.split("-")
        annual = frequency == "A"
        year, month = (int(period), 1) if annual else divmod(int(period), 100)
        wanted = (frequency, period, year, 52 if annual else month, year * 10_000 + month * 100 + 1, "C", "HS")
        columns = ("freqCode", "period", "refYear", "refMonth", "refPeriodId", "typeCode", "classificationSearchCode")
        assert delivery.declared.select(columns).unique().rows() == [wanted]


def test_a_key_occurs_once_when_a_world_is_declared(rows: pl.DataFrame) -> None:
    key = ["freqCode", "period", "reporter", "flow", "partner", "partner2", "product", "customs", "transport"]
    assert not rows.select(key).is_duplicated().any()


def test_values_are_positive_and_say_their_valuation_when_rows_are_declared(rows: pl.DataFrame) -> None:
    assert rows.filter(~(pl.col("primaryValue").is_finite() & (pl.col("primaryValue") > 0))).height == 0
    exports = rows.filter(pl.col("flow").is_in(["X", "RX", "DX"]))
    assert exports.filter(pl.col("primaryValue") != pl.col("fobvalue")).height == 0
    assert exports.filter(pl.col("cifvalue").fill_null(0) != 0).height == 0
    imports = rows.filter(pl.col("flow").is_in(["M", "RM", "FM"]))
    carries = pl.max_horizontal(pl.col("cifvalue").fill_null(0), pl.col("fobvalue").fill_null(0))
    assert imports.filter(pl.col("primaryValue") != carries).height == 0


def test_a_row_without_a_unit_has_no_quantity_when_rows_are_declared(rows: pl.DataFrame) -> None:
    quantities = ("qty", "netWgt", "altQty")
    unknown = rows.filter(pl.col("qtyUnitCode") == -1)
    assert unknown.height > 0
    assert all(unknown[name].fill_null(0).max() == 0 for name in quantities)
    assert all(rows[name].fill_null(0).min() == 0 for name in (*quantities, "grossWgt"))
    assert rows.filter((pl.col("qtyUnitCode") != -1) & ((pl.col("aggrLevel") < 6) | pl.col("qty").is_null())).is_empty()


def test_the_estimation_flag_repeats_the_two_flags_when_rows_are_declared(rows: pl.DataFrame) -> None:
    flag = 2 * pl.col("isQtyEstimated").cast(pl.Int64) + 4 * pl.col("isNetWgtEstimated").cast(pl.Int64)
    assert rows.filter(pl.col("legacyEstimationFlag") != flag).height == 0
    assert set(rows["legacyEstimationFlag"]) == {0, 2, 4, 6}


def test_aggregates_are_not_reported_rows_when_the_source_built_them(rows: pl.DataFrame) -> None:
    assert rows.filter(pl.col("isReported") == pl.col("isAggregate")).height == 0
    assert rows.filter((pl.col("aggrLevel") < 6) & pl.col("isReported")).height == 0
    assert set(rows.filter(pl.col("aggrLevel") == 6)["isAggregate"]) == {True, False}


def test_descriptions_are_there_only_when_they_are_asked_for(worlds: Worlds) -> None:
    asked = worlds.made(replace(WorldConfig.tiny(), with_descriptions=True), "M-202305").declared
    plain = worlds.made(replace(WorldConfig.tiny(), with_descriptions=False), "M-202305").declared
    assert len(DESCRIPTIONS) == 12
    assert plain.select(DESCRIPTIONS).null_count().row(0) == (plain.height,) * 12
    assert asked.drop(DESCRIPTIONS).equals(plain.drop(DESCRIPTIONS))
    assert asked.select("reporterISO", "reporterDesc", "partnerISO", "flowDesc", "motDesc").null_count().row(0) == (
        (0,) * 5
    )
