"""The scan and the process that makes it: what it leaves as it was, and what stays in memory if the disk refuses it."""

import threading

import cv2
import numpy as np
import pytest

from facedep.data import scan
from facedep.data.scan import is_only_in_memory, is_scanned, read_scan, scan_dataset
from facedep.data.sources import load_dataset
from facedep.paths import cache_dir


@pytest.fixture
def dataset(write_pictures):
    return load_dataset(str(write_pictures([f"Sad/{number}.png" for number in range(4)])))


@pytest.fixture
def measured(monkeypatch):
    """Lists the data set and OpenCV's number of threads of every time that pictures are opened for a scan."""
    calls, measure = [], scan._measure

    def measure_and_list(dataset, *arguments):
        calls.append((dataset.name, cv2.getNumThreads()))
        return measure(dataset, *arguments)

    monkeypatch.setattr(scan, "_measure", measure_and_list)
    return calls


@pytest.fixture
def two_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A cache folder that can neither be made nor written."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "file" / "cache"))


def test_a_scan_uses_one_opencv_thread_and_then_restores_the_number(dataset, measured, two_threads):
    scan_dataset(dataset)
    assert measured == [(dataset.name, 1)]
    assert cv2.getNumThreads() == 2


def test_a_scan_that_breaks_off_restores_the_number_of_opencv_threads(dataset, monkeypatch, two_threads):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(scan, "_measure", fail)
    with pytest.raises(MemoryError):
        scan_dataset(dataset)
    assert cv2.getNumThreads() == 2


def test_several_threads_that_want_the_same_scan_make_it_once_and_restore_opencv(dataset, measured, two_threads):
    threads = [threading.Thread(target=scan_dataset, args=(dataset,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measured == [(dataset.name, 1)]
    assert cv2.getNumThreads() == 2


def test_a_scan_that_the_cache_does_not_take_is_made_once_and_stays_in_memory(dataset, measured, no_cache):
    assert read_scan(dataset) is None
    first = scan_dataset(dataset)
    assert scan_dataset(dataset) is first
    assert read_scan(dataset) is first
    assert len(measured) == 1
    assert is_scanned(dataset)
    assert is_only_in_memory(dataset)


def test_a_scan_whose_thumbnails_the_disk_does_not_take_stays_in_memory(dataset, measured):
    (cache_dir() / "decoded").write_text("in the way")
    first = scan_dataset(dataset)
    assert scan_dataset(dataset) is first
    assert len(measured) == 1


def test_a_kept_scan_is_not_held_in_memory(dataset):
    scan_dataset(dataset)
    assert is_scanned(dataset)
    assert not is_only_in_memory(dataset)


def test_memory_holds_the_latest_scans_only(write_pictures, measured, no_cache):
    datasets = [load_dataset(str(write_pictures(["Sad/0.png"], root=f"set {number}"))) for number in range(5)]
    for dataset in datasets:
        scan_dataset(dataset)
    assert [is_scanned(dataset) for dataset in datasets] == [False, True, True, True, True]


def test_a_damaged_file_in_the_cache_is_no_scan(dataset):
    kept = scan_dataset(dataset)
    path = scan.find_cache_path(dataset)
    path.write_bytes(b"damaged")
    assert read_scan(dataset) is None
    np.testing.assert_array_equal(scan_dataset(dataset).thumbnails, kept.thumbnails)
    assert read_scan(dataset) is not None
