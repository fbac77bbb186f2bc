"""Files appear whole or not at all, JSON is read whatever it holds, and folders keep within their limits."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from facedep import files
from facedep.files import (
    check_writable,
    evict_oldest,
    nan_to_null,
    null_to_nan,
    read_json,
    read_json_lines,
    write_atomically,
    write_folder_atomically,
    write_json,
    write_text,
)
from facedep.paths import PROJECT_DIR

NAN = float("nan")


def _age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def _list(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# One file


def test_the_file_appears_at_the_end_of_the_block_and_the_old_one_stays_until_then(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with write_atomically(path) as partial:
        partial.write_text("new")
        assert (partial.parent, path.read_text()) == (tmp_path, "old")
    assert path.read_text() == "new"
    assert _list(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with write_atomically(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert (path.read_text(), _list(tmp_path)) == ("old", ["a.txt"])


def test_a_file_that_cannot_be_moved_leaves_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_text(tmp_path / "a.txt", "new")
    assert _list(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "a.txt"):
        pass


@pytest.mark.parametrize("name", ["a.npz", "a.b.keras", "plain", ".hidden"])
def test_the_partial_file_ends_as_the_file_does_and_is_hidden(tmp_path, name):
    with write_atomically(tmp_path / name) as partial:
        assert (partial.suffix if Path(name).suffix else ".part") == partial.suffix
        assert partial.suffix == (Path(name).suffix or ".part")
        assert partial.name.startswith(".")
        np.savez(partial, x=np.arange(3)) if name.endswith(".npz") else partial.touch()
    assert _list(tmp_path) == [name]


def test_every_writer_has_a_partial_file_of_its_own_and_the_last_one_stays(tmp_path):
    path = tmp_path / "a.txt"
    with write_atomically(path) as first, write_atomically(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (path.read_text(), _list(tmp_path)) == ("first", ["a.txt"])  # the outer block ends last


def test_a_partial_file_may_lie_in_another_folder_and_the_files_folder_be_made_meanwhile(tmp_path):
    path = tmp_path / "later" / "a.zip"
    with write_atomically(path, partial_dir=tmp_path) as partial:
        assert (partial.parent, partial.suffix) == (tmp_path, ".zip")
        partial.write_bytes(b"zip")
        path.parent.mkdir()
    assert path.read_bytes() == b"zip"
    assert _list(tmp_path) == ["later"]


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".txt")
    write_text(path, "new")
    assert path.read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_one_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "folder" / "real.txt")
    for text in ("first", "second"):  # before and after the target exists
        write_text(tmp_path / "link.txt", text)
        assert (tmp_path / "folder" / "real.txt").read_text() == text
    assert (tmp_path / "link.txt").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_never_replaced(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through the pipe")
    reader.join(timeout=10)
    assert (got, pipe.is_fifo(), _list(tmp_path)) == (["through the pipe"], True, ["pipe"])


def test_a_folder_in_the_place_is_an_error_before_anything_is_written(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match=r"directory|denied"):
        write_text(tmp_path / "a", "new")
    assert _list(tmp_path) == ["a"]


def test_line_ends_and_letters_are_written_as_they_are(tmp_path):
    write_text(tmp_path / "a.txt", "ä\n\r\n😀")
    assert (tmp_path / "a.txt").read_bytes() == "ä\n\r\n😀".encode()


def test_a_reader_that_has_the_file_open_on_windows_is_waited_for(tmp_path, monkeypatch):
    replace, tries = os.replace, []

    def replace_late(source, target):
        tries.append(source)
        if len(tries) < 4:
            raise PermissionError(errno.EACCES, "open elsewhere")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_late)
    monkeypatch.setattr(files, "_WAIT_SECONDS", 0.0)
    write_text(tmp_path / "a.txt", "new")
    assert (len(tries), _list(tmp_path)) == (4, ["a.txt"])


def test_a_place_that_stays_forbidden_is_an_error_after_twenty_tries(tmp_path, monkeypatch):
    tries = []

    def refuse(source, target):
        tries.append(source)
        raise PermissionError(errno.EACCES, "open elsewhere")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(files, "_WAIT_SECONDS", 0.0)
    with pytest.raises(PermissionError):
        write_text(tmp_path / "a.txt", "new")
    assert (len(tries), _list(tmp_path)) == (20, [])


def test_many_processes_that_write_the_same_file_leave_one_whole_file(tmp_path):
    code = (
        "import sys; from pathlib import Path; from facedep.files import write_json\n"
        "for number in range(50): write_json(Path(sys.argv[1]), {'text': sys.argv[2] * 5000, 'number': number})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.json")]
    writers = [subprocess.Popen([*command, letter], cwd=PROJECT_DIR) for letter in "abc"]
    while any(writer.poll() is None for writer in writers):
        content = read_json(tmp_path / "a.json")
        assert content is None or len(set(content["text"])) == 1
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert _list(tmp_path) == ["a.json"]


# What is checked before the work


def test_a_place_that_takes_a_file_passes_and_stays_as_it_was(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    for name in ("old.txt", "new.txt"):
        check_writable(tmp_path / name)
    assert ((tmp_path / "old.txt").read_text(), _list(tmp_path)) == ("old", ["old.txt"])


def test_a_place_that_takes_no_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "nowhere" / "a.txt", tmp_path / "file" / "a.txt"):
        with pytest.raises(OSError, match=r"folder|directory"):
            check_writable(path)


# Whole folders


def test_a_folder_appears_whole_in_a_free_or_empty_place(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("free", "empty", "deep/er"):
        with write_folder_atomically(tmp_path / name) as partial:
            (partial / "inside").mkdir()
            (partial / "inside" / "a.txt").touch()
            assert not list((tmp_path / name).glob("*"))
        assert _list(tmp_path / name) == ["inside"]
    assert _list(tmp_path) == ["deep", "empty", "free"]


def test_a_folder_that_fails_or_whose_place_is_taken_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    with pytest.raises(OSError, match=r"not empty|empty"), write_folder_atomically(tmp_path / "taken") as partial:
        (partial / "a.txt").touch()

    def fail() -> None:
        with write_folder_atomically(tmp_path / "new") as partial:
            (partial / "a.txt").touch()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert (_list(tmp_path), _list(tmp_path / "taken")) == (["taken"], ["mine.txt"])


# What killed writers leave


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_what_a_killed_writer_left_goes_an_hour_later_with_the_next_one(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from facedep.files import write_atomically\n"
        "with write_atomically(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], cwd=PROJECT_DIR, check=False)
    (left,) = tmp_path.iterdir()
    write_text(tmp_path / "b.txt", "new")
    assert left.exists()  # its writer may be alive
    _age(left, files.LEFTOVER_SECONDS + 1)
    write_text(tmp_path / "b.txt", "new")
    assert _list(tmp_path) == ["b.txt"]


def test_an_old_partial_folder_goes_unless_something_in_it_is_new(tmp_path):
    dead, alive = (tmp_path / f".facedep-{16 * digit}.part" for digit in "01")
    for folder in (dead, alive):
        (folder / "inside").mkdir(parents=True)
        for path in (folder / "inside", folder):
            _age(path, 2 * files.LEFTOVER_SECONDS)
    (alive / "inside" / "a.png").touch()
    write_text(tmp_path / "b.txt", "new")
    assert _list(tmp_path) == [alive.name, "b.txt"]


@pytest.mark.parametrize("name", ["mine.part", ".mine.part.txt", ".facedep-1.part", f".facedep-{'0' * 16}.txt"])
def test_other_old_files_are_nobodys_leftovers(tmp_path, name):
    (tmp_path / name).touch()
    _age(tmp_path / name, 1e6)
    write_text(tmp_path / "b.txt", "new")
    assert (tmp_path / name).exists()


# JSON


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"name": "Glück", "numbers": [1, 2.5, None], "deeper": {"yes": True}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert "Glück" in (tmp_path / "a.json").read_text("utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00", b"[" * 100_000, b"nonsense"])
def test_damaged_json_is_none(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None


def test_missing_json_and_a_folder_are_none(tmp_path):
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path) is None


def test_json_above_the_limit_is_none_and_at_the_limit_is_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps("x" * 98))
    assert read_json(tmp_path / "a.json", max_bytes=100) == "x" * 98
    assert read_json(tmp_path / "a.json", max_bytes=99) is None


def test_lines_that_are_torn_or_no_objects_are_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n[1]\n\n7\n\xff\n' + b"[" * 100_000 + b'\n{"a": 2}\n{"a": ')
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]
    assert read_json_lines(tmp_path / "missing") == []


def test_what_is_no_number_becomes_null_and_comes_back_as_nan():
    values = {"a": NAN, "b": [1.5, float("inf"), {"c": (NAN, "text", 3, True)}]}
    as_json = nan_to_null(values)
    assert as_json == {"a": None, "b": [1.5, None, {"c": [None, "text", 3, True]}]}
    back = null_to_nan(as_json)
    assert [np.isnan(value) for value in (back["a"], back["b"][1], back["b"][2]["c"][0])] == [True] * 3
    assert back["b"][2]["c"][1:] == ["text", 3, True]


# Eviction


@pytest.fixture
def folder(tmp_path) -> Path:
    """Files "1.a" to "5.a" of 10 bytes each, used that many hours ago."""
    for hours in range(1, 6):
        (tmp_path / f"{hours}.a").write_bytes(bytes(10))
        _age(tmp_path / f"{hours}.a", hours * 3600)
    return tmp_path


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, "12345"),
        ({"max_files": 2}, "12"),
        ({"max_files": 0}, ""),
        ({"max_files": 9}, "12345"),
        ({"max_bytes": 30}, "123"),
        ({"max_bytes": 29}, "12"),
        ({"max_bytes": -1}, ""),
        ({"max_age_seconds": 2.5 * 3600}, "12"),
        ({"max_files": 4, "max_bytes": 30}, "123"),
        ({"max_files": 1, "max_bytes": 30, "max_age_seconds": 4.5 * 3600}, "1"),
        ({"max_files": 0, "min_age_seconds": 3.5 * 3600}, "123"),
        ({"max_files": 0, "pattern": "*.b"}, "12345"),
    ],
    ids=str,
)
def test_the_files_used_longest_ago_go_until_every_limit_holds(folder, limits, kept):
    evict_oldest(folder, **limits)
    assert _list(folder) == [f"{number}.a" for number in kept]


def test_locks_partial_files_and_folders_neither_count_nor_go(folder):
    (folder / ".start.lock").write_bytes(bytes(1000))
    with write_atomically(folder / "6.a") as partial:
        partial.write_bytes(bytes(1000))
        (folder / "deeper").mkdir()
        for path in (folder / ".start.lock", folder / "deeper"):
            _age(path, 1e6)
        evict_oldest(folder, max_files=5, max_bytes=50)
        assert len(list(folder.glob("[1-5].a"))) == 5
        evict_oldest(folder, max_files=0)
    assert _list(folder) == [".start.lock", "6.a", "deeper"]


def test_a_file_dated_in_the_future_by_another_computers_clock_counts_as_the_newest(folder):
    _age(folder / "5.a", -3600)
    evict_oldest(folder, max_files=1)
    assert _list(folder) == ["5.a"]
    evict_oldest(folder, max_files=0)
    assert _list(folder) == []


def test_leftovers_go_with_the_oldest_files(folder):
    left = folder / f".facedep-{'0' * 16}.part.a"
    left.touch()
    _age(left, 1e6)
    evict_oldest(folder, max_files=9)
    assert not left.exists()


def test_a_missing_folder_has_nothing_to_evict(tmp_path):
    evict_oldest(tmp_path / "nowhere", max_files=0)


def test_a_file_that_cannot_be_deleted_stays_and_the_next_one_goes(folder, monkeypatch):
    unlink = Path.unlink

    def refuse(path, **options):
        if path.name == "5.a":
            raise PermissionError(errno.EACCES, "open elsewhere")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    evict_oldest(folder, max_files=4)
    assert _list(folder) == ["1.a", "2.a", "3.a", "5.a"]
