"""Pulls from the stand-in: every served row lands once, whatever goes wrong, and nothing is asked for twice.

Belongs here: behaviour of `orchestration.pipeline.pull` with landing and ledger. Does not belong here: the client
(`tests/unit/comtrade/api`) and speed (`bench/pull.py`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.comtrade.api.errors import KeyRefused, RequestRefused
from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.requests import Version
from orchestration.comtrade.contract import apply_contract
from orchestration.comtrade.ledger import PULLED_FORMAT, precedence
from orchestration.pipeline import pull as pull_module
from orchestration.pipeline.availability import read_availability
from orchestration.pipeline.declarations import contract_tables
from orchestration.pipeline.plan import PlanError
from orchestration.pipeline.pull import (
    COMPLETE,
    RESUMABLE,
    limits_of,
    open_client,
    plan_pull,
    read_unsettled,
)
from orchestration.settings import Settings
from orchestration.stand_in import DatasetKey, Fault, Faults, KeyLimits
from orchestration.stand_in.faults import KINDS, Kind
from tests.unit.pipeline.pulling import KEY, PRODUCTS, Pulling, as_served, data_set, in_fixed_order, pulling, reference

WORLD = (data_set(156, "2021"), data_set(156, "2022", 7), data_set(56, "2022"), data_set(56, "202201"))
ONE = data_set(156, "2022")
STOPPED = {"missing_key": KeyRefused, "invalid_key": KeyRefused}
AVAILABILITY = ("data/v1/getda",)


def always(kind: Kind, endpoints: Sequence[str] = ("data/v1/get",)) -> Faults:
    """Every call meets this fault."""
    return Faults.mixed(1, 1.0, [kind], endpoints)


def assert_all_landed_once(found: Pulling, *served: pl.DataFrame) -> None:
    assert_frame_equal(in_fixed_order(found.landed()), as_served(*served))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Pulling]:
    """Four data sets, nothing landed yet."""
    with pulling(tmp_path / "data", *WORLD) as found:
        yield found


def test_every_served_row_lands_once_when_all_is_pulled(world: Pulling) -> None:
    done = world.pull()
    assert (done.status, done.why, done.unsettled, done.notes) == (COMPLETE, "", (), ())
    assert_all_landed_once(world, *WORLD)
    assert (done.row_count, len(done.landed), done.period_keys) == (22, 4, ("A-2021", "A-2022", "M-202201"))
    assert done.calls == len(world.stand_in.calls) == 4
    assert [entry.source_file.rsplit("-", 1)[0] for entry in world.ledger] == [
        "C-A-2021-156-H6", "C-A-2022-056-H6", "C-A-2022-156-H6", "C-M-202201-056-H6",
    ]  # fmt: skip


def test_the_ledger_says_where_a_data_set_came_from_when_it_lands(world: Pulling) -> None:
    done = world.pull()
    by_id = {entry.delivery_id: entry for entry in world.ledger}
    assert set(by_id) == {version.delivery_id for version in done.landed}
    for version in done.landed:
        entry = by_id[version.delivery_id]
        assert (entry.row_count, entry.released_on) == (version.row_count, version.last_released)
        assert (entry.source_format, entry.pull_id, entry.note) == (PULLED_FORMAT, "a-pull", "")
        assert entry.request.startswith("C/")
        assert len(entry.answer_checksum) == 64
        rows = world.landed().filter(pl.col("delivery_id") == entry.delivery_id)
        assert rows["source_line"].to_list() == list(range(1, version.row_count + 1))
        assert entry.value_usd == pytest.approx(rows["primaryValue"].sum())
        assert set(rows["source_file"]) == {version.source_file}


def test_the_same_bytes_land_when_answers_come_in_another_order(world: Pulling, tmp_path: Path) -> None:
    world.pull()
    with pulling(tmp_path / "other", *WORLD, faults=always("reordered")) as other:
        other.pull()
    ours, theirs = ([(e.delivery_id, e.files) for e in one.ledger] for one in (world, other))
    assert ours == theirs
    keys = world.landed().filter(pl.col("period") == "2021").select("flowCode", "partnerCode", "cmdCode")
    assert keys.rows() == sorted(keys.rows())


def test_only_availability_is_asked_for_when_all_has_landed(world: Pulling) -> None:
    world.pull()
    before = len(world.stand_in.calls)
    done = world.pull()
    assert (done.status, done.landed, done.calls) == (COMPLETE, (), 2)
    assert [call.endpoint for call in world.stand_in.calls[before:]] == ["data/v1/getda"] * 2


def test_a_revised_data_set_lands_beside_the_older_one_when_it_is_pulled_again(world: Pulling) -> None:
    world.pull()
    older, before = world.ledger, len(world.stand_in.calls)
    world.stand_in.holdings.scale(DatasetKey("C", "A", "2022", 156, "H6"), 2.0)
    (version,) = world.pull().landed
    assert version.data_set.name == "C-A-2022-156-H6"
    (call,) = world.data_calls(before)
    assert (call.query["reportercode"], call.query["period"]) == ("156", "2022")
    both = [e for e in world.ledger if e.source_file.startswith(version.data_set.name)]
    assert [e in world.ledger for e in older] == [True] * 4
    (old,) = [e for e in both if e in older]
    (new,) = [e for e in both if e not in older]
    assert new.value_usd == pytest.approx(2 * old.value_usd)
    assert old.released_on is not None
    assert new.released_on == old.released_on + timedelta(days=30)
    assert (world.paths.landed / old.files[0].path).is_file()
    assert dict(precedence(both).select("delivery_id", "precedence").iter_rows()) == {
        old.delivery_id: 1,
        new.delivery_id: 2,
    }


def test_only_what_the_settings_name_is_pulled_when_they_name_something(tmp_path: Path) -> None:
    named = {"api_frequencies": "A", "api_first_year": 2022, "api_last_year": 2022, "api_reporters": "56"}
    with pulling(tmp_path, *WORLD, **named) as found:
        assert [one.data_set.name for one in found.pull().landed] == ["C-A-2022-056-H6"]
    with pulling(tmp_path / "later", *WORLD, api_first_year=2022, api_frequencies="A") as found:
        assert [one.data_set.period for one in found.pull().landed] == ["2022", "2022"]


def test_only_some_periods_are_pulled_when_they_are_named(world: Pulling) -> None:
    assert world.pull(period_keys=["A-2021"]).period_keys == ("A-2021",)
    assert world.pull(period_keys=["A-2021", "M-202201"]).period_keys == ("M-202201",)


def test_a_pull_is_resumable_and_asks_for_nothing_landed_when_the_api_says_the_quota_is_spent(tmp_path: Path) -> None:
    limits = KeyLimits(calls_a_day=3)
    with pulling(tmp_path, *WORLD, key_limits=limits, api_periods_a_call=1) as found:
        first = found.pull()
        assert first.status == RESUMABLE
        assert "quota" in first.why
        assert len(first.landed) == 1
        assert found.pull().status == RESUMABLE
        found.stand_in.give_back_quota()
        before = len(found.stand_in.calls)
        second = found.pull(day=1)
        third_calls = found.data_calls(before)
        assert {v.data_set for v in first.landed} & {v.data_set for v in second.landed} == set()
        landed_first = first.landed[0].data_set
        assert not [c for c in third_calls if c.query["period"] == landed_first.period]
        found.stand_in.give_back_quota()
        assert found.pull(day=2).status == COMPLETE
        assert_all_landed_once(found, *WORLD)
        answered = [(c.path, c.query["period"], c.query["reportercode"]) for c in found.data_calls() if c.status == 200]
        assert len(answered) == len(set(answered)) == 3


def test_no_call_beyond_the_quota_is_made_when_it_is_spent_by_our_own_count(tmp_path: Path) -> None:
    with pulling(tmp_path, *WORLD, api_calls_a_day=3, api_periods_a_call=1) as found:
        assert found.pull().status == RESUMABLE
        assert len(found.stand_in.calls) == 3
        assert found.pull().calls == 0
        assert len(found.stand_in.calls) == 3
        while found.pull(day=len(found.stand_in.calls)).status != COMPLETE:
            pass
        assert_all_landed_once(found, *WORLD)


LARGE = data_set(156, "2022", 100)


def test_a_data_set_is_asked_for_in_parts_when_it_is_too_large_for_one_call(tmp_path: Path) -> None:
    with pulling(tmp_path, LARGE, data_set(56, "2022"), api_rows_a_call=60) as found:
        done = found.pull()
        assert (done.status, done.notes) == (COMPLETE, ())
        assert_all_landed_once(found, LARGE, data_set(56, "2022"))
        parts = [call for call in found.data_calls() if call.query["reportercode"] == "156"]
        assert len(parts) > 1
        assert all(call.rows < 60 for call in parts)
        codes = [code for call in parts for code in call.query["partnercode"].split(",")]
        assert len(codes) == len(set(codes)) == reference().places.height
        assert not (found.paths.pull / "parts").exists()
        (entry,) = [e for e in found.ledger if "-156-" in e.source_file]
        assert entry.row_count == 100


def test_an_answer_is_narrowed_until_it_is_whole_when_it_comes_cut_off(tmp_path: Path) -> None:
    """All rows are with one partner, so that groups of partners do not help and products must be named."""
    served = data_set(156, "2022", 2 * len(PRODUCTS), partner=643)
    with pulling(tmp_path, served, api_rows_a_call=8) as found:
        assert found.pull().status == COMPLETE
        assert_all_landed_once(found, served)
        asked = [tuple(sorted(call.query.items())) for call in found.data_calls()]
        assert len(asked) == len(set(asked))
        assert [call.rows for call in found.data_calls()].count(8) > 1


def test_less_is_asked_for_at_a_time_when_the_key_gets_fewer_rows_than_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without this, the answer would come twice alike and be believed without the rows beyond the cap."""
    monkeypatch.setattr("orchestration.pipeline.pull.KNOWN_CAPS", (60,))
    served = (LARGE, data_set(56, "2022"))
    with pulling(tmp_path, *served, key_limits=KeyLimits(rows=60), api_rows_a_call=1_000) as found:
        done = found.pull()
        assert (done.status, done.notes) == (COMPLETE, ())
        assert_all_landed_once(found, *served)
    assert "MIRROR_API_ROWS_A_CALL says 1000" in caplog.text


