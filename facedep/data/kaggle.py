"""The Kaggle set through the `kagglehub` client: once over the network, from then on from its cache.

`kagglehub` cannot be cancelled, waits for a silent server for ever and keeps damaged archives. So it runs in a process
of its own, which is watched, ended when asked or when nothing moves, and tidied up after. `download_dataset` waits for
that. A download started by a page has its state in `kaggle_download` of the cache folder, for reloaded pages, other
tabs and restarted servers: pages write `start.json` and `cancel.json`, the worker `status.json` and `heartbeat`.
"""

import contextlib
import errno
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import traceback
import uuid
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from facedep.errors import DataError
from facedep.files import read_json, write_json
from facedep.paths import cache_dir
from facedep.processes import FAILED, FINISHED, NONE, RUNNING, Heartbeat, build_environment, is_lost, start_python

KAGGLE_HANDLE = "khairunneesa/depression-dataset-on-facial-ecpression-images"
KAGGLE_URL = f"https://www.kaggle.com/datasets/{KAGGLE_HANDLE}"
CANCELLED = "cancelled"
_POLL_SECONDS = 0.2
_HTTP_FAILURES = {
    401: "Kaggle does not accept the account details on this computer (401). The set needs none: check or remove "
    "kaggle.json and access_token in ~/.kaggle, and the variables KAGGLE_USERNAME, KAGGLE_KEY and KAGGLE_API_TOKEN.",
    403: "Kaggle refused access (403): the set is no longer public, or a filter in your network blocks it.",
    404: "Kaggle has no set of this name any more (404): it was renamed, removed or made private.",
    429: "Kaggle has had too many requests from your network (429). Wait some minutes and try again.",
}


@dataclass(frozen=True)
class DownloadStatus:
    """Where the download that pages share stands."""

    state: str  # "none", "running", "finished", "failed" or "cancelled"
    num_bytes: int = 0  # how much of the archive has arrived; equal to `total_bytes` while it is unpacked
    total_bytes: int | None = None  # the archive's size, None until the server has said it
    message: str | None = None  # what went wrong and what to do, only where the download has failed


def find_cached_dataset() -> Path | None:
    """Returns the folder of the newest whole version in kagglehub's cache, or None. Needs no network and no kagglehub.

    kagglehub 1.0.2 (cache.py) unpacks version 3 into `versions/3` and writes `3.complete` when it is through. A version
    without that marker, or without any file, does not count.
    """
    versions = [int(marker.stem) for marker in _dataset_dir().glob("*.complete") if marker.stem.isdecimal()]
    folders = (_dataset_dir() / "versions" / str(version) for version in sorted(versions, reverse=True))
    return next((folder for folder in folders if _count_files(folder)), None)


def download_dataset(
    *, on_progress: Callable[[int, int | None], None] | None = None, no_answer_seconds: float = 60
) -> Path:
    """Returns the folder of the Kaggle set, downloaded and unpacked unless the cache holds it already.

    Where another process is downloading it at the moment, this waits for that one.

    Args:
        on_progress: Called five times a second with the bytes that have arrived and the archive's size (None while
            unknown). An exception raised in it ends the download.
        no_answer_seconds: How long nothing may move before the download is given up.

    Raises:
        DataError: The download failed. The message says why and what to do; the cache holds nothing half-done.
    """
    if (cached := find_cached_dataset()) is not None:
        return cached
    import filelock

    report = on_progress or (lambda num_bytes, total_bytes: None)
    try:
        lock = filelock.FileLock(_state_dir() / "download.lock")
        while True:
            with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
                return find_cached_dataset() or _download(report, no_answer_seconds)
            report(_count_archive_bytes(), None)
            time.sleep(_POLL_SECONDS)
    except OSError as error:
        raise _data_error(_explain_disk_error(error)) from error


def _download(report: Callable[[int, int | None], None], no_answer_seconds: float) -> Path:
    """Runs the client process and leaves the cache with a whole version or with none."""
    messages: dict[str, Any] = {}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}  # the first tells the client when this process dies

    def read_messages() -> None:
        for line in client.stdout or ():
            with contextlib.suppress(ValueError):  # the torn last line of a client that was ended
                messages.update(json.loads(line))

    _clear_leftovers()
    try:
        with (_state_dir() / "log.txt").open("wb") as log, _start_client(stderr=log, **pipes) as client:
            (reader := threading.Thread(target=read_messages, daemon=True)).start()
            try:
                _watch(client, messages, report=report, no_answer_seconds=no_answer_seconds)
            finally:
                client.kill()  # does nothing where it has ended by itself
                reader.join()
        if (cached := find_cached_dataset()) is None:
            unknown = f"The download ended without a result (exit code {client.returncode}). Try again."
            raise _data_error(messages.get("error", unknown))
        if total_bytes := messages.get("total_bytes"):
            report(total_bytes, total_bytes)
        return cached
    finally:
        _clear_leftovers()


