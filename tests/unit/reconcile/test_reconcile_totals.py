"""Control totals mirrored: a corridor's total from both sides, with coverage.

Belongs here: pairing totals. Does not belong here: making them (the source contract).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from orchestration import reconcile
from orchestration.reconcile.schema import MIRROR_TOTALS, FrameError
from tests.unit.reconcile.builders import CANADA, GERMANY, POLAND, complete

PLACES = pl.DataFrame({"place_code": [GERMANY, POLAND, CANADA]})
MARGIN = 0.25


def _total(**changes: Any) -> dict[str, Any]:
    return {
        "frequency": "A", "period": "2019", "period_start": date(2019, 1, 1), "reporter_code": GERMANY,
        "reporter_iso3": "DEU", "flow_code": "X", "partner_code": POLAND, "partner_iso3": "POL",
        "product_code": "TOTAL", "product_level": 0, "control_value_usd": 100.0, "coverage_ratio": 0.9,
    } | changes  # fmt: skip


def _import(**changes: Any) -> dict[str, Any]:
    ends = {"reporter_code": POLAND, "reporter_iso3": "POL", "partner_code": GERMANY, "partner_iso3": "DEU"}
    return _total(**({"flow_code": "M", "control_value_usd": 125.0, "coverage_ratio": 0.8} | ends | changes))


def _mirrored(*rows: dict[str, Any], reporting: tuple[str, ...] = (), **more: Any) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema_overrides={"product_level": pl.Int64})
    return reconcile.mirror_totals(frame, complete(*reporting), PLACES, MARGIN, **more)


def test_a_corridors_total_stands_from_both_sides_with_coverage_when_both_filed_it() -> None:
    row = _mirrored(_total(), _import()).row(0, named=True)
    assert (row["exporter_code"], row["importer_code"], row["product_code"]) == (GERMANY, POLAND, "TOTAL")
    assert (row["exporter_value_usd"], row["importer_value_usd"]) == (100.0, 125.0)
    assert (row["exporter_coverage_ratio"], row["importer_coverage_ratio"]) == (0.9, 0.8)
    assert (row["importer_fob_usd"], row["gap_fob_usd"], row["gap_log_ratio"]) == (100.0, 0.0, 0.0)
    assert (row["exporter_iso3"], row["importer_iso3"], row["status"]) == ("DEU", "POL", "two_sided")


def test_the_total_is_kept_when_the_valuation_table_says_the_importer_files_fob(
    tables: reconcile.ReconcileTables,
) -> None:
    into_canada = _import(reporter_code=CANADA, reporter_iso3="CAN")
    mirrored = _mirrored(into_canada, _import(), valuation_by_reporter_year=tables.valuation_by_reporter_year)
    assert mirrored.select("importer_code", "importer_fob_usd").rows() == [(CANADA, 125.0), (POLAND, 100.0)]


def test_a_partner_is_silent_when_it_files_such_totals_but_not_this_one() -> None:
    other = _import(partner_code=CANADA, partner_iso3="CAN")
    mirrored = _mirrored(_total(), other, reporting=(POLAND,))
    assert mirrored.filter(pl.col("exporter_code") == GERMANY)["status"].to_list() == ["exporter_only_partner_silent"]


@pytest.mark.parametrize("other", [{"product_code": "44", "product_level": 2}, {"flow_code": "X"}])
def test_a_partner_is_nonreporting_when_it_files_no_such_totals(other: dict[str, Any]) -> None:
    beside = _import(partner_code=CANADA, partner_iso3="CAN", **other)
    mirrored = _mirrored(_total(), beside, reporting=(POLAND,))
    own = mirrored.filter((pl.col("exporter_code") == GERMANY) & (pl.col("product_code") == "TOTAL"))
    assert own["status"].to_list() == ["exporter_only_partner_nonreporting"]


def test_an_incomplete_partner_is_nonreporting_when_it_files_such_totals() -> None:
    other = _import(partner_code=CANADA, partner_iso3="CAN")
    statuses = _mirrored(_total(), other)["status"].to_list()
    assert "exporter_only_partner_nonreporting" in statuses


def test_levels_are_kept_apart_when_a_corridor_files_several() -> None:
    chapter = {"product_code": "44", "product_level": 2}
    mirrored = _mirrored(_total(), _total(control_value_usd=40.0, **chapter), _import(**chapter))
    assert mirrored.select("product_code", "exporter_value_usd", "status").rows() == [
        ("44", 40.0, "two_sided"),
        ("TOTAL", 100.0, "exporter_only_partner_nonreporting"),
    ]


@pytest.mark.parametrize("other", [{"partner_code": "000"}, {"partner_code": GERMANY}, {"partner_code": "899"},
                                   {"flow_code": "RX"}])  # fmt: skip
def test_totals_without_two_pairable_ends_are_left_aside_when_mirrored(other: dict[str, str]) -> None:
    assert _mirrored(_total(**other)).height == 0


def test_schemas_hold_when_nothing_is_filed() -> None:
    mirrored = _mirrored(_total(partner_code="000"))
    assert dict(mirrored.schema) == dict(MIRROR_TOTALS)


def test_a_total_that_stands_twice_is_refused_when_mirrored() -> None:
    with pytest.raises(FrameError, match=r"stands twice.*counted double.*one row per key"):
        _mirrored(_total(), _total(control_value_usd=90.0))


def test_the_missing_columns_are_named_when_totals_lack_them() -> None:
    frame = pl.DataFrame([_total()]).drop("coverage_ratio")
    with pytest.raises(FrameError, match="the control totals frame lacks the columns coverage_ratio"):
        reconcile.mirror_totals(frame, complete(), PLACES, MARGIN)
