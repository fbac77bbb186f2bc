"""The Kaggle download against a Kaggle on this computer, through the real `kagglehub` in real processes."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kaggle_server import KaggleServer, build_kaggle_zip, kaggle_environment

from facedep.data import kaggle
from facedep.errors import DataError
from facedep.processes import LOST_AFTER_SECONDS

PROJECT_DIR = Path(__file__).resolve().parents[2]
NUM_IMAGES = 36
ARCHIVE = build_kaggle_zip()
BIG_ARCHIVE = build_kaggle_zip(size_px=160)  # about 1 MB

# What a visitor is told, for every way in which the server can fail.
FAILURES = {
    "401": "account details",
    "403": "refused access",
    "404": "no set of this name",
    "429": "too many requests",
    "500": "error of its own",
    "418": "not expected",
    "login_page": "Sign in to the Wi-Fi",
    "hang": "Nothing came from Kaggle for 0.5 seconds",
}
DAMAGES = {
    "stall": "Nothing came from Kaggle for 0.5 seconds",
    "cut_known": "connection was cut",
    "cut_unknown": "damaged or no archive",
    "not_a_zip": "damaged or no archive",
    "damaged_member": "damaged or no archive",
    "wrong_checksum": "damaged or no archive",
    "no_files": "damaged or no archive",
}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that this process and its children take for Kaggle, with empty caches."""
    with KaggleServer(ARCHIVE) as running:
        for name, value in kaggle_environment(tmp_path, running.port).items():
            monkeypatch.setenv(name, value)
        yield running


def _count_images(folder: Path) -> int:
    return len(list(folder.glob("Depression Data/data/*/*/*.png")))


def _list_leftovers(folder: Path) -> list[Path]:
    slug = kaggle.KAGGLE_HANDLE.split("/")[1]
    return [path for path in folder.rglob("*") if slug in path.parts and path.is_file()]


def _list_processes(folder: Path) -> list[int]:
    """Returns the processes, besides this one, that work with caches in `folder` (on Linux; elsewhere none)."""
    found = []
    for environ_path in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_ours = str(folder / "facedep_cache").encode() in environ_path.read_bytes()
        except OSError:  # ended meanwhile, or somebody else's
            continue
        if is_ours and int(environ_path.parent.name) != os.getpid():
            found.append(int(environ_path.parent.name))
    return found


def _wait_until(is_so, *, seconds: float = 10) -> float:
    started_at = time.monotonic()
    while not is_so():
        assert time.monotonic() - started_at < seconds
        time.sleep(0.02)
    return time.monotonic() - started_at


def _assert_is_plain(message: str) -> None:
    assert "Traceback" not in message
    assert "\n" not in message
    assert kaggle.KAGGLE_URL in message  # the way that always remains: download the zip in a browser
    assert "unforeseen" not in message


def _run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_DIR)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_import_pulls_in_neither_kagglehub_nor_requests():
    code = "import sys, facedep.data.kaggle; print({'kagglehub', 'requests', 'filelock'} & set(sys.modules))"
    assert _run_python(code) == "set()"


def test_the_internals_that_the_client_uses_are_still_there():
    import kagglehub.clients
    import urllib3.connectionpool

    source = inspect.getsource(kagglehub.clients)
    assert kagglehub.clients.CHUNK_SIZE == 2**20
    assert source.count("iter_content(CHUNK_SIZE)") == 2  # read at each download, not bound at import
    assert urllib3.connectionpool.log.name == "urllib3.connectionpool"
    logged = inspect.getsource(urllib3.connectionpool.HTTPConnectionPool._make_request).partition("'%s://%s:%s \"%s")[2]
    names = ["self.scheme", "self.host", "self.port", "method", "url", "response.version_string", "response.status",
             "response.length_remaining"]  # fmt: skip
    positions = [logged.index(name) for name in names]
    assert positions == sorted(positions)


def test_the_set_is_downloaded_once_and_then_found_without_network(server, tmp_path):
    assert kaggle.find_cached_dataset() is None
    folder = kaggle.download_dataset(no_answer_seconds=5)
    assert _count_images(folder) == NUM_IMAGES
    assert server.requests == ["GetDataset", "DownloadDataset", "archive"]
    assert not list(tmp_path.rglob("*.archive"))
    server.close()
    assert kaggle.find_cached_dataset() == folder
    assert kaggle.download_dataset() == folder


@pytest.mark.parametrize("scenario", FAILURES)
def test_a_refusal_is_told_in_a_sentence(server, tmp_path, scenario):
    server.scenario = scenario
    with pytest.raises(DataError, match=FAILURES[scenario]) as caught:
        kaggle.download_dataset(no_answer_seconds=0.5)
    _assert_is_plain(str(caught.value))
    assert _list_leftovers(tmp_path) == []
    assert _list_processes(tmp_path) == []