def _watch(
    client: subprocess.Popen[bytes],
    messages: dict[str, Any],
    *,
    report: Callable[[int, int | None], None],
    no_answer_seconds: float,
) -> None:
    """Returns when the client process has ended by itself; raises where nothing has moved for too long."""
    num_bytes, signs_of_life, moved_at = 0, None, time.monotonic()
    while client.poll() is None:
        num_bytes = max(num_bytes, _count_archive_bytes())  # the archive is deleted once it is unpacked
        report(num_bytes, messages.get("total_bytes"))
        newest = (messages.get("num_replies"), num_bytes, _count_files(_dataset_dir() / "versions"))
        if newest != signs_of_life:
            signs_of_life, moved_at = newest, time.monotonic()
        # Until the first answer kagglehub is being imported: 0.8 s, from a cold disk behind a virus scanner far more.
        limit_seconds = no_answer_seconds if messages else max(no_answer_seconds, 60)
        if time.monotonic() - moved_at > limit_seconds:
            raise _data_error(f"Nothing came from Kaggle for {limit_seconds:g} seconds. Try again later.")
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(_POLL_SECONDS)


def _clear_leftovers() -> None:
    """Deletes what an attempt that did not succeed has left, all of which kagglehub would build on the next time."""
    for marker in _dataset_dir().glob("*.complete"):
        if marker.stem.isdecimal() and not _count_files(_dataset_dir() / "versions" / marker.stem):
            marker.unlink(missing_ok=True)
    for archive in _dataset_dir().glob("*.archive"):
        with contextlib.suppress(OSError):
            archive.unlink()
    for folder in _dataset_dir().glob("versions/*"):
        if not (_dataset_dir() / f"{folder.name}.complete").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _dataset_dir() -> Path:
    root = os.environ.get("KAGGLEHUB_CACHE")
    return (Path.home() / ".cache" / "kagglehub" if root is None else Path(root)) / "datasets" / KAGGLE_HANDLE


def _count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def _count_archive_bytes() -> int:
    with contextlib.suppress(OSError):  # deleted meanwhile
        return sum(archive.stat().st_size for archive in _dataset_dir().glob("*.archive"))
    return 0


def _start_client(**pipes: Any) -> subprocess.Popen:
    """Starts the process that runs kagglehub. Unlike a background process, it ends with this one and answers to it."""
    # Without the first two, the files would come to lie elsewhere inside a Kaggle or Colab notebook.
    settings = dict.fromkeys(("DISABLE_KAGGLE_CACHE", "DISABLE_COLAB_CACHE", "TQDM_DISABLE"), "1")
    command = [sys.executable, "-m", "facedep.data.kaggle", "client"]
    return subprocess.Popen(command, env=build_environment() | settings, **pipes)


def _data_error(text: str) -> DataError:
    return DataError(f"{text} Another way: download the zip in a browser from {KAGGLE_URL} and choose it as a file.")


def _explain_disk_error(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "There is no space left on the disk for the Kaggle set. Free about 100 MB and try again."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"{error.filename or _dataset_dir()} cannot be written. Change its permissions and try again."
    return f"The download failed on this computer ({type(error).__name__}: {error.strerror or error}). Try again."


def _explain(error: Exception) -> str:
    """Returns what went wrong inside the client and what to do, in plain words. The log gets the traceback."""
    with contextlib.suppress(OSError):  # the disk that holds the log may be full
        traceback.print_exception(error)
    if isinstance(error, ImportError):
        return f"The Python package {error.name} cannot be loaded. Run pip install -r requirements.txt."
    import requests
    from kagglehub.exceptions import DataCorruptionError

    damaged = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, DataCorruptionError)
    match error:
        case requests.HTTPError(response=requests.Response(status_code=status)):
            problem = "reported an error of its own" if status >= 500 else "gave an answer that was not expected"
            return _HTTP_FAILURES.get(status, f"Kaggle's server {problem} ({status}). Try again later.")
        case requests.ConnectionError() | requests.Timeout():
            what = "the clock, a proxy or a virus scanner" if "SSL" in str(error) else "the network connection"
            return f"Kaggle could not be reached. Check {what} and try again."
        case json.JSONDecodeError():
            return "Something else than Kaggle answered. Sign in to the Wi-Fi network in a browser and try again."
        case ValueError() if "credentials" in str(error):
            return f"{error}. The set is public and needs no account: mend that file or remove it, and try again."
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return "The connection was cut before the whole archive had arrived. Try again."
        case OSError() if not isinstance(error, requests.RequestException):
            return _explain_disk_error(error)
    if isinstance(error, damaged) or "Unsupported archive" in str(error):
        return "The archive that arrived from Kaggle is damaged or no archive, and has been deleted. Try again."
    return f"The download failed for an unforeseen reason ({type(error).__name__}). Try again later."


