"""Fixtures of the tests of publication: settings of a small deployment and runs in it.

Publishing takes about a second, so one data folder is made per session: version 1 published, version 2 ready. Tests
that only read take `published`; tests that change something take `waiting`, a copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestration.release import PublishedRelease
from orchestration.settings import Settings
from tests.unit.release.world import Run, failed, write_models_manifest

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """These tests cut no power, so they need not wait for the disk; test_durability says that publication does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.release.files.os.fsync", lambda _handle: None)
        yield


@dataclass(frozen=True)
class Published:
    """A run and the release it made; tests only read it."""

    run: Run
    release: PublishedRelease


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project folder whose manifest knows the models of these tests."""
    dbt_dir = tmp_path / "dbt"
    write_models_manifest(dbt_dir)
    monkeypatch.setattr(Settings, "dbt_dir", property(lambda _self: dbt_dir))
    return dbt_dir


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run of a version in a data folder that holds the last `keep` releases."""

    def make(version: int = 1, folder: str = "data", keep: int = 3, execution: str = "execution-1") -> Run:
        settings = Settings(source="sample", data_dir=tmp_path / folder, keep_releases=keep)
        return Run(settings, version, execution)

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Version 1, published with one warning; version 2 waits for publication in the same data folder."""
    folder = tmp_path_factory.mktemp("published")
    write_models_manifest(folder / "dbt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "dbt_dir", property(lambda _self: folder / "dbt"))
        run = Run(Settings(source="sample", data_dir=folder / "data", keep_releases=3))
        run.stage(shuffled=True).gate(changed=[failed("the_median_gap_is_small")]).audit()
        release = run.publish()
        replace(run, version=2).ready()
    return Published(run, release)


@pytest.fixture
def waiting(published: Published, tmp_path: Path) -> Run:
    """Version 2 in a copy of the data folder: ready, while version 1 is what readers see."""
    shutil.copytree(published.run.paths.root, tmp_path / "data", symlinks=True)
    return Run(Settings(source="sample", data_dir=tmp_path / "data", keep_releases=3), version=2)
