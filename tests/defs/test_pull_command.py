"""The command `pull`: how it ends and what it says. What lands is tested in tests/unit/pipeline/test_pull.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from orchestration.defs.cli import RESUMABLE_STATUS, pull_now
from orchestration.stand_in import Faults
from tests.unit.pipeline.pulling import Pulling, data_set, pulling


def pulled(found: Pulling) -> int:
    """The exit status of one pull."""
    return pull_now(found.settings, argparse.Namespace())


def test_the_command_ends_resumable_and_says_why_when_a_list_that_was_not_empty_comes_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pulling(tmp_path, data_set(156, "2022")) as found:
        assert pulled(found) == 0
        found.stand_in.set_faults(Faults.mixed(1, 1.0, ["empty"], ["data/v1/getda"]))
        assert pulled(found) == RESUMABLE_STATUS
    assert "It ends here and can be resumed: the availability list of frequency A came empty" in capsys.readouterr().out
