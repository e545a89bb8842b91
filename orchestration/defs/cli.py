"""The commands behind the Makefile: run, dev, rollback, releases, query, docs.

Belongs here: starting things and saying what happened and what to do next. Does not belong here: the work.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestration.pipeline.lock import BusyError, only_one_run
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, RunPlan, make_plan
from orchestration.pipeline.processes import collect_garbage_seldom
from orchestration.pipeline.releases import published_fingerprint, published_release
from orchestration.pipeline.storage import remove_temporaries
from orchestration.reference import ReferenceError
from orchestration.release import PublishedRelease, ReleaseError
from orchestration.settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.pipeline.beside import Beside
    from orchestration.pipeline.dbt import DbtProcess

REFUSED, UNUSABLE = 1, 2
FIRST_QUERY = "queries/01_largest_anomalous_gaps.sql"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 well, 1 refused or failed, 2 unusable input or settings."""
    _speak()
    given = _parser().parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        print("The settings cannot be used, so nothing was started:")
        for problem in error.errors(include_input=False, include_url=False):
            where = ".".join(str(part) for part in problem["loc"])
            print(f"  {('MIRROR_' + where.upper() + ': ') if where else ''}{problem['msg']}")
        print("Every setting stands in docs/operations.md.")
        return UNUSABLE
    try:
        return int(given.command(settings, given))
    except (PlanError, ReferenceError, ReleaseError) as error:
        print(f"Nothing was done: {error}")
        return UNUSABLE


def _speak() -> None:
    """The warehouse's own messages go to the terminal; those of the libraries stay in the orchestrator's log."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("       %(message)s"))
    own = logging.getLogger("mirror_warehouse")
    own.handlers, own.propagate = [handler], False
    own.setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mirror_warehouse", description="Commands of the mirror warehouse.")
    commands = parser.add_subparsers(required=True)
    for name, command, words in (
        ("run", run, "build and publish a release"),
        ("dev", dev, "open the orchestrator's page"),
        ("releases", releases, "list the releases on disk"),
        ("docs", docs, "write the generated pages"),
    ):
        commands.add_parser(name, help=words).set_defaults(command=command)
    back = commands.add_parser("rollback", help="point analysts at an earlier release")
    back.add_argument("release_id", nargs="?", default="")
    back.set_defaults(command=roll_back)
    ask = commands.add_parser("query", help="ask the published release a question")
    ask.add_argument("file", nargs="?", default=FIRST_QUERY)
    ask.set_defaults(command=query)
    return parser


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Everything from declarations to a published release; nothing when the input is unchanged."""
    paths = DataPaths(settings.data_folder)
    plan = make_plan(settings)
    if published_fingerprint(paths) == plan.input_fingerprint:
        release = published_release(paths)
        print(f"Unchanged: release {release.release_id} was made from this very input and code. Nothing to do.")
        _say_release(release, settings)
        return 0
    try:
        with only_one_run(paths):
            return _run(settings, paths, plan)
    except BusyError as error:
        print(f"Nothing was started: {error}")
        return REFUSED


def _run(settings: Settings, paths: DataPaths, plan: RunPlan) -> int:
    from orchestration.pipeline.beside import Beside
    from orchestration.pipeline.dbt import DbtProcess, dbt_environment
    from orchestration.reconcile import METHOD_VERSION

    collect_garbage_seldom()
    origin = settings.declarations if settings.source == "files" else f"planted world, seed {settings.sample_seed}"
    print(f"Run {plan.run_id}: source {settings.source} ({origin}), {len(plan.period_keys)} periods.", flush=True)
    for layer in (paths.root / "sample", paths.landed, paths.ledger, paths.contracted, paths.reconciled, paths.runs):
        remove_temporaries(layer)
    # dbt parses and later builds in a process of its own, another declares the planted world and judges at the gates,
    # and this one reads the orchestrator meanwhile.
    environment = dbt_environment(paths, plan.run_id, METHOD_VERSION, settings.dbt_threads)
    with DbtProcess(settings.dbt_dir, environment) as dbt, Beside() as beside:
        is_planted = settings.source == "sample"
        declared = beside.declare_planted_world(settings, plan.input_fingerprint) if is_planted else None
        beside.read_the_judge()
        definitions = _definitions(settings, dbt, beside)
        if declared is not None:
            declared()
        outcome = _execute(settings, paths, plan, definitions)
    if not outcome.success:
        _say_failure(outcome, paths.said(plan.run_id))
        return REFUSED
    _say_release(published_release(paths), settings)
    return 0


def _definitions(settings: Settings, dbt: DbtProcess, beside: Beside) -> dg.Definitions:
    from orchestration.defs.build import build_definitions

    definitions = build_definitions(settings, dbt.manifest(), dbt, beside.run_suite)
    gc.freeze()
    return definitions


