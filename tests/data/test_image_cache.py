"""Prepared pictures are decoded once, lie in one file for each size, and come into memory batch by batch."""

import contextlib
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facedep.data import image_cache as decoded
from facedep.data.image_cache import ImageSubset, find_image_cache_path, open_image_cache, write_image_cache
from facedep.data.scan import is_scanned, load_images, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.errors import ImageError
from facedep.images.opening import prepare_image, to_gray

PROJECT_DIR = Path(__file__).resolve().parents[2]
PATHS = ["Happy/1.png", "Happy/2.png", "Sad/3.png", "Sad/4.png", "Sad/5.png"]
SIZE_PX = 24


class _StopError(Exception):
    """Stands for the request to stop."""


@pytest.fixture
def dataset(write_pictures) -> Dataset:
    return load_dataset(str(write_pictures(PATHS)))


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The paths of the pictures that were decoded since, in order."""
    paths, open_picture = [], Dataset.open

    def open_and_note(self, path):
        paths.append(path)
        return open_picture(self, path)

    monkeypatch.setattr(Dataset, "open", open_and_note)
    return paths


def _load(dataset: Dataset, size_px: int = SIZE_PX, **options) -> ImageSubset:
    scan = scan_dataset(dataset)
    return load_images(dataset, scan, scan.is_readable, size_px, **options)


def _expect(dataset: Dataset, size_px: int = SIZE_PX) -> np.ndarray:
    return np.stack([prepare_image(to_gray(dataset.store.open(path)), size_px) for path in dataset.samples["path"]])


def _list_kept() -> list[Path]:
    return sorted(find_image_cache_path("any", 1).parent.glob("*"))


def _find_kept(size_px: int = SIZE_PX) -> Path:
    (path,) = (path for path in _list_kept() if path.name.endswith(f"-{size_px}.npy"))
    return path


# What comes out.


@pytest.mark.parametrize("size_px", [8, 16, 24, 48, 128])
def test_pixels_are_those_of_the_one_way_into_a_network(dataset, size_px):
    for _ in range(2):  # decoded, then from disk
        np.testing.assert_array_equal(_load(dataset, size_px), _expect(dataset, size_px))


def test_only_the_chosen_rows_come_out_and_in_their_order(dataset):
    rows = np.array([True, False, True, True, False])
    images = load_images(dataset, scan_dataset(dataset), rows, SIZE_PX)
    assert (len(images), images.shape, images.dtype) == (3, (3, SIZE_PX, SIZE_PX, 1), np.uint8)
    np.testing.assert_array_equal(images, _expect(dataset)[rows])


@pytest.mark.parametrize("size_px", [24, 48])
def test_a_damaged_picture_is_black_and_moves_no_other(write_pictures, size_px):
    folder = write_pictures(PATHS)
    (folder / "Sad" / "3.png").write_bytes(b"cut off")
    dataset = load_dataset(str(folder))
    np.testing.assert_array_equal(
        _load(dataset, size_px)[:],
        [prepare_image(to_gray(Image.open(folder / path)), size_px) for path in PATHS if path != "Sad/3.png"],
    )
    assert open_image_cache(_find_kept(size_px), 5, size_px)[2].max() == 0


def test_without_any_picture_there_is_an_empty_array(dataset):
    images = load_images(dataset, scan_dataset(dataset), np.zeros(5, bool), SIZE_PX)
    assert (len(images), np.asarray(images).shape) == (0, (0, SIZE_PX, SIZE_PX, 1))


@pytest.mark.parametrize(
    "key",
    [0, -1, np.int64(2), slice(1, 3), slice(None, None, -1), np.array([3, 0, 3]), [2, 1], np.arange(4) > 1, Ellipsis,
     (slice(None), slice(None), slice(None, None, -1)), (1, slice(2, 5)), ([3, 0], 5, 6, 0), (Ellipsis, 0),
     slice(4, 9)],
    ids=str,
)  # fmt: skip
def test_selected_pictures_are_indexed_like_an_array(key):
    images = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 1), dtype=np.uint8)
    mapped = write_image_cache(find_image_cache_path("key", 16), 9, 16, images)
    rows = np.array([8, 2, 5, 0])
    selected = ImageSubset(mapped, rows)[key]
    np.testing.assert_array_equal(selected, images[rows][key])
    assert type(selected) is np.ndarray
    assert not np.shares_memory(selected, mapped)


def test_selected_pictures_are_iterated_and_bounded_like_an_array():
    images = np.arange(6 * 64, dtype=np.int64).astype(np.uint8).reshape(6, 8, 8, 1)
    selected = ImageSubset(images, np.array([4, 1]))
    np.testing.assert_array_equal(list(selected), images[[4, 1]])
    with pytest.raises(IndexError):
        selected[2]
    assert np.asarray(selected, dtype=np.float32).dtype == np.float32


# Decoded once.


@pytest.mark.parametrize("size_px", [24, 48])
def test_the_second_time_no_picture_is_opened(dataset, opened, size_px):
    first = np.asarray(_load(dataset, size_px))
    assert set(opened) == set(PATHS)
    opened.clear()
    calls = []
    for source in (dataset, load_dataset(dataset.source)):
        images = _load(source, size_px, on_progress=lambda *numbers: calls.append(numbers))
        np.testing.assert_array_equal(images, first)
    assert (opened, calls) == ([], [])


def test_all_parts_of_a_split_are_prepared_by_the_first(dataset, opened):
    scan = scan_dataset(dataset)
    opened.clear()
    calls = []
    for part in (np.arange(5) < 3, np.arange(5) == 3, np.arange(5) == 4):
        load_images(dataset, scan, part, SIZE_PX, on_progress=lambda *numbers: calls.append(numbers))
    assert (opened, calls) == (PATHS, [(0, 5)])


def test_two_sizes_lie_side_by_side(dataset, opened):
    small, large = _load(dataset, 16), _load(dataset, 32)
    opened.clear()
    assert (small.shape, large.shape) == ((5, 16, 16, 1), (5, 32, 32, 1))
    np.testing.assert_array_equal(_load(dataset, 16), small)
    np.testing.assert_array_equal(_load(dataset, 32), large)
    assert opened == []
    assert [path.name.rpartition("-")[2] for path in _list_kept()] == ["16.npy", "32.npy", "48.npy"]


def test_a_changed_file_is_decoded_again(dataset):
    _load(dataset)
    Image.new("L", (16, 16), 9).save(Path(dataset.source) / "Sad" / "4.png")
    changed = load_dataset(dataset.source)
    assert set(_load(changed)[3].ravel()) == {9}
    np.testing.assert_array_equal(_load(changed), _expect(changed))


def test_a_kept_file_is_an_ordinary_array_file(dataset):
    _load(dataset)
    np.testing.assert_array_equal(np.load(_find_kept()), _expect(dataset))


def test_a_map_of_numpy_still_has_its_pages_where_they_are_released(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, np.uint8))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert isinstance(mapped._mmap, mmap.mmap)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of a process's memory")
def test_an_epoch_leaves_no_pictures_in_memory():
    def measure_mapped_bytes() -> int:
        (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("RssFile:"))
        return int(line.split()[1]) * 1024

    picture = np.full((128, 128), 7, np.uint8)
    images = write_image_cache(find_image_cache_path("key", 128), 2000, 128, (picture for _ in range(2000)))
    selected = ImageSubset(images, np.arange(2000))
    before = measure_mapped_bytes()
    order = np.random.default_rng(0).permutation(2000)
    for start in range(0, 2000, 100):
        assert (selected[order[start : start + 100]] == 7).all()
    assert measure_mapped_bytes() - before < 3_000_000  # all of them are 33 MB


# What may go wrong.


def _flip_a_bit(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


@pytest.mark.parametrize("size_px", [24, 48])
@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: b"no array", lambda content: content[:-1], lambda content: content + b"0",
     lambda content: content[:-500], lambda content: content[:60] + bytes(len(content) - 60), _flip_a_bit,
     lambda content: content.replace(b"(5, ", b"(4, ")],
    ids=["empty", "no array", "a byte short", "a byte long", "cut off", "zeroed", "one bit", "another shape"],
)  # fmt: skip
def test_a_damaged_file_is_made_again(dataset, opened, damage, size_px):
    _load(dataset, size_px)
    kept = _find_kept(size_px)
    content = kept.read_bytes()
    kept.unlink()  # a map of the old file must not be cut
    kept.write_bytes(damage(content))
    assert kept.read_bytes() != content
    opened.clear()
    np.testing.assert_array_equal(_load(dataset, size_px), _expect(dataset, size_px))
    assert opened == PATHS
    assert kept.read_bytes() == content


def test_pictures_of_another_number_are_not_taken(dataset):
    images = _expect(dataset)
    path = find_image_cache_path("key", SIZE_PX)
    write_image_cache(path, 5, SIZE_PX, images)
    assert open_image_cache(path, 4, SIZE_PX) is None
    assert open_image_cache(path, 5, SIZE_PX + 1) is None


def test_a_scan_without_its_thumbnails_is_made_again(dataset, opened):
    assert not is_scanned(dataset)
    first = scan_dataset(dataset)
    assert is_scanned(dataset)
    _find_kept(48).unlink()
    assert not is_scanned(dataset)
    opened.clear()
    np.testing.assert_array_equal(scan_dataset(dataset).thumbnails, first.thumbnails)
    assert opened == PATHS
    assert is_scanned(dataset)


@pytest.mark.parametrize("size_px", [24, 48])
def test_without_a_cache_folder_pictures_are_prepared_into_memory(dataset, tmp_path, monkeypatch, size_px):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    rows = np.array([False, True, True, False, True])
    images = load_images(dataset, scan_dataset(dataset), rows, size_px)
    assert images.shape == (3, size_px, size_px, 1)
    np.testing.assert_array_equal(images, _expect(dataset, size_px)[rows])


@pytest.mark.skipif(os.name == "nt", reason="needs a folder that refuses files")
def test_a_cache_folder_that_may_not_be_written_is_no_obstacle(dataset, opened):
    if os.geteuid() == 0:
        pytest.skip("the administrator may write everywhere")
    scan = scan_dataset(dataset)
    find_image_cache_path("any", 1).parent.chmod(0o500)
    opened.clear()
    images = load_images(dataset, scan, np.arange(5) == 2, SIZE_PX)
    np.testing.assert_array_equal(images, _expect(dataset)[2:3])
    assert opened == ["Sad/3.png"]


def test_a_nearly_full_disk_is_left_alone(dataset, opened, monkeypatch):
    scan = scan_dataset(dataset)
    kept = _list_kept()
    monkeypatch.setattr(decoded, "_SPARE_BYTES", 2**62)
    opened.clear()
    np.testing.assert_array_equal(load_images(dataset, scan, np.arange(5) > 2, SIZE_PX), _expect(dataset)[3:])
    assert opened == PATHS[3:]
    assert _list_kept() == kept


def test_a_disk_that_fills_up_while_pictures_are_written_is_no_obstacle(dataset):
    resource = pytest.importorskip("resource", reason="needs a limit on the size of a file")
    scan = scan_dataset(dataset)
    kept = _list_kept()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        images = load_images(dataset, scan, np.ones(5, bool), SIZE_PX)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    np.testing.assert_array_equal(images, _expect(dataset))
    assert _list_kept() == kept


def test_a_stop_while_pictures_are_prepared_leaves_nothing_behind(dataset):
    scan = scan_dataset(dataset)
    kept = _list_kept()

    def stop(num_done: int, num_all: int) -> None:
        raise _StopError

    with pytest.raises(_StopError):
        load_images(dataset, scan, np.ones(5, bool), SIZE_PX, on_progress=stop)
    assert _list_kept() == kept


def test_a_picture_that_vanished_after_the_scan_is_told_and_nothing_is_kept(dataset):
    scan = scan_dataset(dataset)
    kept = _list_kept()
    (Path(dataset.source) / "Sad" / "4.png").unlink()
    with pytest.raises(ImageError, match=r"Sad/4\.png"):
        load_images(dataset, scan, np.ones(5, bool), SIZE_PX)
    assert _list_kept() == kept


def test_several_processes_at_once_get_the_same_pictures(dataset):
    code = (
        "import sys, zlib, numpy as np\n"
        "from facedep.data import load_dataset\n"
        "from facedep.data.scan import load_images, scan_dataset\n"
        "dataset = load_dataset(sys.argv[1])\n"
        "images = load_images(dataset, scan_dataset(dataset), np.ones(5, bool), 24)\n"
        "print(zlib.crc32(np.asarray(images).tobytes()))"
    )
    command = [sys.executable, "-c", code, dataset.source]
    started = [subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=120)[0] for process in started]
    assert len(set(answers)) == 1
    np.testing.assert_array_equal(_load(dataset), _expect(dataset))
    assert [path.suffix for path in _list_kept()] == [".npy", ".npy"]


# What is kept.


def _keep(name: str, *, hours_ago: float, num_images: int = 10) -> Path:
    path = find_image_cache_path(name, 10)
    write_image_cache(path, num_images, 10, np.zeros((num_images, 10, 10), np.uint8))
    os.utime(path, (time.time() - hours_ago * 3600,) * 2)
    return path


def test_files_used_longest_ago_make_room_for_new_ones(monkeypatch):
    oldest, old, newer = (_keep(name, hours_ago=hours) for name, hours in (("b", 9), ("a", 5), ("c", 3)))
    monkeypatch.setattr(decoded, "MAX_KEPT_BYTES", 3 * newer.stat().st_size)
    assert open_image_cache(oldest, 10, 10) is not None  # now it was used last
    new = _keep("d", hours_ago=0)
    assert _list_kept() == sorted([oldest, newer, new])
    assert not old.exists()


def test_files_in_use_stay_whatever_the_limit(monkeypatch):
    monkeypatch.setattr(decoded, "MAX_KEPT_BYTES", 100)
    recent, new = _keep("a", hours_ago=0.9), _keep("b", hours_ago=0)
    assert _list_kept() == [recent, new]


def test_a_map_outlives_its_deleted_file(dataset, monkeypatch):
    images = _load(dataset)
    for path in _list_kept():
        os.utime(path, (1, 1))
    monkeypatch.setattr(decoded, "MAX_KEPT_BYTES", 0)
    with contextlib.suppress(OSError):  # where the system deletes no open file, it stays
        _keep("new", hours_ago=0)
    np.testing.assert_array_equal(images, _expect(dataset))


def test_what_a_killed_writer_left_is_deleted_and_a_living_ones_is_not():
    kept = _keep("a", hours_ago=5)
    dead, alive = (kept.with_name(f".facedep-{16 * digit}.part.npy") for digit in "01")
    for partial, hours in ((dead, 2), (alive, 0)):
        partial.write_bytes(b"half")
        os.utime(partial, (time.time() - hours * 3600,) * 2)
    new = _keep("b", hours_ago=0)
    assert _list_kept() == sorted([kept, alive, new])
