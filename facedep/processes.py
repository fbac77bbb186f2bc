"""The one way to start a background process, and to tell from its files whether it is still alive.

A background process outlives the page and the server that started it. It shows that it is alive by touching a file
every `HEARTBEAT_SECONDS`; whoever looks calls it lost when that file is older than `LOST_AFTER_SECONDS`. Asking the
system about its number instead would call a zombie alive, and another program that was given the same number later.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from facedep.paths import PROJECT_DIR

# How a background process is. The process itself writes running and how it ended; readers derive the others.
NONE, STARTING, RUNNING, STOPPING = "none", "starting", "running", "stopping"
FINISHED, STOPPED, FAILED, LOST = "finished", "stopped", "failed", "lost"

HEARTBEAT_SECONDS = 2.0
LOST_AFTER_SECONDS = 30.0  # the largest gap seen on a busy machine is 0.9 s; a laptop's lid may be closed for a moment


def start_python(
    arguments: Sequence[str],
    log_path: Path,
    *,
    on_end: Callable[[int], None] | None = None,
) -> None:
    """Starts `python -m <arguments>` apart from this process: it outlives it, and no Ctrl-C here reaches it.

    Args:
        arguments: The module and what it is given.
        log_path: What it prints is added to this file.
        on_end: Called with the exit status, from another thread, if this process is still there when that one ends.

    Raises:
        OSError: It cannot be started, or the log cannot be written.
    """
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=build_environment(),
            **apart,
        )

    def wait() -> None:
        status = process.wait()  # or an ended child would stay behind as a zombie
        if on_end is not None:
            on_end(status)

    threading.Thread(target=wait, daemon=True).start()


def build_environment() -> dict[str, str]:
    """Returns this process's environment variables, extended so that a Python child finds this project's modules."""
    python_path = os.pathsep.join(filter(None, [str(PROJECT_DIR), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": python_path}


class Heartbeat:
    """Touches a file from a thread, at once and then every `HEARTBEAT_SECONDS`. A context manager.

    Args:
        path: The file.
        creates: Whether the file is made where it is missing; otherwise it is left so, and touched once it is there.
    """

    def __init__(self, path: Path, *, creates: bool = True):
        self._path, self._creates = path, creates
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Begins. To be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; the file is not touched any more once this has returned."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # a full disk for a moment must not end the heartbeat for good
                if self._creates:
                    self._path.touch()
                else:
                    os.utime(self._path)
            if self._ended.wait(HEARTBEAT_SECONDS):
                return


def find_last_change(*paths: Path) -> float:
    """Returns when one of these files was last touched, in seconds since 1970; 0 where none is there."""
    times = [0.0]
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def is_lost(*paths: Path) -> bool:
    """Whether a process that has not written down its end is gone: none of these files was touched for too long."""
    return time.time() - find_last_change(*paths) > LOST_AFTER_SECONDS


def read_log_tail(path: Path, num_lines: int = 30) -> str:
    """Returns the last lines of a log, "" where there is none."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-num_lines:])
    except OSError:
        return ""
