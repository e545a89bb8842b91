"""Look at the orchestrator's page in a real browser, and hold daemon and page against what they should do.

    python -m bench.ui --data-dir /tmp/ui-data --out /tmp/ui     # the page on what a run with MIRROR_KEEP_HISTORY left
    python -m bench.ui --live --out /tmp/ui                      # page and daemon on a source that is pulled (stand-in)

Opens the main views with headless Chromium and saves one PNG each; `--live` first lets the daemon pull, refresh, and
pull again what was revised (see `live_page`). Ends with status 1 when something is not as it should be, when the log
holds an error or a warning that is not among `EXPLAINED`, or the browser's console an error.
Needs Chromium on the machine (Debian: the package chromium).

Belongs here: taking pictures. Does not belong here: a verdict on how they look; that takes eyes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import dagster as dg

from bench.browser import NothingToSee, Tab, View, browser, chromium, free_port, wait_for
from bench.live_page import NotAsItShould, page_and_daemon, prove, stand_in
from orchestration.defs.session import prepare_home
from orchestration.pipeline.paths import DataPaths

PROJECT_DIR = Path(__file__).resolve().parents[1]
VIEWS = {
    "graph": View("/asset-groups", 2000, 1000),
    "graph_release": View("/locations/mirror_warehouse/asset-groups/release", 1600, 800),
    "catalogue": View("/assets"),
    "landed": View("/assets/declarations/landed?view=overview", height=1100),
    "landed_by_period": View("/assets/declarations/landed?view=overview", click=("[Show Markdown]",)),
    "contracted": View("/assets/declarations/contracted?view=overview", height=1400),
    "flows_by_period": View("/assets/reconciliation/mirror_flows?view=events", click=("[Show Markdown]",)),
    "checks": View("/assets/declarations/contracted?view=checks", height=1000),
    "partitions": View("/assets/declarations/contracted?view=partitions"),
    "audit": View("/assets/release/audit_results?view=overview"),
    "published": View("/assets/release/published?view=overview", height=1300),
    "leads_over_releases": View("/assets/release/published?view=overview", click=("[Show Markdown]",)),
    "lead_mart": View("/assets/marts/mart_passage_lead?view=overview", height=1400),
    "runs": View("/runs", height=500),
    "automation": View("/automation", height=500),
    "job": View("/locations/mirror_warehouse/jobs/refresh", 1600),
    "concurrency": View("/deployment/concurrency"),
}
LIVE_VIEWS = {
    "live_graph": View("/asset-groups", 2000, 1000, holds=("pulls",)),
    "live_graph_pulls": View("/locations/mirror_warehouse/asset-groups/pulls", 1200, 600, holds=("data_sets",)),
    "live_availability": View("/assets/pulls/availability?view=overview", 1700, 1250, holds=("to_pull_revised",)),
    "live_pulled": View("/assets/pulls/data_sets?view=overview", height=900, holds=("pull_still_to_land",)),
    "live_pulled_partitions": View(
        "/assets/pulls/data_sets?view=partitions&partition=A-2024", holds=("landed_data_sets", "54 Partitions")
    ),
    "live_pulled_events": View("/assets/pulls/data_sets?view=events", height=1000, holds=("still_to_land",)),
    "live_checks": View("/assets/declarations/contracted?view=checks", height=1000),
    "live_automation": View("/automation", height=680, holds=("daily_availability", "pulled_versions")),
    "live_runs": View("/runs", height=1000, holds=("availability", "pull", "refresh")),
    "live_concurrency": View("/deployment/concurrency", holds=("comtrade_api",)),
}
# Not `_error`: names of checks may hold the word.
SUSPECT = re.compile(r"(?<!_)error|exception|traceback|critical|deprecat|superse", re.IGNORECASE)
# What may stand in the log, and why.
EXPLAINED = {
    # A dependency of sqlglot names its successor; the lock decides what is installed.
    r"site-packages/sqlglotrs/.*DeprecationWarning",
    # Dagster reads an old property of its own.
    r"site-packages/dagster/.*`ScheduleDefinition\.environment_vars` is deprecated",
    # `dg dev` comes with another package (dagster-dg-cli), which nothing else here needs.
    r"site-packages/click/.*SupersessionWarning: Function `dev_command`",
    # The sum line of dbt; it counts no error.
    r"Done\. PASS=\d+ WARN=\d+ ERROR=0 ",
}


def main() -> int:
    """Take the pictures; 0 when everything is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder that a run has filled; with --live one that is empty")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--live", action="store_true", help="page and daemon on the source `api`, local stand-in")
    parser.add_argument("--view", choices=sorted({*VIEWS, *LIVE_VIEWS}), action="append", help="only these")
    given = parser.parse_args()
    if not given.live and given.data_dir is None:
        parser.error("name the folder of a run with --data-dir, or take --live")
    program = chromium()
    if program is None:
        print("There is no Chromium here, so no picture can be taken; install it (Debian: apt-get install chromium).")
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    views = {**VIEWS, **LIVE_VIEWS}
    chosen = {name: views[name] for name in given.view or (LIVE_VIEWS if given.live else VIEWS)}
    try:
        if given.live:
            with tempfile.TemporaryDirectory(prefix="mirror-live-", ignore_cleanup_errors=True) as folder:
                complaints = _live(given.data_dir or Path(folder) / "data", chosen, given.out, program)
        else:
            complaints = _finished(given.data_dir, chosen, given.out, program)
    except (NotAsItShould, NothingToSee) as error:
        complaints = [str(error)]
    found = [*complaints, *unexplained(given.out / "page.log")]
    print("\n".join(["Not as it should be:", *found]) if found else "Log and console hold no unexplained line.")
    return 1 if found else 0


