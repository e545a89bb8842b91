"""The orchestrator's storage of a data folder: one run at a time, and what a killed run left is closed."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from orchestration.defs.progress import ProgressHandler
from orchestration.defs.session import IN_PROCESS_TAG, close_killed_runs, instance_for_run
from orchestration.pipeline.lock import BusyError, only_one_run
from orchestration.pipeline.paths import DataPaths
from orchestration.settings import Settings


def test_a_second_holder_is_refused_with_a_way_out_when_the_folder_is_held(tmp_path: Path) -> None:
    with (
        only_one_run(DataPaths(tmp_path)),
        pytest.raises(BusyError, match="MIRROR_DATA_DIR"),
        only_one_run(DataPaths(tmp_path)),
    ):
        pass
    with only_one_run(DataPaths(tmp_path)):
        pass


def test_telemetry_is_off_when_the_orchestrator_is_prepared(tmp_path: Path) -> None:
    with instance_for_run(Settings(data_dir=tmp_path, keep_history=True)) as instance:
        assert instance.telemetry_enabled is False


def test_no_history_is_written_when_it_is_not_asked_for(tmp_path: Path) -> None:
    with instance_for_run(Settings(data_dir=tmp_path)) as instance:
        assert instance.is_ephemeral
    assert [p.name for p in (tmp_path / "orchestrator").iterdir()] == ["dagster.yaml"]


@dg.job
def nothing() -> None:
    """A job for a run that never ends."""


def test_a_run_of_the_command_line_is_closed_and_others_are_left_when_one_starts(tmp_path: Path) -> None:
    with instance_for_run(Settings(data_dir=tmp_path, keep_history=True)) as instance:
        started = dg.DagsterRunStatus.STARTED
        ours = instance.create_run_for_job(nothing, status=started, tags={IN_PROCESS_TAG: "command line"})
        daemons = instance.create_run_for_job(nothing, status=started)
        assert close_killed_runs(instance) == 1
        assert instance.get_run_by_id(ours.run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
        assert instance.get_run_by_id(daemons.run_id).status == started  # type: ignore[union-attr]
        assert close_killed_runs(instance) == 0


def test_progress_is_one_line_per_beginning_and_end_when_steps_run() -> None:
    stream = io.StringIO()
    handler = ProgressHandler(stream)
    for kind in ("STEP_START", "STEP_SUCCESS", "STEP_FAILURE", "ASSET_MATERIALIZATION"):
        record = logging.makeLogRecord({"msg": "x"})
        record.dagster_event = SimpleNamespace(step_key="reconciliation__mirror_flows", event_type_value=kind)
        handler.emit(record)
    handler.emit(logging.makeLogRecord({"msg": "no event"}))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "  [ 1] reconciliation: mirror flows ..."
    assert [line.split()[0] for line in lines[1:]] == ["done", "FAILED"]
