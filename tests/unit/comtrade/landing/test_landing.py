"""Landing: which files a delivery becomes, that they are never rewritten, that an interruption costs nothing.

Belongs here: files and their content. Does not belong here: the ledger's own rules (`test_ledger`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.comtrade import landing
from orchestration.comtrade.contract import account_balance, apply_contract
from orchestration.comtrade.contract.schema import LANDED
from orchestration.comtrade.landing import (
    UNREADABLE_PERIOD_KEY,
    LandingError,
    land_delivery,
    period_keys_of,
    read_period,
)
from orchestration.comtrade.ledger import is_landed, precedence, read_ledger
from orchestration.pipeline.declarations import contract_tables
from orchestration.reference import load_reference
from tests.unit.comtrade.landing.builders import delivery_of

MIXED = (
    {"reporterCode": 398},
    {"reporterCode": 4, "period": "2018", "primaryValue": 7.0},
    {"reporterCode": 398, "classificationCode": "H4", "primaryValue": 3.0},
    {"reporterCode": 398, "freqCode": "M", "period": "202101", "primaryValue": 11.0},
    {"reporterCode": 398, "primaryValue": None},
    {"reporterCode": None, "quarantine_field": "reporterCode", "quarantine_value": "here"},
    {"classificationCode": None},
    {"classificationCode": "../H5"},
)


def _bytes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_one_file_lands_per_reporter_period_and_classification_when_rows_are_mixed(tmp_path: Path) -> None:
    entry = land_delivery(delivery_of(*MIXED), tmp_path / "landed", tmp_path / "ledger")
    landed = {file.path: (file.period_key, file.row_count, file.value_usd) for file in entry.files}
    assert landed == {
        "A-2017/398_H4_aaaaaaaaaaaa.parquet": ("A-2017", 1, 3.0),
        "A-2017/398_H5_aaaaaaaaaaaa.parquet": ("A-2017", 2, 100.0),
        "A-2017/398_unknown_aaaaaaaaaaaa.parquet": ("A-2017", 2, 200.0),
        "A-2017/unknown_H5_aaaaaaaaaaaa.parquet": ("A-2017", 1, 100.0),
        "A-2018/004_H5_aaaaaaaaaaaa.parquet": ("A-2018", 1, 7.0),
        "M-202101/398_H5_aaaaaaaaaaaa.parquet": ("M-202101", 1, 11.0),
    }
    assert sorted(_bytes(tmp_path / "landed")) == sorted(landed)
    assert (entry.row_count, entry.value_usd) == (8, 421.0)
    assert all(file.checksum == _bytes(tmp_path / "landed")[file.path] for file in entry.files)


def test_a_period_reads_back_as_it_was_filed_when_it_has_landed(tmp_path: Path) -> None:
    delivery = delivery_of(*MIXED)
    entry = land_delivery(delivery, tmp_path / "landed", tmp_path / "ledger")
    for key in entry.period_keys:
        back = read_period([entry], tmp_path / "landed", key)
        assert back.schema == LANDED
        frequency, period = key.split("-")
        filed = delivery.rows.filter((pl.col("freqCode") == frequency) & (pl.col("period") == period))
        assert back.sort("source_line").equals(filed)
    assert read_period([entry], tmp_path / "landed", "A-1999").equals(pl.DataFrame(schema=LANDED))


def test_landed_files_carry_their_delivery_when_they_are_read_alone(tmp_path: Path) -> None:
    land_delivery(delivery_of({"primaryValue": None}), tmp_path / "landed", tmp_path / "ledger")
    (path,) = (tmp_path / "landed").rglob("*.parquet")
    alone = pl.read_parquet(path)
    assert {"delivery_id", "source_line", "primaryValue"} <= set(alone.columns)
    assert "grossWgt" not in alone.columns  # Columns nobody filled are not stored.


@pytest.mark.parametrize(
    ("frequency", "period"),
    [
        (None, "2017"), ("A", None), ("A", "201701"), ("M", "2017"), ("M", "201713"), ("M", "201700"), ("Q", "20171"),
        ("A", "0000"), ("A", "soon"), ("a", "2017"),
    ],
)  # fmt: skip
def test_rows_land_in_a_period_of_their_own_when_theirs_cannot_be_read(
    tmp_path: Path, frequency: str | None, period: str | None
) -> None:
    delivery = delivery_of({}, {"freqCode": frequency, "period": period, "primaryValue": 5.0})
    assert period_keys_of(delivery.rows) == [UNREADABLE_PERIOD_KEY, "A-2017"]
    entry = land_delivery(delivery, tmp_path / "landed", tmp_path / "ledger")
    assert read_period([entry], tmp_path / "landed", UNREADABLE_PERIOD_KEY)["primaryValue"].to_list() == [5.0]


def test_rows_of_unreadable_periods_are_quarantined_with_their_value_when_contracted(
    tmp_path: Path, seeds_dir: Path
) -> None:
    odd = [("A", None), (None, "2017"), ("M", "201713"), ("Q", "20171"), (None, None)]
    delivery = delivery_of(*({"freqCode": f, "period": p} for f, p in odd))
    entry = land_delivery(delivery, tmp_path / "landed", tmp_path / "ledger")
    rows = read_period([entry], tmp_path / "landed", UNREADABLE_PERIOD_KEY)
    booked = apply_contract(rows, contract_tables(load_reference(seeds_dir)), precedence([entry])).declarations
    balance = account_balance(rows, booked)
    assert balance.select("account", "account_reason", "declaration_count", "value_usd").rows() == [
        ("quarantine", "unparseable_field", 5, 500.0)
    ]


OPTIONAL_TEXT = st.none() | st.sampled_from(["2017", "201701", "201799", "x", "", "H5", "HS", "..", "A", "M"])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "freqCode": OPTIONAL_TEXT,
                "period": OPTIONAL_TEXT,
                "classificationCode": OPTIONAL_TEXT,
                "reporterCode": st.none() | st.integers(0, 999),
                "primaryValue": st.none() | st.floats(allow_nan=True, allow_infinity=True),
            }
        ),
        max_size=12,
    )
)
def test_no_row_is_lost_or_doubled_when_any_rows_land(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    delivery = delivery_of(*rows)
    entry = land_delivery(delivery, folder / "landed", folder / "ledger")
    assert list(entry.period_keys) == period_keys_of(delivery.rows)
    back = [read_period([entry], folder / "landed", key) for key in entry.period_keys]
    assert pl.concat([delivery.rows.clear(), *back]).sort("source_line").equals(delivery.rows)
    assert entry.row_count == sum(file.row_count for file in entry.files) == len(rows)


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def _die_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the landing rename this many files and then end without any clean-up."""
    renames = iter(range(count))
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if next(renames, None) is None:
            raise Killed
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("count", range(7))
def test_a_landing_ends_with_the_same_bytes_when_it_was_killed_after_some_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(landing, "_FILES_AT_ONCE", 2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    land_delivery(delivery_of(*MIXED), whole / "landed", whole / "ledger")
    with monkeypatch.context() as dying:
        _die_after(count, dying)
        with pytest.raises(Killed):
            land_delivery(delivery_of(*MIXED), killed / "landed", killed / "ledger")
    assert not is_landed(killed / "ledger", "aaaaaaaaaaaa")
    before = {path: path.stat().st_mtime_ns for path in (killed / "landed").rglob("*.parquet")}
    assert len(before) == count
    land_delivery(delivery_of(*MIXED), killed / "landed", killed / "ledger")
    assert _bytes(killed / "landed") == _bytes(whole / "landed")
    assert _bytes(killed / "ledger") == _bytes(whole / "ledger")
    assert {path: path.stat().st_mtime_ns for path in before} == before  # What had landed is not written again.


@pytest.mark.parametrize("damage", [b"", b"PAR1 half a file"])
def test_a_damaged_file_is_written_anew_when_its_delivery_was_never_booked(tmp_path: Path, damage: bytes) -> None:
    land_delivery(delivery_of(*MIXED), tmp_path / "whole", tmp_path / "ledger_of_whole")
    path = tmp_path / "landed" / "A-2017" / "398_H5_aaaaaaaaaaaa.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    land_delivery(delivery_of(*MIXED), tmp_path / "landed", tmp_path / "ledger")
    assert _bytes(tmp_path / "landed") == _bytes(tmp_path / "whole")


def test_nothing_is_touched_when_a_delivery_lands_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = land_delivery(delivery_of(*MIXED), tmp_path / "landed", tmp_path / "ledger")
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("a landed file was written again"))
    assert land_delivery(delivery_of(*MIXED), tmp_path / "landed", tmp_path / "ledger") == first


