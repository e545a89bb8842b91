"""The folder of releases: rollback, pruning, order, and which release a run is compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.pipeline.releases import (
    list_releases,
    nothing_to_publish,
    published_fingerprint,
    published_release,
    rollback,
)
from orchestration.release import ReleaseError
from orchestration.release.published import last_release_before
from orchestration.release.store import HISTORY, latest_id, point_to, prune, release_ids, sweep
from tests.unit.release.conftest import Published
from tests.unit.release.world import Run, snapshot


def make_releases(folder: Path, *names: str) -> Path:
    """Empty release folders, made the latest one after the other."""
    for name in names:
        (folder / name).mkdir(parents=True)
        point_to(folder, name)
    return folder


def test_readers_see_the_earlier_release_when_rolled_back(waiting: Run, published: Published) -> None:
    new = waiting.publish()
    back = rollback(waiting.paths, published.release.release_id)
    assert back.is_published
    assert published_release(waiting.paths).release_id == published.release.release_id
    assert published_fingerprint(waiting.paths) == published.run.fingerprint
    assert [(one.release_id, one.is_published) for one in list_releases(waiting.paths)] == [
        (new.release_id, False),
        (published.release.release_id, True),
    ]


def test_a_release_is_not_published_again_from_its_input_when_it_was_rolled_back(
    waiting: Run, published: Published
) -> None:
    new = waiting.publish()
    assert new.release_id in nothing_to_publish(waiting.paths, waiting.fingerprint)
    rollback(waiting.paths, published.release.release_id)
    reason = nothing_to_publish(waiting.paths, waiting.fingerprint)
    assert f"make rollback RELEASE={new.release_id}" in reason
    assert "was rolled back" in reason
    assert published.release.release_id in nothing_to_publish(waiting.paths, published.run.fingerprint)
    assert nothing_to_publish(waiting.paths, "other input") == ""
    rollback(waiting.paths, new.release_id)
    assert "nothing new to publish" in nothing_to_publish(waiting.paths, waiting.fingerprint)
    assert "was rolled back" in nothing_to_publish(waiting.paths, published.run.fingerprint)


def test_rollback_is_refused_when_the_release_is_unknown(waiting: Run, published: Published) -> None:
    before = snapshot(waiting.paths.releases)
    for name in ("r-none", "latest", "history.json", "..", ""):
        with pytest.raises(ReleaseError, match=f"On disk: {published.release.release_id}"):
            rollback(waiting.paths, name)
    assert snapshot(waiting.paths.releases) == before


def test_rollback_is_refused_when_the_release_does_not_verify(waiting: Run, published: Published) -> None:
    waiting.publish()
    (waiting.paths.releases / published.release.release_id / "audit.json").unlink()
    before = snapshot(waiting.paths.releases)
    with pytest.raises(ReleaseError, match=r"does not verify \(audit.json is absent\)"):
        rollback(waiting.paths, published.release.release_id)
    assert snapshot(waiting.paths.releases) == before


def test_only_the_last_ones_stay_when_pruned(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-3", "r-1", "r-2")
    assert prune(releases, 2) == ("r-3",)
    assert release_ids(releases) == ("r-1", "r-2")
    assert prune(releases, 2) == ()


@pytest.mark.parametrize("keep", [1, 0, -3])
def test_the_latest_stays_when_pruned_to_nothing(tmp_path: Path, keep: int) -> None:
    releases = make_releases(tmp_path, "r-3", "r-1", "r-2")
    point_to(releases, "r-3")
    assert prune(releases, keep) == ("r-1", "r-2")
    assert latest_id(releases) == "r-3"


def test_the_release_rolled_back_to_outlives_the_bad_one_when_the_next_is_published(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-good", "r-bad")
    point_to(releases, "r-good")
    make_releases(releases, "r-next")
    assert prune(releases, 2) == ("r-bad",)


def test_a_folder_the_history_does_not_know_counts_as_oldest_when_ordered(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-1", "r-2")
    (releases / "r-9").mkdir()
    assert release_ids(releases) == ("r-9", "r-1", "r-2")


def test_nothing_is_lost_when_the_history_is_gone(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-3", "r-1", "r-2")
    (releases / HISTORY).unlink()
    assert release_ids(releases) == ("r-1", "r-3", "r-2")


def test_nothing_is_removed_when_the_history_cannot_be_read(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-1", "r-2")
    (releases / HISTORY).write_text("{", encoding="utf-8")
    with pytest.raises(ReleaseError, match="cannot be read"):
        prune(releases, 1)
    assert (releases / "r-1").is_dir()


def test_nothing_is_published_when_the_pointer_leads_nowhere(tmp_path: Path) -> None:
    releases = make_releases(tmp_path, "r-1")
    (releases / "r-1").rmdir()
    assert latest_id(releases) is None
    make_releases(releases, "r-2")
    assert latest_id(releases) == "r-2"


def test_the_pointer_is_not_replaced_when_it_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "r-1").mkdir()
    (tmp_path / "latest").mkdir()
    with pytest.raises(ReleaseError, match="not a symbolic link"):
        point_to(tmp_path, "r-1")


def test_only_leftovers_of_publication_go_when_swept(tmp_path: Path) -> None:
    releases = make_releases(tmp_path / "releases", "r-1")
    (releases / ".removing-r-0" / "parquet").mkdir(parents=True)
    (releases / ".latest-17").symlink_to("r-1")
    (releases / ".history.json.17.tmp").write_text("x", encoding="utf-8")
    (releases / ".kept-by-somebody").write_text("x", encoding="utf-8")
    sweep(releases)
    assert sorted(path.name for path in releases.iterdir()) == [".kept-by-somebody", "history.json", "latest", "r-1"]


def test_a_run_is_compared_with_the_one_before_when_it_is_done_again(waiting: Run, published: Published) -> None:
    releases, first = waiting.paths.releases, waiting.paths.releases / published.release.release_id
    assert last_release_before(releases, "run-0001") is None
    assert last_release_before(releases, waiting.run_id) == first
    new = waiting.publish()
    assert last_release_before(releases, waiting.run_id) == first
    assert last_release_before(releases, "run-0003") == new.path


def test_listing_is_refused_when_a_manifest_cannot_be_read(waiting: Run, published: Published) -> None:
    path = waiting.paths.releases / published.release.release_id / "datapackage.json"
    path.unlink()
    with pytest.raises(ReleaseError, match="cannot be read"):
        list_releases(waiting.paths)
    with pytest.raises(ReleaseError, match="roll back to another first"):
        published_fingerprint(waiting.paths)


def test_the_oldest_release_goes_when_more_are_published_than_are_kept(waiting: Run, published: Published) -> None:
    run = replace(waiting, settings=waiting.settings.model_copy(update={"keep_releases": 1}))
    release = run.publish()
    assert release.removed == (published.release.release_id,)
    assert sorted(path.name for path in run.paths.releases.iterdir()) == ["history.json", "latest", release.release_id]
