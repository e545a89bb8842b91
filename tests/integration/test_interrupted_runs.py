"""A run killed in the middle and started again gives the release of an undisturbed one.

One run here, killed while results are written and again while the release is; `python -m bench.interrupted_runs`
kills twenty runs, spread over every stage.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.interrupted_runs import checksums, comparable, kill_in, taken_up
from tests.conftest import SampleRun


def test_release_is_that_of_an_undisturbed_run_when_a_run_is_killed_twice(
    sample_run: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The undisturbed run had one thread (see the Makefile): the release may not depend on their number either.
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    assert sample_run.exit_status == 0, sample_run.output
    undisturbed = (sample_run.data_dir / "releases" / "latest").resolve().name

    assert kill_in(tmp_path, "tiny", "reconciliation: pairs", 0.3)
    assert kill_in(tmp_path, "tiny", "release: published", 0.2)
    release, found = taken_up(tmp_path, "tiny")

    assert release == undisturbed
    assert found == comparable(checksums(sample_run.data_dir))
