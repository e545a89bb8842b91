"""The stand-in behind a port of this machine.

Belongs here: starting and stopping the server. Does not belong here: what it answers.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from orchestration.stand_in.app import make_app
from orchestration.stand_in.stand_in import StandIn

HOST = "127.0.0.1"
_GRACE_SECONDS = 2
_START_SECONDS = 10.0


@dataclass(frozen=True)
class Served:
    """A stand-in that listens at `address` ('http://127.0.0.1:54321')."""

    address: str
    stand_in: StandIn


@contextmanager
def serve(stand_in: StandIn, port: int = 0) -> Iterator[Served]:
    """Serve on this machine only, in a thread of this process, until the block ends; port 0 takes a free one.

    Raises OSError when the port is taken and RuntimeError when the server does not start.
    """
    stand_in.closing.clear()
    with listening_socket(port) as listener:
        server = Server(stand_in)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="stand-in")
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield Served(address_of(listener), stand_in)
        finally:
            server.stop()
            thread.join()


class Server(uvicorn.Server):
    """A silent server (calls are in the stand-in's own record) that lets go of held answers when it stops."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        super().__init__(
            uvicorn.Config(
                make_app(stand_in),
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    def stop(self) -> None:
        """Finish the answers being made, then end; from any thread."""
        self._stand_in.closing.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a signal."""
        self._stand_in.closing.set()
        super().handle_exit(sig, frame)


def listening_socket(port: int) -> socket.socket:
    """A socket bound on this machine. Raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        # Calls that come before the server is up wait here instead of being refused.
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a bound socket."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError(
                "the stand-in did not start; calls to it would find nobody; run it in a process of its own "
                "(python -m orchestration.stand_in) to see why"
            )
        time.sleep(0.005)