def start_download() -> None:
    """Starts a worker that outlives the page and the server; does nothing while one is running.

    Raises:
        DataError: The worker cannot be started, for example for want of disk space.
    """
    import filelock

    download_id = uuid.uuid4().hex
    try:
        with filelock.FileLock(_state_dir() / "start.lock"):
            if read_download().state == RUNNING:
                return
            write_json(_state_dir() / "start.json", {"id": download_id})
            start_python(["facedep.data.kaggle", "worker", download_id], _state_dir() / "log.txt")
    except OSError as error:
        raise _data_error(_explain_disk_error(error)) from error


def read_download() -> DownloadStatus:
    """Returns where the latest download stands, whichever process has started it."""
    started, written = _read_json("start.json"), _read_json("status.json")
    if "id" not in started:
        return DownloadStatus(NONE)
    status = _parse_status(written) if written.get("id") == started["id"] else DownloadStatus(RUNNING)
    if status.state == FINISHED and find_cached_dataset() is None:
        return DownloadStatus(NONE)  # deleted since
    if status.state == RUNNING and is_lost(_state_dir() / "start.json", _state_dir() / "heartbeat"):
        lost = _data_error("The download ended early: its process was stopped, or the computer turned off. Try again.")
        return replace(status, state=FAILED, message=str(lost))
    return status


def _parse_status(written: dict[str, Any]) -> DownloadStatus:
    """Returns what `status.json` says; a damaged one counts as one that is not written yet."""
    state, message = written.get("state"), written.get("message")
    num_bytes, total_bytes = written.get("num_bytes"), written.get("total_bytes")
    is_whole = isinstance(message, str | None) and (total_bytes is None or _is_count(total_bytes))
    if not (is_whole and state in (RUNNING, FINISHED, FAILED, CANCELLED) and _is_count(num_bytes)):
        return DownloadStatus(RUNNING)
    return DownloadStatus(state, num_bytes, total_bytes, message)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def cancel_download() -> None:
    """Asks the worker to stop, which it does within a second; does nothing where none is running."""
    if read_download().state == RUNNING:
        write_json(_state_dir() / "cancel.json", _read_json("start.json"))


def _state_dir() -> Path:
    path = cache_dir() / "kaggle_download"
    path.mkdir(exist_ok=True)
    return path


def _read_json(name: str) -> dict:
    content = read_json(_state_dir() / name)
    return content if isinstance(content, dict) else {}


def _write_status(download_id: str, status: DownloadStatus) -> None:
    write_json(_state_dir() / "status.json", {"id": download_id} | asdict(status))


def _run_worker(download_id: str) -> int:
    """Downloads for `start_download`, and writes down how it goes. Returns the exit code."""
    status = DownloadStatus(RUNNING)

    def report(num_bytes: int, total_bytes: int | None) -> None:
        nonlocal status
        if _read_json("cancel.json").get("id") == download_id:
            raise CancelledError
        newest = DownloadStatus(RUNNING, num_bytes, total_bytes)
        if newest != status:
            status = newest
            _write_status(download_id, status)

    try:
        with Heartbeat(_state_dir() / "heartbeat"):
            download_dataset(on_progress=report)
        status = replace(status, state=FINISHED)
    except CancelledError:
        status = replace(status, state=CANCELLED)
    except Exception as error:
        shown = error if isinstance(error, DataError) else _data_error(_explain(error))
        status = replace(status, state=FAILED, message=str(shown))
    _write_status(download_id, status)
    return 1 if status.state == FAILED else 0


def _run_client() -> None:
    """Runs kagglehub and reports on the standard output, one JSON object per line; all else is printed to the log.

    Two things here are not public. `kagglehub.clients.CHUNK_SIZE` (read in 1.0.3) is how much is read at once:
    without the smaller one a slow line looks dead and the download is ended. The record that urllib3's
    `_log_request` writes for every reply (eight arguments, read in 2.8) holds the archive's size, which kagglehub keeps
    to itself: without it there is no progress bar, and a server that answers slowly looks dead.
    """
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # kagglehub prints there itself
    counter = itertools.count(1)

    def report(**content: Any) -> None:
        stdout.write(json.dumps(content) + "\n")

    def read_reply(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 8:
            *_, url, _, status, num_bytes = record.args  # scheme, host, port, method, url, version, status, length
            is_archive = status == 200 and isinstance(num_bytes, int) and not str(url).endswith("/GetDataset")
            report(num_replies=next(counter), total_bytes=num_bytes if is_archive else None)
        return False

    try:
        import kagglehub.clients

        kagglehub.clients.CHUNK_SIZE = 2**16  # with its 1 MiB, a line below 17 kB/s would look dead for a minute
        # The read returns when the parent is gone. Not before the import: on Windows it may block loading libraries.
        threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()
        logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
        logging.getLogger("urllib3.connectionpool").addFilter(read_reply)
        report(num_replies=0)
        kagglehub.dataset_download(KAGGLE_HANDLE)
        if find_cached_dataset() is None:
            raise EOFError("the archive holds no files")
    except Exception as error:
        report(error=_explain(error))


if __name__ == "__main__":
    if sys.argv[1] == "client":
        _run_client()
    else:
        sys.exit(_run_worker(sys.argv[2]))
