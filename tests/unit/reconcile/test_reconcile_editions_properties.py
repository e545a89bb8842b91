"""Properties of rows in mixed editions: nothing is lost, order is irrelevant, roles mirror.

Belongs here: what must hold for any rows. Does not belong here: single rules of conversion (`test_reconcile_editions`).
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from orchestration import reconcile
from orchestration.reconcile.editions import onto_older_edition
from tests.unit.reconcile.builders import CANADA, GERMANY, KAZAKHSTAN, POLAND, complete, declared, frame
from tests.unit.reconcile.edition_rows import AMOUNTS, TABLES, pair_rows

CODES = ("440791", "440792", "440793", "440794", "440710", "440720", "440810", "440730", "4407", "850100", "850200")


@st.composite
def mixed_worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with distinct keys in three editions; amounts that do not divide evenly."""
    places = (GERMANY, POLAND, CANADA)
    key = st.tuples(*map(st.sampled_from, (places, ("X", "M"), places, CODES)))
    amounts = st.one_of(st.just(0.0), st.floats(0.01, 1e9))
    rows = []
    for n, (reporter, flow, partner, code) in enumerate(draw(st.lists(key, min_size=2, max_size=40, unique=True))):
        if reporter == partner:
            continue
        changes = {name: draw(st.one_of(st.none(), amounts)) for name in AMOUNTS[1:]}
        unit = None if changes["quantity"] is None else "8"
        rows.append(
            declared(
                declaration_id=f"w{n:03d}", reporter_code=reporter, flow_code=flow, partner_code=partner,
                product_code=code, hs_revision=draw(st.sampled_from(("H4", "H5", "H6"))), value_usd=draw(amounts),
                quantity_unit_code=unit, **changes,
            )
        )  # fmt: skip
    return rows


PROPERTY = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@PROPERTY
@given(rows=mixed_worlds())
def test_all_amounts_and_shares_are_conserved_when_editions_are_mixed(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    result = pair_rows(*rows)
    account = reconcile.account_of_pairs(frame(*rows), result.pairs)
    assert (account["difference_usd"].abs() <= 2e-6 + 1e-12 * account["declared_value_usd"]).all()
    shares = result.sources.group_by("declaration_id").agg(pl.col("share_ratio").sum())
    assert sorted(shares["declaration_id"]) == sorted(row["declaration_id"] for row in rows)
    assert shares["share_ratio"].to_list() == pytest.approx([1.0] * shares.height, abs=1e-9)
    assert not result.sources.select("declaration_id", "mirror_flow_id").is_duplicated().any()
    assert result.pairs["mirror_flow_id"].is_unique().all()
    assert set(result.sources["mirror_flow_id"]) == set(result.pairs["mirror_flow_id"])


@PROPERTY
@given(rows=mixed_worlds())
def test_each_amount_of_each_declaration_is_conserved_when_it_is_split(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    filed = frame(*rows)
    x = pl.col("flow_code") == "X"
    oriented = filed.with_columns(
        side=pl.when(x).then(pl.lit("exporter")).otherwise(pl.lit("importer")),
        exporter_code=pl.when(x).then("reporter_code").otherwise("partner_code"),
        importer_code=pl.when(x).then("partner_code").otherwise("reporter_code"),
    )
    parts = onto_older_edition(oriented, TABLES).sort("declaration_id")
    for name in AMOUNTS:
        sums = parts.group_by("declaration_id").agg(pl.col(name).sum(), unknown=pl.col(name).null_count() > 0)
        both = filed.join(sums, on="declaration_id", suffix="_parts")
        assert both["unknown"].to_list() == both[name].is_null().to_list()
        known = both.filter(~pl.col("unknown"))
        assert known[f"{name}_parts"].to_list() == pytest.approx(known[name].to_list(), abs=1e-5)
        split = parts.filter((pl.col("share_ratio") < 1) & pl.col(name).is_not_null()).join(
            filed.select("declaration_id", whole=name), on="declaration_id"
        )
        wanted = (split["whole"] * split["share_ratio"]).to_list()
        assert split[name].to_list() == pytest.approx(wanted, rel=1e-9, abs=2e-5)
    assert parts["share_ratio"].is_between(0.0, 1.0, closed="right").all()


@PROPERTY
@given(rows=mixed_worlds(), seed=st.integers(0, 1_000))
def test_pairs_are_the_same_bit_by_bit_when_rows_come_in_another_order(rows: list[dict[str, Any]], seed: int) -> None:
    if not rows:
        return
    one, two = pair_rows(*rows), reconcile.pair(
        frame(*rows).sample(fraction=1.0, shuffle=True, seed=seed),
        complete(GERMANY, POLAND, CANADA, KAZAKHSTAN), TABLES,
    )  # fmt: skip
    assert one.pairs.equals(two.pairs, null_equal=True)
    assert one.sources.equals(two.sources, null_equal=True)


@PROPERTY
@given(rows=mixed_worlds())
def test_pairs_are_mirrored_when_roles_are_swapped(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    swapped = [row | {"flow_code": {"X": "M", "M": "X"}[row["flow_code"]]} for row in rows]
    one, two = pair_rows(*rows).pairs, pair_rows(*swapped).pairs
    turned = two.select(
        *("product_code", "hs_revision", "is_edition_mismatch", "hs_ambiguity_ratio"),
        exporter_code="importer_code", importer_code="exporter_code",
        exporter_value_usd="importer_value_usd", importer_value_usd="exporter_value_usd",
        exporter_net_weight_kg="importer_net_weight_kg", importer_net_weight_kg="exporter_net_weight_kg",
    )  # fmt: skip
    key = ["exporter_code", "importer_code", "product_code"]
    assert_frame_equal(one.select(turned.columns).sort(key), turned.sort(key))
