"""Write, audit, publish: from the staging database of a run to an immutable release that analysts query.

The parts, in the order of a run: `export` (public tables as Parquet in a fixed order), `audit_record` (what was
checked and about which bytes), `refusals` (why it may not be published), `build` (the release folder with `manifest`,
`content`, `database`, `changes`, `change_tables`, `checksums`), `publish` (steps and rollback) on `store` (pointer,
order, pruning), and `published` (releases on disk as data).

Belongs here: files and folders of releases. Does not belong here: the orchestrator (`defs`), the folders of a run
(`pipeline`), and what is checked (`expectations`).
"""

from orchestration.release.errors import PublicationRefused, Reason, ReleaseError
from orchestration.release.published import PublishedRelease

__all__ = ["PublicationRefused", "PublishedRelease", "Reason", "ReleaseError"]
