"""Background processes that compute something into the cache, each with a small file that says how far it is.

A job is the command line (`python -m facedep embed ...`) in a process of its own: it outlives a page that is closed and
slows down none that is open. Its result lies in the cache, its progress in `<name>.json` and what it printed in
`<name>.log`, so that every tab sees the same thing. The file counts as a heartbeat too: it is touched every 2 s.
"""

import contextlib
import functools
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock

from facedep.errors import FacedepError, RunError
from facedep.files import evict_oldest, read_json, write_json
from facedep.logs import describe_error
from facedep.paths import cache_dir
from facedep.processes import FAILED, FINISHED, LOST, NONE, RUNNING, Heartbeat, is_lost, read_log_tail, start_python

_logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_WRITE_SECONDS = 0.5  # a page looks once a second
_KEPT_SECONDS = 7 * 24 * 3600  # files of jobs that ended longer ago are deleted


@dataclass(frozen=True)
class Job:
    """How far a background process is.

    Attributes:
        state: `none` (never started), `running`, `finished`, `failed`, or `lost`: it ended without a word.
        stage: What it is at, in the words of its command.
        num_done: Pictures (or steps) of this stage that are done.
        num_total: All of this stage; 0 while that is unknown.
        message: A sentence for the user where it failed or was lost, else empty.
    """

    state: str
    stage: str = ""
    num_done: int = 0
    num_total: int = 0
    message: str = ""


def start_job(name: str, argv: list[str]) -> None:
    """Starts `python -m facedep <argv> --progress <file>`, unless a job of that name is running; it outlives the app.

    Args:
        name: What the job is for: letters, digits, ".", "_" and "-". A job for one model and data
            set has their key in its name.
        argv: The command and its arguments. The command reports with a `JobWriter`.

    Raises:
        RunError: The process cannot be started.
    """
    path = find_progress_path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / ".start.lock"):  # two starts at the same moment: the second finds the first one's
            if read_job(name).state == RUNNING:
                return
            evict_oldest(path.parent, max_age_seconds=_KEPT_SECONDS)
            started = time.time()
            _write_progress(path, Job(RUNNING, "starting"), started)
            path.with_suffix(".log").write_bytes(b"")  # without what an earlier process printed
            start_python(
                ["facedep", *argv, "--progress", str(path)],
                path.with_suffix(".log"),
                on_end=functools.partial(_record_crash, path, started),
            )
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise RunError(
            f"A background process could not be started ({error}). Close other programs, see that there is room in "
            f"{path.parent}, and retry."
        ) from None


def read_job(name: str) -> Job:
    """Returns how far the job of that name is now; a damaged file is reported, never raised."""
    path = find_progress_path(name)
    if not path.exists():
        return Job(NONE)
    values = _read_progress(path)
    lost = "The background process ended without a word (was the computer shut down?). Start it again."
    if values.get("state") not in (RUNNING, FINISHED, FAILED):
        return Job(LOST, message=lost)
    done, total = (number if isinstance(number, int) else 0 for number in (values.get("done"), values.get("total")))
    job = Job(values["state"], str(values.get("stage", "")), done, total, str(values.get("message", "")))
    if job.state == RUNNING and is_lost(path):
        return Job(LOST, job.stage, done, total, lost)
    return job


def read_job_log(name: str, num_lines: int = 30) -> str:
    """Returns the last lines that a job's process printed."""
    return read_log_tail(find_progress_path(name).with_suffix(".log"), num_lines)


def find_progress_path(name: str) -> Path:
    """Returns the file that says how far the job of that name is."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a job's name")
    return cache_dir() / "jobs" / f"{name}.json"


class JobWriter:
    """The working process's side: what it is at, and at its end whether it succeeded. A context manager.

    Whatever leaves it as an exception becomes the job's sentence and goes on upwards. A full disk costs the progress,
    not the work.

    Args:
        path: The progress file; None where nobody asked for one.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self._job = Job(RUNNING)
        self._started = _read_progress(path).get("started") if path else None
        self._written = float("-inf")
        # One that makes the file would leave an empty one where somebody emptied the cache.
        self._heartbeat = Heartbeat(path, creates=False) if path else None

    def __enter__(self) -> "JobWriter":
        if self._heartbeat is not None:
            self._write(self._job)
            self._heartbeat.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._heartbeat is None:
            return
        self._heartbeat.stop()
        job = self._job
        if error is None:
            self._write(Job(FINISHED, job.stage, job.num_total, job.num_total))
        else:
            self._write(Job(FAILED, job.stage, job.num_done, job.num_total, _describe(error)))

    def report(self, stage: str, num_done: int = 0, num_total: int = 0) -> None:
        """Says how far a stage is. May be called for every picture: it writes twice a second, and at a new stage."""
        is_new_stage = stage != self._job.stage
        self._job = Job(RUNNING, stage, num_done, num_total)
        is_due = time.monotonic() - self._written >= _WRITE_SECONDS
        if is_new_stage or is_due:
            self._write(self._job)

    def count(self, stage: str) -> Callable[[int, int], None]:
        """Returns a function of the number done and of all that reports them for one stage."""
        return functools.partial(self.report, stage)

    def _write(self, job: Job) -> None:
        if self._path is None:
            return
        try:
            _write_progress(self._path, job, self._started)
        except OSError as error:
            _logger.warning("The progress could not be written: %s", describe_error(error))
        self._written = time.monotonic()


def _describe(error: BaseException) -> str:
    if isinstance(error, FacedepError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The memory ran out. Close other programs or use fewer pictures."
    if isinstance(error, KeyboardInterrupt):
        return "The work was interrupted. Start it again."
    return f"The work broke off: {type(error).__name__}: {str(error)[:300]}. The log says more."


def _read_progress(path: Path) -> dict[str, Any]:
    """Returns what a progress file says, nothing where it is missing or damaged."""
    values = read_json(path)
    return values if isinstance(values, dict) else {}


def _write_progress(path: Path, job: Job, started: float | None) -> None:
    values = {
        "stage": job.stage,
        "done": job.num_done,
        "total": job.num_total,
        "state": job.state,
        "message": job.message,
        "started": started,  # tells this start of the job from the next one
    }
    write_json(path, values)


def _record_crash(path: Path, started: float, exit_status: int) -> None:
    """Writes down that a job's process ended before it had written its end."""
    values = _read_progress(path)
    if values.get("state") == RUNNING and values.get("started") == started:
        message = f"The background process ended without a word (exit status {exit_status}). Start it again."
        with contextlib.suppress(OSError):
            _write_progress(path, Job(FAILED, values.get("stage", ""), message=message), started)
