"""Which planted world the settings ask for.

Belongs here: from settings to a world's configuration. Does not belong here: what is in a world (`sample`).
"""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.pipeline.plan import PlanError, input_fingerprint, world_config
from orchestration.sample import WorldConfig
from orchestration.settings import Settings


@pytest.mark.parametrize("world", ["tiny", "light", "standard", "hard", "without_evasion"])
def test_a_named_world_is_as_it_is_named_when_nothing_else_is_set(world: str) -> None:
    assert world_config(Settings.model_validate({"sample_world": world})) == getattr(WorldConfig, world)(seed=7)


def test_rows_span_and_frequency_are_those_asked_for_when_they_are_set() -> None:
    config = world_config(
        Settings(sample_rows=5_000, sample_start_year=2022, sample_end_year=2023, sample_frequencies="M")
    )
    assert (config.row_count, config.start_year, config.end_year, config.frequencies) == (5_000, 2022, 2023, ("M",))
    assert len(list(config.periods())) == 24


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sample_start_year": 2024, "sample_end_year": 2020}, "span 2024-2020 is empty.*MIRROR_SAMPLE_"),
        ({"sample_end_year": 2019, "sample_frequencies": "M"}, "monthly data sets begin in 2021.*MIRROR_SAMPLE_END"),
    ],
)
def test_a_world_without_periods_is_refused_with_a_mend(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        world_config(Settings.model_validate(settings))


def test_another_world_is_another_input_when_any_of_its_settings_changes() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"sample_rows": 9_000},
        {"sample_start_year": 2018},
        {"sample_end_year": 2023},
        {"sample_frequencies": "A"},
        {"sample_seed": 8},
        {"sample_world": "hard"},
        {"method": "baci"},
    ]
    assert len({input_fingerprint(Settings.model_validate(one)) for one in changes}) == len(changes)