def test_less_is_asked_for_at_a_time_when_the_api_takes_shorter_addresses_than_are_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served = data_set(156, "2022", 2 * len(PRODUCTS), partner=643)
    with pulling(tmp_path, served, api_rows_a_call=12, api_address_characters=30_000) as found:
        assert found.pull().status == COMPLETE
        assert_all_landed_once(found, served)
        assert 414 in [call.status for call in found.stand_in.calls]
    assert "MIRROR_API_ADDRESS_CHARACTERS" in caplog.text


def test_a_data_set_stays_doubtful_with_a_mend_when_its_answer_cannot_be_narrowed_further(tmp_path: Path) -> None:
    rows = data_set(156, "2022", 1, partner=643)
    served = pl.concat([rows.with_columns(motCode=pl.lit(n, pl.Int64)) for n in range(6)])
    with pulling(tmp_path, served, data_set(56, "2022", 2), api_rows_a_call=4, api_periods_a_call=1) as found:
        done = found.pull()
    (refused,) = done.unsettled
    assert "cannot be narrowed further" in refused.what
    assert "MIRROR_API_ROWS_A_CALL" in refused.how_to_mend
    assert [one.data_set.reporter_code for one in done.landed] == ["056"]


def test_parts_are_not_asked_for_again_when_a_pull_stopped_between_them(tmp_path: Path) -> None:
    faults = Faults.scripted({3: Fault("out_of_quota")})
    with pulling(tmp_path, LARGE, api_rows_a_call=40, faults=faults) as found:
        assert found.pull().status == RESUMABLE
        assert found.ledger == []
        kept = sorted((found.paths.pull / "parts").rglob("*.parquet"))
        assert len(kept) == 2
        assert found.pull(day=1).status == COMPLETE
        assert_all_landed_once(found, LARGE)
        answered = [call.query["partnercode"] for call in found.data_calls() if call.status == 200]
        assert len(answered) == len(set(answered)) > 2


