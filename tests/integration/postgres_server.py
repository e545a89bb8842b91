"""A PostgreSQL server of the test's own: a fresh cluster, a password of its own, a free port on the loopback.

Belongs here: starting and ending it. Does not belong here: what the orchestrator keeps in it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
USER, DATABASE = "dagster", "dagster"
WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Server:
    """Where the server listens, its log, and the password that only its environment may hold."""

    port: int
    password: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """The variables that deploy/dagster.yaml asks for."""
        return {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(self.port),
            "DAGSTER_POSTGRES_USER": USER,
            "DAGSTER_POSTGRES_PASSWORD": self.password,
            "DAGSTER_POSTGRES_DB": DATABASE,
        }


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def programs() -> Path | None:
    """The folder of initdb and postgres; None where no server is installed."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else FOLDERS
    return next((folder for folder in found if (folder / "postgres").is_file()), None)


@contextmanager
def running(bin_dir: Path, password: str) -> Iterator[Server]:
    """A server with an empty database, gone with its folder at the end.

    The server refuses to run as root; there it runs as nobody, who owns its folder. The folder is not pytest's: other
    users may not enter that.
    """
    base = Path(tempfile.mkdtemp(prefix="mirror-postgres-"))
    user = "nobody" if os.geteuid() == 0 else None
    server = Server(free_port(), password, base)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(base)}
    secret = base / "password"
    secret.write_text(password, encoding="utf-8")
    if user is not None:
        shutil.chown(base, user)
        shutil.chown(secret, user)
    cluster, log = base / "cluster", base / "server.log"
    made = [str(bin_dir / "initdb"), "-D", str(cluster), "-U", USER, "--pwfile", str(secret), "-N", "--no-instructions"]
    subprocess.run(
        [*made, "-A", "scram-sha-256"], user=user, env=environment, check=True, capture_output=True, cwd=base
    )
    secret.unlink()
    listen = ["-h", "127.0.0.1", "-p", str(server.port), "-k", str(base), "-c", "fsync=off", "-c", "log_statement=all"]
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [str(bin_dir / "postgres"), "-D", str(cluster), *listen],
            user=user, env=environment, cwd=base, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        _make_database(bin_dir, server, environment, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=WAIT_SECONDS)
        shutil.rmtree(base)


def _make_database(
    bin_dir: Path, server: Server, environment: dict[str, str], process: subprocess.Popen[bytes], log: Path
) -> None:
    given = environment | {"PGPASSWORD": server.password}
    words = ["-h", "127.0.0.1", "-p", str(server.port), "-U", USER, "--maintenance-db", "postgres", DATABASE]
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if (
            subprocess.run([str(bin_dir / "createdb"), *words], env=given, check=False, capture_output=True).returncode
            == 0
        ):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start, so nothing can be tried on it; it said: {log.read_text()}")
