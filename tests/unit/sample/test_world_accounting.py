"""Rows that stand for others add up: control totals, breakdowns, sub-flows, months of a year."""

from __future__ import annotations

import polars as pl
import pytest

from orchestration.sample import Delivery, WorldConfig
from tests.unit.sample.worlds import ROW, Worlds, coded, is_whole

KEY = ["freqCode", "period", "reporter", "flow", "partner", "product"]
CORRIDOR = KEY[:5]
TRANSPORT = {"1000": None, "2000": None, "2100": "2000", "3000": None, "3100": "3000", "3200": "3000"}


@pytest.fixture(scope="module")
def rows(tiny_declared: pl.DataFrame, worlds: Worlds) -> pl.DataFrame:
    """The tiny world (from 2019 on) and a year of the standard one; money in whole thousandths: exact sums."""
    declared = pl.concat([tiny_declared, worlds.made(WorldConfig.standard(), "A-2017").declared])
    return coded(declared).with_columns(milli=(pl.col("primaryValue") * 1000).round().cast(pl.Int64))


@pytest.fixture(scope="module")
def parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Every key of X and M at six digits once: its total row, or the sum of its modes where there is none."""
    cells = rows.filter((pl.col("aggrLevel") == 6) & (pl.col("partner") != "000") & pl.col("flow").is_in(["X", "M"]))
    whole = cells.filter(is_whole()).group_by(KEY).agg(pl.col("milli").sum())
    broken = cells.filter(~is_whole()).join(whole, on=KEY, how="anti")
    return pl.concat([whole, broken.group_by(KEY).agg(pl.col("milli").sum())])


def _filed(rows: pl.DataFrame, level: int, of_world: bool) -> pl.DataFrame:
    partner = pl.col("partner") == "000" if of_world else pl.col("partner") != "000"
    return rows.filter(is_whole() & (pl.col("aggrLevel") == level) & partner)


def _summed(parts: pl.DataFrame, level: int, of_world: bool) -> pl.DataFrame:
    product = pl.lit("TOTAL") if level == 0 else pl.col("product").str.slice(0, level)
    partner = pl.lit("000") if of_world else pl.col("partner")
    lifted = parts.with_columns(product=product, partner=partner)
    return lifted.group_by(KEY).agg(parts_milli=pl.col("milli").sum())


@pytest.mark.parametrize("level", [0, 2, 4])
def test_totals_of_a_corridor_equal_their_parts_when_they_are_filed(
    rows: pl.DataFrame, parts: pl.DataFrame, level: int
) -> None:
    filed, summed = _filed(rows, level, of_world=False), _summed(parts, level, of_world=False)
    both = filed.join(summed, on=KEY, how="left")
    assert both.height > 100
    assert both.filter(pl.col("milli") != pl.col("parts_milli").fill_null(-1)).height == 0


def test_every_corridor_has_a_total_row_when_totals_are_filed(rows: pl.DataFrame, parts: pl.DataFrame) -> None:
    totals = _filed(rows, 0, of_world=False)
    assert parts.select(CORRIDOR).unique().join(totals, on=CORRIDOR, how="anti").height == 0


def test_the_total_of_the_world_equals_all_partners_when_it_is_filed(rows: pl.DataFrame, parts: pl.DataFrame) -> None:
    filed, summed = _filed(rows, 0, of_world=True), _summed(parts, 0, of_world=True)
    both = filed.join(summed, on=KEY, how="full", coalesce=True)
    assert both.height == summed.height
    assert both.filter(pl.col("milli") != pl.col("parts_milli")).height == 0


@pytest.mark.parametrize("level", [2, 4, 6])
def test_world_rows_equal_their_parts_when_nothing_is_hidden(
    rows: pl.DataFrame, parts: pl.DataFrame, level: int
) -> None:
    reporter_set = KEY[:4]
    secret = parts.filter(pl.col("product") == "999999").select(reporter_set).unique()
    filed = _filed(rows, level, of_world=True).join(secret, on=reporter_set, how="anti")
    both = filed.join(_summed(parts, level, of_world=True), on=KEY, how="left")
    assert both.height > 100
    assert both.filter(pl.col("milli") != pl.col("parts_milli").fill_null(-1)).height == 0


@pytest.mark.parametrize("level", [2, 4, 6])
def test_world_rows_add_up_to_the_total_when_products_are_hidden_from_partners_only(
    rows: pl.DataFrame, parts: pl.DataFrame, level: int
) -> None:
    reporter_set = KEY[:4]
    detailed = _filed(rows, level, of_world=True).group_by(reporter_set).agg(detail=pl.col("milli").sum())
    both = detailed.join(_filed(rows, 0, of_world=True), on=reporter_set)
    assert both.filter(pl.col("detail") != pl.col("milli")).height == 0
    shown = _filed(rows, level, of_world=True).filter(pl.col("product").str.starts_with("99"))
    hidden = _summed(parts, level, of_world=True).join(shown, on=KEY, how="inner")
    assert hidden.filter(pl.col("milli") > pl.col("parts_milli")).height == 0
    assert hidden.filter(pl.col("milli") < pl.col("parts_milli")).height > 0


def test_modes_of_transport_add_up_to_their_total_when_they_are_broken_out(rows: pl.DataFrame) -> None:
    modes = rows.filter((pl.col("transport") != 0) & (pl.col("customs") == "C00"))
    total = rows.filter(is_whole()).select(*KEY, total="milli")
    beside_total = modes.join(total, on=KEY)
    top = beside_total.filter(pl.col("transport").is_in([1000, 2000, 3000]))
    summed = top.group_by(KEY).agg(pl.col("milli").sum(), pl.col("total").first())
    assert summed.height > 100
    assert summed.filter(pl.col("milli") != pl.col("total")).height == 0
    wider = pl.col("transport").cast(pl.String).replace_strict(TRANSPORT, default=None).cast(pl.Int64)
    inner = beside_total.with_columns(wider=wider).drop_nulls("wider")
    inner_sums = inner.group_by(*KEY, "wider").agg(inner_milli=pl.col("milli").sum())
    nested = inner_sums.join(top, left_on=[*KEY, "wider"], right_on=[*KEY, "transport"], how="left")
    assert nested.filter(pl.col("inner_milli") != pl.col("milli").fill_null(-1)).height == 0


@pytest.mark.parametrize("dimension", ["customs", "partner2"])
def test_breakdown_rows_add_up_to_their_total_when_they_stand_beside_it(rows: pl.DataFrame, dimension: str) -> None:
    broken = rows.filter(pl.col(dimension) != {"customs": "C00", "partner2": "000"}[dimension])
    summed = broken.group_by(KEY).agg(pl.col("milli").sum(), pl.col(dimension).n_unique().alias("count"))
    both = summed.join(rows.filter(is_whole()).select(*KEY, total="milli"), on=KEY, how="left")
    assert both.height > 50
    assert both["count"].max() > 1
    assert both.filter(pl.col("milli") != pl.col("total").fill_null(-1)).height == 0


def test_only_one_reporter_files_no_total_row_when_it_breaks_transport_out(rows: pl.DataFrame) -> None:
    cells = rows.filter((pl.col("aggrLevel") == 6) & (pl.col("partner") != "000"))
    alone = cells.filter(~is_whole()).join(cells.filter(is_whole()), on=KEY, how="anti")
    assert set(alone["reporter"]) == {"051"}
    assert set(alone["transport"]) == {1000, 2100, 3200}
    assert cells.filter(is_whole() & (pl.col("reporter") == "051") & pl.col("flow").is_in(["X", "M"])).height == 0


@pytest.mark.parametrize(
    ("flow", "inside", "rest"), [("X", "RX", "DX"), ("M", "RM", "FM")], ids=["re-exports", "re-imports"]
)
def test_sub_flows_are_inside_their_flow_when_they_are_filed(
    rows: pl.DataFrame, flow: str, inside: str, rest: str
) -> None:
    key = [name for name in ("freqCode", "period", *ROW) if name != "flow"]
    columns = {
        name: rows.filter(pl.col("flow") == name).select(*key, pl.col("milli").alias(name))
        for name in (flow, inside, rest)
    }
    sub = columns[inside].join(columns[flow], on=key, how="left")
    assert sub.height > 10
    assert sub.filter(~(pl.col(inside) <= pl.col(flow)).fill_null(False)).height == 0
    both = columns[rest].join(columns[flow], on=key, how="left").join(columns[inside], on=key, how="left")
    assert both.height > 10
    assert both.filter(pl.col(rest) + pl.col(inside).fill_null(0) != pl.col(flow).fill_null(-1)).height == 0


@pytest.mark.parametrize("year", [2021, 2024])
def test_months_add_up_to_their_year_when_the_truth_is_summed(tiny: dict[str, Delivery], year: int) -> None:
    key = ["exporter_code", "importer_code", "product_code"]
    amounts = ["true_fob_usd", "true_kg", "passage_fob_usd"]
    months = pl.concat(tiny[f"M-{year}{month:02d}"].truth["true_flow"] for month in range(1, 13))
    summed = months.group_by(key).agg(pl.col(amounts).sum())
    both = tiny[f"A-{year}"].truth["true_flow"].join(summed, on=key, how="full", suffix="_months")
    assert both.select(pl.col(f"{amount}_months") for amount in amounts).null_count().sum_horizontal().item() == 0
    for amount in amounts:
        assert (both[amount] - both[f"{amount}_months"]).abs().max() < 0.05  # thousandths, rounded twelve times
