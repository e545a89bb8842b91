"""Landing inside a run: names in sub-folders, stated dates, unreadable periods, and real vintages.

Belongs here: what the pipeline makes of readers, landing and ledger together. Does not belong here: any one of them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.contract import apply_contract
from orchestration.comtrade.files import Delivery, read_delivery
from orchestration.comtrade.landing import UNREADABLE_PERIOD_KEY, land_delivery, read_period
from orchestration.comtrade.ledger import LedgerEntry, precedence
from orchestration.pipeline.declarations import (
    LandingSummary,
    contract_periods,
    contract_tables,
    deliveries_of_run,
    land,
)
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, make_plan
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings

OLDER, NEWER = "d7381ce6", "07eac450"


@pytest.fixture(scope="module")
def reference(seeds_dir: Path) -> Reference:
    return load_reference(seeds_dir)


@pytest.fixture
def folder(tmp_path: Path, project_dir: Path) -> Path:
    """A folder with two files of the same name, one refused and one with a period that cannot be read."""
    downloads, root = project_dir / "tests" / "fixtures" / "downloads", tmp_path / "declarations"
    for sub in ("kazakhstan", "later"):
        (root / sub).mkdir(parents=True)
    shutil.copy(downloads / "website.csv", root / "kazakhstan" / "download.csv")
    later = (downloads / "website.csv").read_text().replace('"120001"', '"130001"')
    (root / "later" / "download.csv").write_text(later)
    legacy = (downloads / "website_legacy.csv").read_text().replace("H5,2017,2017,2017,6", "H4,2017,soon,soon,6")
    (root / "legacy.csv").write_text(legacy)
    (root / "letter.txt").write_text("Dear colleague, find the figures attached.\n")
    (root / "README.md").write_text("Downloads of today.\n")
    return root


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> tuple[Settings, DataPaths]:
    settings = Settings(source="files", declarations=folder, data_dir=tmp_path / "data")
    return settings, DataPaths(settings.data_folder)


def _land(run: tuple[Settings, DataPaths], reference: Reference) -> LandingSummary:
    return land(*run, reference, "fingerprint")


def _by_name(entries: list[LedgerEntry]) -> dict[str, LedgerEntry]:
    return {entry.source_file: entry for entry in entries}


def test_files_of_one_name_stay_apart_when_they_lie_in_sub_folders(
    run: tuple[Settings, DataPaths], reference: Reference
) -> None:
    summary = _land(run, reference)
    assert sorted(_by_name(deliveries_of_run(*run))) == ["kazakhstan/download.csv", "later/download.csv", "legacy.csv"]
    assert [refusal.source_file for refusal in summary.refusals] == ["letter.txt"]
    kept = json.loads((run[1].root / "refusals.json").read_text())
    assert [set(r) for r in kept] == [{"source_file", "what", "why_it_matters", "how_to_mend"}]
    assert _land(run, reference).newly_landed_count == 0


def test_every_filed_dollar_is_contracted_when_a_period_cannot_be_read(
    run: tuple[Settings, DataPaths], reference: Reference
) -> None:
    settings, paths = run
    summary = _land(run, reference)
    keys = make_plan(settings).period_keys
    assert keys == (UNREADABLE_PERIOD_KEY, "A-2017")
    contract_periods(paths, deliveries_of_run(*run), keys, keys, reference, "code")
    booked = pl.concat(pl.read_parquet(paths.table("contracted", "declarations", key)) for key in keys)
    assert (booked.height, booked["value_usd"].sum()) == (summary.row_count, summary.value_usd)
    unread = booked.filter(pl.col("period_start").is_null())
    assert unread.select("account", "account_reason", "quarantine_field", "quarantine_value", "value_usd").rows() == [
        ("quarantine", "unparseable_field", "period", "soon", 700.0),
        ("quarantine", "unparseable_field", "period", "soon", 120001.0),
    ]


@pytest.mark.parametrize("newer", ["kazakhstan/download.csv", "later/download.csv"])
def test_the_stated_date_decides_when_it_is_given_after_the_files_landed(
    run: tuple[Settings, DataPaths], folder: Path, reference: Reference, newer: str
) -> None:
    _land(run, reference)
    dates = dict.fromkeys(("kazakhstan/download.csv", "later/download.csv"), "2020-01-01") | {newer: "2021-01-01"}
    (folder / "vintages.csv").write_text("file,released_on\n" + "".join(f"{n},{d}\n" for n, d in dates.items()))
    before = make_plan(run[0]).input_fingerprint
    assert _land(run, reference).newly_landed_count == 0
    entries = _by_name(deliveries_of_run(*run))
    assert entries[newer].released_on == date(2021, 1, 1)
    ranks = dict(precedence(list(entries.values())).select("delivery_id", "precedence").iter_rows())
    assert ranks[entries[newer].delivery_id] == max(ranks.values())
    (folder / "vintages.csv").unlink()
    assert make_plan(run[0]).input_fingerprint != before


def test_a_delivery_is_read_again_when_the_table_of_places_changed(
    run: tuple[Settings, DataPaths], reference: Reference
) -> None:
    assert _land(run, reference).newly_landed_count == 3
    changed = replace(reference, places=reference.places.head(-1))
    assert _land(run, changed).newly_landed_count == 3
    assert _land(run, changed).newly_landed_count == 0


def test_a_run_is_refused_with_reasons_when_no_file_holds_a_declaration(tmp_path: Path) -> None:
    folder = tmp_path / "declarations"
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear colleague, find the figures attached.\n")
    settings = Settings(source="files", declarations=folder, data_dir=tmp_path / "data")
    with pytest.raises(PlanError, match=r"letter\.txt: its columns .* of no known layout"):
        make_plan(settings)
    (folder / "letter.txt").write_text('{"count": 0, "data": []}')
    with pytest.raises(PlanError, match="none, they have no rows"):
        make_plan(settings)


def _wood(shared_dir: Path, reference: Reference, vintage: str) -> Delivery:
    path = shared_dir / "declarations" / "wood_annual_hs4" / f"uncomtrade_4401__{vintage}.parquet"
    delivery = read_delivery(path, reference.places, None)
    assert isinstance(delivery, Delivery)
    return delivery


def test_the_newer_real_vintage_supersedes_the_older_when_no_date_is_stated(
    shared_dir: Path, reference: Reference, tmp_path: Path
) -> None:
    """Whole vintages are ranked; of their files only those of the last year are written, for time."""
    entries, whole = {}, []
    for vintage in (OLDER, NEWER):
        delivery = _wood(shared_dir, reference, vintage)
        sets = delivery.rows.select("period", "reporterCode", "classificationCode").n_unique()
        last = replace(delivery, rows=delivery.rows.filter(pl.col("period") == "2022"))
        entries[vintage] = land_delivery(last, tmp_path / "landed", tmp_path / "ledger")
        files = entries[vintage].files[:1] * sets
        whole.append(replace(entries[vintage], row_count=delivery.rows.height, files=files))
    for order in (precedence(whole), precedence(list(entries.values()))):
        ranks = dict(order.select("delivery_id", "precedence").iter_rows())
        assert ranks[entries[NEWER].delivery_id] > ranks[entries[OLDER].delivery_id]
    rows = read_period(list(entries.values()), tmp_path / "landed", "A-2022")
    result = apply_contract(rows, contract_tables(reference), order)
    assert set(result.revisions["newer_delivery_id"]) == {entries[NEWER].delivery_id}
    superseded = result.declarations.filter(pl.col("account_reason") == "superseded_vintage")
    assert set(superseded["delivery_id"]) == {entries[OLDER].delivery_id}
    assert superseded.height == entries[OLDER].row_count
