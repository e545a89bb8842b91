"""Pairing on real declarations, against figures counted independently in plain SQL.

Belongs here: a real month and year of fish, a real year of wood. Does not belong here: the contract's own traps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from orchestration import reconcile
from orchestration.comtrade.contract import ContractTables, apply_contract
from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from orchestration.reconcile.schema import DECLARATIONS
from orchestration.reconcile.tables import no_correlations
from orchestration.reference import Reference, load_reference
from tests.unit.reconcile.builders import reconciled

FISH, WOOD = "fish_monthly_hs6", "wood_annual_hs4"
# Both ends are places that can stand in a pair; Sudan's old code (736) is filed years after it ended.
_COUNTED = """
    reporter_code <> partner_code and partner_code not in (0, 129, 221, 290, 471, 472, 473, 492, 527, 536, 568, 577,
    636, 637, 697, 736, 837, 838, 839, 879, 899)
"""
_MONTHS = f"""
    select period, flow_code, product, sum(usd) as usd,
           case flow_code when 'X' then reporter_code else partner_code end as exporter,
           case flow_code when 'X' then partner_code else reporter_code end as importer
    from (select period, flow_code, reporter_code, partner_code, cmd_code as product, primary_value as usd
          from read_parquet(?) where flow_code in ('X', 'M') and {_COUNTED}) group by all
"""


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture(scope="module")
def real_tables(reference: Reference) -> reconcile.ReconcileTables:
    names = reconcile.ReconcileTables.__dataclass_fields__
    return reconcile.ReconcileTables(**{name: getattr(reference, name) for name in names})


@pytest.fixture(scope="module")
def as_filed(real_tables: reconcile.ReconcileTables) -> reconcile.ReconcileTables:
    """Tables that convert no edition: plain SQL joins the codes as they were filed."""
    return replace(real_tables, hs_correlations=no_correlations())


def _contracted(reference: Reference, frame: pl.DataFrame) -> pl.DataFrame:
    tables = ContractTables(**{name: getattr(reference, name) for name in ContractTables.__dataclass_fields__})
    present = [name for name in API_COLUMNS if name in frame.columns]
    landed = frame.select(
        *(pl.col(name).cast(API_COLUMNS[name]) for name in present),
        *(pl.lit(None, dtype=LANDED[name]).alias(name) for name in LANDED if name not in present),
    ).with_columns(
        source_file=pl.lit("real"),
        source_format=pl.lit("test"),
        delivery_id=pl.lit("real"),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )
    order = pl.DataFrame({"delivery_id": ["real"], "precedence": [1]})
    return apply_contract(landed, tables, order).declarations.select(list(DECLARATIONS))


def _fish(shared_dir: Path, year: int) -> pl.DataFrame:
    folder = shared_dir / "declarations" / FISH
    names = dict(pl.read_csv(folder / "column_map_snake_to_api.csv").rows())
    return pl.read_parquet(folder / f"comtrade_monthly_fish_{year}.parquet").rename(names)


def _fish_columns(shared_dir: Path, year: int) -> str:
    return str(shared_dir / "declarations" / FISH / f"comtrade_monthly_fish_{year}.parquet")


def _everybody(declarations: pl.DataFrame) -> pl.DataFrame:
    return declarations.select("reporter_code").unique().with_columns(is_complete=pl.lit(True))


@pytest.fixture(scope="module")
def month(reference: Reference, shared_dir: Path) -> pl.DataFrame:
    return _contracted(reference, _fish(shared_dir, 2021).filter(pl.col("period") == "202105"))


def test_both_sided_cells_agree_with_plain_sql_when_a_real_month_of_fish_is_paired(
    month: pl.DataFrame, as_filed: reconcile.ReconcileTables, shared_dir: Path
) -> None:
    pairs = reconcile.pair(month, _everybody(month), as_filed).pairs
    counted = duckdb.execute(
        f"with cells as ({_MONTHS}) select count(*), sum(x.usd), sum(m.usd) from cells x join cells m "
        "using (period, exporter, importer, product) "
        "where x.flow_code = 'X' and m.flow_code = 'M' and period = '202105'",
        [_fish_columns(shared_dir, 2021)],
    ).fetchone()
    two = pairs.filter(pl.col("status") == "two_sided")
    assert counted is not None
    assert counted[0] > 5_000
    assert two.height == counted[0]
    assert two["exporter_value_usd"].sum() == pytest.approx(counted[1], rel=1e-9)
    assert two["importer_value_usd"].sum() == pytest.approx(counted[2], rel=1e-9)


def test_a_real_month_of_fish_is_reconciled_whole_when_run_through_every_step(
    month: pl.DataFrame, real_tables: reconcile.ReconcileTables
) -> None:
    result = reconciled(month, _everybody(month), real_tables)
    flows, account = result.flows, reconcile.account_of_pairs(month, result.pairs)
    assert (account["difference_usd"].abs() <= 1e-9 * account["declared_value_usd"]).all()
    assert flows["mirror_flow_id"].is_unique().all()
    assert flows["reconciled_fob_usd"].null_count() == 0
    modelled = flows.filter(pl.col("cif_source") == "modelled")["cif_rate_ratio"]
    assert modelled.is_between(0.0, 0.30 + 1e-12).all()
    assert modelled.mean() == pytest.approx(0.06, abs=0.05)
    assert set(result.valuation.card["method_name"]) == {"huber_gravity"}
    canada = flows.filter(pl.col("importer_code") == "124")
    assert canada["cif_source"].unique().sort().to_list() == ["none", "reported"]


def test_both_sided_years_agree_with_plain_sql_when_real_months_of_fish_are_rolled_up(
    reference: Reference, as_filed: reconcile.ReconcileTables, shared_dir: Path
) -> None:
    """Twelve months of each side, Hong Kong's nine months of imports left out."""
    fish = _fish(shared_dir, 2017)
    months = pl.concat(_contracted(reference, part) for part in fish.partition_by("period", maintain_order=True))
    year = reconcile.roll_up_year(months.clear(), months, 2017)
    pairs = reconcile.pair(year, _everybody(year), as_filed).pairs
    counted = duckdb.execute(
        f"""
        with cells as ({_MONTHS}),
        sides as (
            select reporter_code, flow_code in ('X', 'RX', 'DX') as sells from read_parquet(?)
            where flow_code in ('X', 'M', 'RX', 'DX', 'RM', 'FM', 'MIP', 'MOP', 'XIP', 'XOP')
            group by all having count(distinct period) = 12
        ),
        years as (
            select flow_code, exporter, importer, product, sum(usd) as usd from cells
            where (case flow_code when 'X' then exporter else importer end, flow_code = 'X')
                  in (select (reporter_code, sells) from sides)
            group by all
        )
        select count(*), sum(x.usd), sum(m.usd) from years x join years m using (exporter, importer, product)
        where x.flow_code = 'X' and m.flow_code = 'M'
        """,
        [_fish_columns(shared_dir, 2017)] * 2,
    ).fetchone()
    two = pairs.filter(pl.col("status") == "two_sided")
    assert counted is not None
    assert two.height == counted[0] > 10_000
    assert two["exporter_value_usd"].sum() == pytest.approx(counted[1], rel=1e-9)
    assert two["importer_value_usd"].sum() == pytest.approx(counted[2], rel=1e-9)
    assert "344" not in pairs.filter(pl.col("importer_value_usd").is_not_null())["importer_code"].to_list()
    assert two["is_rolled_up"].all()