def unexplained(log: Path) -> list[str]:
    """Lines of a log that speak of an error or a deprecation and are not explained."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if SUSPECT.search(line) and not any(re.search(known, line) for known in EXPLAINED)]


def _finished(data_dir: Path, views: Mapping[str, View], out: Path, program: str) -> list[str]:
    """Pictures of the page on what a run has left; what the browser complained of."""
    port = free_port()
    page = _start(data_dir, port, out / "page.log")
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info", page.poll)
        return _pictures(f"http://127.0.0.1:{port}", views, out, program)
    finally:
        page.terminate()
        page.wait(timeout=30)


def _live(data_dir: Path, views: Mapping[str, View], out: Path, program: str) -> list[str]:
    """What the daemon did, printed, and pictures of the page after it; what the browser complained of."""
    with stand_in(out / "stand_in.log") as address, page_and_daemon(data_dir, address, out / "page.log") as page:
        page.wait_until_loaded()
        with dg.DagsterInstance.from_config(str(DataPaths(data_dir).orchestrator)) as instance:
            lines = prove(page, instance, data_dir, address)
        (out / "found.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print("\n".join(lines), flush=True)
        return _pictures(page.host, views, out, program)


def _pictures(host: str, views: Mapping[str, View], out: Path, program: str) -> list[str]:
    with browser(program) as tab:
        for name, view in views.items():
            tab.look(host, view, out / f"{name}.png")
            print(f"{name}: {out / (name + '.png')}", flush=True)
        return list(_once(tab))


def _once(tab: Tab) -> Iterable[str]:
    """Complaints of the browser, each once, in order."""
    return dict.fromkeys(f"browser, {complaint}" for complaint in tab.complaints)


def _start(data_dir: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    prepare_home(DataPaths(data_dir.resolve()))
    program = Path(sys.executable).with_name("dagster-webserver")
    words = [str(program), "-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT_DIR / "workspace.yaml")]
    given = {"MIRROR_DATA_DIR": str(data_dir.resolve()), "PYTHONPATH": str(PROJECT_DIR), "PYTHONWARNINGS": "default"}
    with log.open("wb") as said:
        return subprocess.Popen(words, cwd=PROJECT_DIR, env={**os.environ, **given}, stdout=said, stderr=said)


if __name__ == "__main__":
    sys.exit(main())
