"""The contract on real declarations, against figures counted independently in plain SQL.

Belongs here: known traps of real files. Does not belong here: reading formats; columns are mapped by hand.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from orchestration.comtrade.contract import ContractResult, account_balance, is_part
from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from tests.unit.comtrade.contract.builders import apply

FISH, WOOD, OTHER = "fish_monthly_hs6", "wood_annual_hs4", "other_formats"
OLDER, NEWER = "d7381ce6", "07eac450"
ARMENIA = {
    "trade_code": "flowCode",
    "period_desc": "period",
    "reporter_code": "reporterCode",
    "partner_code": "partnerCode",
    "commodity_code": "cmdCode",
    "mot_code": "motCode",
    "QtyUnitCode": "qtyUnitCode",
    "Qty": "qty",
    "netweight_kg": "netWgt",
    "trade_value_us": "primaryValue",
    "cifvalue": "cifvalue",
    "fobvalue": "fobvalue",
}


def _land(frame: pl.DataFrame, delivery_id: str) -> pl.DataFrame:
    present = [name for name in API_COLUMNS if name in frame.columns]
    return frame.select(
        *(pl.col(name).cast(API_COLUMNS[name]) for name in present),
        *(pl.lit(None, dtype=LANDED[name]).alias(name) for name in LANDED if name not in present),
    ).with_columns(
        source_file=pl.lit(delivery_id),
        source_format=pl.lit("test"),
        delivery_id=pl.lit(delivery_id),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )


def _fish(folder: Path, period: str) -> pl.DataFrame:
    names = dict(pl.read_csv(folder / FISH / "column_map_snake_to_api.csv").rows())
    path = folder / FISH / f"comtrade_monthly_fish_{period[:4]}.parquet"
    return _land(pl.read_parquet(path).rename(names).filter(pl.col("period") == period), "fish")


def _wood(folder: Path, pattern: str, period: str | None = None) -> pl.DataFrame:
    frames = []
    for path in sorted((folder / WOOD).glob(f"uncomtrade_{pattern}.parquet")):
        frame = _land(pl.read_parquet(path), path.stem[-8:])
        frames.append(frame.filter(pl.col("period") == period) if period else frame)
    return pl.concat(frames)


@pytest.fixture(scope="module")
def declarations_dir(shared_dir: Path) -> Path:
    return shared_dir / "declarations"


def test_breakdown_totals_equal_the_files_own_sums_once_when_no_total_row_is_filed(
    tables, declarations_dir: Path
) -> None:
    path = declarations_dir / OTHER / "armenia_vehicles_monthly_mot_breakdown.csv"
    raw = pl.read_csv(path, encoding="latin-1", null_values="NA", infer_schema_length=None)
    frame = _land(raw.drop("period").select(*ARMENIA).rename(ARMENIA).with_columns(freqCode=pl.lit("M")), "armenia")
    result = apply(tables, frame)
    booked = (
        result.declarations.filter(is_part())
        .group_by("period", "flow_code", "partner_code")
        .agg(pl.col("value_usd").sum(), pl.len().alias("row_count"))
        .sort("period", "flow_code", "partner_code")
    )
    # No mode in this file holds another, so a key's value is the plain sum; HS6 where a corridor has any, else HS4.
    expected = duckdb.execute(
        """
        with filed as (
            select period_desc::varchar as period, trade_code as flow, lpad(partner_code::varchar, 3, '0') as partner,
                   length(commodity_code::varchar) as digits, trade_value_us as usd
            from read_csv(?, encoding = 'latin-1', nullstr = 'NA')
        ), finest as (select period, flow, partner, max(digits) as digits from filed group by all)
        select period, flow, partner, sum(usd), count(*) from filed join finest using (period, flow, partner, digits)
        group by all order by period, flow, partner
        """,
        [str(path)],
    ).fetchall()
    assert [row[:3] + row[4:] for row in booked.rows()] == [row[:3] + row[4:] for row in expected]
    assert booked["value_usd"].to_list() == pytest.approx([row[3] for row in expected], rel=1e-12)
    assert "breakdown_beside_total" not in result.declarations["account_reason"].to_list()
    assert set(result.declarations.filter(pl.col("account") == "total")["product_code"]) == {"8703"}
    account_balance(frame, result.declarations)


def test_revisions_are_measured_when_a_heading_lands_in_two_vintages(tables, declarations_dir: Path) -> None:
    frame = _wood(declarations_dir, "4401__*")
    result = apply(tables, frame, [OLDER, NEWER])
    sums = result.revisions.select(pl.col("^keys_.*_count$").sum(), pl.col("editions_changed_count").sum())
    assert sums.row(0, named=True) == {
        "keys_added_count": 239,
        "keys_removed_count": 2,
        "keys_revised_count": 296,
        "keys_unchanged_count": 96778,
        "editions_changed_count": 5,
    }
    superseded = result.declarations.filter(pl.col("account_reason") == "superseded_vintage")
    assert superseded["delivery_id"].unique().to_list() == [OLDER]
    account_balance(frame, result.declarations)


def test_one_periods_revisions_equal_those_of_all_when_periods_are_taken_apart(tables, declarations_dir: Path) -> None:
    whole = apply(tables, _wood(declarations_dir, "4401__*"), [OLDER, NEWER]).revisions
    for period in ("2008", "2022"):
        alone = apply(tables, _wood(declarations_dir, "4401__*", period), [OLDER, NEWER]).revisions
        assert alone.equals(whole.filter(pl.col("period") == period))


def _conserved(result: ContractResult, frame: pl.DataFrame) -> None:
    filed = duckdb.execute("select count(*), sum(primaryValue) from frame").fetchall()[0]
    balance = account_balance(frame, result.declarations)
    assert balance["declaration_count"].sum() == filed[0]
    assert balance["value_usd"].sum() == pytest.approx(filed[1], rel=1e-9)


def test_every_dollar_is_booked_when_a_real_month_of_fish_lands(tables, declarations_dir: Path) -> None:
    frame = _fish(declarations_dir, "202105")
    result = apply(tables, frame)
    _conserved(result, frame)
    count, value = duckdb.execute(
        """
        select count(*), sum(primaryValue) from frame
        where flowCode in ('X', 'M') and reporterCode <> partnerCode
        and partnerCode not in (129, 221, 290, 471, 472, 473, 492, 527, 536, 568,
                                577, 636, 637, 697, 837, 838, 839, 879, 899)
        """
    ).fetchall()[0]
    pairs = result.declarations.filter(pl.col("account") == "pair")
    assert pairs.height == count
    assert pairs["value_usd"].sum() == pytest.approx(value, rel=1e-9)
    assert set(result.declarations["mos_code"]) == {"0"}


def test_flows_comtrade_does_not_list_are_quarantined_when_morocco_files_them(tables, declarations_dir: Path) -> None:
    path = str(declarations_dir / FISH / "*.parquet")
    periods = duckdb.execute(
        "select period, count(*) from read_parquet(?) where flow_code in ('MIF', 'XIF') group by 1 order by 1", [path]
    ).fetchall()
    assert sum(count for _, count in periods) == 57
    for period, count in periods:
        frame = _fish(declarations_dir, period)
        result = apply(tables, frame)
        unknown = result.declarations.filter(pl.col("account_reason") == "unknown_flow")
        assert unknown.height == count
        assert set(unknown["reporter_code"]) == {"504"}
        assert set(unknown["quarantine_value"]) <= {"MIF", "XIF"}
        _conserved(result, frame)


def test_sudan_is_quarantined_when_filed_years_after_its_code_ended(tables, declarations_dir: Path) -> None:
    late = apply(tables, _fish(declarations_dir, "202001")).declarations.filter(
        pl.col("account_reason") == "place_not_valid_at_date"
    )
    assert late.select("partner_code", "quarantine_value").rows() == [("736", "736")]


def test_world_rows_become_control_totals_when_wood_of_2019_lands(tables, declarations_dir: Path) -> None:
    frame = _wood(declarations_dir, "*", "2019").filter(pl.col("delivery_id") != OLDER)
    result = apply(tables, frame)
    _conserved(result, frame)
    expected = duckdb.execute(
        """
        select lpad(reporterCode::varchar, 3, '0'), flowCode, cmdCode,
               sum(primaryValue) filter (where partnerCode = 0),
               coalesce(sum(primaryValue) filter (where partnerCode <> 0), 0)
        from frame group by all having count(*) filter (where partnerCode = 0) > 0 order by all
        """
    ).fetchall()
    totals = result.control_totals.sort("reporter_code", "flow_code", "product_code")
    names = ["reporter_code", "flow_code", "product_code"]
    assert totals.select(names).rows() == [row[:3] for row in expected]
    assert totals["control_value_usd"].to_list() == pytest.approx([row[3] for row in expected], rel=1e-12)
    assert totals["parts_value_usd"].to_list() == pytest.approx([row[4] for row in expected], rel=1e-9)
    assert totals["coverage_ratio"].median() == pytest.approx(1.0)
    assert (totals["partner_code"] == "000").all()