def _execute(
    settings: Settings, paths: DataPaths, plan: RunPlan, definitions: dg.Definitions
) -> dg.ExecuteInProcessResult:
    from orchestration.defs.partitions import sync_periods
    from orchestration.defs.promises import run_tags
    from orchestration.defs.session import IN_PROCESS_TAG, instance_for_run

    tags = {**run_tags(plan), IN_PROCESS_TAG: "command line"}
    said = paths.said(plan.run_id)
    said.parent.mkdir(parents=True, exist_ok=True)
    with (
        instance_for_run(settings) as instance,
        said.open("w", encoding="utf-8") as handle,
        contextlib.redirect_stdout(handle),
    ):
        sync_periods(instance, plan.period_keys)
        return definitions.resolve_job_def("refresh").execute_in_process(
            instance=instance, raise_on_error=False, run_config={"loggers": {"progress": {}}}, tags=tags
        )


def _say_failure(outcome: dg.ExecuteInProcessResult, said: Path) -> None:
    print("\nNo release was published; what analysts see is unchanged.")
    refused = [e for e in outcome.get_asset_check_evaluations() if not e.passed and e.blocking]
    for check in refused:
        print(f"\n  Refused by {check.check_name}:\n    {check.description}")
    for event in outcome.all_node_events:
        if event.is_step_failure and not refused:
            data = event.step_failure_data
            cause = data.error.cause or data.error if data.error else None
            print(f"\n  Step {event.step_key} failed:\n    {cause.message.strip() if cause else 'no reason given'}")
    print(f"\nWhat the tools printed: {_shown(said)}. Mend the cause, then start it again: make run")


def _say_release(release: PublishedRelease, settings: Settings) -> None:
    print(f"\nPublished release {release.release_id}\n  at {release.path}")
    width = max(len(name) for name in release.row_counts)
    for name, count in sorted(release.row_counts.items()):
        print(f"  {name:<{width}} {count:>12,} rows")
    print(f"  checks: {release.checks_passed} passed, {len(release.warnings)} warnings, {release.checks_failed} failed")
    for warning in release.warnings:
        print(f"  warning: {warning}")
    shown = _shown(release.path.parent / "latest" / "warehouse.duckdb")
    source = "" if settings.source == "sample" else f" SOURCE={settings.source}"
    print("\nNext:")
    print(f"  make query{source}                  the first of the questions in queries/")
    print(f"  make dev{source}                    the orchestrator's page, with schedule and sensors")
    print(f"  duckdb -readonly {shown}   (any DuckDB client from 1.0 on opens it)")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def dev(settings: Settings, _given: argparse.Namespace) -> int:
    """The orchestrator's page and daemon on this data folder, schedules and sensors loaded."""
    from orchestration.defs.session import prepare_home

    prepare_home(DataPaths(settings.data_folder))
    print("Starting the page on http://127.0.0.1:3000 (stop it with Ctrl-C). Switch on schedule and sensors there.")
    program = Path(sys.executable).with_name("dagster")
    workspace = str(PROJECT_DIR / "workspace.yaml")
    os.chdir(PROJECT_DIR)
    os.execv(program, [str(program), "dev", "-w", workspace, "-h", "127.0.0.1", "-p", "3000"])


def releases(settings: Settings, _given: argparse.Namespace) -> int:
    """The releases on disk, the published one marked."""
    from orchestration.pipeline.releases import list_releases

    found = list_releases(DataPaths(settings.data_folder))
    if not found:
        print("There is no release yet. Make one with: make run")
    for release in found:
        print(f"{'*' if release.is_published else ' '} {release.release_id}  {release.path}")
    return 0


def roll_back(settings: Settings, given: argparse.Namespace) -> int:
    """Point `latest` at an earlier release after verifying it."""
    from orchestration.pipeline.releases import rollback

    if not given.release_id:
        print("Which release? Name it with: make rollback RELEASE=<id>. Releases on disk:")
        releases(settings, given)
        return UNUSABLE
    release = rollback(DataPaths(settings.data_folder), given.release_id)
    print(f"Analysts now see release {release.release_id} at {release.path}.")
    print("The next `make run` publishes a new release when input or code differ from this one.")
    return 0


def query(settings: Settings, given: argparse.Namespace) -> int:
    """Run one SQL file on the published release, read only, and print its rows."""
    import duckdb

    release = published_release(DataPaths(settings.data_folder))
    file = Path(given.file)
    if not file.is_file():
        print(f"There is no file {file}; a question is one SQL file; those of the project stand in queries/.")
        return UNUSABLE
    text = file.read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        print(line.removeprefix("--").strip())
    with duckdb.connect(str(release.path / "warehouse.duckdb"), read_only=True) as con:
        print(f"\nRelease {release.release_id}, {file}:")
        con.sql(text).show(max_width=200, max_rows=40)
    return 0


def docs(settings: Settings, _given: argparse.Namespace) -> int:
    """Write docs/data_dictionary.md and the settings table of docs/operations.md."""
    from orchestration.pipeline.dbt import ensure_manifest
    from orchestration.pipeline.docs import write_generated_pages

    for page in write_generated_pages(PROJECT_DIR / "docs", ensure_manifest(settings.dbt_dir)):
        print(f"wrote {_shown(page)}")
    return 0


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Everything is closed and on disk; taking the libraries apart again takes seconds.
