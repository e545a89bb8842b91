"""Who could have reported, the five statuses, and the year rolled up from its months.

Belongs here: missing against zero. Does not belong here: which data sets are complete (the source contract's tests).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.schema import FrameError
from tests.unit.reconcile.builders import (
    AUSTRALIA,
    CANADA,
    GERMANY,
    KAZAKHSTAN,
    POLAND,
    complete,
    declared,
    exports,
    frame,
    imports,
)

Paired = Callable[..., pl.DataFrame]
OTHER_IMPORT = {"reporter_code": POLAND, "partner_code": CANADA, "flow_code": "M"}
OTHER_EXPORT = {"reporter_code": GERMANY, "partner_code": CANADA, "flow_code": "X"}


def _status(pairs: pl.DataFrame) -> str:
    row = pairs.filter((pl.col("exporter_code") == GERMANY) & (pl.col("importer_code") == POLAND)).row(0, named=True)
    return str(row["status"])


def test_a_flow_is_two_sided_when_both_filed_even_if_neither_is_complete(paired: Paired) -> None:
    assert _status(paired(exports(), imports())) == "two_sided"


def test_the_importer_is_silent_when_it_filed_other_imports_completely(paired: Paired) -> None:
    pairs = paired(exports(), declared(**OTHER_IMPORT), reporting=(POLAND,))
    assert _status(pairs) == "exporter_only_partner_silent"


def test_the_importer_is_nonreporting_when_its_period_is_incomplete(tables: reconcile.ReconcileTables) -> None:
    rows = frame(exports(), declared(**OTHER_IMPORT))
    pairs = reconcile.pair(rows, complete(GERMANY, incomplete=[POLAND]), tables).pairs
    assert _status(pairs) == "exporter_only_partner_nonreporting"


def test_the_importer_is_nonreporting_when_nobody_knows_it(paired: Paired) -> None:
    assert _status(paired(exports(), declared(**OTHER_IMPORT))) == "exporter_only_partner_nonreporting"


def test_the_exporter_is_silent_when_it_filed_other_exports_completely(paired: Paired) -> None:
    pairs = paired(imports(), declared(**OTHER_EXPORT), reporting=(GERMANY,))
    assert _status(pairs) == "importer_only_partner_silent"


def test_the_exporter_is_nonreporting_when_its_period_is_incomplete(paired: Paired) -> None:
    assert _status(paired(imports(), declared(**OTHER_EXPORT))) == "importer_only_partner_nonreporting"


def test_the_importer_is_nonreporting_when_it_filed_exports_only(paired: Paired) -> None:
    """Mexico and Hungary file months with exports and no import at all: nothing is known of their imports."""
    pairs = paired(exports(), declared(reporter_code=POLAND, partner_code=CANADA), reporting=(POLAND,))
    assert _status(pairs) == "exporter_only_partner_nonreporting"


def test_the_importer_is_silent_when_it_filed_its_imports_as_a_total_only(paired: Paired) -> None:
    total = declared(**OTHER_IMPORT, product_code="TOTAL", account="total", account_reason="total_product")
    assert _status(paired(exports(), total, reporting=(POLAND,))) == "exporter_only_partner_silent"


@pytest.mark.parametrize(("account", "reason"), [("quarantine", "unknown_product"), ("special", "superseded_vintage")])
def test_the_importer_is_nonreporting_when_its_imports_do_not_stand_as_filed(
    paired: Paired, account: str, reason: str
) -> None:
    row = declared(**OTHER_IMPORT, account=account, account_reason=reason)
    assert _status(paired(exports(), row, reporting=(POLAND,))) == "exporter_only_partner_nonreporting"


def _months(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [declared(frequency="M", period=f"2019{month:02d}", **changes) for month in range(1, count + 1)]


def _year(annual: list[dict[str, Any]], months: list[dict[str, Any]]) -> pl.DataFrame:
    named = [row | {"declaration_id": f"m{number:02d}"} for number, row in enumerate(months)]
    return reconcile.roll_up_year(frame(*annual), frame(*named), 2019)


def test_a_year_is_added_from_months_when_all_twelve_are_there_and_no_annual_set(
    tables: reconcile.ReconcileTables,
) -> None:
    year = _year([imports()], _months(12, value_usd=10.0))
    row = reconcile.pair(year, complete(GERMANY, POLAND), tables).pairs.row(0, named=True)
    assert (row["mirror_flow_id"], row["status"]) == ("A-2019-276-616-440710", "two_sided")
    assert (row["exporter_value_usd"], row["exporter_declaration_count"], row["is_rolled_up"]) == (120.0, 12, True)


def test_the_year_leads_back_to_its_months_when_rolled_up(tables: reconcile.ReconcileTables) -> None:
    sources = reconcile.pair(_year([imports()], _months(12)), complete(), tables).sources
    assert sources.select("declaration_id", "side", "is_rolled_up").rows() == [
        ("d0001", "importer", False),
        *((f"m{number:02d}", "exporter", True) for number in range(12)),
    ]


def test_nothing_is_rolled_up_when_a_month_is_missing() -> None:
    assert _year([imports()], _months(11))["is_rolled_up"].to_list() == [False]


def test_months_are_never_added_when_the_annual_set_is_there(tables: reconcile.ReconcileTables) -> None:
    year = _year([exports(value_usd=115.0)], _months(12, value_usd=10.0))
    pairs = reconcile.pair(year, complete(GERMANY), tables).pairs
    assert pairs.select("exporter_value_usd", "is_rolled_up").rows() == [(115.0, False)]


def test_months_are_not_added_when_the_annual_set_holds_only_other_goods_of_that_chapter() -> None:
    assert _year([exports(product_code="440110")], _months(12))["is_rolled_up"].to_list() == [False]


def test_months_are_added_when_nobody_filed_that_chapter_annually() -> None:
    """A collection of annual wood beside monthly fish: the wood says nothing about the year of the fish."""
    year = _year([exports(), imports()], _months(12, product_code="030214"))
    assert year.group_by("product_code", "is_rolled_up").len().sort("product_code").rows() == [
        ("030214", True, 12),
        ("440710", False, 2),
    ]


def test_months_are_not_added_when_another_reporter_filed_that_chapter_annually() -> None:
    fish = {"product_code": "030214"}
    year = _year([exports(), declared(reporter_code=CANADA, **fish)], _months(12, **fish))
    assert not year["is_rolled_up"].any()


def test_imports_are_not_rolled_up_when_three_months_hold_exports_only() -> None:
    """Hong Kong filed twelve months of fish in 2017, and imports in nine: the imports of the year are missing."""
    bought = _months(9, reporter_code=POLAND, partner_code=GERMANY, flow_code="M")
    sold = _months(12, reporter_code=POLAND, partner_code=GERMANY)
    year = _year([], [*bought, *sold])
    assert year.filter(pl.col("is_rolled_up")).group_by("flow_code").len().rows() == [("X", 12)]


def test_months_that_do_not_stand_as_filed_do_not_count_when_twelve_are_asked() -> None:
    rows = [*_months(11), declared(frequency="M", period="201912", account="quarantine", account_reason="unknown_flow")]
    assert _year([], rows).height == 0


def test_reexports_are_rolled_up_with_their_exports_when_the_year_is(tables: reconcile.ReconcileTables) -> None:
    again = _months(3, flow_code="RX", account="special", account_reason="sub_flow", value_usd=4.0)
    pairs = reconcile.pair(_year([], [*_months(12, value_usd=10.0), *again]), complete(), tables).pairs
    assert pairs.select("exporter_value_usd", "reexport_usd").rows() == [(120.0, 12.0)]


def test_months_of_another_year_are_refused_when_a_year_is_rolled_up() -> None:
    with pytest.raises(FrameError, match=r"months outside 2018.*wrong year.*months of that year only"):
        reconcile.roll_up_year(frame(), frame(*_months(12)), 2018)


def test_a_partner_is_nonreporting_when_the_chapter_rests_on_months_it_did_not_complete(
    tables: reconcile.ReconcileTables,
) -> None:
    """Poland's annual wood makes its year complete, and says nothing about a chapter collected monthly."""
    fish = {"product_code": "030214"}
    wood = imports()
    seven = _months(7, reporter_code=POLAND, partner_code=CANADA, flow_code="M", **fish)
    pairs = reconcile.pair(_year([wood], [*_months(12, **fish), *seven]), complete(GERMANY, POLAND), tables).pairs
    assert pairs.select("product_code", "status").rows() == [
        ("030214", "exporter_only_partner_nonreporting"),
        ("440710", "importer_only_partner_nonreporting"),
    ]
    twelve = _months(12, reporter_code=POLAND, partner_code=CANADA, flow_code="M", **fish)
    pairs = reconcile.pair(_year([wood], [*_months(12, **fish), *twelve]), complete(GERMANY, POLAND), tables).pairs
    assert _status(pairs.filter(pl.col("product_code") == "030214")) == "exporter_only_partner_silent"


def test_an_annual_reporter_is_silent_when_others_file_the_chapter_annually_and_one_by_months(
    tables: reconcile.ReconcileTables,
) -> None:
    annual = [imports(partner_code=CANADA, product_code="030214"), declared(reporter_code=CANADA)]
    pairs = reconcile.pair(_year(annual, _months(12)), complete(GERMANY, POLAND, CANADA), tables).pairs
    assert _status(pairs) == "exporter_only_partner_silent"


def test_sub_flows_make_no_pair_of_their_own_when_a_reporter_files_nothing_else(paired: Paired) -> None:
    only = declared(
        reporter_code=KAZAKHSTAN, partner_code=AUSTRALIA, flow_code="RX", account="special", account_reason="sub_flow"
    )
    assert paired(only).height == 0
