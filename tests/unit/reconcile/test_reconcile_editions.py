"""Corridors of two HS editions: the newer side is read in the codes of the older one.

Belongs here: which codes are converted, the weights of a split, ambiguity, and what it does to intervals.
Does not belong here: what holds for any rows (`test_reconcile_editions_properties`), real declarations
(`test_reconcile_real`), the links of the seed as facts (`test_reference`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration import reconcile
from orchestration.reconcile.editions import FULL_AMBIGUITY_VARIANCE, hs_variance
from orchestration.reconcile.tables import CORRELATION_COLUMNS
from orchestration.reference import load_reference
from tests.unit.reconcile.builders import (
    CANADA,
    GERMANY,
    KAZAKHSTAN,
    declared,
    exports,
    imports,
    small_tables,
)
from tests.unit.reconcile.edition_rows import AMOUNTS, LINKS, NEW, TABLES, flows_of, pair_rows


def test_one_flow_is_made_of_two_when_a_code_was_renamed() -> None:
    flows = flows_of(exports(product_code="440791", **NEW), imports(value_usd=90.0))
    assert list(flows) == ["440710"]
    row = flows["440710"]
    assert (row["status"], row["exporter_value_usd"], row["importer_value_usd"]) == ("two_sided", 100.0, 90.0)
    assert (row["exporter_hs_revision"], row["importer_hs_revision"], row["hs_revision"]) == ("H6", "H5", "H5")
    assert (row["is_edition_mismatch"], row["hs_ambiguity_ratio"]) == (True, 0.0)


def test_the_importer_is_converted_when_its_edition_is_the_newer_one() -> None:
    flows = flows_of(exports(), imports(product_code="440791", value_usd=90.0, **NEW))
    assert [(row["status"], row["importer_value_usd"]) for row in flows.values()] == [("two_sided", 90.0)]


def test_every_amount_is_split_by_the_mirrors_values_when_a_code_has_two_targets() -> None:
    result = pair_rows(
        imports(product_code="440792", value_usd=200.0, cif_value_usd=200.0, fob_value_usd=180.0, quantity=40.0,
                quantity_unit_code="8", net_weight_kg=20.0, **NEW),
        exports(product_code="440720", value_usd=30.0),
        exports(product_code="440810", value_usd=10.0),
    )  # fmt: skip
    columns = [f"importer_{c}" for c in AMOUNTS]
    assert result.pairs.select("product_code", *columns, "hs_ambiguity_ratio").rows() == [
        ("440720", 150.0, 150.0, 135.0, 30.0, 15.0, 0.25),
        ("440810", 50.0, 50.0, 45.0, 10.0, 5.0, 0.25),
    ]
    parts = result.sources.filter(pl.col("declaration_id") == "d0001")
    assert parts.select("mirror_flow_id", "share_ratio").rows() == [
        ("A-2019-276-616-440720", 0.75),
        ("A-2019-276-616-440810", 0.25),
    ]


def test_all_who_file_the_older_edition_give_the_weights_when_the_mirror_holds_no_target() -> None:
    others = [declared(reporter_code=CANADA, partner_code=KAZAKHSTAN, product_code=code, value_usd=value)
              for code, value in (("440720", 60.0), ("440810", 40.0))]  # fmt: skip
    pairs = pair_rows(exports(product_code="440792", **NEW), imports(product_code="030214"), *others).pairs
    own = pairs.filter(pl.col("exporter_code") == GERMANY, pl.col("exporter_value_usd").is_not_null())
    assert own.select("product_code", "exporter_value_usd").rows() == [("440720", 60.0), ("440810", 40.0)]
    assert own["hs_ambiguity_ratio"].to_list() == pytest.approx([0.4, 0.4])


def test_targets_share_alike_when_nobody_declares_any() -> None:
    flows = flows_of(exports(product_code="440792", **NEW), imports(product_code="030214"))
    assert [flows[c]["exporter_value_usd"] for c in ("440720", "440810")] == [50.0, 50.0]
    assert flows["440720"]["hs_ambiguity_ratio"] == 0.5
    assert flows["440720"]["is_edition_mismatch"]


def test_ambiguity_is_weighted_by_value_when_rows_of_a_side_meet() -> None:
    rows = [
        exports(product_code="440792", value_usd=100.0, **NEW),
        exports(product_code="440720", value_usd=50.0, **NEW),
    ]
    flows = flows_of(*rows, imports(product_code="440720"), imports(product_code="440810"))
    assert flows["440720"]["exporter_value_usd"] == 100.0  # half of 100 split, and 50 under the same code
    assert flows["440720"]["hs_ambiguity_ratio"] == pytest.approx(0.25)
    assert flows["440810"]["hs_ambiguity_ratio"] == pytest.approx(0.5)


def test_a_split_is_one_row_again_without_doubt_when_its_parts_meet_in_one_heading() -> None:
    result = pair_rows(exports(product_code="440793", **NEW), imports(product_code="4407"))
    row = result.pairs.row(0, named=True)
    assert (row["product_code"], row["exporter_value_usd"], row["exporter_declaration_count"]) == ("4407", 100.0, 1)
    assert row["exporter_declaration_id"] == "d0001"
    assert result.sources["share_ratio"].to_list() == [1.0, 1.0]
    # The importer's heading is of the older edition: nothing but the exporter's row is converted.
    assert row["hs_ambiguity_ratio"] == 0.0


def test_a_code_goes_over_every_step_when_editions_lie_two_apart() -> None:
    flows = flows_of(exports(product_code="440791", **NEW), imports(product_code="440999", hs_revision="H4"))
    assert [(c, row["status"], row["hs_ambiguity_ratio"]) for c, row in flows.items()] == [("440999", "two_sided", 0.0)]


def test_ambiguity_is_unknown_when_a_step_has_no_table() -> None:
    flows = flows_of(exports(**NEW), imports(hs_revision="H3"))
    assert (flows["440710"]["is_edition_mismatch"], flows["440710"]["hs_ambiguity_ratio"]) == (True, None)


def test_a_code_stays_as_filed_when_it_leads_to_more_codes_than_can_be_told_apart() -> None:
    flows = flows_of(exports(product_code="440794", **NEW), imports(product_code="440910"))
    own, other = flows["440794"], flows["440910"]
    assert (own["exporter_value_usd"], own["is_edition_mismatch"], own["hs_ambiguity_ratio"]) == (100.0, True, 1.0)
    assert (other["is_edition_mismatch"], other["hs_ambiguity_ratio"]) == (False, 0.0)


def test_headings_are_unknown_only_when_goods_left_or_entered_them() -> None:
    flows = flows_of(*(exports(product_code=c, **NEW) for c in ("4407", "4401", "8501", "8503")),
                   *(imports(product_code=c) for c in ("4407", "4401", "8501", "8503")))  # fmt: skip
    assert {c: row["hs_ambiguity_ratio"] for c, row in flows.items()} == {
        "4407": None, "4401": 0.0, "8501": 1.0, "8503": 0.0,
    }  # fmt: skip


def test_a_heading_stands_once_when_corridors_differ_in_their_newest_edition() -> None:
    to_canada = {"partner_code": CANADA}
    from_germany = {"reporter_code": CANADA, "partner_code": GERMANY, "hs_revision": "H4"}
    paired = pair_rows(
        exports(product_code="4411", hs_revision="H5"),
        imports(product_code="4411", hs_revision="H4"),
        exports(product_code="4411", hs_revision="H5", **to_canada),
        exports(product_code="4412", **NEW, **to_canada),
        imports(product_code="4411", **from_germany),
    )
    assert paired.sources.group_by("declaration_id").len()["len"].to_list() == [1] * 5
    assert paired.pairs["exporter_value_usd"].to_list() == [100.0] * 3


def test_nothing_changes_when_both_sides_file_one_edition() -> None:
    rows = [exports(product_code=c, **NEW) for c in ("440791", "440792", "850100")]
    rows += [imports(product_code=c, **NEW) for c in ("440710", "440792")]
    rows += [exports(partner_code=CANADA, product_code="440791", **NEW)]
    rows += [declared(reporter_code=KAZAKHSTAN, product_code="440720", hs_revision="H5")]
    with_links, without = pair_rows(*rows), pair_rows(*rows, tables=small_tables())
    assert_frame_equal(with_links.pairs, without.pairs)
    assert_frame_equal(with_links.sources, without.sources)


def _sub(flow: str, **changes: Any) -> dict[str, Any]:
    return exports(**({"account": "special", "account_reason": "sub_flow"} | changes)) | {"flow_code": flow}


def test_a_chapter_that_both_sides_file_in_one_edition_stays_when_another_chapter_is_mixed() -> None:
    # Canada's set of wood is older than its set of fish: fish of both sides in H6 has nothing to be converted for.
    links = pl.concat(
        [LINKS, pl.DataFrame([("H6", "030391", "H5", "030390")], schema=list(CORRELATION_COLUMNS), orient="row")]
    )
    fish, wood = {"product_code": "030391"} | NEW, {"product_code": "440791"} | NEW
    rows = [exports(**fish), imports(**fish), exports(**wood), imports(product_code="440710", hs_revision="H5")]
    flows = flows_of(*rows, tables=small_tables(hs_correlations=links))
    assert set(flows) == {"030391", "440710"}
    assert flows["030391"]["is_edition_mismatch"] is False
    assert flows["030391"]["hs_revision"] == "H6"
    # Who files none of a chapter stands in the edition of its other goods: their partner's chapter is converted.
    alone = flows_of(*rows[:1], *rows[3:], tables=small_tables(hs_correlations=links))
    assert set(alone) == {"030390", "440710"}
    assert alone["030390"]["is_edition_mismatch"] is True


def test_reexports_follow_the_exports_when_those_are_converted() -> None:
    flows = flows_of(
        exports(product_code="440792", **NEW), _sub("RX", product_code="440792", value_usd=40.0, **NEW),
        imports(product_code="440720", value_usd=75.0), imports(product_code="440810", value_usd=25.0),
    )  # fmt: skip
    assert [flows[c]["reexport_usd"] for c in ("440720", "440810")] == [30.0, 10.0]
    assert [flows[c]["reexport_share_ratio"] for c in ("440720", "440810")] == pytest.approx([0.4, 0.4])


# Chapters 85 and 88, with the links of the seed.


@pytest.fixture(scope="module")
def seeded(seeds_dir: Path) -> reconcile.ReconcileTables:
    return replace(small_tables(), hs_correlations=load_reference(seeds_dir).hs_correlations)


@pytest.mark.parametrize(
    ("filed_new", "filed_old"),
    [
        ("880622", "852580"),  # UNSD's table makes a television camera of a drone
        ("880624", "880220"),
        ("854151", "851712"),  # and a mobile telephone of a transducer made of semiconductors
        ("854159", "851712"),
    ],
)
def test_goods_of_barred_chapters_never_meet_by_the_table_and_are_not_called_lost_when_codes_changed(
    seeded: reconcile.ReconcileTables, filed_new: str, filed_old: str
) -> None:
    flows = flows_of(exports(product_code=filed_new, **NEW), imports(product_code=filed_old), tables=seeded)
    assert set(flows) == {filed_new, filed_old}
    for row in flows.values():
        assert (row["is_edition_mismatch"], row["hs_ambiguity_ratio"]) == (True, 1.0)
        assert row["status"] != "two_sided"
    assert flows[filed_new]["exporter_value_usd"] == flows[filed_old]["importer_value_usd"] == 100.0


def test_an_unchanged_code_of_a_barred_chapter_meets_itself_when_editions_differ(
    seeded: reconcile.ReconcileTables,
) -> None:
    row = flows_of(exports(product_code="854231", **NEW), imports(product_code="854231"), tables=seeded)["854231"]
    assert (row["status"], row["is_edition_mismatch"], row["hs_ambiguity_ratio"]) == ("two_sided", True, 0.0)


def test_a_code_into_which_others_were_merged_is_not_comparable_when_its_chapter_is_barred(
    seeded: reconcile.ReconcileTables,
) -> None:
    row = flows_of(exports(product_code="880220", **NEW), imports(product_code="880220"), tables=seeded)["880220"]
    assert (row["status"], row["hs_ambiguity_ratio"]) == ("two_sided", 1.0)


# Intervals and training.


def _variance(side: str, **changes: Any) -> float:
    row = {"exporter_hs_revision": "H6", "importer_hs_revision": "H5", "hs_revision": "H5", "hs_ambiguity_ratio": 0.5}
    schema = {"exporter_hs_revision": pl.String, "importer_hs_revision": pl.String, "hs_ambiguity_ratio": pl.Float64}
    return float(pl.DataFrame([row | changes], schema_overrides=schema).select(hs_variance(side)).item())


def test_the_converted_side_alone_carries_the_variance_when_it_is_ambiguous() -> None:
    assert _variance("exporter") == FULL_AMBIGUITY_VARIANCE / 2
    assert _variance("importer") == 0.0
    assert _variance("exporter", hs_ambiguity_ratio=0.0) == 0.0
    assert _variance("exporter", hs_ambiguity_ratio=None) == FULL_AMBIGUITY_VARIANCE


def test_a_one_sided_flow_as_filed_carries_no_variance_of_conversion_when_it_may_not_be_compared() -> None:
    alone = {"importer_hs_revision": None, "hs_revision": "H6", "hs_ambiguity_ratio": 1.0}
    assert (_variance("exporter", **alone), _variance("importer", **alone)) == (0.0, 0.0)


def _estimated(code: str, *importers: dict[str, Any]) -> dict[str, Any]:
    tables = TABLES
    pairs = pair_rows(exports(product_code=code, **NEW), *importers).pairs
    cif = reconcile.fit_valuation(
        reconcile.valuation_training(reconcile.cif_sources(pairs, tables)),
        pl.DataFrame(schema={"cif_source": pl.String, "value_usd": pl.Float64}), "A", tables,
    )  # fmt: skip
    valued = reconcile.apply_valuation(pairs, cif, tables)
    model = reconcile.fit_reliability(reconcile.reliability_training(valued.clear()))
    flows = reconcile.estimate(valued, model)
    return flows.filter(pl.col("product_code") == "440720").row(0, named=True)


def test_the_interval_is_wider_and_the_mirror_weighs_more_when_the_conversion_is_in_doubt() -> None:
    certain = _estimated("440720", imports(product_code="440720", value_usd=50.0))
    doubtful = _estimated("440792", *(imports(product_code=c, value_usd=50.0) for c in ("440720", "440810")))
    assert doubtful["hs_ambiguity_ratio"] == 0.5
    assert doubtful["sd_log"] > certain["sd_log"]
    assert doubtful["importer_weight_ratio"] > certain["importer_weight_ratio"]


@pytest.mark.parametrize(("ratio", "trains"), [(0.0, 1), (0.1, 0), (None, 0)])
def test_a_pair_of_two_editions_trains_only_when_its_conversion_is_without_doubt(
    ratio: float | None, trains: int
) -> None:
    rows = [exports(product_code="440791", net_weight_kg=1.0, **NEW), imports(net_weight_kg=1.0)]
    pairs = pair_rows(*rows).pairs.with_columns(hs_ambiguity_ratio=pl.lit(ratio, dtype=pl.Float64))
    sources = reconcile.cif_sources(pairs, TABLES)
    training = reconcile.valuation_training(sources)
    assert training.height == trains
    cif = reconcile.fit_valuation(
        training, pl.DataFrame(schema={"cif_source": pl.String, "value_usd": pl.Float64}), "A", TABLES
    )
    assert reconcile.reliability_training(reconcile.apply_valuation(pairs, cif, TABLES)).height == trains