def test_parts_of_another_period_stay_when_a_pull_of_other_periods_ends(tmp_path: Path) -> None:
    """A complete pull of one range once removed the parts of every other one, and they were asked for again."""
    faults = Faults.scripted({3: Fault("out_of_quota")})
    with pulling(tmp_path, LARGE, data_set(56, "202201"), api_rows_a_call=40, faults=faults) as found:
        assert found.pull(period_keys=["A-2022"]).status == RESUMABLE
        kept = sorted((found.paths.pull / "parts").rglob("*.parquet"))
        assert len(kept) == 2
        assert found.pull(day=1, period_keys=["M-202201"]).status == COMPLETE
        assert sorted((found.paths.pull / "parts").rglob("*.parquet")) == kept
        assert found.pull(day=1, period_keys=["A-2022"]).status == COMPLETE
        assert not (found.paths.pull / "parts").exists()
        answered = [tuple(sorted(call.query.items())) for call in found.data_calls() if call.status == 200]
        assert len(answered) == len(set(answered))


def test_a_cut_answer_is_not_asked_for_again_when_a_pull_stopped_while_it_was_narrowed(tmp_path: Path) -> None:
    served = data_set(156, "2022", 2 * len(PRODUCTS), partner=643)
    faults = Faults.scripted({10: Fault("out_of_quota")})
    with pulling(tmp_path, served, api_rows_a_call=8, faults=faults) as found:
        assert found.pull().status == RESUMABLE
        assert [call.rows for call in found.data_calls()].count(8) > 1
        assert found.pull(day=1).status == COMPLETE
        assert_all_landed_once(found, served)
        answered = [tuple(sorted(call.query.items())) for call in found.data_calls() if call.status == 200]
        assert len(answered) == len(set(answered))


