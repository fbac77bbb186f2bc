"""Background processes: started apart from this one, alive as long as they touch their file."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facedep import processes
from facedep.paths import PROJECT_DIR
from facedep.processes import (
    LOST_AFTER_SECONDS,
    Heartbeat,
    build_environment,
    find_last_change,
    is_lost,
    read_log_tail,
    start_python,
)

CHILD = """
import json, os, sys, time
from pathlib import Path
import facedep

session = os.getsid(0) if hasattr(os, "getsid") else 0
print(json.dumps([os.getpid(), session, sys.stdin.read(), sys.argv[1:]]), flush=True)
print("to the error output", file=sys.stderr, flush=True)
if "wait" in sys.argv:
    while not Path(sys.argv[-1]).exists():
        time.sleep(0.01)
sys.exit(7)
"""


def _wait_until(is_so, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A module that children find, and this project's only through `build_environment`."""
    (tmp_path / "child_of_test.py").write_text(CHILD, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "child_of_test"


# Starting


def test_a_child_has_a_session_of_its_own_an_empty_input_and_its_output_in_the_log(module, tmp_path):
    log_path, ends = tmp_path / "log.txt", []
    log_path.write_text("before\n")
    start_python([module, "one", "two words"], log_path, on_end=ends.append)
    _wait_until(lambda: ends)
    first, line, last = log_path.read_text("utf-8").splitlines()
    pid, session, stdin, arguments = json.loads(line)
    assert (first, last) == ("before", "to the error output")
    assert (stdin, arguments, ends) == ("", ["one", "two words"], [7])
    if sys.platform != "win32":
        assert session == pid


@pytest.mark.skipif(sys.platform == "win32", reason="looks for a zombie")
def test_an_ended_child_leaves_no_zombie(module, tmp_path):
    start_python([module], tmp_path / "log.txt")
    _wait_until(lambda: "error output" in read_log_tail(tmp_path / "log.txt"))
    pid = json.loads((tmp_path / "log.txt").read_text().splitlines()[0])[0]

    def is_gone() -> bool:
        try:
            os.kill(pid, 0)  # succeeds for a zombie
        except ProcessLookupError:
            return True
        return False

    _wait_until(is_gone)


def test_a_child_outlives_its_parent(module, tmp_path):
    code = (
        "import sys; from pathlib import Path; from facedep.processes import start_python\n"
        f"start_python([{module!r}, 'wait', sys.argv[2]], Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log.txt"), str(tmp_path / "go on")]
    subprocess.run(command, env=build_environment(), timeout=60, check=True)
    _wait_until(lambda: "error output" in read_log_tail(tmp_path / "log.txt"))
    (tmp_path / "go on").touch()


def test_what_cannot_be_started_is_an_error_and_nobody_waits(tmp_path, monkeypatch):
    threads = set(threading.enumerate())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such python"))
    with pytest.raises(OSError, match="no such python"):
        start_python(["facedep"], tmp_path / "log.txt", on_end=pytest.fail)
    with pytest.raises(OSError, match="nowhere"):
        start_python(["facedep"], tmp_path / "nowhere" / "log.txt", on_end=pytest.fail)
    assert set(threading.enumerate()) <= threads


def test_the_project_comes_before_other_modules_and_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert build_environment()["PYTHONPATH"] == os.pathsep.join([str(PROJECT_DIR), "elsewhere"])
    assert os.environ["PYTHONPATH"] == "elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    assert build_environment()["PYTHONPATH"] == str(PROJECT_DIR)


# The heartbeat


def test_a_heartbeat_makes_its_file_keeps_it_young_and_ends_with_its_block(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.02)
    path = tmp_path / "heartbeat"
    with Heartbeat(path):
        _wait_until(path.exists)
        _age(path, 1000)
        _wait_until(lambda: not is_lost(path))
    _age(path, 1000)
    time.sleep(0.1)
    assert is_lost(path)
    assert not [thread for thread in threading.enumerate() if "_beat" in thread.name]


def test_a_heartbeat_ends_at_once_and_with_an_error_too(tmp_path):
    def work() -> None:
        with Heartbeat(tmp_path / "heartbeat"):
            raise ValueError("broken")

    started = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        work()
    assert time.monotonic() - started < processes.HEARTBEAT_SECONDS
    assert not [thread for thread in threading.enumerate() if "_beat" in thread.name]


def test_a_heartbeat_that_creates_nothing_touches_only_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.01)
    path = tmp_path / "progress.json"
    with Heartbeat(path, creates=False):
        time.sleep(0.05)
        assert not path.exists()
        path.write_text("{}")
        _age(path, 1000)
        _wait_until(lambda: not is_lost(path))
    assert path.read_text() == "{}"


def test_a_heartbeat_survives_a_folder_that_is_away_for_a_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "HEARTBEAT_SECONDS", 0.01)
    path = tmp_path / "folder" / "heartbeat"
    with Heartbeat(path):
        time.sleep(0.05)
        path.parent.mkdir()
        _wait_until(path.exists)


# Lost or not


@pytest.mark.parametrize(("ages", "expected"), [((20,), False), ((31,), True), ((31, 20), False), ((40, 31), True)])
def test_a_process_is_lost_when_its_youngest_file_is_older_than_30_seconds(tmp_path, ages, expected):
    paths = [tmp_path / str(age) for age in ages]
    for path, age in zip(paths, ages, strict=True):
        path.touch()
        _age(path, age)
    assert LOST_AFTER_SECONDS == 30
    assert is_lost(*paths, tmp_path / "missing") is expected


def test_a_process_without_any_file_is_lost(tmp_path):
    assert is_lost(tmp_path / "missing")
    assert find_last_change(tmp_path / "missing") == 0.0


def test_the_tail_of_a_log_survives_any_bytes_and_a_missing_file(tmp_path):
    (tmp_path / "log.txt").write_bytes(b"one\ntwo\nthr\xffee\n")
    assert read_log_tail(tmp_path / "log.txt", 2) == "two\nthr\ufffdee"
    assert read_log_tail(tmp_path / "missing") == ""
