"""Folders of runs go when no release on disk rests on them."""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.releases import prune_runs


def test_only_runs_of_releases_and_the_present_one_stay_when_a_release_is_published(tmp_path: Path) -> None:
    paths = DataPaths(tmp_path)
    for name in ("run-old", "run-released", "run-now"):
        (paths.run(name) / "export").mkdir(parents=True)
    release = paths.releases / "r-0000000000000001"
    release.mkdir(parents=True)
    said = {"source": "sample", "run_id": "run-released", "input_fingerprint": "f", "method_version": "1",
            "row_counts": {}}  # fmt: skip
    (release / "datapackage.json").write_text(json.dumps(said), encoding="utf-8")
    (release / "audit.json").write_text(json.dumps({"checks": []}), encoding="utf-8")

    assert prune_runs(paths, "run-now") == ["run-old"]
    assert sorted(folder.name for folder in paths.runs.iterdir()) == ["run-now", "run-released"]
