"""Each check fails on its defect, passes without it, and says what, why and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expectations import SUITES, CheckResult, GateInputs, run_suite
from expectations.thresholds import load_thresholds
from tests.unit.expectations.defects import DEFECTS
from tests.unit.expectations.files import write_release, write_world
from tests.unit.expectations.frames import make_world


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier release of the same source: the sound world."""
    return write_release(make_world(), tmp_path_factory.mktemp("releases") / "r0")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, last_release: Path) -> GateInputs:
    """The inputs of a run in which everything is as it should be."""
    return write_world(make_world(), tmp_path_factory.mktemp("sound"), last_release)


def result_of(results: list[CheckResult], check_name: str) -> CheckResult:
    """The one result of that name."""
    return next(one for one in results if one.check_name == check_name)


def test_every_check_has_a_threshold_and_a_defect_when_the_suites_are_listed(sound: GateInputs) -> None:
    made = {(one.suite, one.check_name) for suite in SUITES for one in run_suite(suite, sound)}
    assert made == set(load_thresholds())
    assert made == set(DEFECTS)


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_every_check_passes_when_the_world_is_sound(suite: str, sound: GateInputs) -> None:
    failed = [(one.check_name, one.figure, one.message) for one in run_suite(suite, sound) if not one.passed]
    assert failed == []
    assert all(one.figure is not None for one in run_suite(suite, sound))


@pytest.mark.parametrize(("suite", "check_name"), sorted(DEFECTS))
def test_check_fails_and_explains_when_its_defect_is_planted(
    suite: str, check_name: str, tmp_path: Path, last_release: Path
) -> None:
    world = make_world()
    DEFECTS[(suite, check_name)](world)
    inputs = write_world(world, tmp_path, last_release, with_marts=suite == "marts")
    result = result_of(run_suite(suite, inputs, only={check_name}), check_name)
    threshold = load_thresholds()[(suite, check_name)]

    assert not result.passed
    assert result.severity == threshold.severity
    assert result.figure is not None
    assert result.failing_count > 0
    sample = json.loads(result.failing_sample)
    assert 0 < len(sample) <= 20
    for words in (threshold.what_is_wrong, threshold.why_it_matters, threshold.how_to_mend):
        assert words in result.message
