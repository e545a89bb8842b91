"""One data set is revised at the API: which partitions are done again, which tables stay as they were.

    python -m bench.revision                 # a data set of the planted world `light`
    python -m bench.revision --period 202203 # one of that month or year

Everything goes the way of a scheduled deployment: the job `availability`, the pulls that its sensor asks for, the
refresh that follows; then the stand-in revises one data set and the same happens again.

Belongs here: telling what the second round did. Does not belong here: tests of it (`tests/defs/test_pulls.py`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from orchestration.defs.build import build_definitions
from orchestration.defs.pulls.triggers import pulls_for, refresh_for
from orchestration.defs.resources import Warehouse
from orchestration.pipeline.dbt import ensure_manifest
from orchestration.pipeline.declarations import declare_planted_world
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import input_fingerprint
from orchestration.reference import load_reference
from orchestration.release.manifest import told_checksums
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.stand_in import DatasetKey, Holdings, KeyLimits, StandIn, serve

KEY = "bench-key"
NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def round_of(settings: Settings, instance: dg.DagsterInstance, now: datetime) -> list[dg.ExecuteInProcessResult]:
    """What the daily look leads to: its run, the pulls, the refresh."""
    definitions = build_definitions(settings, ensure_manifest(settings.dbt_dir))

    def run(job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        job_def, tags = definitions.resolve_job_def(job), request.tags
        config = {**QUIET, **request.run_config}
        outcome = job_def.execute_in_process(instance=instance, tags=dict(tags), run_config=config)
        print(f"  ran {job} {tags.get('dagster/asset_partition_range_start', '')} "
              f"{tags.get('dagster/asset_partition_range_end', '')}".rstrip(), flush=True)  # fmt: skip
        return outcome

    outcomes = [run("availability", dg.RunRequest())]
    asked = pulls_for(instance, Warehouse(settings), now)
    assert isinstance(asked, list), asked.skip_message
    outcomes += [run("pull", request) for request in asked]
    refresh = refresh_for(instance, Warehouse(settings))
    assert isinstance(refresh, dg.RunRequest), refresh.skip_message
    return [*outcomes, run("refresh", refresh)]


def partitions_done(outcomes: Sequence[dg.ExecuteInProcessResult]) -> dict[str, tuple[list[str], int]]:
    """Partitioned assets of these runs: the partitions that were done, and how many were found unchanged."""
    done: dict[str, tuple[list[str], int]] = {}
    for event in (event for outcome in outcomes for event in outcome.all_node_events):
        if not event.is_step_materialization or event.partition is None:
            continue
        told = event.step_materialization_data.materialization
        name = told.asset_key.to_user_string()
        again, same = done.get(name, ([], 0))
        unchanged = told.metadata.get("partition_was_unchanged")
        is_same = unchanged is not None and bool(unchanged.value)
        done[name] = (again if is_same else [*again, event.partition], same + is_same)
    return done


def checksums(settings: Settings) -> Mapping[str, str]:
    """Content checksum of every table of the published release."""
    return told_checksums(DataPaths(settings.data_folder).releases / "latest")


def chosen(holdings: Holdings, period: str) -> DatasetKey:
    """The largest data set of the period."""
    own = [one for one in holdings.data_sets() if one.key.period == period]
    return max(own, key=lambda one: one.current.row_count).key


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="light")
    parser.add_argument("--period", default="2022")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirror-revision-") as folder, dg.DagsterInstance.ephemeral() as instance:
        world = Settings(sample_world=given.world, data_dir=Path(folder) / "world")
        paths = DataPaths(world.data_folder)
        reference = load_reference(PROJECT_DIR / "dbt_project" / "seeds")
        holdings = Holdings.from_folder(declare_planted_world(world, paths, reference, input_fingerprint(world)))
        stand_in = StandIn(holdings, {KEY: KeyLimits(calls_a_day=None)}, reference=reference)
        with serve(stand_in) as served:
            settings = Settings(
                source="api", api_key=KEY, api_address=served.address, api_calls_a_second=1000.0,
                data_dir=Path(folder) / "data",
            )  # fmt: skip
            print("First round:")
            round_of(settings, instance, NOW)
            before = checksums(settings)
            key = chosen(holdings, given.period)
            holdings.scale(key, 1.2)
            print(f"\n{tuple(key)} is revised: values times 1.2. Second round:")
            outcomes = round_of(settings, instance, NOW + timedelta(days=1))
            after = checksums(settings)
        _tell(outcomes, before, after)


def _tell(outcomes: Sequence[dg.ExecuteInProcessResult], before: Mapping[str, str], after: Mapping[str, str]) -> None:
    print("\n| partitioned asset | partitions done again | found unchanged |\n|---|---|---:|")
    for name, (again, same) in sorted(partitions_done(outcomes).items()):
        print(f"| {name} | {', '.join(sorted(again)) or 'none'} | {same} |")
    same_tables = sorted(name for name in after if before.get(name) == after[name])
    print(f"\nTables that kept their content checksum ({len(same_tables)} of {len(after)}): {', '.join(same_tables)}")
    print(f"Tables that changed: {', '.join(sorted(set(after) - set(same_tables)))}")


if __name__ == "__main__":
    main()
