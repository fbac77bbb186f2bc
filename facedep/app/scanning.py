"""A data set's scan and search for faces as every page gets them: there at once, or on their way from the background.

A page never scans in its own thread. A background process does, as for all other work. Only if the cache takes neither
that process's progress nor its result, a thread of the server scans, and what it finds stays in memory.
"""

import contextlib
import threading
from pathlib import Path

import streamlit as st

from facedep.app import background_jobs
from facedep.audit.face_check import read_face_check
from facedep.data.scan import Scan, find_cache_path, is_only_in_memory, is_scanned, read_scan, scan_dataset
from facedep.data.sources import Dataset
from facedep.errors import FacedepError, RunError
from facedep.paths import cache_dir
from facedep.runs import jobs


def find_scan(dataset: Dataset) -> Scan | None:
    """Returns the data set's scan, or None if it has to be made first; it never waits for one.

    Args:
        dataset: The data set.
    """
    if not is_scanned(dataset):
        return None
    path = str(find_cache_path(dataset))
    scan = _open_scan(path, dataset)
    if scan is None:  # a damaged file
        _open_scan.clear(path, dataset)
    return scan


@st.cache_resource(max_entries=2, show_spinner=False)
def _open_scan(cache_path: str, _dataset: Dataset) -> Scan | None:
    return read_scan(_dataset)


def follow_scan(dataset: Dataset) -> Scan | None:
    """Returns the data set's scan; if it has to be made first, shows how far it is and returns None.

    Args:
        dataset: The data set.
    """
    name = f"audit-{find_cache_path(dataset).stem}"
    has_ended = jobs.read_job(name).state == jobs.FINISHED  # read first: its result is there before it says so
    scan = find_scan(dataset)
    if scan is not None:
        background_jobs.forget_job(name)
        if is_only_in_memory(dataset):
            st.caption(
                f"What was found in these pictures could not be kept in {cache_dir()}; it stays in memory until the "
                "app ends. Free some space there, or see that you may write to it."
            )
        return scan
    if not (has_ended and background_jobs.is_followed(name)):
        with contextlib.suppress(RunError):  # its progress cannot be written, or no process can be started
            background_jobs.follow_job(name, ["audit", *dataset.spec.to_argv()])
            return None
    _follow_server_scan(dataset)
    return None


def follow_face_check(dataset: Dataset, *, offer: str = "") -> bool:
    """Returns whether all pictures have been searched for a face; else shows how far that is.

    Args:
        dataset: The data set.
        offer: What the button says that starts it; if empty, it starts by itself.

    Raises:
        RunError: The process cannot be started.
    """
    name = f"faces-{find_cache_path(dataset).stem}"
    if read_face_check(dataset) is not None:
        background_jobs.forget_job(name)
        return True
    background_jobs.follow_job(name, ["audit", "--faces", *dataset.spec.to_argv()], offer=offer)
    return False


class ServerScans:
    """Scans in threads of the server, each data set's once however many visitors wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Path, jobs.Job] = {}

    def read(self, path: Path) -> jobs.Job:
        """Returns how far the scan is that belongs at a path in the cache.

        Args:
            path: From `find_cache_path`.
        """
        return self._jobs.get(path, jobs.Job(jobs.NONE))

    def start(self, path: Path, dataset: Dataset) -> None:
        """Starts a scan unless it is running.

        Args:
            path: From `find_cache_path`.
            dataset: The data set.
        """
        with self._lock:
            if self.read(path).state == jobs.RUNNING:
                return
            self._report(path, 0, len(dataset.samples))
        threading.Thread(target=self._work, args=(path, dataset), daemon=True).start()

    def _report(self, path: Path, num_done: int, num_images: int) -> None:
        self._jobs[path] = jobs.Job(jobs.RUNNING, "Reading every picture", num_done, num_images)

    def _work(self, path: Path, dataset: Dataset) -> None:
        ended = jobs.Job(jobs.FAILED, message="Not all pictures could be read. The app's log says more.")
        try:
            scan_dataset(dataset, on_progress=lambda *numbers: self._report(path, *numbers))
            ended = jobs.Job(jobs.FINISHED)
        except FacedepError as error:
            ended = jobs.Job(jobs.FAILED, message=str(error))
        finally:
            self._jobs[path] = ended


@st.cache_resource(show_spinner=False)
def _find_server_scans() -> ServerScans:
    return ServerScans()


def _follow_server_scan(dataset: Dataset) -> None:
    """Starts a scan in the server unless it is running, and shows its progress until it ends."""
    scans, path = _find_server_scans(), find_cache_path(dataset)
    job = scans.read(path)
    if job.state == jobs.FAILED:
        card = st.empty()
        with card.container():
            st.warning(job.message, icon=":material/error:")
            if not st.button("Try again", key=f"scan {path.stem}"):
                return
        card.empty()
    scans.start(path, dataset)

    @st.fragment(run_every=0.7)
    def show() -> None:
        job = scans.read(path)
        if job.state != jobs.RUNNING:
            st.rerun()
        background_jobs.show_progress(job)

    show()