def test_parts_land_without_a_call_when_a_pull_was_killed_after_the_last_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first part closed the data set, and the next ones once ended the pull with a KeyError."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pulling(tmp_path, LARGE, api_rows_a_call=40) as found:
        with monkeypatch.context() as patched:
            patched.setattr("orchestration.pipeline.pull.land_data_sets", killed)
            with pytest.raises(KeyboardInterrupt):
                found.pull()
        before = len(found.stand_in.calls)
        assert found.pull().status == COMPLETE
        assert_all_landed_once(found, LARGE)
        assert found.data_calls(before) == []


def test_parts_of_an_older_version_are_not_mixed_in_when_the_data_set_was_revised_meanwhile(tmp_path: Path) -> None:
    faults = Faults.scripted({3: Fault("out_of_quota")})
    with pulling(tmp_path, LARGE, api_rows_a_call=40, faults=faults) as found:
        found.pull()
        found.stand_in.holdings.scale(DatasetKey("C", "A", "2022", 156, "H6"), 2.0)
        assert found.pull(day=1).status == COMPLETE
        assert_all_landed_once(found, LARGE.with_columns(pl.col("primaryValue") * 2))


def test_a_large_data_set_is_asked_for_again_when_a_part_came_without_a_row(tmp_path: Path) -> None:
    """Parts that stood on the disk once settled the doubt by themselves: they came twice alike without a call."""
    with pulling(tmp_path, LARGE, api_rows_a_call=60, faults=Faults.scripted({1: Fault("capped", rows=3)})) as found:
        done = found.pull()
        assert (done.status, done.notes) == (COMPLETE, ())
        assert_all_landed_once(found, LARGE)


