"""The folder of releases: the pointer `latest`, the order of publication, what stays and what goes.

Belongs here: every change to what readers see, each by one atomic rename. Does not belong here: the content of a
release (`build`). Layout: one folder per release, the symbolic link `latest`, and `history.json`, the ids in the order
in which they were last made the latest one. Hidden names (`.removing-*`, `.latest-*`, `.history.json.*`) are leftovers
of a killed publication; the next one removes them.

The pointer is the truth: whatever a kill left of the history, the release it points to counts as the last one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.release.errors import ReleaseError
from orchestration.release.files import fsync, json_text, write_durably

LATEST = "latest"
HISTORY = "history.json"
_RELEASES = "r-*"
_LEFTOVERS = (".removing-*", f".{LATEST}-*", f".{HISTORY}.*")


@contextmanager
def exclusive(releases: Path) -> Iterator[None]:
    """Hold the folder of releases for a change; the hold ends with the process, however it ends.

    Raises ReleaseError at once when another process holds it.
    """
    releases.mkdir(parents=True, exist_ok=True)
    handle = os.open(releases, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReleaseError(
                f"Another publication or rollback is at work in {releases}; two at once could remove what the other "
                "points to. Wait until it has ended and start again."
            ) from error
        yield
    finally:
        os.close(handle)


def latest_id(releases: Path) -> str | None:
    """The release that `latest` points to; None when nothing is published or the pointer leads nowhere."""
    pointer = releases / LATEST
    if not pointer.is_symlink():
        if pointer.exists():
            raise ReleaseError(
                f"{pointer} is not a symbolic link, so publication cannot be swapped atomically (it may come from a "
                "copy that followed links). Remove it and roll back to the release it holds."
            )
        return None
    found = pointer.readlink().name
    return found if (releases / found).is_dir() else None


def release_ids(releases: Path) -> tuple[str, ...]:
    """Releases on disk, the one published last at the end; those the history does not know come first."""
    there = {path.name for path in releases.glob(_RELEASES) if path.is_dir()}
    known = [one for one in _history(releases) if one in there]
    latest = latest_id(releases)
    order = [*sorted(there - set(known)), *known]
    return tuple([one for one in order if one != latest] + ([latest] if latest else []))


def point_to(releases: Path, release_id: str) -> None:
    """Make a release the latest one: a single rename, then the history. Does nothing when it already is."""
    if latest_id(releases) == release_id:
        return
    # Read before the swap: the history of a killed publication may not know the release it pointed to.
    order = [one for one in release_ids(releases) if one != release_id]
    pointer = releases / f".{LATEST}-{os.getpid()}"
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(release_id, target_is_directory=True)
        pointer.replace(releases / LATEST)
    finally:
        pointer.unlink(missing_ok=True)
    fsync(releases)
    write_durably(releases / HISTORY, json_text([*order, release_id]))


def install(built: Path, releases: Path, release_id: str) -> None:
    """Move a built folder among the releases and point to it; undone when the pointer could not be swapped."""
    target = releases / release_id
    built.rename(target)
    try:
        fsync(releases)
        point_to(releases, release_id)
    except BaseException:
        if latest_id(releases) != release_id:
            target.rename(built)
        raise


def prune(releases: Path, keep: int) -> tuple[str, ...]:
    """Remove all but the last `keep` releases, never the latest; returns the ids that went.

    Readers that hold a file of them open keep it until they close it.
    """
    latest = latest_id(releases)
    order = release_ids(releases)
    going = tuple(one for one in order[: max(0, len(order) - max(1, keep))] if one != latest)
    for one in going:
        _remove(releases / one)
    if going:
        write_durably(releases / HISTORY, json_text(list(release_ids(releases))))
    return going


def sweep(releases: Path) -> None:
    """Remove what a killed publication left under hidden names."""
    for leftover in sorted(path for pattern in _LEFTOVERS for path in releases.glob(pattern)):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _remove(release: Path) -> None:
    """Take a release out of sight in one step before its files go."""
    gone = release.with_name(f".removing-{release.name}")
    release.rename(gone)
    shutil.rmtree(gone)


def _history(releases: Path) -> list[str]:
    """Ids in the order of publication; empty when there is no history yet."""
    path = releases / HISTORY
    if not path.is_file():
        return []
    try:
        return [str(one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except ValueError as error:
        raise ReleaseError(
            f"The history of publication {path} cannot be read ({error}), so it is not known which releases are old "
            "enough to go. Remove the file; the release that is published now then counts as the last one."
        ) from error
