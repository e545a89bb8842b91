"""The commands behind the Makefile: run, dev, rollback, releases, alerts, query, docs.

Belongs here: starting things and saying what happened and what to do next. Does not belong here: the work.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestration.alerts import AlertDesk, AlertError, pull_stopped, run_failed
from orchestration.alerts.listing import counts_line, entry_lines, has_undelivered
from orchestration.comtrade.api.errors import ApiError
from orchestration.comtrade.files import FolderError
from orchestration.comtrade.ledger import LedgerError
from orchestration.pipeline.lock import BusyError, only_one_pull, only_one_run
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError, RunPlan, make_plan
from orchestration.pipeline.processes import collect_garbage_seldom
from orchestration.pipeline.releases import nothing_to_publish, published_release
from orchestration.pipeline.storage import remove_temporaries
from orchestration.reference import ReferenceError
from orchestration.release import PublishedRelease, ReleaseError
from orchestration.settings import PROJECT_DIR, STAND_IN, Settings

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.pipeline.beside import Beside
    from orchestration.pipeline.dbt import DbtProcess

REFUSED, UNUSABLE, RESUMABLE_STATUS = 1, 2, 3
SHOWN_NOTES = 10
LISTED_ALERTS = 50
FIRST_QUERY = "queries/01_largest_anomalous_gaps.sql"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 well, 1 refused or failed, 2 unusable input or settings, 3 resumable."""
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
    except (AlertError, FolderError, LedgerError, PlanError, ReferenceError, ReleaseError) as error:
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
        ("pull", pull_now, "land what the API has new or revised"),
        ("plan", plan_only, "say what a pull would take, before it starts"),
        ("dev", dev, "open the orchestrator's page"),
        ("releases", releases, "list the releases on disk"),
        ("docs", docs, "write the generated pages"),
    ):
        commands.add_parser(name, help=words).set_defaults(command=command)
    back = commands.add_parser("rollback", help="point analysts at an earlier release")
    back.add_argument("release_id", nargs="?", default="")
    back.set_defaults(command=roll_back)
    told = commands.add_parser("alerts", help="list alerts and their state; deliver what is due")
    told.add_argument("--again", action="store_true", help="try everything that is not delivered now")
    told.add_argument("--test", action="store_true", help="send a test over every channel")
    told.set_defaults(command=alerts)
    ask = commands.add_parser("query", help="ask the published release a question")
    ask.add_argument("file", nargs="?", default=FIRST_QUERY)
    ask.set_defaults(command=query)
    return parser


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Everything from declarations to a published release; nothing when the input is unchanged."""
    paths = DataPaths(settings.data_folder)
    if settings.is_pulled:
        status = pull_now(settings, _given)
        if status:
            return status
    plan = make_plan(settings)
    # Before another release comes: what the last one says of leads is told against the one before it.
    AlertDesk(settings).tell_missed()
    unchanged = nothing_to_publish(paths, plan.input_fingerprint)
    if unchanged:
        print(f"Unchanged: {unchanged}.")
        AlertDesk(settings).deliver()
        _say_release(published_release(paths), settings)
        return 0
    try:
        with only_one_run(paths):
            return _run(settings, paths, plan)
    except BusyError as error:
        print(f"Nothing was started: {error}")
        return REFUSED


def pull_now(settings: Settings, _given: argparse.Namespace) -> int:
    """Land what the API has new or revised; exit status 3 when it ends early and goes on when started again."""
    from orchestration.pipeline.pull import RESUMABLE, open_client, pull
    from orchestration.reference import load_reference

    if not settings.is_pulled:
        print(f"The source {settings.source} is not pulled from the API; take SOURCE=api or SOURCE=preview.")
        return UNUSABLE
    collect_garbage_seldom()
    paths = DataPaths(settings.data_folder)
    pull_id = f"pull-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    try:
        with only_one_run(paths), only_one_pull(paths), open_client(settings, paths, pull_id) as (client, book):
            done = pull(settings, paths, load_reference(settings.seeds_dir), client, book, pull_id)
            left = book.left_today()
    except BusyError as error:
        print(f"Nothing was started: {error}")
        return REFUSED
    except ApiError as error:
        print(f"The pull was stopped; what had landed is kept: {error}")
        _alert_stopped(settings, paths, str(error))
        return REFUSED
    print(
        f"Pull {done.status}: {len(done.landed):,} data sets with {done.row_count:,} rows landed in {done.calls} calls"
    )
    print(f"  ({left} calls left today).")
    for note in done.notes[:SHOWN_NOTES]:
        print(f"  note: {note}")
    if done.unsettled:
        print(
            f"  Not landed, as answers were doubtful or requests refused: {len(done.unsettled):,} data sets. The next "
            "pull asks for them again."
        )
    for one in done.unsettled[:SHOWN_NOTES]:
        print(f"  not landed: {one.source_file}: {one.what}; {one.how_to_mend}")
    if settings.source == "preview":
        print("  This is a preview: an answer holds 500 rows at most and may be cut off. Take no total from it.")
    if done.status == RESUMABLE:
        print(f"  It ends here and can be resumed: {done.why}")
        _alert_stopped(settings, paths, done.why)
        return RESUMABLE_STATUS
    return 0


def _alert_stopped(settings: Settings, paths: DataPaths, why: str) -> None:
    from orchestration.pipeline.availability import read_availability
    from orchestration.pipeline.pull import versions_to_land

    desk = AlertDesk(settings)
    to_land = versions_to_land(paths, read_availability(paths))
    desk.tell(pull_stopped(paths, f"{datetime.now(UTC):%Y-%m-%d}", why, len(to_land)))
    desk.deliver()


def plan_only(settings: Settings, _given: argparse.Namespace) -> int:
    """What a pull would take; asks for the availability list (a call a frequency) and for nothing else."""
    from orchestration.pipeline.pull import look, open_client, plan_pull, versions_to_land

    if not settings.is_pulled:
        print(f"The source {settings.source} is not pulled from the API; take SOURCE=api or SOURCE=preview.")
        return UNUSABLE
    paths = DataPaths(settings.data_folder)
    try:
        with open_client(settings, paths, "plan") as (client, book):
            plan = plan_pull(settings, paths, look(client, settings, paths), book.left_today())
    except ApiError as error:
        print(f"No plan could be made: {error}")
        return REFUSED
    cost = plan.cost
    to_land = len(versions_to_land(paths, plan.available))
    print(f"{len(plan.available):,} data sets are available, {to_land:,} of them are new or revised.")
    if cost.data_sets < to_land:
        print(f"A preview asks for {cost.data_sets:,} of them, the newest years first, 500 rows of each at most.")
    print(f"  rows      {cost.rows:>14,}")
    print(f"  calls     {cost.calls:>14,}   ({plan.calls_left:,} left today, {settings.api_calls_a_day:,} a day)")
    print(f"  days      {cost.days:>14,}   of quota")
    print(f"  transfer  {cost.bytes_about / 1e6:>14,.0f}   MB, about")
    print(f"Nothing was pulled. Start it with: make pull{_how_called(settings)}")
    return 0


def _run(settings: Settings, paths: DataPaths, plan: RunPlan) -> int:
    from orchestration.pipeline.beside import Beside
    from orchestration.pipeline.dbt import DbtProcess, dbt_environment
    from orchestration.reconcile import METHOD_VERSION

    collect_garbage_seldom()
    desk = AlertDesk(settings)
    known = {entry.alert.alert_id for entry in desk.entries()}
    origin = {
        "files": f"{settings.declarations}",
        "sample": f"planted world, seed {settings.sample_seed}",
    }.get(settings.source, settings.api_address)
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
        _alert_failure(outcome, desk, paths, plan.run_id)
        _say_alerts(desk, known)
        return REFUSED
    _say_alerts(desk, known)
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
    for check in _refusing(outcome):
        print(f"\n  Refused by {check.check_name}:\n    {check.description}")
    for step, reason in _failed_steps(outcome):
        print(f"\n  Step {step} failed:\n    {reason}")
    print(f"\nWhat the tools printed: {_shown(said)}. Mend the cause, then start it again: make run")


def _refusing(outcome: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    return [e for e in outcome.get_asset_check_evaluations() if not e.passed and e.blocking]


def _failed_steps(outcome: dg.ExecuteInProcessResult) -> list[tuple[str, str]]:
    """Steps that failed with their reasons; none when a check refused the run, which says it better."""
    found = []
    for event in outcome.all_node_events:
        if event.is_step_failure and not _refusing(outcome):
            data = event.step_failure_data
            cause = data.error.cause or data.error if data.error else None
            found.append((str(event.step_key), cause.message.strip() if cause else "no reason given"))
    return found


def _alert_failure(outcome: dg.ExecuteInProcessResult, desk: AlertDesk, paths: DataPaths, run_id: str) -> None:
    """Raise the alert on a broken run; a refusal was alerted by the gate."""
    reason = "\n".join(f"Step {step} failed: {why}" for step, why in _failed_steps(outcome))
    if reason:
        desk.tell(run_failed(paths, run_id, outcome.run_id, outcome.dagster_run.job_name, reason))


def _say_alerts(desk: AlertDesk, known: set[str]) -> None:
    """Deliver, and say where the alerts stand that this run raised."""
    desk.deliver()
    raised = [entry for entry in desk.entries() if entry.alert.alert_id not in known]
    if raised:
        print(f"\nAlerts raised: {len(raised)} ({counts_line(raised)}); make alerts lists them.")


def _say_release(release: PublishedRelease, settings: Settings) -> None:
    print(f"\nPublished release {release.release_id}\n  at {release.path}")
    width = max(len(name) for name in release.row_counts)
    for name, count in sorted(release.row_counts.items()):
        print(f"  {name:<{width}} {count:>12,} rows")
    print(f"  checks: {release.checks_passed} passed, {len(release.warnings)} warnings, {release.checks_failed} failed")
    for warning in release.warnings:
        print(f"  warning: {warning}")
    shown = _shown(release.path.parent / "latest" / "warehouse.duckdb")
    source = _how_called(settings)
    print("\nNext:")
    print(f"  make query{source}                  the first of the questions in queries/")
    print(f"  make dev{source}                    the orchestrator's page, with schedule and sensors")
    print(f"  duckdb -readonly {shown}   (any DuckDB client from 1.0 on opens it)")


def _how_called(settings: Settings) -> str:
    """What make must be told to mean the same data folder."""
    source = "" if settings.source == "sample" else f" SOURCE={settings.source}"
    return source + (f" API={STAND_IN}" if settings.is_pulled and settings.api_address == STAND_IN else "")


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


def alerts(settings: Settings, given: argparse.Namespace) -> int:
    """Deliver what is due and list alerts with their state; exit status 1 when something was given up."""
    desk = AlertDesk(settings)
    if given.test:
        said = desk.test_channels(secrets.token_hex(4))
        for name, trouble in said.items():
            print(f"{name}: {trouble or 'the test was taken'}")
        return REFUSED if any(said.values()) else 0
    if given.again:
        print(f"{desk.try_again()} deliveries are due again.")
    done = desk.deliver()
    if done.is_busy:
        print("Another process is delivering; this is how far it is.")
    entries = desk.entries()
    if len(entries) > LISTED_ALERTS:
        print(
            f"The last {LISTED_ALERTS} of {len(entries)} alerts; all of them: {DataPaths(settings.data_folder).alerts}"
        )
    for entry in entries[-LISTED_ALERTS:]:
        print("\n".join(entry_lines(entry)))
    print(counts_line(entries) or "There is no alert yet.")
    return REFUSED if has_undelivered(entries) else 0


def roll_back(settings: Settings, given: argparse.Namespace) -> int:
    """Point `latest` at an earlier release after verifying it."""
    from orchestration.pipeline.releases import rollback

    if not given.release_id:
        print("Which release? Name it with: make rollback RELEASE=<id>. Releases on disk:")
        releases(settings, given)
        return UNUSABLE
    release = rollback(DataPaths(settings.data_folder), given.release_id)
    print(f"Analysts now see release {release.release_id} at {release.path}.")
    print("The release before it is withheld: it is not published again until input or code change.")
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
