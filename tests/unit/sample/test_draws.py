"""Random numbers are a function of seed, stream, period and key, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from orchestration.sample.draws import Draws, Stream, keys_of

KEYS = keys_of(np.arange(20_000))


def test_every_stream_has_a_number_of_its_own_when_streams_are_listed() -> None:
    numbers = [int(stream) for stream in Stream.__members__.values()]
    assert len(numbers) == len(set(numbers)) == len(Stream)


def test_numbers_do_not_depend_on_what_was_asked_before_when_they_are_drawn() -> None:
    fresh, used = Draws(7), Draws(7)
    used.normal(Stream.YEAR_SHOCK, KEYS)
    used.order(Stream.CASE_ROUTE, KEYS)
    assert np.array_equal(fresh.uniform(Stream.THRESHOLD, KEYS, 3), used.uniform(Stream.THRESHOLD, KEYS, 3))


def test_a_part_of_the_keys_gets_the_same_numbers_when_it_is_asked_alone() -> None:
    draws = Draws(7)
    for some in (slice(3, 4), slice(17, 2_000), slice(1, None, 7)):
        whole = draws.lognormal(Stream.CELL_VALUE, KEYS, 1.1, 2)
        assert np.array_equal(whole[some], draws.lognormal(Stream.CELL_VALUE, KEYS[some], 1.1, 2))


@pytest.mark.parametrize(
    "other",
    [
        Draws(8).normal(Stream.YEAR_SHOCK, KEYS, 1),
        Draws(7).normal(Stream.MONTH_NOISE, KEYS, 1),
        Draws(7).normal(Stream.YEAR_SHOCK, KEYS, 2),
        Draws(7).normal(Stream.YEAR_SHOCK, keys_of(np.arange(20_000), 1), 1),
        Draws(7).normal(Stream.YEAR_SHOCK, np.roll(KEYS, 1), 1),
    ],
    ids=["seed", "stream", "period", "key", "neighbour"],
)
def test_numbers_are_unrelated_when_one_of_their_names_differs(other: np.ndarray) -> None:
    numbers = Draws(7).normal(Stream.YEAR_SHOCK, KEYS, 1)
    assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.03


def test_uniform_numbers_fill_the_open_interval_when_many_are_drawn() -> None:
    numbers = Draws(7).uniform(Stream.THRESHOLD, KEYS)
    assert 0 < numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert np.abs(counts / 1_000 - 1).max() < 0.12
    assert np.unique(numbers).size == numbers.size


def test_normal_numbers_are_standard_when_many_are_drawn() -> None:
    numbers = Draws(7).normal(Stream.YEAR_SHOCK, KEYS)
    assert abs(numbers.mean()) < 0.03
    assert numbers.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(numbers**4) == pytest.approx(3.0, abs=0.25)
    assert np.isfinite(numbers).all()


def test_flags_come_with_their_probability_when_many_are_drawn() -> None:
    chances = np.where(np.arange(20_000) % 2 == 0, 0.1, 0.7)
    flags = Draws(7).below(Stream.CONFIDENTIAL_PRODUCT, KEYS, chances)
    assert flags[::2].mean() == pytest.approx(0.1, abs=0.015)
    assert flags[1::2].mean() == pytest.approx(0.7, abs=0.02)


def test_an_order_is_a_permutation_when_it_is_drawn() -> None:
    order = Draws(7).order(Stream.PLACE_ORDER, KEYS)
    assert np.array_equal(np.sort(order), np.arange(20_000))
    assert abs(np.corrcoef(order, np.arange(20_000))[0, 1]) < 0.03


def test_keys_tell_their_parts_apart_when_codes_are_swapped_or_joined() -> None:
    ones, twos = np.arange(500)[:, None], np.arange(500)[None, :]
    assert np.unique(keys_of(ones, twos)).size == 250_000
    assert keys_of(1, 2)[0] != keys_of(2, 1)[0]
    assert keys_of(12)[0] != keys_of(1, 2)[0]
