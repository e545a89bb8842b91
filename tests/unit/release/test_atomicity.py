"""A publication that fails or is killed at any step leaves readers what they had, and the next one mends the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.pipeline.releases import list_releases, published_release, rollback, verify_release
from orchestration.release import ReleaseError, build, database, publish, store
from orchestration.release.store import exclusive, release_ids
from orchestration.settings import PROJECT_DIR
from tests.unit.release.conftest import Published
from tests.unit.release.world import Run, snapshot


class PowerCut(BaseException):
    """Stands for anything that ends a publication, such as Ctrl-C."""


def cut(*_args: object, **_kwargs: object) -> None:
    """A step that does not return."""
    raise PowerCut


BEFORE_THE_SWAP = [
    (build, "copy_to_parquet"),
    (build, "_write_csv"),
    (build, "write_database"),
    (database, "_prove"),
    (build, "published_form"),
    (build, "make_manifest"),
    (build, "describe_changes"),
    (build, "write_checksums"),
    (build, "seal"),
    (publish, "install"),
    (store, "point_to"),
    (Path, "rename"),
    (Path, "symlink_to"),
    (Path, "replace"),
]


@pytest.mark.parametrize(("owner", "step"), BEFORE_THE_SWAP)
def test_readers_see_no_change_when_a_step_before_the_swap_fails(
    waiting: Run, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    before = snapshot(waiting.paths.releases)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, cut)
        with pytest.raises(PowerCut):
            waiting.publish()
    assert snapshot(waiting.paths.releases) == before


def test_the_new_folder_is_taken_back_when_the_pointer_cannot_be_swapped(
    waiting: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(waiting.paths.releases)
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "latest":
            raise OSError("no space left on the disk")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="no space"):
            waiting.publish()
    assert snapshot(waiting.paths.releases) == before
    assert waiting.publish().is_new


def test_the_release_stays_published_when_the_history_could_not_be_written(
    waiting: Run, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_durably", cut)
        with pytest.raises(PowerCut):
            waiting.publish()
    new = published_release(waiting.paths)
    assert new.run_id == waiting.run_id
    assert verify_release(new.path) == ()
    assert release_ids(waiting.paths.releases) == (published.release.release_id, new.release_id)
    back = rollback(waiting.paths, published.release.release_id)
    assert release_ids(waiting.paths.releases) == (new.release_id, back.release_id)


def test_a_half_removed_release_is_swept_away_when_the_next_one_is_published(
    waiting: Run, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting.publish()
    with monkeypatch.context() as patch:
        patch.setattr("orchestration.release.store.shutil.rmtree", cut)
        with pytest.raises(PowerCut):
            store.prune(waiting.paths.releases, 1)
    left = {path.name for path in waiting.paths.releases.iterdir()}
    assert f".removing-{published.release.release_id}" in left
    assert published.release.release_id not in left
    waiting.publish()
    assert not any(path.name.startswith(".") for path in waiting.paths.releases.iterdir())


KILL = """
import os, signal, sys
from pathlib import Path
from orchestration.release import build, publish, store
from orchestration.settings import Settings
from tests.unit.release.world import Run

Settings.dbt_dir = property(lambda self: Path(sys.argv[2]))
owner, step = {"build": build, "publish": publish, "store": store}[sys.argv[3]], sys.argv[4]
setattr(owner, step, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))
Run(Settings(source="sample", data_dir=sys.argv[1], keep_releases=3), version=2).publish()
"""


@pytest.mark.parametrize(
    ("owner", "step", "sees_new"),
    [
        ("build", "write_checksums", False),
        ("store", "point_to", False),
        ("store", "write_durably", True),
        ("publish", "prune", True),
    ],
)
def test_the_same_release_comes_out_when_a_killed_publication_is_started_again(
    waiting: Run, published: Published, models: Path, owner: str, step: str, sees_new: bool
) -> None:
    arguments = [sys.executable, "-c", KILL, str(waiting.paths.root), str(models), owner, step]
    killed = subprocess.run(arguments, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    seen = published_release(waiting.paths)
    assert verify_release(seen.path) == ()
    assert (seen.release_id != published.release.release_id) == sees_new
    again = waiting.publish()
    assert verify_release(again.path) == ()
    assert [one.release_id for one in list_releases(waiting.paths)] == [published.release.release_id, again.release_id]
    assert "since " + published.release.release_id in (again.path / "CHANGES.md").read_text(encoding="utf-8")
    assert not any(path.name.startswith(".") for path in waiting.paths.releases.iterdir())


def test_a_second_publication_is_turned_away_when_one_is_at_work(waiting: Run, published: Published) -> None:
    before = snapshot(waiting.paths.releases)
    with exclusive(waiting.paths.releases):
        with pytest.raises(ReleaseError, match="Another publication or rollback is at work"):
            waiting.publish()
        with pytest.raises(ReleaseError, match="Another publication or rollback is at work"):
            rollback(waiting.paths, published.release.release_id)
    assert snapshot(waiting.paths.releases) == before
    assert waiting.publish().is_new
