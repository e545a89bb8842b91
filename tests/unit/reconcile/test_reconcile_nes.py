"""Areas nes beside the flows that their reporter did not file: what moves, how much, and that nothing is lost.

Belongs here: cells, parts, remainders, the column on flows. Does not belong here: which partners are special (the
source contract).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration import reconcile
from orchestration.reconcile.schema import MIRROR_FLOWS, NES_DECLARED, NES_REALLOCATIONS, FrameError
from tests.unit.reconcile.builders import (
    CANADA,
    GERMANY,
    KAZAKHSTAN,
    POLAND,
    RUSSIA,
    TIMBER,
    declared,
    exports,
    frame,
    imports,
    small_tables,
)

AREAS, OTHER_EUROPE = "899", "568"
MARGIN = 0.25
NES = {"account": "special", "account_reason": "special_partner", "partner_code": AREAS}


def nes_tables(valid_from: date = date(1900, 1, 1)) -> reconcile.ReconcileTables:
    role = {"place_code": AREAS, "role": "areas_nes", "valid_from": valid_from, "valid_to": None}
    roles = small_tables().place_roles
    return small_tables(place_roles=pl.concat([roles, pl.DataFrame([role], schema=roles.schema)]))


def _flow(exporter: str, importer: str, x: float | None, m: float | None, **changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(MIRROR_FLOWS) | {
        "mirror_flow_id": f"A-2019-{exporter}-{importer}-{TIMBER}", "exporter_code": exporter,
        "importer_code": importer, "product_code": TIMBER, "exporter_fob_usd": x, "importer_fob_usd": m,
        "is_confidential": False,
    }  # fmt: skip
    return row | changes


def _flows(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(MIRROR_FLOWS))


def _reallocated(declarations: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    tables = nes_tables()
    return reconcile.reallocate_nes(
        reconcile.nes_declared(declarations, tables), flows, MARGIN, tables.valuation_by_reporter_year
    )


def _told(rows: pl.DataFrame) -> list[tuple[str, float, bool]]:
    return rows.select("partner_code", "reallocated_fob_usd", "is_remainder").rows()


MISSING = (_flow(GERMANY, POLAND, None, 60.0), _flow(GERMANY, CANADA, None, 20.0))


def test_missing_flows_take_what_they_lack_and_the_rest_stays_when_the_area_holds_more() -> None:
    rows = _reallocated(frame(exports(value_usd=100.0, **NES)), _flows(*MISSING))
    assert _told(rows) == [(CANADA, 20.0, False), (POLAND, 60.0, False), (AREAS, 20.0, True)]
    assert dict(rows.schema) == dict(NES_REALLOCATIONS)
    assert rows["declared_fob_usd"].to_list() == [100.0] * 3
    assert rows["missing_fob_usd"].to_list() == [20.0, 60.0, None]


def test_missing_flows_share_in_proportion_when_the_area_holds_less() -> None:
    rows = _reallocated(frame(exports(value_usd=40.0, **NES)), _flows(*MISSING))
    assert _told(rows) == [(CANADA, 10.0, False), (POLAND, 30.0, False), (AREAS, 0.0, True)]


@pytest.mark.parametrize(
    "flow",
    [
        _flow(GERMANY, POLAND, 50.0, 60.0),
        _flow(GERMANY, POLAND, None, 60.0, is_confidential=True),
        _flow(GERMANY, POLAND, None, 60.0, product_code="440799"),
        _flow(KAZAKHSTAN, POLAND, None, 60.0),
        _flow(GERMANY, POLAND, None, 0.0),
        _flow(POLAND, GERMANY, None, 60.0),
    ],
)
def test_a_flow_takes_nothing_when_it_is_not_missing_from_that_reporters_product(flow: dict[str, Any]) -> None:
    assert _told(_reallocated(frame(exports(value_usd=40.0, **NES)), _flows(flow))) == [(AREAS, 40.0, True)]


def test_a_flow_filed_as_zero_is_missing_when_its_partner_filed_a_value() -> None:
    rows = _reallocated(frame(exports(value_usd=40.0, **NES)), _flows(_flow(GERMANY, POLAND, 0.0, 60.0)))
    assert _told(rows) == [(POLAND, 40.0, False), (AREAS, 0.0, True)]


@pytest.mark.parametrize(
    ("changes", "fob"),
    [({}, 80.0), ({"fob_value_usd": 95.0}, 95.0), ({"fob_value_usd": 0.0}, 80.0), ({"reporter_code": CANADA}, 100.0)],
)
def test_imports_from_areas_are_taken_to_fob_when_they_are_not_filed_so(changes: dict[str, Any], fob: float) -> None:
    reporter = str(changes.get("reporter_code", POLAND))
    flows = _flows(_flow(GERMANY, reporter, 1000.0, None))
    rows = _reallocated(frame(imports(**({"value_usd": 100.0} | NES | changes))), flows)
    assert _told(rows) == [(GERMANY, fob, False), (AREAS, 0.0, True)]
    assert rows["side"].to_list() == ["importer", "importer"]


@pytest.mark.parametrize(
    "changes",
    [{"partner_code": OTHER_EUROPE}, {"account_reason": "self_trade"}, {"account": "pair"}, {"flow_code": "RX"}],
)
def test_only_areas_that_may_lie_anywhere_are_declared_nes_when_read(changes: dict[str, Any]) -> None:
    assert reconcile.nes_declared(frame(declared(**(NES | changes))), nes_tables()).is_empty()


def test_an_area_is_none_when_its_role_had_not_begun() -> None:
    rows = frame(exports(**NES))
    assert reconcile.nes_declared(rows, nes_tables(date(2020, 1, 1))).is_empty()
    assert reconcile.nes_declared(rows, nes_tables(date(2019, 1, 1))).height == 1


def test_schemas_hold_when_nobody_files_under_areas() -> None:
    read = reconcile.nes_declared(frame(exports()), nes_tables())
    assert dict(read.schema) == dict(NES_DECLARED)
    rows = reconcile.reallocate_nes(read, _flows(*MISSING), MARGIN, nes_tables().valuation_by_reporter_year)
    assert (rows.height, dict(rows.schema)) == (0, dict(NES_REALLOCATIONS))


def test_a_flow_says_what_areas_it_may_be_when_rows_were_reallocated() -> None:
    flows = _flows(*MISSING, _flow(POLAND, RUSSIA, 5.0, 5.0))
    rows = _reallocated(frame(exports(value_usd=40.0, **NES)), flows)
    told = reconcile.with_nes(flows, rows).select("exporter_code", "importer_code", "nes_reallocated_fob_usd")
    assert told.rows() == [(GERMANY, CANADA, 10.0), (GERMANY, POLAND, 30.0), (POLAND, RUSSIA, 0.0)]


def test_a_reallocation_to_a_flow_that_is_not_there_is_refused() -> None:
    rows = _reallocated(frame(exports(value_usd=40.0, **NES)), _flows(*MISSING))
    with pytest.raises(FrameError, match=r"not in the frame; their value would be lost; pass the flows"):
        reconcile.with_nes(_flows(MISSING[0]), rows)


AMOUNTS = st.floats(min_value=0.01, max_value=1e11).map(lambda value: round(value, 2))


@given(filed=st.lists(AMOUNTS, min_size=1, max_size=3), missing=st.lists(AMOUNTS, max_size=6))
def test_areas_are_conserved_and_no_gap_is_opened_when_reallocated(filed: list[float], missing: list[float]) -> None:
    flows = _flows(*(_flow(GERMANY, f"p{n}", None, value) for n, value in enumerate(missing)))
    rows = _reallocated(frame(*(exports(value_usd=value, **NES) for value in filed)), flows)
    whole = sum(filed)
    assert sum(rows["reallocated_fob_usd"]) == pytest.approx(whole, rel=1e-12, abs=1e-5)
    parts = rows.filter(~pl.col("is_remainder"))
    assert (parts["reallocated_fob_usd"] <= parts["missing_fob_usd"]).all()
    assert (rows["reallocated_fob_usd"] >= 0).all()
    assert sum(parts["reallocated_fob_usd"]) == pytest.approx(min(whole, sum(missing)), rel=1e-9, abs=1e-4)
