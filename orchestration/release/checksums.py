"""checksums.sha256: the hashes of all files of a release, in the form that `sha256sum -c` verifies.

Belongs here: writing and verifying them. Does not belong here: what follows from damage (`store`, `publish`).
"""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.release.files import sha256_of, write_text
from orchestration.release.manifest import MANIFEST

CHECKSUMS = "checksums.sha256"
_SEPARATOR = "  "


def write_checksums(folder: Path) -> None:
    """Write the hash of every file below a folder, ordered by path; the last file to be written."""
    lines = [f"{sha256_of(folder / path)}{_SEPARATOR}{path}\n" for path in _files(folder)]
    write_text(folder / CHECKSUMS, "".join(lines))


def verify_release(folder: Path) -> tuple[str, ...]:
    """What is wrong with a release folder: files lost, changed or added since publication, or another id inside.

    An empty answer means that it is byte for byte what was published.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        return (f"{CHECKSUMS} cannot be read ({error!r})",)
    promised = {path: digest for digest, _, path in (line.partition(_SEPARATOR) for line in lines)}
    there = set(_files(folder))
    changed = (path for path in sorted(there & set(promised)) if sha256_of(folder / path) != promised[path])
    problems = [f"{path} is absent" for path in sorted(set(promised) - there)]
    problems += [f"{path} was added" for path in sorted(there - set(promised))]
    problems += [f"{path} was changed" for path in changed]
    return tuple(problems) or _identity_problems(folder)


def _identity_problems(folder: Path) -> tuple[str, ...]:
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["release_id"]
    except (OSError, ValueError, KeyError) as error:
        return (f"{MANIFEST} names no release ({error!r})",)
    return () if said == folder.name else (f"{MANIFEST} is of release {said}",)


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != CHECKSUMS)
