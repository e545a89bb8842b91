"""A release and its pointer are on the disk before anything that presupposes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.release.files import seal, write_durably
from tests.unit.release.conftest import Published
from tests.unit.release.world import Run


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the disk and what is renamed, in order: `disk <path>`, `rename <path>`."""
    seen: list[str] = []
    rename, replace = Path.rename, Path.replace

    def noted_rename(self: Path, target: Path) -> Path:
        seen.append(f"rename {target}")
        return rename(self, target)

    def noted_replace(self: Path, target: Path) -> Path:
        seen.append(f"rename {target}")
        return replace(self, target)

    def noted_sync(path: Path) -> None:
        seen.append(f"disk {path}")

    monkeypatch.setattr(Path, "rename", noted_rename)
    monkeypatch.setattr(Path, "replace", noted_replace)
    monkeypatch.setattr("orchestration.release.files.fsync", noted_sync)
    monkeypatch.setattr("orchestration.release.store.fsync", noted_sync)
    return seen


def test_every_file_and_folder_is_on_disk_before_the_release_is_shown_when_published(
    waiting: Run, events: list[str]
) -> None:
    release = waiting.publish().path
    built = waiting.paths.run(waiting.run_id) / "release.building"
    shown = events.index(f"rename {release}")
    inside = [built / path.relative_to(release) for path in [release, *release.rglob("*")]]
    for path in inside:
        assert events.index(f"disk {path}") < shown
    assert events.index(f"disk {built}") > max(events.index(f"disk {path}") for path in inside[1:])


def test_the_folder_is_on_disk_before_and_after_the_pointer_is_swapped_when_published(
    waiting: Run, events: list[str]
) -> None:
    release = waiting.publish().path
    releases = waiting.paths.releases
    order = [events.index(f"rename {path}") for path in (release, releases / "latest", releases / "history.json")]
    assert order == sorted(order)
    between = [events[start:end] for start, end in zip(order, [*order[1:], len(events)], strict=True)]
    assert all(f"disk {releases}" in part for part in between)


def test_the_content_is_on_disk_before_the_rename_when_a_file_is_replaced(tmp_path: Path, events: list[str]) -> None:
    write_durably(tmp_path / "record.json", "{}")
    assert [event.split()[0] for event in events] == ["disk", "rename", "disk"]
    assert events[-1] == f"disk {tmp_path}"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["record.json"]


def test_the_earlier_file_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "record.json", "old")

    def full(_handle: int) -> None:
        raise OSError("no space left on the disk")

    monkeypatch.setattr("orchestration.release.files.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_durably(tmp_path / "record.json", "new")
    assert (tmp_path / "record.json").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["record.json"]


def test_files_below_a_sealed_folder_cannot_be_written_when_sealed(published: Published, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x", encoding="utf-8")
    seal(tmp_path)
    assert (tmp_path / "a" / "file").stat().st_mode & 0o222 == 0
    assert (published.release.path / "warehouse.duckdb").stat().st_mode & 0o222 == 0
