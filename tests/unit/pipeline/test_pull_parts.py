"""A data set that is too large for one call comes in parts: few of them, none asked for twice, never half of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.quota import CallBook
from orchestration.comtrade.contract.schema import API_COLUMNS
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.pull import COMPLETE, RESUMABLE, PullSummary, limits_of, pull, rows_by_partner
from orchestration.reference import Reference, load_reference
from orchestration.settings import Settings
from orchestration.stand_in import Fault, Faults, Holdings, KeyLimits, StandIn, serve

KEY = "key-of-the-tests"
CAP = 100
DATA = "data/v1/get"


@pytest.fixture(scope="session")
def reference(seeds_dir: Path) -> Reference:
    """The reference tables."""
    return load_reference(seeds_dir)


def declared(rows_of: Mapping[str, int], reference: Reference, world_share: int = 12) -> pl.DataFrame:
    """Rows of reporter 056 in some years: one of `world_share` with the World, others with some partners more than
    with most.
    """
    partners = [int(code) for code in reference.places["place_code"].sort().to_list()]
    products = reference.hs_codes.filter(pl.col("product_code").str.len_chars() == 6)["product_code"].sort().to_list()
    rows = []
    for period, count in rows_of.items():
        for number in range(count):
            partner = partners[number**2 * 7 % len(partners) if number % world_share else 0]
            given = {
                "typeCode": "C", "freqCode": "A", "period": period, "reporterCode": 56, "classificationCode": "H6",
                "flowCode": "M", "partnerCode": partner, "partner2Code": 0,
                "cmdCode": products[number * 31 % len(products)], "customsCode": "C00", "mosCode": "0", "motCode": 0,
                "refPeriodId": int(period) * 10_000 + 101, "refYear": int(period), "refMonth": 52,
                "primaryValue": float(number + 1), "classificationSearchCode": "HS", "isOriginalClassification": True,
            }  # fmt: skip
            rows.append({name: given.get(name) for name in API_COLUMNS})
    return pl.DataFrame(rows, schema=API_COLUMNS)


def stand_in_of(rows: pl.DataFrame, reference: Reference, faults: Faults | None = None) -> StandIn:
    key = KeyLimits(rows=CAP, calls_a_day=None)
    return StandIn(Holdings.from_frames([rows]), {KEY: key}, faults=faults, reference=reference)


def pull_from(stand_in: StandIn, folder: Path, reference: Reference, calls_a_day: int = 10_000) -> PullSummary:
    with serve(stand_in) as served:
        settings = Settings(
            source="api",
            api_key=KEY,
            api_address=served.address,
            data_dir=folder,
            api_rows_a_call=CAP,
            api_calls_a_day=calls_a_day,
            api_calls_a_second=10_000.0,
        )  # type: ignore[arg-type]
        paths, limits = DataPaths(settings.data_folder), limits_of(settings)
        book = CallBook(paths.pull / "calls.sqlite", limits, "tests")
        with Client(book, limits, KEY, served.address, sleep=lambda _: None) as client:
            return pull(settings, paths, reference, client, book, "pull-of-the-tests")


def landed(folder: Path) -> list[float]:
    """The values that landed, sorted: every row of `declared` has another one in its year."""
    frames = [pl.read_parquet(path, columns=["primaryValue"]) for path in sorted(folder.rglob("landed/**/*.parquet"))]
    return sorted(pl.concat(frames)["primaryValue"].to_list())


def questions(stand_in: StandIn) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(tuple(sorted(call.query.items())) for call in stand_in.calls if call.endpoint == DATA)


def test_the_last_call_takes_all_that_is_left_when_its_rows_fit(tmp_path: Path, reference: Reference) -> None:
    stand_in = stand_in_of(declared({"2022": 150}, reference), reference)
    done = pull_from(stand_in, tmp_path, reference)
    assert (done.status, done.row_count) == (COMPLETE, 150)
    assert landed(tmp_path) == [float(n) for n in range(1, 151)]
    assert questions(stand_in).total() == 2


def test_fewer_calls_are_made_when_a_neighbouring_year_tells_the_weight_of_partners(
    tmp_path: Path, reference: Reference
) -> None:
    both = stand_in_of(declared({"2021": 900, "2022": 900}, reference), reference)
    pull_from(both, tmp_path, reference)
    calls = Counter(call.query["period"] for call in both.calls if call.endpoint == DATA)
    assert 10 <= calls["2022"] < calls["2021"]
    assert landed(tmp_path) == sorted([float(n) for n in range(1, 901)] * 2)


@pytest.mark.parametrize("kind", ["capped", "empty", "duplicate_rows", "cut_short", "new_column"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_all_rows_land_once_when_one_part_comes_wrong(
    kind: str, call: int, tmp_path: Path, reference: Reference
) -> None:
    """Parts of a doubtful data set were kept, read again in the next round and believed as the same answer twice."""
    faults = Faults.scripted({call: Fault(kind)})  # type: ignore[arg-type]
    stand_in = stand_in_of(declared({"2022": 150}, reference), reference, faults)
    done = pull_from(stand_in, tmp_path, reference)
    assert (done.status, done.unsettled) == (COMPLETE, ())
    assert landed(tmp_path) == [float(n) for n in range(1, 151)]


@pytest.mark.parametrize("calls_a_day", [2, 3, 5, 8])
def test_no_part_is_asked_for_twice_when_the_pull_stops_between_parts(
    calls_a_day: int, tmp_path: Path, reference: Reference
) -> None:
    stand_in = stand_in_of(declared({"2021": 350, "2022": 450}, reference), reference)
    assert pull_from(stand_in, tmp_path, reference, calls_a_day).status == RESUMABLE
    assert pull_from(stand_in, tmp_path, reference).status == COMPLETE
    assert set(questions(stand_in).values()) == {1}
    assert landed(tmp_path) == sorted([float(n) for n in range(1, 351)] + [float(n) for n in range(1, 451)])


@pytest.mark.parametrize("calls_a_day", [4, 12, 20, 21, 22, 23, 24])
def test_a_partner_is_divided_by_product_when_it_alone_is_too_large(
    calls_a_day: int, tmp_path: Path, reference: Reference
) -> None:
    """Parts by product that stood there from an earlier pull closed the data set before their turn had come."""
    stand_in = stand_in_of(declared({"2022": 300}, reference, world_share=2), reference)
    assert pull_from(stand_in, tmp_path, reference, calls_a_day).status == RESUMABLE
    assert pull_from(stand_in, tmp_path, reference).status == COMPLETE
    assert landed(tmp_path) == [float(n) for n in range(1, 301)]
    assert set(questions(stand_in).values()) == {1}


def test_nothing_is_known_of_partners_when_the_reporter_has_not_landed(tmp_path: Path) -> None:
    assert rows_by_partner(tmp_path, "A", "2022", "056") == {}


def test_rows_of_the_nearest_period_are_counted_when_several_have_landed(tmp_path: Path) -> None:
    for period, codes in (("2015", [0]), ("2019", [0, 0, 4, None]), ("2023", [8])):
        folder = tmp_path / f"A-{period}"
        folder.mkdir()
        pl.DataFrame({"partnerCode": codes}, schema={"partnerCode": pl.Int64}).write_parquet(
            folder / "056_H6_abc.parquet"
        )
    assert rows_by_partner(tmp_path, "A", "2020", "056") == {"000": 2, "004": 1}
    assert rows_by_partner(tmp_path, "A", "2021", "056") == {"000": 2, "004": 1}
    assert rows_by_partner(tmp_path, "A", "2022", "056") == {"008": 1}
    assert rows_by_partner(tmp_path, "M", "202201", "056") == {}


def test_flagged_and_damaged_files_stop_no_pull_when_rows_of_partners_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "A-2022"
    folder.mkdir()
    plain, flagged = folder / "056_H5_abc.parquet", folder / "056_H6_abc.parquet"
    pl.DataFrame({"partnerCode": [4, 4]}).write_parquet(plain)
    pl.DataFrame({"partnerCode": [4, 8], "quarantine_field": ["newColumn", None]}).write_parquet(flagged)
    assert rows_by_partner(tmp_path, "A", "2022", "056") == {"004": 3, "008": 1}
    flagged.write_bytes(b"PAR1")
    assert rows_by_partner(tmp_path, "A", "2022", "056") == {}
