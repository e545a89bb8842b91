"""Properties that hold for any set of landed rows."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from orchestration.comtrade.contract import ACCOUNT_REASONS, account_balance
from tests.unit.comtrade.contract.builders import apply, declaration_row, landed

ROWS = st.lists(
    st.fixed_dictionaries({
        "reporterCode": st.sampled_from([398, 643, 97, 998]),
        "partnerCode": st.sampled_from([0, 398, 643, 899, 490, 736, 998]),
        "flowCode": st.sampled_from(["X", "M", "RX", "MIF"]),
        "cmdCode": st.sampled_from(["TOTAL", "85", "8542", "854231", "999999", "854200"]),
        "motCode": st.sampled_from([0, 1000, 3000, 3200]),
        "customsCode": st.sampled_from(["C00", "C05"]),
        "classificationCode": st.sampled_from(["H5", "H4", "S4"]),
        "isOriginalClassification": st.booleans(),
        "primaryValue": st.sampled_from([None, -1.0, 0.0, 0.1, 7.3, 1e9 / 3]),
        "delivery_id": st.sampled_from(["a", "b"]),
    }),
    max_size=25,
)  # fmt: skip
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _landed(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return landed(*(declaration_row(fobvalue=row["primaryValue"], **row) for row in rows))


@EXAMPLES
@given(rows=ROWS)
def test_every_row_and_dollar_is_in_one_account_when_rows_are_arbitrary(tables, rows) -> None:
    frame = _landed(rows)
    declarations = apply(tables, frame, ["a", "b"]).declarations
    account_balance(frame, declarations)
    for account, reason in declarations.select("account", "account_reason").unique().rows():
        assert reason in ACCOUNT_REASONS[account]
    quarantined = declarations["account"] == "quarantine"
    assert declarations.filter(quarantined)["quarantine_field"].null_count() == 0
    assert declarations.filter(~quarantined)["quarantine_field"].is_null().all()


@EXAMPLES
@given(rows=ROWS, seed=st.integers(0, 1000))
def test_result_is_the_same_when_rows_come_in_another_order(tables, rows, seed) -> None:
    frame = _landed(rows)
    result, shuffled = (
        apply(tables, f, ["a", "b"]) for f in (frame, frame.sample(fraction=1, shuffle=True, seed=seed))
    )
    for name in ("declarations", "control_totals", "coverage", "revisions"):
        assert_frame_equal(getattr(result, name), getattr(shuffled, name), check_exact=True)


@EXAMPLES
@given(rows=ROWS)
def test_paired_keys_are_summed_from_one_pattern_when_rows_are_arbitrary(tables, rows) -> None:
    key = ["reporter_code", "flow_code", "partner_code", "product_code"]
    pairs = apply(tables, _landed(rows), ["a", "b"]).declarations.filter(pl.col("account") == "pair")
    patterns = pairs.group_by(key).agg(
        pl.struct(pl.col("mot_code") == "0", pl.col("customs_code") == "C00").n_unique().alias("patterns"),
        (pl.col("account_reason") == "kept").sum().alias("kept"),
        pl.len().alias("rows"),
        pl.col("mot_code").is_in(["3000"]).any().alias("land"),
        pl.col("delivery_id").n_unique().alias("deliveries"),
    )
    assert (patterns["patterns"] == 1).all()
    assert (patterns["deliveries"] == 1).all()
    assert patterns.filter((pl.col("kept") > 0) & (pl.col("rows") > 1)).is_empty()
