"""A published release, as far as schedules and sensors look at one."""

from __future__ import annotations

import json

from orchestration.defs.resources import Warehouse


def published(warehouse: Warehouse, fingerprint: str, source: str = "files") -> None:
    """Make the data folder look as if a release of this source had been published from this input."""
    release = warehouse.paths.releases / "r-1"
    release.mkdir(parents=True)
    said = {"source": source, "run_id": "run-1", "input_fingerprint": fingerprint, "method_version": "1",
            "row_counts": {}}  # fmt: skip
    (release / "datapackage.json").write_text(json.dumps(said), encoding="utf-8")
    (release / "audit.json").write_text(json.dumps({"checks": []}), encoding="utf-8")
    (warehouse.paths.releases / "latest").symlink_to("r-1")
