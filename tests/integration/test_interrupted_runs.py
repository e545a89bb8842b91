"""A run killed in the middle and started again gives the release of an undisturbed one.

Two kills here, one while results are written and one while the release is; `python -m bench.interrupted_runs` makes
twenty, spread over every stage.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.interrupted_runs import checksums, comparable, interrupted
from tests.conftest import SampleRun


@pytest.mark.parametrize(
    ("stage", "step", "after_seconds"),
    [("reconciling", "reconciliation: pairs", 0.3), ("publishing", "release: published", 0.2)],
)
def test_release_is_that_of_an_undisturbed_run_when_a_run_is_killed(
    stage: str, step: str, after_seconds: float, sample_run: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The undisturbed run had one thread (see the Makefile): the release may not depend on their number either.
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    assert sample_run.exit_status == 0, sample_run.output
    undisturbed = (sample_run.data_dir / "releases" / "latest").resolve().name

    kill, found = interrupted(tmp_path / "killed", "tiny", stage, step, after_seconds)

    assert kill.was_alive
    assert kill.release_id == undisturbed
    assert found == comparable(checksums(sample_run.data_dir))