def test_two_vintages_lie_side_by_side_when_both_have_landed(tmp_path: Path) -> None:
    older = delivery_of({}, {"cmdCode": "854232"})
    newer = delivery_of({"primaryValue": 120.0}, delivery_id="bbbbbbbbbbbb")
    entries = [land_delivery(d, tmp_path / "landed", tmp_path / "ledger") for d in (newer, older)]
    rows = read_period(entries, tmp_path / "landed", "A-2017")
    assert rows.select("delivery_id", "source_line", "primaryValue").rows() == [
        ("aaaaaaaaaaaa", 1, 100.0), ("aaaaaaaaaaaa", 2, 100.0), ("bbbbbbbbbbbb", 1, 120.0)
    ]  # fmt: skip
    assert read_period(entries[:1], tmp_path / "landed", "A-2017")["primaryValue"].to_list() == [120.0]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("harm", "said"),
    [(Path.unlink, "is missing or empty"), (_truncate, "has changed since"), (_flip, "has changed since")],
)
def test_a_period_is_refused_when_a_landed_file_is_gone_or_changed(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    entry = land_delivery(delivery_of({}), tmp_path / "landed", tmp_path / "ledger")
    harm(tmp_path / "landed" / entry.files[0].path)
    with pytest.raises(LandingError, match=said):
        read_period([entry], tmp_path / "landed", "A-2017")


def test_a_delivery_lands_anew_when_other_readers_read_it(tmp_path: Path) -> None:
    misread = delivery_of({"classificationCode": "HS"}, {"period": "2016"}, reader="old")
    land_delivery(misread, tmp_path / "landed", tmp_path / "ledger")
    assert is_landed(tmp_path / "ledger", "aaaaaaaaaaaa")
    assert not is_landed(tmp_path / "ledger", "aaaaaaaaaaaa", reader="new")
    entry = land_delivery(delivery_of({}, {"period": "2016"}, reader="new"), tmp_path / "landed", tmp_path / "ledger")
    assert is_landed(tmp_path / "ledger", "aaaaaaaaaaaa", reader="new")
    assert read_ledger(tmp_path / "ledger") == [entry]
    assert sorted(_bytes(tmp_path / "landed")) == [
        "A-2016/398_H5_aaaaaaaaaaaa.parquet", "A-2017/398_H5_aaaaaaaaaaaa.parquet"
    ]  # fmt: skip
    assert read_period([entry], tmp_path / "landed", "A-2017")["classificationCode"].to_list() == ["H5"]