def test_a_data_set_is_asked_for_again_when_one_row_came_twice_in_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of rows is as stated: such an answer was once landed at once, and the row that it lacks was lost."""
    read, answers = pull_module.read_rows, list[int]()

    def read_with_a_double(body: bytes) -> pl.DataFrame:
        rows = read(body)
        answers.append(rows.height)
        return rows if len(answers) > 1 else pl.concat([rows[:-1], rows[:1]])

    monkeypatch.setattr(pull_module, "read_rows", read_with_a_double)
    with pulling(tmp_path, ONE) as found:
        done = found.pull()
        assert (done.status, done.notes, answers) == (COMPLETE, (), [ONE.height] * 2)
        assert_all_landed_once(found, ONE)


def test_repeated_rows_land_with_a_note_when_the_api_gives_them_twice_alike(tmp_path: Path) -> None:
    served = pl.concat([ONE, ONE[:1]])
    with pulling(tmp_path, served) as found:
        (note,) = found.pull().notes
        assert "6 rows (1 of them repeated) came twice alike while the availability list states 6" in note
        assert [(entry.repeated_row_count, entry.is_whole) for entry in found.ledger] == [(1, False)]
        assert_all_landed_once(found, served)


def test_another_server_may_be_named_when_nothing_has_come_from_the_first(tmp_path: Path) -> None:
    """A mistyped address once bound the folder, and the mend that was named was another folder."""
    with pulling(tmp_path, ONE) as found:
        mistyped = found.settings.model_copy(update={"api_address": "http://127.0.0.1:9"})
        with open_client(mistyped, found.paths, "plan"):
            pass
        with open_client(found.settings, found.paths, "plan"):
            pass
        found.pull()
        with pytest.raises(PlanError, match="another server"), open_client(mistyped, found.paths, "plan"):
            pass


def test_rows_that_came_twice_are_dropped_with_a_note_when_the_rest_is_as_stated(tmp_path: Path) -> None:
    with pulling(tmp_path, ONE, faults=Faults.scripted({1: Fault("duplicate_rows", rows=2)})) as found:
        done = found.pull()
        assert_all_landed_once(found, ONE)
        assert len(found.data_calls()) == 1
        (entry,) = found.ledger
        assert entry.note == "2 rows came twice and were dropped"
        assert done.notes == (f"{entry.source_file}: {entry.note}",)


def test_a_smaller_answer_is_asked_for_again_when_it_comes_once(tmp_path: Path) -> None:
    with pulling(tmp_path, *WORLD, faults=Faults.scripted({1: Fault("capped", rows=4)})) as found:
        done = found.pull()
        assert (done.status, done.notes, done.unsettled) == (COMPLETE, (), ())
        assert_all_landed_once(found, *WORLD)


def test_a_smaller_answer_is_believed_with_a_note_when_it_comes_twice_alike(tmp_path: Path) -> None:
    script = {1: Fault("capped", rows=4), 2: Fault("capped", rows=4)}
    with pulling(tmp_path, ONE, faults=Faults.scripted(script)) as found:
        found.pull()
        assert_all_landed_once(found, ONE.head(4))
        assert [entry.note for entry in found.ledger] == [
            "4 rows came twice alike while the availability list states 5"
        ]
        assert len(found.data_calls()) == 2


def test_a_smaller_answer_is_not_believed_when_it_differs_each_time(tmp_path: Path) -> None:
    script = {n: Fault("capped", rows=5 - n) for n in range(1, 5)}
    with pulling(tmp_path, ONE, faults=Faults.scripted(script)) as found:
        done = found.pull()
        assert (done.status, done.notes, done.unsettled) == (COMPLETE, (), ())
        assert_all_landed_once(found, ONE)


def test_an_empty_answer_is_never_believed_when_the_list_states_rows(tmp_path: Path) -> None:
    with pulling(tmp_path, ONE, faults=always("empty")) as found:
        done = found.pull()
        assert (done.landed, found.ledger) == ((), [])
        (refused,) = done.unsettled
        assert "came with 0 rows, the availability list states 5" in refused.what
        assert read_unsettled(found.paths) == done.unsettled
        found.stand_in.set_faults(Faults())
        assert found.pull().unsettled == ()
        assert read_unsettled(found.paths) == ()
        assert_all_landed_once(found, ONE)


def test_a_data_set_is_still_to_land_and_not_doubtful_when_the_quota_ends_after_one_answer(tmp_path: Path) -> None:
    """One short answer, then the end of the quota: the refresh once did not wait for it."""
    script = {1: Fault("capped", rows=4), 2: Fault("out_of_quota")}
    with pulling(tmp_path, ONE, faults=Faults.scripted(script)) as found:
        done = found.pull()
        assert (done.status, done.unsettled, read_unsettled(found.paths)) == (RESUMABLE, (), ())
        assert found.pull(day=1).status == COMPLETE
        assert_all_landed_once(found, ONE)


def test_a_data_set_stays_doubtful_when_the_quota_ends_after_it_was_given_up(tmp_path: Path) -> None:
    with pulling(tmp_path, ONE, faults=always("empty")) as found:
        found.settings = found.settings.model_copy(update={"api_calls_a_day": 3 + Limits().answers_per_data_set})
        done = found.pull()
        assert done.status == RESUMABLE
        (one,) = done.unsettled
        assert "came with 0 rows" in one.what
        assert read_unsettled(found.paths) == done.unsettled


@pytest.mark.parametrize(
    ("fault", "field", "value", "flagged"),
    [
        (Fault("new_column"), "newColumn", "new", 5),
        (Fault("mistyped_cell"), "primaryValue", "not a number", 1),
        (Fault("mistyped_cell", column="motCode"), "motCode", "not a number", 1),
    ],
)
def test_a_doubtful_body_is_believed_with_its_odd_values_in_quarantine_when_it_comes_twice(
    tmp_path: Path, fault: Fault, field: str, value: str, flagged: int
) -> None:
    with pulling(tmp_path, ONE, faults=Faults.scripted({1: fault, 2: fault})) as found:
        done = found.pull()
        rows = found.landed()
        odd = rows.filter(pl.col("quarantine_field").is_not_null())
        assert (rows.height, odd.height) == (5, flagged)
        assert set(odd.select("quarantine_field", "quarantine_value").rows()) == {(field, value)}
        assert any("it came twice and is believed" in note for note in done.notes)
        (kept,) = found.kept_bodies()
        assert json.loads(kept.read_bytes())["count"] == 5
        assert field in kept.with_suffix(".why.txt").read_text()
        order = precedence(found.ledger)
        booked = apply_contract(rows, contract_tables(reference()), order).declarations
        assert booked.filter(pl.col("account") == "quarantine").height == flagged


@pytest.mark.parametrize("kind", ["new_column", "mistyped_cell", "cut_short", "web_page", "wrong_count"])
def test_a_doubtful_body_is_kept_whole_and_forgotten_when_the_next_is_as_it_should_be(
    tmp_path: Path, kind: Kind
) -> None:
    with pulling(tmp_path, ONE, faults=Faults.scripted({1: Fault(kind)})) as found:
        done = found.pull()
        assert (done.notes, done.unsettled) == ((), ())
        assert_all_landed_once(found, ONE)
        assert found.landed()["quarantine_field"].null_count() == 5
        (kept,) = found.kept_bodies()
        assert len(kept.read_bytes()) > 50
        assert kept.with_suffix(".why.txt").read_text().strip()


def test_a_row_without_a_reporter_is_set_aside_when_it_comes_twice(tmp_path: Path) -> None:
    faults = Faults.mixed(1, 1.0, ["mistyped_cell"], like=Fault("held", column="reporterCode"))
    with pulling(tmp_path, ONE, faults=faults) as found:
        done = found.pull()
        assert found.landed().height == 4
        (aside,) = (found.paths.pull / "quarantine").glob("*_unasked.parquet")
        assert pl.read_parquet(aside)["quarantine_value"].to_list() == ["not a number"]
        assert any("not asked for stand in the quarantine" in note for note in done.notes)
        assert [entry.note for entry in found.ledger] == [
            "4 rows came twice alike while the availability list states 5"
        ]


def test_the_others_land_when_one_answer_stays_a_web_page(tmp_path: Path) -> None:
    faults = Faults.scripted({n: Fault("web_page") for n in range(1, 5)})
    with pulling(tmp_path, *WORLD, faults=faults) as found:
        done = found.pull()
        assert (done.status, done.unsettled) == (COMPLETE, ())
        assert_all_landed_once(found, *WORLD)
    with pulling(tmp_path / "never", *WORLD, faults=always("web_page")) as found:
        done = found.pull()
        assert len(done.unsettled) == 4
        assert all("instead of JSON" in one.what for one in done.unsettled)


def test_an_edition_that_landed_is_not_set_aside_when_it_comes_with_a_new_one(tmp_path: Path) -> None:
    with pulling(tmp_path, ONE) as found:
        found.pull()
    older = data_set(156, "2022", 3, edition="H5")
    with pulling(tmp_path, ONE, older) as found:
        done = found.pull()
        assert [(one.data_set.classification_code, one.row_count) for one in done.landed] == [("H5", 3)]
        assert done.notes == ()
        assert_all_landed_once(found, ONE, older)
        assert not (found.paths.pull / "quarantine").exists()


def test_a_pull_stops_with_an_error_and_keeps_what_landed_when_the_key_is_refused(tmp_path: Path) -> None:
    with pulling(tmp_path, *WORLD, api_periods_a_call=1, faults=Faults.scripted({2: Fault("invalid_key")})) as found:
        with pytest.raises(KeyRefused, match="MIRROR_API_KEY"):
            found.pull()
        assert len(found.ledger) == 1
        found.stand_in.set_faults(Faults())
        found.pull()
        assert_all_landed_once(found, *WORLD)


def test_a_pull_stops_at_the_first_call_when_the_key_is_not_known(world: Pulling) -> None:
    with pytest.raises(KeyRefused, match="invalid subscription key"):
        world.pull(key="another-key")
    assert len(world.stand_in.calls) == 1


def test_a_pull_stops_with_an_error_when_the_server_has_no_such_path(world: Pulling) -> None:
    elsewhere = replace_settings(world, api_address=f"{world.settings.api_address}/elsewhere")
    with pytest.raises(RequestRefused, match="404"):
        elsewhere.pull()


def replace_settings(found: Pulling, **changes: object) -> Pulling:
    return replace(found, settings=found.settings.model_copy(update=changes))


def test_a_pull_is_resumable_when_it_is_told_to_wait_longer_than_it_may(tmp_path: Path) -> None:
    faults = Faults.scripted({2: Fault("too_many_calls", seconds=3.0)})
    with pulling(tmp_path, *WORLD, api_periods_a_call=1, faults=faults) as found:
        done = found.pull()
        assert (done.status, len(done.landed)) == (RESUMABLE, 1)
        assert "called too fast" in done.why
        assert found.pull().status == COMPLETE
        assert_all_landed_once(found, *WORLD)


def test_a_pull_is_resumable_when_nobody_answers(world: Pulling) -> None:
    silent = replace_settings(world, api_address="http://127.0.0.1:9", api_attempts=2)
    done = silent.pull()
    assert (done.status, done.landed, done.calls) == (RESUMABLE, (), 2)
    assert "did not answer" in done.why


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_lands_once_when_a_call_goes_wrong_in_this_way(tmp_path: Path, kind: Kind) -> None:
    fault = Fault(kind, seconds=1.5) if kind == "held" else Fault(kind)
    faults = Faults.scripted({2: fault})
    with pulling(tmp_path, *WORLD, faults=faults, api_periods_a_call=1, api_timeout_seconds=0.5) as found:
        if kind in STOPPED:
            with pytest.raises(STOPPED[kind]):
                found.pull()
            done = found.pull()
        else:
            done = found.pull()
        if kind == "out_of_quota":
            assert done.status == RESUMABLE
            done = found.pull(day=1)
        assert (done.status, done.unsettled) == (COMPLETE, ())
        assert kind in [call.fault for call in found.stand_in.calls]
        served = [one.rows.cast({pl.Categorical: pl.String}) for one in found.stand_in.holdings.data_sets()]
        newest = {v.delivery_id for v in read_availability(found.paths)}
        current = found.landed().filter(pl.col("delivery_id").is_in(newest))
        expected = in_fixed_order(pl.concat(served).cast({pl.Int32: pl.Int64}))
        assert_frame_equal(in_fixed_order(current), expected)


@pytest.mark.parametrize("kind", ["cut_short", "web_page", "wrong_count", "empty"])
def test_the_availability_list_is_asked_for_again_when_it_comes_doubtful(tmp_path: Path, kind: Kind) -> None:
    """A list cut short once ended the pull; an empty one was believed and the pull called complete."""
    with pulling(tmp_path, *WORLD, faults=Faults.scripted({1: Fault(kind)}, AVAILABILITY)) as found:
        done = found.pull()
        assert done.status == COMPLETE
        assert_all_landed_once(found, *WORLD)


def test_a_pull_is_resumable_and_keeps_the_list_when_it_stays_doubtful(tmp_path: Path) -> None:
    with pulling(tmp_path, *WORLD, faults=always("cut_short", AVAILABILITY)) as found:
        done = found.pull()
        assert (done.status, done.calls) == (RESUMABLE, Limits().answers_per_data_set)
        assert "cut short" in done.why
        assert len(found.kept_bodies()) == 1


def test_a_pull_is_resumable_when_the_list_comes_empty_after_something_has_landed(world: Pulling) -> None:
    """An empty list was once believed: the pull called itself complete, and the kept list was lost."""
    world.pull()
    before = read_availability(world.paths)
    world.stand_in.set_faults(always("empty", AVAILABILITY))
    done = world.pull()
    assert (done.status, done.calls, done.is_quota_spent) == (RESUMABLE, 2, False)
    assert "of frequency A came empty twice, while 3 of its data sets" in done.why
    assert "revisions would go unseen" in done.why
    assert "MIRROR_API_FREQUENCIES" in done.why
    assert read_availability(world.paths) == before
    # The ledger alone tells as well: the kept list may be gone, or that of other years.
    (world.paths.pull / "availability.json").unlink()
    assert world.pull().status == RESUMABLE


def test_a_pull_is_resumable_when_the_list_comes_empty_after_it_named_data_sets(tmp_path: Path) -> None:
    with pulling(tmp_path, *WORLD, faults=always("empty")) as found:
        found.pull()
        assert found.ledger == []
        found.stand_in.set_faults(always("empty", AVAILABILITY))
        assert found.pull().status == RESUMABLE


def test_an_empty_list_is_believed_when_nothing_of_its_frequency_was_known(tmp_path: Path) -> None:
    with pulling(tmp_path, data_set(156, "2022")) as found:
        for _ in range(2):
            assert found.pull().status == COMPLETE
        assert [entry.period_keys for entry in found.ledger] == [("A-2022",)]


def test_nothing_new_lands_when_a_landing_was_killed_before_its_ledger_rows(world: Pulling) -> None:
    world.pull()
    before = {path: path.read_bytes() for path in world.paths.landed.rglob("*.parquet")}
    for path in list(world.paths.ledger.glob("*.json"))[:2]:
        path.unlink()
    assert len(world.pull().landed) == 2
    assert {path: path.read_bytes() for path in world.paths.landed.rglob("*.parquet")} == before
    assert_all_landed_once(world, *WORLD)


def test_the_key_stands_in_no_file_and_no_line_of_the_log_when_much_went_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kinds: list[Kind] = [
        "too_many_calls",
        "server_error",
        "dropped",
        "cut_short",
        "web_page",
        "new_column",
        "invalid_key",
    ]
    with pulling(tmp_path, *WORLD, api_periods_a_call=1) as found:
        found.stand_in.set_faults(Faults.scripted({n: Fault(kind, seconds=0) for n, kind in enumerate(kinds, 1)}))
        with pytest.raises(KeyRefused) as refused:
            found.pull()
        found.pull()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in caplog.text + str(refused.value)


@pytest.fixture
def taste(tmp_path: Path) -> Iterator[Pulling]:
    """The preview of one data set that is larger than it gives, and three that are not."""
    large = pl.concat([data_set(156, "2022", 200).with_columns(mosCode=pl.lit(str(n))) for n in range(3)])
    served = (large, data_set(56, "2022"), data_set(56, "2021"), data_set(56, "202212"))
    with pulling(tmp_path, *served, source="preview", api_key=None, preview_calls=3) as found:
        yield found


def test_the_newest_annual_data_sets_land_as_far_as_the_preview_gives_them(taste: Pulling) -> None:
    done = taste.pull()
    assert [one.data_set.name for one in done.landed] == ["C-A-2021-056-H6", "C-A-2022-056-H6", "C-A-2022-156-H6"]
    assert [call.endpoint for call in taste.data_calls()] == ["public/v1/preview"] * 3
    assert [entry.note for entry in taste.ledger] == ["", "", "cut off: 500 of 600 rows, as the preview gives no more"]
    assert [entry.row_count for entry in taste.ledger] == [5, 5, 500]
    assert {call.key_fingerprint for call in taste.stand_in.calls} == {None}


def test_no_more_data_sets_are_asked_for_than_set_when_some_of_the_preview_stay_doubtful(taste: Pulling) -> None:
    taste.stand_in.set_faults(always("empty", ("public/v1/preview",)))
    done = taste.pull()
    asked = {(call.query["period"], call.query["reportercode"]) for call in taste.data_calls()}
    assert asked == {("2022", "56"), ("2022", "156"), ("2021", "56")}
    assert len(done.unsettled) == 3


def test_what_landed_makes_no_room_for_others_when_the_preview_looks_again(taste: Pulling) -> None:
    script = {number: Fault("empty") for number in range(3, 7)}
    taste.stand_in.set_faults(Faults.scripted(script, ("public/v1/preview",)))
    done = taste.pull()
    assert (len(done.landed), done.unsettled) == (3, ())
    assert {call.query["period"] for call in taste.data_calls()} == {"2022", "2021"}


def test_a_plan_of_the_preview_counts_one_call_a_data_set(taste: Pulling) -> None:
    taste.stand_in.set_faults(always("empty", ("public/v1/preview",)))
    taste.pull()
    available = read_availability(taste.paths)
    plan = plan_pull(taste.settings, taste.paths, available, 500)
    assert (plan.cost.data_sets, plan.cost.calls, plan.cost.rows) == (3, 3, 510)


def test_a_plan_counts_what_is_new_when_something_has_landed(world: Pulling) -> None:
    world.pull(period_keys=["A-2021"])
    available = read_availability(world.paths)
    assert len(available) == 4
    before = len(world.stand_in.calls)
    plan = plan_pull(world.settings, world.paths, available, 7)
    assert (len(plan.available), len(plan.wanted), len(plan.requests), plan.calls_left) == (4, 3, 2, 7)
    assert (plan.cost.data_sets, plan.cost.rows, plan.cost.calls, plan.cost.days) == (3, 17, 2, 1)
    assert plan_pull(world.settings, world.paths, available, 0).cost.days == 1
    assert len(world.stand_in.calls) == before


def test_availability_is_read_back_as_it_was_written_when_a_pull_has_looked(world: Pulling) -> None:
    assert read_availability(world.paths) == []
    assert read_unsettled(world.paths) == ()
    done = world.pull()
    found: list[Version] = read_availability(world.paths)
    assert found == list(done.landed)
    assert all(one.last_released is not None for one in found)


def test_the_settings_reach_the_limits_when_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "calls_a_day": 11, "rows_a_call": 12, "calls_a_second": 1.5, "address_characters": 1300, "periods_a_call": 14,
        "attempts": 15, "timeout_seconds": 16.5, "longest_wait_seconds": 17.5,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"MIRROR_API_{name.upper()}", str(value))
    limits = limits_of(Settings(source="api", api_key=KEY))  # type: ignore[arg-type]
    assert limits == replace(Limits(), **given)  # type: ignore[arg-type]
    assert limits_of(Settings(source="preview")).rows_a_call == 500


def test_the_defaults_of_settings_are_those_of_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MIRROR_{name.upper()}", raising=False)
    assert limits_of(Settings()) == Limits()


def test_calls_are_counted_where_the_settings_say_when_several_folders_share_a_key(tmp_path: Path) -> None:
    with pulling(tmp_path / "data", ONE, api_call_book=tmp_path / "calls.sqlite") as found:
        with open_client(found.settings, found.paths, "a-pull") as (client, book):
            client.availability("C", "A", "HS")
            assert book.used_today() == 1
        assert (tmp_path / "calls.sqlite").is_file()
        with open_client(replace_settings(found, data_dir=tmp_path / "other").settings, found.paths, "") as (_, book):
            assert book.used_today() == 1
    assert KEY.encode() not in (tmp_path / "calls.sqlite").read_bytes()