@pytest.mark.parametrize("scenario", DAMAGES)
def test_a_damaged_archive_is_cleared_away_and_the_next_try_works(server, tmp_path, scenario):
    server.scenario = scenario
    with pytest.raises(DataError, match=DAMAGES[scenario]) as caught:
        kaggle.download_dataset(no_answer_seconds=0.5)
    _assert_is_plain(str(caught.value))
    assert kaggle.find_cached_dataset() is None
    assert _list_leftovers(tmp_path) == []
    server.scenario = "ok"
    assert _count_images(kaggle.download_dataset(no_answer_seconds=5)) == NUM_IMAGES


def test_without_network_the_sentence_says_so(server):
    server.close()
    with pytest.raises(DataError, match="could not be reached") as caught:
        kaggle.download_dataset(no_answer_seconds=5)
    _assert_is_plain(str(caught.value))


@pytest.mark.parametrize("content", ["{broken", '{"username": "somebody"}'])
def test_a_broken_kaggle_json_is_named(server, tmp_path, content):
    path = tmp_path / "kaggle_config" / "kaggle.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(DataError, match="mend that file or remove it") as caught:
        kaggle.download_dataset(no_answer_seconds=5)
    _assert_is_plain(str(caught.value))
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without space")
def test_a_full_disk_is_told_in_a_sentence(server, tmp_path):
    archive_path = tmp_path / "kagglehub" / "datasets" / kaggle.KAGGLE_HANDLE / "1.archive"
    archive_path.parent.mkdir(parents=True)
    archive_path.symlink_to("/dev/full")
    server.archive = BIG_ARCHIVE
    with kaggle._start_client(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        answers = [json.loads(line) for line in client.stdout]
    assert "no space left on the disk" in answers[-1]["error"]


def test_a_folder_without_write_permission_is_named(server, tmp_path):
    (tmp_path / "kagglehub").mkdir(mode=0o500)
    if os.access(tmp_path / "kagglehub", os.W_OK):
        pytest.skip("permissions do not hold this user back")
    with pytest.raises(DataError, match="cannot be written"):
        kaggle.download_dataset(no_answer_seconds=5)


def test_a_half_filled_set_is_not_taken_for_a_whole_one(server, tmp_path):
    versions_dir = tmp_path / "kagglehub" / "datasets" / kaggle.KAGGLE_HANDLE / "versions"
    half = versions_dir / "1" / "Depression Data" / "data" / "train" / "Sad" / "half.png"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert kaggle.find_cached_dataset() is None
    folder = kaggle.download_dataset(no_answer_seconds=5)
    assert folder == versions_dir / "1"
    assert _count_images(folder) == NUM_IMAGES
    assert not half.exists()


def test_the_newest_whole_version_counts(server, tmp_path):
    dataset_dir = tmp_path / "kagglehub" / "datasets" / kaggle.KAGGLE_HANDLE
    for version in ("2", "9", "10", "11", "12"):
        (dataset_dir / "versions" / version).mkdir(parents=True)
        if version != "12":
            (dataset_dir / "versions" / version / "a.png").touch()
        if version != "11":
            (dataset_dir / f"{version}.complete").touch()
    assert kaggle.find_cached_dataset() == dataset_dir / "versions" / "10"  # 11 has no marker, 12 no files


def test_an_emptied_set_is_downloaded_again(server):
    for path in kaggle.download_dataset(no_answer_seconds=5).rglob("*.png"):
        path.unlink()
    assert kaggle.find_cached_dataset() is None
    assert _count_images(kaggle.download_dataset(no_answer_seconds=5)) == NUM_IMAGES


def test_progress_grows_to_the_known_total(server):
    server.archive, server.scenario, server.bytes_per_second = BIG_ARCHIVE, "slow", 1_000_000
    reports = []
    kaggle.download_dataset(on_progress=lambda *report: reports.append(report), no_answer_seconds=10)
    sizes = [num_bytes for num_bytes, _ in reports]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) >= 4
    assert reports[-1] == (len(BIG_ARCHIVE), len(BIG_ARCHIVE))
    assert {total_bytes for _, total_bytes in reports} == {None, len(BIG_ARCHIVE)}


def test_an_exception_in_the_callback_ends_the_download(server, tmp_path):
    server.archive, server.scenario = BIG_ARCHIVE, "slow"

    def stop(num_bytes, total_bytes):
        if num_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kaggle.download_dataset(on_progress=stop, no_answer_seconds=5)
    assert _list_processes(tmp_path) == []
    assert _list_leftovers(tmp_path) == []


def test_two_processes_share_one_download(server):
    server.archive, server.scenario, server.bytes_per_second = BIG_ARCHIVE, "slow", 1_000_000
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().num_bytes)
    assert _count_images(kaggle.download_dataset()) == NUM_IMAGES
    assert server.requests.count("archive") == 1


