"""Which pulled rows count: not those a newer version withdrew, nor those of an edition that the API replaced.

Belongs here: from pulls to contracted declarations and run ids. Does not belong here: the pull itself (`test_pull`) and
the rules of the contract (`tests/unit/comtrade/contract`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.pipeline.availability import pulled_deliveries, read_availability, read_listed, write_availability
from orchestration.pipeline.declarations import contract_periods, deliveries_of_run, land
from orchestration.pipeline.plan import input_fingerprint, make_plan
from orchestration.stand_in import DatasetKey, Fault, Faults
from tests.unit.pipeline.pulling import Pulling, data_set, pulling, reference

KEY = DatasetKey("C", "A", "2022", 156, "H6")
TWO_PRODUCTS, ONE_PRODUCT = data_set(156, "2022", 25), data_set(156, "2022", 20)
OLD, NEW = data_set(156, "2022", 5, edition="H5"), data_set(156, "2022", 4, edition="H6")
OLD_NAME, NEW_NAME = "C-A-2022-156-H5", "C-A-2022-156-H6"


def contracted(found: Pulling, table: str = "declarations") -> pl.DataFrame:
    """One table of 2022 after the contract."""
    paths, keys = found.paths, make_plan(found.settings).period_keys
    contract_periods(paths, deliveries_of_run(found.settings, paths), keys, keys, reference(), "code")
    return pl.read_parquet(paths.table("contracted", table, "A-2022"))


def standing(found: Pulling) -> pl.DataFrame:
    """Rows of 2022 that no newer version replaced or withdrew."""
    return contracted(found).filter(pl.col("account_reason") != "superseded_vintage")


def counting(found: Pulling) -> list[str]:
    """Names of the data sets whose deliveries a run reads."""
    return sorted({entry.source_file[:15] for entry in pulled_deliveries(found.paths)})


def test_rows_that_a_newer_version_lacks_do_not_count_when_both_were_pulled(tmp_path: Path) -> None:
    """The second product once stayed current for ever."""
    with pulling(tmp_path, TWO_PRODUCTS) as found:
        found.pull()
        assert contracted(found, "revisions").is_empty()
        found.stand_in.holdings.revise(KEY, ONE_PRODUCT)
        found.pull()
        assert standing(found)["value_usd"].sum() == pytest.approx(ONE_PRODUCT["primaryValue"].sum())
        withdrawn = TWO_PRODUCTS["primaryValue"].sum() - ONE_PRODUCT["primaryValue"].sum()
        (revision,) = contracted(found, "revisions").to_dicts()
        assert (revision["keys_removed_count"], revision["keys_added_count"]) == (5, 0)
        assert revision["value_removed_usd"] == pytest.approx(withdrawn)
        declared = contracted(found)["value_usd"].sum()
        assert declared == pytest.approx(TWO_PRODUCTS["primaryValue"].sum() + ONE_PRODUCT["primaryValue"].sum())


def test_an_earlier_version_is_current_again_when_the_api_goes_back_to_it(tmp_path: Path) -> None:
    with pulling(tmp_path, TWO_PRODUCTS) as found:
        found.pull()
        first = read_availability(found.paths)
        found.stand_in.holdings.revise(KEY, ONE_PRODUCT)
        found.pull()
        before = input_fingerprint(found.settings)
        write_availability(found.paths, first)
        assert input_fingerprint(found.settings) != before
        assert standing(found)["value_usd"].sum() == pytest.approx(TWO_PRODUCTS["primaryValue"].sum())


def test_nothing_is_withdrawn_when_the_newer_version_was_believed_although_rows_are_missing(tmp_path: Path) -> None:
    revised = TWO_PRODUCTS.with_columns(pl.col("primaryValue") * 2)
    with pulling(tmp_path, TWO_PRODUCTS) as found:
        found.pull()
        found.stand_in.holdings.revise(KEY, revised)
        found.stand_in.set_faults(Faults.mixed(1, 1.0, ["capped"], like=Fault("capped", rows=20)))
        done = found.pull()
        assert any("came twice alike" in note for note in done.notes), done
        (landed,) = (e for e in found.ledger if e.note)
        assert (landed.row_count, landed.is_whole) == (20, False)
        assert standing(found).group_by("delivery_id").len().sort("len")["len"].to_list() == [5, 20]
        (revision,) = contracted(found, "revisions").to_dicts()
        assert (revision["keys_removed_count"], revision["value_removed_usd"]) == (0, 0.0)


def test_an_edition_does_not_count_when_the_api_lists_another_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both editions once counted side by side: the reporter's trade was doubled."""
    caplog.set_level(logging.INFO, "mirror_warehouse")
    with pulling(tmp_path, OLD) as found:
        found.pull()
        assert land(found.settings, found.paths, reference(), "").replaced == {}
        before = input_fingerprint(found.settings)
    other = data_set(156, "2022", 4, edition="H6").with_columns(cmdCode=pl.lit("010190"))
    with pulling(tmp_path, other) as found:
        found.pull()
        assert [entry.source_file[:15] for entry in found.ledger] == [OLD_NAME, NEW_NAME]
        assert all((found.paths.landed / file.path).is_file() for entry in found.ledger for file in entry.files)
        assert counting(found) == [NEW_NAME]
        assert input_fingerprint(found.settings) != before
        summary = land(found.settings, found.paths, reference(), "")
        assert (summary.row_count, summary.replaced) == (4, {OLD_NAME: (NEW_NAME,)})
        assert f"{OLD_NAME}: now {NEW_NAME}" in caplog.text
        assert contracted(found).height == 4
        assert standing(found)["value_usd"].sum() == pytest.approx(other["primaryValue"].sum())


