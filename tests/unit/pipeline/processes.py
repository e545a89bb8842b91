"""Whether a process that was started by another ends with it.

Belongs here: killing and waiting, for the tests of `DbtProcess` and `Beside`. Does not belong here: any test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def ends_with_its_run(code: str) -> bool:
    """True when the process that the code starts is gone within ten seconds of the code's own process being killed.

    The code prints the process id, then sleeps.
    """
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    started = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    run.wait()
    for _ in range(100):
        if not _is_alive(started):
            return True
        time.sleep(0.1)
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.is_file() and status.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z")
