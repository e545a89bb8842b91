"""Look at the orchestrator's page in a real browser: `python -m bench.ui --data-dir /tmp/ui-data --out /tmp/ui`.

Starts the page on a data folder that a run has filled (with MIRROR_KEEP_HISTORY=true), opens its main views with
headless Chromium, saves one PNG each, and ends with status 1 when the page's log holds an error or a deprecation
warning.
Needs Chromium on the machine (Debian: the package chromium).

Belongs here: taking pictures. Does not belong here: a verdict on how they look; that takes eyes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from orchestration.defs.session import prepare_home
from orchestration.pipeline.paths import DataPaths

PROJECT_DIR = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class View:
    """One picture: the page's path, its size in pixels, and the words that are clicked on first."""

    path: str
    width: int = 1400
    height: int = 900
    click: str = ""


VIEWS = {
    "graph": View("/asset-groups", 2000, 1000),
    "graph_release": View("/locations/mirror_warehouse/asset-groups/release", 1600, 800),
    "catalogue": View("/assets"),
    "landed": View("/assets/declarations/landed?view=overview", height=1100),
    "landed_by_period": View("/assets/declarations/landed?view=overview", click="[Show Markdown]"),
    "contracted": View("/assets/declarations/contracted?view=overview", height=1400),
    "flows_by_period": View("/assets/reconciliation/mirror_flows?view=overview", click="[Show Markdown]"),
    "checks": View("/assets/declarations/contracted?view=checks", height=1000),
    "partitions": View("/assets/declarations/contracted?view=partitions"),
    "audit": View("/assets/release/audit_results?view=overview"),
    "published": View("/assets/release/published?view=overview", height=1300),
    "leads_over_releases": View("/assets/release/published?view=overview", click="[Show Markdown]"),
    "lead_mart": View("/assets/marts/mart_passage_lead?view=overview", height=1400),
    "runs": View("/runs", height=500),
    "automation": View("/automation", height=500),
    "job": View("/locations/mirror_warehouse/jobs/refresh", 1600),
    "concurrency": View("/deployment/concurrency"),
}
BROWSER = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SUSPECT = re.compile(r"error|exception|traceback|deprecat|superseded", re.IGNORECASE)
LIBRARY = "site-packages"
WAIT_SECONDS, PAGE_SECONDS, CLICK_SECONDS = 120, 9, 2


def main() -> int:
    """Take the pictures; 0 when the page's log is clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--view", choices=sorted(VIEWS), action="append", help="only these")
    given = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("There is no Chromium here, so no picture can be taken; install it (Debian: apt-get install chromium).")
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    log = given.out / "webserver.log"
    port = _free_port()
    page = _start(given.data_dir, port, log)
    try:
        _wait(f"http://127.0.0.1:{port}/server_info", page.poll)
        with _browser(browser) as tab:
            for name in given.view or VIEWS:
                tab.look(f"http://127.0.0.1:{port}", VIEWS[name], given.out / f"{name}.png")
                print(f"{name}: {given.out / (name + '.png')}", flush=True)
    finally:
        page.terminate()
        page.wait(timeout=30)
    said = log.read_text(encoding="utf-8").splitlines()
    found = [line for line in said if SUSPECT.search(line) and LIBRARY not in line]
    print(
        "\n".join(["The page's log holds:", *found]) if found else "The page's log holds no error or warning of ours."
    )
    return 1 if found else 0


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _start(data_dir: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    prepare_home(DataPaths(data_dir.resolve()))
    program = Path(sys.executable).with_name("dagster-webserver")
    words = [str(program), "-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT_DIR / "workspace.yaml")]
    given = {"MIRROR_DATA_DIR": str(data_dir.resolve()), "PYTHONPATH": str(PROJECT_DIR), "PYTHONWARNINGS": "default"}
    with log.open("wb") as said:
        return subprocess.Popen(words, cwd=PROJECT_DIR, env={**os.environ, **given}, stdout=said, stderr=said)


def _wait(address: str, ended: Callable[[], int | None]) -> bytes:
    """What the address answers once somebody listens there."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and ended() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(
        f"nobody answers at {address}, so there is nothing to look at; read webserver.log beside the pictures"
    )


class Tab:
    """One tab of the browser, spoken to over its debugging socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0

    def look(self, host: str, view: View, picture: Path) -> None:
        """Open a view, click where it says, and save what is seen."""
        size = {"width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Page.navigate", url=host + view.path)
        time.sleep(PAGE_SECONDS)
        if view.click:
            clicked = self._ask("Runtime.evaluate", expression=_click(view.click))["result"].get("value")
            if not clicked:
                raise RuntimeError(
                    f"the view {view.path} holds no {view.click!r}, so its picture would show nothing new"
                )
            time.sleep(CLICK_SECONDS)
        picture.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def _ask(self, method: str, **given: object) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": given}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                return dict(answer["result"])


def _click(words: str) -> str:
    """JavaScript that clicks the innermost element with this text; true when there is one."""
    return (
        f"(() => {{ const found = [...document.querySelectorAll('*')].filter(e => e.textContent.trim() === {words!r});"
        " if (!found.length) return false; found[found.length - 1].click(); return true; })()"
    )


@contextmanager
def _browser(program: str) -> Iterator[Tab]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="mirror-browser-", ignore_cleanup_errors=True) as profile:
        words = [program, *BROWSER, f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            tabs = json.loads(_wait(f"http://127.0.0.1:{port}/json", process.poll))
            with connect(next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page"), max_size=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            process.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
