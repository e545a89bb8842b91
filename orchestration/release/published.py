"""A release on disk as data: what it is, what it holds, what its checks said.

Belongs here: reading manifest and audit of a release. Does not belong here: changing releases (`store`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.release.audit_record import check_id, published_checks
from orchestration.release.build import AUDIT
from orchestration.release.errors import ReleaseError
from orchestration.release.manifest import MANIFEST
from orchestration.release.store import latest_id, release_ids


@dataclass(frozen=True)
class PublishedRelease:
    """One release. `is_published`: `latest` points to it. `is_new`: this publication wrote it.

    `checks_failed` counts failed checks of severity error (none in a release that was published by the rules);
    `warnings` are the messages of failed checks of severity warning. `removed` are releases that went with it.
    """

    release_id: str
    path: Path
    source: str
    run_id: str
    input_fingerprint: str
    method_version: str
    row_counts: Mapping[str, int]
    checks_passed: int
    checks_failed: int
    warnings: tuple[str, ...]
    is_published: bool
    is_new: bool = False
    removed: tuple[str, ...] = ()


def read_release(path: Path) -> PublishedRelease:
    """A release by its folder. Raises ReleaseError when its manifest or audit cannot be read."""
    said, checks = _manifest(path), published_checks(path / AUDIT)
    failed = [check for check in checks if not check.passed]
    try:
        return PublishedRelease(
            release_id=path.name,
            path=path,
            source=said["source"],
            run_id=said["run_id"],
            input_fingerprint=said["input_fingerprint"],
            method_version=said["method_version"],
            row_counts=said["row_counts"],
            checks_passed=len(checks) - len(failed),
            checks_failed=sum(check.severity == "error" for check in failed),
            warnings=tuple(f"{check_id(c)}: {c.message}" for c in failed if c.severity == "warning"),
            is_published=latest_id(path.parent) == path.name,
        )
    except KeyError as error:
        raise _unreadable(path, error) from error


def all_releases(releases: Path) -> tuple[PublishedRelease, ...]:
    """Every release on disk in the order of publication, the latest at the end."""
    return tuple(read_release(releases / one) for one in release_ids(releases))


def last_release_before(releases: Path, run_id: str) -> Path | None:
    """The release that a run is compared with: the last one that is not of this very run.

    A run that is done again must be compared with what it was compared with the first time; measured against its own
    release it would find no change and come out as another release.
    """
    for one in reversed(release_ids(releases)):
        if _manifest(releases / one).get("run_id") != run_id:
            return releases / one
    return None


def release_before(release: PublishedRelease) -> PublishedRelease | None:
    """The release on disk that was published last before this one, of the same source and another run; None if none."""
    releases = release.path.parent
    order = release_ids(releases)
    for one in reversed(order[: order.index(release.release_id)]):
        earlier = read_release(releases / one)
        if earlier.source == release.source and earlier.run_id != release.run_id:
            return earlier
    return None


def _manifest(path: Path) -> dict[str, Any]:
    try:
        said = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        return dict(said)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ReleaseError:
    return ReleaseError(
        f"The manifest of release {path.name} cannot be read ({path / MANIFEST}: {error!r}), so it is not known what "
        "the release holds. Move the damaged release away; if it is the published one, roll back to another first."
    )
