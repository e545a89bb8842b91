"""Effects that hide, move or rename declarations: thresholds, confidential codes, areas nes, editions, origin.

Each is there when it is alone in a world that otherwise declares the truth, and absent when it is off. What is
hidden or moved keeps its value: the reporter's total is the same.
"""

from __future__ import annotations

import polars as pl
import pytest

from orchestration.sample import Delivery
from tests.unit.sample.worlds import PAIR, PLAIN, SPECIAL_PARTNERS, Worlds, against_truth, alone, bilateral, coded

YEAR, MONTH = "A-2023", "M-202305"
REPORTER_FLOW = ["reporter", "flow"]


def _rows(worlds: Worlds, *effects: str, key: str = YEAR) -> pl.DataFrame:
    return bilateral(worlds.kept(alone(*effects), key).declared)


def _plain(worlds: Worlds, key: str = YEAR) -> pl.DataFrame:
    return bilateral(worlds.kept(PLAIN, key).declared)


def _sums(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Value and weight by key, in whole thousandths: exact whatever the order."""
    whole = (pl.col("primaryValue", "netWgt").fill_null(0.0) * 1000).round().cast(pl.Int64)
    return rows.group_by(by).agg(whole.sum()).sort(by)


def test_flows_below_the_reporters_threshold_are_missing_when_thresholds_are_on(worlds: Worlds) -> None:
    for key in (YEAR, MONTH):
        delivery = worlds.made(alone("threshold"), key)
        for flow, reporter in (("X", "exporter_code"), ("M", "importer_code")):
            declared = against_truth(delivery, flow)
            value = pl.col("true_fob_usd")
            limits = declared.group_by(reporter).agg(
                least_filed=value.filter(pl.col("value_usd").is_not_null()).min(),
                most_missing=value.filter(pl.col("value_usd").is_null()).max(),
            )
            short = limits.drop_nulls("most_missing")
            assert short.height >= 3
            assert declared["value_usd"].null_count() > 15
            assert (short["most_missing"] < short["least_filed"]).all()
            assert short["most_missing"].max() < 10_000
            assert short["least_filed"].min() >= 1_000
            assert limits["most_missing"].null_count() > 10


def test_nothing_is_missing_when_thresholds_are_off(worlds: Worlds) -> None:
    truth = worlds.kept(PLAIN, YEAR).truth["true_flow"]
    assert truth.filter(pl.col("true_fob_usd") < 10_000).height > 50
    assert _plain(worlds).height == 2 * truth.height


def _hidden(worlds: Worlds, key: str) -> pl.DataFrame:
    """Reporter, flow and product that the plain world shows and the confidential one does not."""
    shown = _rows(worlds, "confidential", key=key).select(*REPORTER_FLOW, "product").unique()
    return _plain(worlds, key).select(*REPORTER_FLOW, "product").unique().join(shown, on=shown.columns, how="anti")


def test_whole_products_of_some_reporters_are_in_999999_when_confidential_is_on(worlds: Worlds) -> None:
    rows, hidden = _rows(worlds, "confidential"), _hidden(worlds, YEAR)
    secret = rows.filter(pl.col("product") == "999999")
    assert secret["reporter"].n_unique() > 5
    assert hidden.height > 20
    taken = _plain(worlds).join(hidden, on=hidden.columns, how="semi")
    value = ["reporter", "flow", "partner", "primaryValue"]
    assert _sums(taken, *value[:3]).select(value).equals(_sums(secret, *value[:3]).select(value))
    others = rows.filter(pl.col("product") != "999999")
    assert others.equals(_plain(worlds).join(hidden, on=hidden.columns, how="anti"))
    assert set(secret["qtyUnitCode"]) == {-1}


def test_the_same_products_stay_hidden_when_periods_pass(worlds: Worlds) -> None:
    year, next_year = _hidden(worlds, YEAR), _hidden(worlds, "A-2024")
    later = _plain(worlds, "A-2024").select(year.columns).unique()
    assert year.join(later, on=year.columns, how="semi").join(next_year, on=year.columns, how="anti").height == 0


def test_half_of_the_hidden_products_are_shown_against_the_world_when_totals_are_filed(worlds: Worlds) -> None:
    declared = coded(worlds.made(alone("confidential", "control_totals"), YEAR).declared)
    world = declared.filter((pl.col("partner") == "000") & (pl.col("aggrLevel") == 6))
    hidden = _hidden(worlds, YEAR).join(world.select("reporter").unique(), on="reporter", how="semi")
    shown = hidden.join(world, on=[*REPORTER_FLOW, "product"], how="semi")
    assert 0 < shown.height < hidden.height


def test_nothing_is_secret_when_confidential_is_off(worlds: Worlds) -> None:
    assert _plain(worlds).filter(pl.col("product").str.starts_with("99")).height == 0


def test_some_partners_are_areas_nes_when_they_are_on(worlds: Worlds) -> None:
    rows = _rows(worlds, "nes_partners")
    special = rows.filter(pl.col("partner").is_in(SPECIAL_PARTNERS))
    assert special["reporter"].n_unique() > 10
    assert special["partner"].n_unique() >= 6
    assert {"837", "838", "839", "899"} <= set(special["partner"])
    assert 0.002 < special.height / rows.height < 0.05
    assert _sums(rows, "reporter", "flow", "product").equals(_sums(_plain(worlds), "reporter", "flow", "product"))
    rest = rows.join(special, on=[*REPORTER_FLOW, "partner", "product"], how="anti")
    assert rest.join(_plain(worlds), on=rest.columns, how="anti", nulls_equal=True).height == 0


def test_the_same_cells_are_nes_when_periods_pass(worlds: Worlds) -> None:
    lost = [
        against_truth(worlds.made(alone("nes_partners"), key), "X").filter(pl.col("value_usd").is_null())
        for key in (YEAR, "A-2024")
    ]
    traded = worlds.kept(PLAIN, "A-2024").truth["true_flow"]
    assert lost[0].height > 10
    assert lost[0].join(traded, on=PAIR, how="semi").join(lost[1], on=PAIR, how="anti").height == 0


def test_every_partner_is_a_trader_when_nes_is_off(worlds: Worlds) -> None:
    assert set(_plain(worlds)["partner"]) <= set(_plain(worlds)["reporter"])


@pytest.mark.parametrize(("key", "newest", "older"), [("A-2018", "H5", {"H4"}), (YEAR, "H6", {"H5"})])
def test_some_reporters_file_an_older_edition_when_editions_are_mixed(
    worlds: Worlds, key: str, newest: str, older: set[str]
) -> None:
    rows = _rows(worlds, "mixed_editions", key=key)
    editions = rows.group_by("reporter").agg(pl.col("classificationCode").unique())
    assert set(editions["classificationCode"].list.len()) == {1}
    counts = dict(editions["classificationCode"].list.first().value_counts().iter_rows())
    assert set(counts) == {newest} | older
    assert counts[newest] > editions.height / 2
    assert _sums(rows, "reporter", "flow", "partner").equals(_sums(_plain(worlds, key), "reporter", "flow", "partner"))
    pairs = rows.filter(pl.col("flow") == "X").select("reporter", "partner").unique()
    edition = dict(editions.select("reporter", pl.col("classificationCode").list.first()).iter_rows())
    assert any(edition[one] != edition.get(two, edition[one]) for one, two in pairs.iter_rows())


@pytest.mark.parametrize(("key", "edition"), [("A-2018", "H5"), ("A-2021", "H5"), (YEAR, "H6")])
def test_everybody_files_the_newest_edition_when_editions_are_not_mixed(worlds: Worlds, key: str, edition: str) -> None:
    assert set(_plain(worlds, key)["classificationCode"]) == {edition}


def test_a_watched_code_is_filed_as_its_predecessor_when_the_edition_does_not_know_it(worlds: Worlds) -> None:
    truth = worlds.kept(PLAIN, "A-2021").truth["true_flow"]
    assert truth.filter(pl.col("product_code") == "880624").height > 0
    filed = set(_plain(worlds, "A-2021")["product"])
    assert not {code for code in filed if code.startswith(("8806", "8807"))}
    families = worlds.frames["product_families"]
    drones = families.filter((pl.col("family_code") == "unmanned_aircraft") & (pl.col("relation") == "predecessor"))[
        "product_code"
    ]
    assert set(drones) & filed


def _origins(delivery: Delivery, plain: Delivery) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Import rows that lost value against the plain world, and those that gained it."""
    key = ["reporter", "partner", "product"]
    sides = [
        bilateral(one.declared).filter(pl.col("flow") == "M").select(*key, usd="primaryValue")
        for one in (delivery, plain)
    ]
    both = sides[0].join(sides[1], on=key, how="full", coalesce=True, suffix="_plain")
    moved = both.with_columns(pl.col("usd", "usd_plain").fill_null(0.0)).with_columns(
        change=pl.col("usd") - pl.col("usd_plain")
    )
    return moved.filter(pl.col("change") < -1e-3), moved.filter(pl.col("change") > 1e-3)


def test_some_importers_name_the_origin_of_hub_goods_when_origin_recording_is_on(worlds: Worlds) -> None:
    delivery, plain = worlds.made(alone("origin_recording"), YEAR), worlds.kept(PLAIN, YEAR)
    lost, gained = _origins(delivery, plain)
    hubs = worlds.frames["place_roles"].filter(pl.col("role") == "reexport_hub")["place_code"]
    assert lost.height > 20
    assert set(lost["partner"]) <= set(hubs)
    assert gained["partner"].n_unique() > 3
    transit = worlds.frames["place_roles"].filter(pl.col("role") == "transit_candidate")["place_code"]
    assert set(gained["partner"]) & set(transit) <= {"156"}  # goods are not said to come from a country they pass
    assert set(lost["reporter"]) == set(gained["reporter"])
    assert lost["reporter"].n_unique() < 0.6 * bilateral(plain.declared)["reporter"].n_unique()
    by = ["reporter", "product"]
    before, after = (frame.group_by(by).agg(pl.col("change").sum().round(1)).sort(by) for frame in (lost, gained))
    assert before.with_columns(-pl.col("change")).equals(after)
    exports = [bilateral(one.declared).filter(pl.col("flow") == "X") for one in (delivery, plain)]
    assert exports[0].equals(exports[1])


def test_importers_name_the_country_that_sent_the_goods_when_origin_recording_is_off(worlds: Worlds) -> None:
    assert against_truth(worlds.kept(PLAIN, YEAR), "M")["value_usd"].null_count() == 0