def test_both_sided_cells_agree_with_plain_sql_when_a_real_year_of_wood_is_paired(
    reference: Reference, real_tables: reconcile.ReconcileTables, shared_dir: Path
) -> None:
    files = sorted((shared_dir / "declarations" / WOOD).glob("uncomtrade_44*.parquet"))
    files = [path for path in files if "d7381ce6" not in path.name]  # the older vintage of heading 4401
    wood = pl.concat([pl.read_parquet(path) for path in files], how="vertical_relaxed")
    declarations = _contracted(reference, wood.filter(pl.col("period") == "2019"))
    pairs = reconcile.pair(declarations, _everybody(declarations), real_tables).pairs
    renamed = (
        "select period, flowCode as flow_code, reporterCode as reporter_code, partnerCode as partner_code, "
        "cmdCode as cmd_code, primaryValue as primary_value from read_parquet(?)"
    )
    cells = _MONTHS.replace("read_parquet(?)", f"({renamed})")
    counted = duckdb.execute(
        f"with cells as ({cells}) select count(*), sum(x.usd), sum(m.usd) from cells x join cells m "
        "using (period, exporter, importer, product) "
        "where x.flow_code = 'X' and m.flow_code = 'M' and period = '2019'",
        [[str(path) for path in files]],
    ).fetchone()
    two = pairs.filter(pl.col("status") == "two_sided")
    assert counted is not None
    assert two.height == counted[0] > 5_000
    assert two["exporter_value_usd"].sum() == pytest.approx(counted[1], rel=1e-9)
    assert two["importer_value_usd"].sum() == pytest.approx(counted[2], rel=1e-9)
    assert set(two["product_level"]) == {4}


def test_false_one_sided_flows_vanish_and_no_value_does_when_a_real_month_of_two_editions_is_paired(
    reference: Reference,
    real_tables: reconcile.ReconcileTables,
    as_filed: reconcile.ReconcileTables,
    shared_dir: Path,
) -> None:
    """March 2017: some places file HS2012 still, others HS2017."""
    month = _contracted(reference, _fish(shared_dir, 2017).filter(pl.col("period") == "201703"))
    before, after = (reconcile.pair(month, _everybody(month), tables) for tables in (as_filed, real_tables))
    account = reconcile.account_of_pairs(month, after.pairs)
    assert (account["difference_usd"].abs() <= 1e-9 * account["declared_value_usd"]).all()
    two_sided = [(result.pairs["status"] == "two_sided").sum() for result in (before, after)]
    one_sided = [(result.pairs["status"] != "two_sided").sum() for result in (before, after)]
    assert two_sided[1] - two_sided[0] >= 50
    assert one_sided[0] - one_sided[1] >= 150
    editions = pl.col("exporter_hs_revision") == pl.col("importer_hs_revision")
    same = [result.pairs.filter(editions) for result in (before, after)]
    assert same[0].drop("hs_ambiguity_ratio").equals(same[1].drop("hs_ambiguity_ratio"))
