"""Publication and rollback: from an audited export to what readers see.

Belongs here: the order of the steps. Does not belong here: the judgement (`refusals`), the content (`build`), the
renames (`store`). Nothing below the folder of releases changes before the new release stands whole and on disk
elsewhere; then a folder is renamed into place and the pointer is swapped.

A release that already stands there is not written again. When it no longer verifies, publication refuses instead of
replacing it: what was cited under an id must not be exchanged without anybody having looked.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestration.release.build import Content, build_release
from orchestration.release.checksums import verify_release
from orchestration.release.errors import PublicationRefused, Reason, ReleaseError
from orchestration.release.published import PublishedRelease, last_release_before, read_release
from orchestration.release.store import exclusive, install, point_to, prune, release_ids, sweep

_SHOWN = 5


def publish(releases: Path, content: Content, building: Path, keep: int) -> PublishedRelease:
    """Show a release to readers and remove all but the last `keep`; `content.previous` is found here.

    Raises PublicationRefused when a damaged release stands under the same id. Any failure before the pointer is
    swapped leaves the folder of releases as it was.
    """
    target = releases / content.release_id
    with exclusive(releases):
        sweep(releases)
        is_new = not target.is_dir()
        if is_new:
            previous = _comparable(releases, content)
            build_release(building, replace(content, previous=previous))
            install(building, releases, content.release_id)
        else:
            _refuse_damaged(target, content.record.run_id)
            point_to(releases, content.release_id)
        removed = prune(releases, keep)
    return replace(read_release(target), is_new=is_new, removed=removed)


def roll_back(releases: Path, release_id: str) -> PublishedRelease:
    """Point readers at another release on disk after verifying it. Raises ReleaseError when it cannot be used."""
    there = release_ids(releases)
    if release_id not in there:
        raise ReleaseError(
            f"There is no release {release_id!r} in {releases}, so readers keep what they have. On disk: "
            f"{', '.join(there) or 'none'}."
        )
    with exclusive(releases):
        problems = verify_release(releases / release_id)
        if problems:
            raise ReleaseError(
                f"Release {release_id} does not verify ({_listed(problems)}), so readers keep what they have: they "
                "would get other data than was published under this id. Roll back to another release."
            )
        point_to(releases, release_id)
    return read_release(releases / release_id)


def _comparable(releases: Path, content: Content) -> Path | None:
    """The last release of the same source that is not of this run."""
    found = last_release_before(releases, content.record.run_id)
    return found if found is not None and read_release(found).source == content.record.source else None


def _refuse_damaged(target: Path, run_id: str) -> None:
    problems = verify_release(target)
    if problems:
        raise PublicationRefused(
            run_id,
            [
                Reason(
                    f"The release {target.name} with this very content already stands in {target}, but it does not "
                    f"verify: {_listed(problems)}.",
                    "Somebody changed a published release or the disk lost a part of it; replacing it unseen would "
                    "hide that, and keeping it would publish other data under this id.",
                    f"Look at it, move {target} away, and publish again.",
                )
            ],
        )


def _listed(problems: tuple[str, ...]) -> str:
    more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return ", ".join(problems[:_SHOWN]) + more
