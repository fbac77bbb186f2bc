"""Background processes with a small file that says how far they are: real processes, but no TensorFlow."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facedep import processes
from facedep.errors import DataError, RunError
from facedep.files import write_json
from facedep.paths import PROJECT_DIR
from facedep.runs import jobs
from facedep.runs.jobs import Job, JobWriter, find_progress_path, read_job, read_job_log, start_job

# Stands where the Python interpreter would: `start_job` starts it with the arguments of a real command.
FAKE_PYTHON = """#!{python}
import os, sys, time
sys.path.insert(0, {project!r})
from pathlib import Path
from facedep.errors import DataError
from facedep.runs.jobs import JobWriter

path = Path(sys.argv[sys.argv.index("--progress") + 1])
print("arguments:", sys.argv[1:], flush=True)
with (path.parent / "starts").open("a") as starts:
    starts.write(str(os.getpid()) + chr(10))
if "die" in sys.argv:
    os._exit(3)
with JobWriter(path) as job:
    job.report("counting", 1, 10)
    if "fail" in sys.argv:
        raise DataError("There is nothing to count.")
    while not (path.parent / "go on").exists():
        time.sleep(0.01)
"""

STARTER = """
import sys, time
from pathlib import Path
sys.executable = sys.argv[2]
from facedep.runs.jobs import start_job