def test_an_edition_counts_until_the_one_in_its_place_has_landed(tmp_path: Path) -> None:
    with pulling(tmp_path, OLD) as found:
        found.pull()
    with pulling(tmp_path, NEW, faults=Faults.mixed(1, 1.0, ["empty"], ("data/v1/get",))) as found:
        assert len(found.pull().unsettled) == 1
        assert [one.data_set.name for one in read_availability(found.paths)] == [NEW_NAME]
        assert counting(found) == [OLD_NAME]
        found.stand_in.set_faults(Faults())
        found.pull()
        assert counting(found) == [NEW_NAME]


def test_an_edition_counts_when_it_vanished_and_none_took_its_place(tmp_path: Path) -> None:
    with pulling(tmp_path, OLD, data_set(56, "2022")) as found:
        found.pull()
    with pulling(tmp_path, data_set(56, "2022")) as found:
        found.pull()
        assert counting(found) == ["C-A-2022-056-H6", OLD_NAME]
        write_availability(found.paths, [])
        assert counting(found) == ["C-A-2022-056-H6", OLD_NAME]


def test_an_edition_counts_again_when_the_api_lists_it_again(tmp_path: Path) -> None:
    with pulling(tmp_path, OLD) as found:
        found.pull()
    with pulling(tmp_path, NEW) as found:
        found.pull()
    with pulling(tmp_path, OLD) as found:
        assert found.pull().landed == ()
        assert counting(found) == [OLD_NAME]
    with pulling(tmp_path, OLD, NEW) as found:
        found.pull()
        assert counting(found) == [OLD_NAME, NEW_NAME]


@pytest.mark.parametrize("narrowed", [{"api_reporters": "56"}, {"api_first_year": 2023}, {"api_frequencies": "M"}])
def test_a_replaced_edition_does_not_come_back_when_the_settings_ask_for_less(
    tmp_path: Path, narrowed: dict[str, Any]
) -> None:
    others = (data_set(56, "2023"), data_set(56, "202301"))
    with pulling(tmp_path, OLD) as found:
        found.pull()
    with pulling(tmp_path, NEW, *others) as found:
        found.pull()
    with pulling(tmp_path, NEW, *others, **narrowed) as found:
        found.pull()
        assert NEW_NAME not in [one.data_set.name for one in read_availability(found.paths)]
        assert NEW_NAME in [one.data_set.name for one in read_listed(found.paths)]
        assert counting(found) == ["C-A-2022-156-H6", "C-A-2023-056-H6", "C-M-202301-056-"]


def test_what_the_last_list_said_counts_when_a_folder_has_no_other(tmp_path: Path) -> None:
    """Folders of pulls made before `listed.json` was kept have the last list alone."""
    with pulling(tmp_path, OLD) as found:
        found.pull()
    with pulling(tmp_path, NEW) as found:
        found.pull()
        (found.paths.pull / "listed.json").unlink()
        assert counting(found) == [NEW_NAME]
        (found.paths.pull / "availability.json").unlink()
        assert read_listed(found.paths) == []
        assert counting(found) == [OLD_NAME, NEW_NAME]
