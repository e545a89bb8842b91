"""A headless Chromium that opens pages, clicks, saves pictures and tells what its console said.

Belongs here: the browser. Does not belong here: which pages are looked at (`ui`, `live_page`).
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_WAIT_SECONDS, _PAGE_SECONDS, _CLICK_SECONDS = 180, 9, 2
_CLIENT_ERROR = 400


class NothingToSee(Exception):
    """A page or a place on it cannot be looked at; the text says which."""


@dataclass(frozen=True)
class View:
    """One picture: the page's path, its size in pixels, the words that are clicked on first (one after the other), and
    words that must stand on the page.
    """

    path: str
    width: int = 1400
    height: int = 900
    click: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


class Tab:
    """One tab of the browser, spoken to over its debugging socket. `complaints` is what its console said of errors."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        for domain in ("Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def look(self, host: str, view: View, picture: Path) -> None:
        """Open a view, click where it says, and save what is seen. Raises NothingToSee when words are missing."""
        size = {"width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Page.navigate", url=host + view.path)
        time.sleep(_PAGE_SECONDS)
        for words in view.click:
            if not self._value(_click(words)):
                raise NothingToSee(f"the view {view.path} holds no {words!r}, so its picture would show nothing new")
            time.sleep(_CLICK_SECONDS)
        text = str(self._value("document.body.innerText"))
        picture.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))
        missing = [words for words in view.holds if words not in text]
        if missing:
            raise NothingToSee(f"the view {view.path} does not say {missing}; see {picture}")

    def _value(self, expression: str) -> object:
        return self._ask("Runtime.evaluate", expression=expression)["result"].get("value")

    def _ask(self, method: str, **given: object) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": given}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                return dict(answer["result"])
            complaint = _complaint(answer.get("method", ""), answer.get("params", {}))
            if complaint:
                self.complaints.append(complaint)


def _complaint(method: str, said: dict[str, Any]) -> str:
    """What an event of the browser says of an error; empty when it is none."""
    if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
        return "console: " + " ".join(str(one.get("value", one.get("description", ""))) for one in said["args"])
    if method == "Runtime.exceptionThrown":
        thrown = said["exceptionDetails"]
        return f"exception: {thrown.get('exception', {}).get('description', thrown['text'])}"
    if method == "Log.entryAdded" and said["entry"]["level"] == "error":
        return f"log: {said['entry']['text']} {said['entry'].get('url', '')}"
    if method == "Network.responseReceived" and said["response"]["status"] >= _CLIENT_ERROR:
        return f"answer {said['response']['status']}: {said['response']['url']}"
    return ""


def _click(words: str) -> str:
    """JavaScript that clicks the innermost element with this text; true when there is one."""
    return (
        f"(() => {{ const found = [...document.querySelectorAll('*')].filter(e => e.textContent.trim() === {words!r});"
        " if (!found.length) return false; found[found.length - 1].click(); return true; })()"
    )


def chromium() -> str | None:
    """The program, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser(program: str) -> Iterator[Tab]:
    """A browser with an empty profile and one tab, closed at the end."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mirror-browser-", ignore_cleanup_errors=True) as profile:
        words = [program, *_FLAGS, f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            tabs = json.loads(wait_for(f"http://127.0.0.1:{port}/json", process.poll))
            with connect(next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page"), max_size=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(address: str, ended: Callable[[], int | None]) -> bytes:
    """What the address answers once somebody listens there."""
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end and ended() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.5)
    raise NothingToSee(f"nobody answers at {address}, so there is nothing to look at; read the log beside the pictures")