print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
start_job("count", ["embed"])
"""


@pytest.fixture
def fake_python(tmp_path, monkeypatch) -> Path:
    """The interpreter that jobs are started with."""
    path = tmp_path / "fake_python"
    path.write_text(FAKE_PYTHON.format(python=sys.executable, project=str(PROJECT_DIR)), "utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def _folder() -> Path:
    return find_progress_path("any").parent


def _count_starts() -> int:
    path = _folder() / "starts"
    return len(path.read_text().splitlines()) if path.exists() else 0


def _wait_until(is_so, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# Start and follow


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a script")
def test_a_job_is_started_once_reports_and_finishes(fake_python):
    assert read_job("count") == Job("none")
    start_job("count", ["embed", "--data", "sample"])
    assert read_job("count").state == "running"
    _wait_until(lambda: read_job("count").stage == "counting")
    assert read_job("count") == Job("running", "counting", 1, 10)
    start_job("count", ["embed"])
    (_folder() / "go on").touch()
    _wait_until(lambda: read_job("count").state != "running")
    assert read_job("count") == Job("finished", "counting", 10, 10)
    assert _count_starts() == 1
    words = ["-m", "facedep", "embed", "--data", "sample", "--progress", str(find_progress_path("count"))]
    assert read_job_log("count") == f"arguments: {words}"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a script")
def test_a_job_that_ended_can_be_started_again_and_two_jobs_run_side_by_side(fake_python):
    _folder().mkdir(parents=True)
    (_folder() / "go on").touch()
    for count in (1, 2):
        start_job("count", ["embed"])
        _wait_until(lambda: read_job("count").state == "finished")
        assert _count_starts() == count
    (_folder() / "go on").unlink()
    for name in ("one", "two"):
        start_job(name, ["embed"])
    _wait_until(lambda: _count_starts() == 4)
    (_folder() / "go on").touch()
    _wait_until(lambda: [read_job(name).state for name in ("one", "two")] == ["finished"] * 2)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a script")
def test_two_apps_that_start_the_same_job_at_once_make_one_process(fake_python, monkeypatch, tmp_path):
    monkeypatch.undo()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIR), "FACEDEP_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", STARTER, str(tmp_path / "now"), str(fake_python)]
    starters = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for starter in starters:
        assert starter.stdout.readline() == "ready\n"
    (tmp_path / "now").touch()
    for starter in starters:
        starter.communicate(timeout=60)
        assert starter.returncode == 0
    folder = tmp_path / "cache" / "jobs"
    _wait_until(lambda: json.loads((folder / "count.json").read_text())["stage"] == "counting")
    (folder / "go on").touch()
    _wait_until(lambda: json.loads((folder / "count.json").read_text())["state"] == "finished")  # it outlives the app
    assert len((folder / "starts").read_text().splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a script")
def test_a_mistake_of_the_user_becomes_the_jobs_sentence(fake_python):
    start_job("count", ["fail"])
    _wait_until(lambda: read_job("count").state != "running")
    assert read_job("count") == Job("failed", "counting", 1, 10, "There is nothing to count.")
    assert "Traceback" in read_job_log("count", 100)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a script")
def test_a_process_that_dies_without_a_word_is_reported_at_once(fake_python):
    start_job("count", ["die"])
    _wait_until(lambda: read_job("count").state != "running")
    job = read_job("count")
    assert (job.state, job.stage) == ("failed", "starting")
    assert "exit status 3" in job.message, read_job_log("count")


def test_a_late_word_for_a_dead_process_does_not_end_the_next_one(monkeypatch):
    ends = []
    monkeypatch.setattr(jobs, "start_python", lambda *_, on_end: ends.append(on_end))
    start_job("count", [])
    with JobWriter(find_progress_path("count")):
        pass  # it said that it has finished, and only then dies
    start_job("count", [])
    ends[0](3)
    assert read_job("count") == Job("running", "starting")
    ends[1](0)
    assert read_job("count").state == "failed"


def test_a_process_that_cannot_be_started_gives_a_sentence_and_leaves_no_job(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RunError, match="could not be started"):
        start_job("count", ["embed"])
    assert read_job("count") == Job("none")


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "a b", "x" * 81])
def test_a_name_that_is_no_plain_file_name_is_refused(name):
    with pytest.raises(ValueError, match="cannot be a job's name"):
        read_job(name)


def test_files_of_old_jobs_are_deleted_at_the_next_start(monkeypatch):
    _folder().mkdir(parents=True)
    old, new = _folder() / "old.json", _folder() / "new.json"
    for path, days in ((old, 8), (new, 6)):
        path.touch()
        os.utime(path, (time.time() - days * 24 * 3600,) * 2)
    monkeypatch.setattr(jobs, "start_python", lambda *_, on_end: None)
    start_job("count", [])
    assert (old.exists(), new.exists()) == (False, True)


# Reading what cannot be relied on


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"state": "dancing"}', "[" * 100_000])
def test_a_damaged_file_means_lost(content):
    _folder().mkdir(parents=True)
    find_progress_path("count").write_text(content)
    job = read_job("count")
    assert (job.state, bool(job.message)) == ("lost", True)


def test_numbers_of_another_kind_are_no_numbers():
    _folder().mkdir(parents=True)
    find_progress_path("count").write_text('{"state": "running", "stage": "x", "done": "many", "total": null}')
    assert read_job("count") == Job("running", "x", 0, 0)


@pytest.mark.parametrize(("seconds", "state"), [(20, "running"), (40, "lost")])
def test_a_running_job_whose_file_is_old_is_lost(seconds, state):
    _folder().mkdir(parents=True)
    path = find_progress_path("count")
    write_json(path, {"state": "running", "stage": "counting", "done": 3, "total": 10, "message": ""})
    os.utime(path, (time.time() - seconds,) * 2)
    job = read_job("count")
    assert (job.state, job.stage, job.num_done, job.num_total) == (state, "counting", 3, 10)


# The working side


@pytest.fixture
def progress_path() -> Path:
    _folder().mkdir(parents=True)
    return find_progress_path("count")


def test_the_file_has_the_agreed_names_and_a_finished_job_is_done_with_all(progress_path):
    with JobWriter(progress_path) as job:
        job.report("answers", 5, 8)
        written = json.loads(progress_path.read_text())
    assert written == {"stage": "answers", "done": 5, "total": 8, "state": "running", "message": "", "started": None}
    assert json.loads(progress_path.read_text()) == {**written, "state": "finished", "done": 8}


def test_a_thousand_reports_write_the_file_a_few_times(progress_path, monkeypatch):
    written = []

    def write(path: Path, values: dict) -> None:
        if path == progress_path:  # the watcher of an earlier test's process may still write about that one
            written.append(values)
        write_json(path, values)

    monkeypatch.setattr(jobs, "write_json", write)
    with JobWriter(progress_path) as job:
        started = time.monotonic()
        for number in range(1000):
            job.report("answers", number, 1000)
        seconds = time.monotonic() - started
    assert len(written) <= 3 + seconds / 0.5  # begin, first report, end
    assert written[-1]["state"] == "finished"


def test_a_silent_stage_keeps_the_file_young(progress_path, monkeypatch):
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.05)
    with JobWriter(progress_path):
        os.utime(progress_path, (1, 1))
        _wait_until(lambda: progress_path.stat().st_mtime > time.time() - 5)
    ended = progress_path.stat().st_mtime_ns
    time.sleep(0.2)
    assert progress_path.stat().st_mtime_ns == ended
    assert "_beat" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("Give a folder."), "Give a folder."),
        (MemoryError(), "The memory ran out. Close other programs or use fewer pictures."),
        (KeyboardInterrupt(), "The work was interrupted. Start it again."),
        (ZeroDivisionError("x" * 999), f"The work broke off: ZeroDivisionError: {'x' * 300}. The log says more."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_goes_wrong_becomes_a_sentence_and_goes_on_upwards(error, message, progress_path):
    def work() -> None:
        with JobWriter(progress_path) as job:
            job.report("answers", 5, 8)
            raise error

    with pytest.raises(type(error)):
        work()
    assert read_job("count") == Job("failed", "answers", 5, 8, message)


def test_without_a_file_or_in_an_emptied_cache_the_work_goes_on(progress_path, monkeypatch):
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.01)
    with JobWriter(None) as job:
        job.report("answers", 5, 8)
        time.sleep(0.05)
    with JobWriter(progress_path) as job:
        progress_path.unlink()
        progress_path.parent.rmdir()
        time.sleep(0.05)
        job.report("answers", 5, 8)
    assert not progress_path.parent.exists()