def test_another_process_sees_the_download_which_a_second_start_leaves_alone(server, tmp_path):
    assert kaggle.read_download() == kaggle.DownloadStatus("none")
    server.archive, server.scenario, server.bytes_per_second = BIG_ARCHIVE, "slow", 1_000_000
    kaggle.start_download()
    assert kaggle.read_download().state == "running"
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().num_bytes)
    seen = _run_python(
        "from facedep.data.kaggle import *; s = read_download(); print(s.state, s.num_bytes, s.total_bytes)"
    )
    state, num_bytes, total_bytes = seen.split()
    assert state == "running"
    assert 0 < int(num_bytes) <= int(total_bytes) == len(BIG_ARCHIVE)
    _wait_until(lambda: kaggle.read_download().state != "running")
    assert kaggle.read_download() == kaggle.DownloadStatus("finished", len(BIG_ARCHIVE), len(BIG_ARCHIVE))
    assert server.requests.count("archive") == 1
    _wait_until(lambda: _list_processes(tmp_path) == [], seconds=2)


@pytest.mark.parametrize("scenario", ["slow", "hang"])
def test_cancel_ends_the_worker_at_once_and_leaves_nothing(server, tmp_path, scenario):
    server.archive, server.scenario, server.bytes_per_second = BIG_ARCHIVE, scenario, 50_000
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().num_bytes if scenario == "slow" else server.requests)
    kaggle.cancel_download()
    assert _wait_until(lambda: kaggle.read_download().state == "cancelled", seconds=5) < 2
    _wait_until(lambda: _list_processes(tmp_path) == [], seconds=2)
    assert _list_leftovers(tmp_path) == []


def test_a_failed_download_keeps_its_sentence_until_the_next_start(server):
    server.scenario = "404"
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().state != "running")
    status = kaggle.read_download()
    assert status.state == "failed"
    assert FAILURES["404"] in status.message
    _assert_is_plain(status.message)
    kaggle.cancel_download()  # nothing runs: no effect, now or on the next download
    server.scenario = "ok"
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().state != "running")
    assert kaggle.read_download().state == "finished"


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_is_reported_and_takes_kagglehub_with_it(server, tmp_path):
    server.scenario = "hang"
    kaggle.start_download()
    _wait_until(lambda: len(_list_processes(tmp_path)) == 2)
    time.sleep(1)  # for kagglehub to be in the middle of its request
    worker = next(p for p in _list_processes(tmp_path) if b"worker" in Path(f"/proc/{p}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    _wait_until(lambda: _list_processes(tmp_path) == [], seconds=3)
    assert kaggle.read_download().state == "running"  # as far as anybody can know yet
    for name in ("start.json", "heartbeat"):
        long_ago = time.time() - 2 * LOST_AFTER_SECONDS
        os.utime(tmp_path / "facedep_cache" / "kaggle_download" / name, (long_ago, long_ago))
    status = kaggle.read_download()
    assert status.state == "failed"
    _assert_is_plain(status.message)
    server.scenario = "ok"
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().state == "finished")


def test_a_finished_download_whose_set_was_deleted_is_none(server, tmp_path):
    kaggle.start_download()
    _wait_until(lambda: kaggle.read_download().state == "finished")
    next((tmp_path / "kagglehub").rglob("1.complete")).unlink()
    assert kaggle.read_download() == kaggle.DownloadStatus("none")


@pytest.mark.parametrize("damaged", ["", "{", "null", "7", "[1, 2]", '"id"', "{}", "[" * 100_000, '{"id": ["x"]}',
    '{"id": "x"}', '{"id": "x", "state": 3, "num_bytes": 1}', '{"id": "x", "state": "running", "num_bytes": "many"}',
    '{"id": "x", "state": "running", "num_bytes": -1}', '{"id": "x", "state": "failed", "num_bytes": 1, "message": 2}',
    '{"id": "x", "state": "running", "num_bytes": 1, "new": 1}', "\x80"])  # fmt: skip
def test_damaged_state_files_are_a_status_and_never_raised(server, tmp_path, damaged):
    folder = tmp_path / "facedep_cache" / "kaggle_download"
    folder.mkdir(parents=True)
    for name, other in (("start.json", "status.json"), ("status.json", "start.json")):
        (folder / other).write_text('{"id": "x"}')
        (folder / name).write_text(damaged)
        assert kaggle.read_download().state in ("none", "running")
        kaggle.cancel_download()


def test_the_real_archive_arrives_whole(server, real_archives):
    server.archive = (real_archives / "kaggle_depression.zip").read_bytes()
    folder = kaggle.download_dataset(no_answer_seconds=10)
    assert _count_images(folder) == 4492
