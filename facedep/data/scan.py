"""Look at every picture of a data set once: can it be read, what is its fingerprint, which others does it repeat.

The result is kept in the cache folder under the data set's state, so that the second time is instant; what that folder
does not take stays in this process's memory. Pictures prepared for a network are kept in the folder as well, one file
for each size, and are read from it batch by batch.
"""

import contextlib
import hashlib
import logging
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from facedep.data.image_cache import ImageSubset, find_image_cache_path, open_image_cache, write_image_cache
from facedep.data.sources import Dataset
from facedep.errors import ImageError
from facedep.files import evict_oldest, write_atomically
from facedep.images.opening import compute_fingerprint, prepare_image, to_gray
from facedep.logs import describe_error
from facedep.paths import cache_dir

_logger = logging.getLogger(__name__)

THUMBNAIL_SIZE_PX = 48
_MAX_KEPT = 8  # scans in the cache; FER2013's takes 2 MB beside its thumbnails
_VERSION = "3"  # to be raised when what is stored, how pictures are prepared or how duplicates are found changes
_KEPT_FIELDS = (
    "fingerprints",
    "duplicate_groups",
    "sizes",
    "errors",
)  # the thumbnails lie in a file that can be mapped
_MAX_IN_MEMORY = 4  # scans that the cache does not take; FER2013's takes 65 MB
_in_memory: dict[Path, "Scan"] = {}  # those, by where they would be kept, the latest last
_measuring = threading.Lock()  # one scan at a time: the next caller finds the result, and OpenCV's setting is shared


@dataclass(frozen=True)
class Scan:
    """What was measured of each picture, in the order of the data set's samples.

    Attributes:
        fingerprints: 16 hex digits of each picture's gray pixels, "" where it cannot be read: `str`, shape `(n,)`.
        duplicate_groups: Equal for pictures that show the same photograph, exactly or nearly: `int64`, shape `(n,)`;
            -1 where it cannot be read.
        sizes: Width and height in pixels: `int32`, shape `(n, 2)`; 0 where it cannot be read.
        thumbnails: Prepared gray pictures: `uint8`, shape `(n, 48, 48)`, 0-255, mapped from disk, not to be changed;
            black where it cannot be read.
        errors: A sentence for each picture that cannot be read, else "": `str`, shape `(n,)`.
    """

    fingerprints: np.ndarray
    duplicate_groups: np.ndarray
    sizes: np.ndarray
    thumbnails: np.ndarray
    errors: np.ndarray

    @property
    def is_readable(self) -> np.ndarray:
        """`bool` array of shape `(n,)`: False for damaged files."""
        return self.errors == ""

    def select(self, mask: np.ndarray) -> "Scan":
        """Returns the scan of some of the pictures.

        Args:
            mask: `bool` array of shape `(n,)`, or `int` array of their positions.
        """
        return Scan(**{name: getattr(self, name)[mask] for name in self.__dataclass_fields__})


def scan_dataset(dataset: Dataset, *, on_progress: Callable[[int, int], None] | None = None) -> Scan:
    """Returns the scan of a data set, from the cache or this process's memory if its files have not changed since.

    Args:
        dataset: The data set.
        on_progress: Called now and then with the number of pictures done and of all.
    """
    scan = read_scan(dataset)
    if scan is not None:
        return scan
    with _measuring:
        scan = read_scan(dataset)  # another thread may have made it meanwhile
        if scan is None:
            cache_path = find_cache_path(dataset)
            with _single_opencv_thread():
                measured = _measure(dataset, dataset.samples["path"].tolist(), on_progress)
            scan = _write_cache(cache_path, measured)
            if scan is None:
                scan = _in_memory[cache_path] = measured
                for old in list(_in_memory)[:-_MAX_IN_MEMORY]:
                    del _in_memory[old]
    return scan


def read_scan(dataset: Dataset) -> Scan | None:
    """Returns the scan from the cache or this process's memory; None if it has to be made, or is damaged."""
    cache_path = find_cache_path(dataset)
    scan = _in_memory.get(cache_path)
    return _read_cache(cache_path, len(dataset.samples)) if scan is None else scan


def is_scanned(dataset: Dataset) -> bool:
    """Returns whether the scan is in the cache or in this process's memory, so that `scan_dataset` is quick."""
    cache_path = find_cache_path(dataset)
    is_kept = cache_path.exists() and find_image_cache_path(cache_path.stem, THUMBNAIL_SIZE_PX).exists()
    return is_kept or cache_path in _in_memory


def is_only_in_memory(dataset: Dataset) -> bool:
    """Returns whether this process holds the scan because the cache did not take it."""
    return find_cache_path(dataset) in _in_memory


def find_cache_path(dataset: Dataset) -> Path:
    """Returns where the scan of these very pictures is kept: another state or choice of files, another path."""
    paths = dataset.samples["path"].tolist()
    key = hashlib.sha256("\n".join([_VERSION, dataset.store.state_key, *paths]).encode()).hexdigest()[:16]
    return cache_dir() / "scans" / f"{key}.npz"


@contextlib.contextmanager
def _single_opencv_thread() -> Iterator[None]:
    """Has OpenCV work in one thread: for small pictures more of them cost more than they give, above all in a training.

    The setting is the whole process's, so that it is put back for whoever else works there.
    """
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(num_threads)


def _measure(dataset: Dataset, paths: list[str], on_progress: Callable[[int, int], None] | None) -> Scan:
    num_images = len(paths)
    fingerprints, errors = [""] * num_images, [""] * num_images
    sizes = np.zeros((num_images, 2), np.int32)
    thumbnails = np.zeros((num_images, THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX), np.uint8)
    for number, path in enumerate(paths):
        try:
            gray = to_gray(dataset.open(path))
        except ImageError as error:
            errors[number] = str(error)
            continue
        fingerprints[number] = compute_fingerprint(gray)
        sizes[number] = gray.shape[1], gray.shape[0]
        thumbnails[number] = prepare_image(gray, THUMBNAIL_SIZE_PX)[:, :, 0]
        if on_progress and number % 100 == 0:
            on_progress(number, num_images)
    if on_progress:
        on_progress(num_images, num_images)
    duplicate_groups = _group(np.array(fingerprints, dtype=str), thumbnails)
    return Scan(np.array(fingerprints, dtype=str), duplicate_groups, sizes, thumbnails, np.array(errors, dtype=str))


def load_images(
    dataset: Dataset,
    scan: Scan,
    mask: np.ndarray,
    size_px: int,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImageSubset:
    """Returns some pictures prepared for a network: `uint8`, shape `(n, size_px, size_px, 1)`, 0-255.

    They stay on disk, so that memory does not grow with their number. The first call for a size prepares all of the
    data set's pictures, not only these. Without room on the disk the chosen ones are prepared into RAM.

    Args:
        dataset: The data set.
        scan: Its scan; a network with an input as large as its thumbnails gets these.
        mask: `bool` array of shape `(number of pictures,)`: which of them. All of them must be readable.
        size_px: Side of the network's input.
        on_progress: Called now and then, while pictures are prepared, with the number of them done and of all.

    Raises:
        ImageError: A picture that the scan could read cannot be read any more.
    """
    indices = np.nonzero(mask)[0]
    if size_px == THUMBNAIL_SIZE_PX:
        return ImageSubset(scan.thumbnails[..., np.newaxis], indices)
    num_images = len(dataset.samples)
    path = find_image_cache_path(find_cache_path(dataset).stem, size_px)
    images = open_image_cache(path, num_images, size_px)
    if images is None:
        prepared = _prepare(dataset, scan, np.arange(num_images), size_px, on_progress)
        images = write_image_cache(path, num_images, size_px, prepared)
    if images is None:
        images = np.empty((len(indices), size_px, size_px, 1), np.uint8)
        for number, image in enumerate(_prepare(dataset, scan, indices, size_px, on_progress)):
            images[number] = image
        indices = np.arange(len(indices))
    return ImageSubset(images, indices)


def _prepare(
    dataset: Dataset, scan: Scan, indices: np.ndarray, size_px: int, on_progress: Callable[[int, int], None] | None
) -> Iterator[np.ndarray]:
    """Yields pictures of shape `(size_px, size_px, 1)`, black if the scan could not read them."""
    paths, is_readable = dataset.samples["path"].tolist(), scan.is_readable
    for num_done, i in enumerate(indices):
        if on_progress and num_done % 100 == 0:
            on_progress(num_done, len(indices))
        if is_readable[i]:
            yield prepare_image(to_gray(dataset.open(paths[i])), size_px)
        else:
            yield np.zeros((size_px, size_px, 1), np.uint8)


def _group(fingerprints: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """Returns near-duplicate groups, comparing only one of each set of identical pictures."""
    from facedep.data.duplicates import (
        find_near_duplicate_groups,  # brings SciPy, 0.25 s that the first page can do without
    )

    duplicate_groups = np.full(len(fingerprints), -1, np.int64)
    readable = np.nonzero(fingerprints != "")[0]
    _, first, inverse = np.unique(fingerprints[readable], return_index=True, return_inverse=True)
    duplicate_groups[readable] = find_near_duplicate_groups(thumbnails[readable[first]])[inverse]
    return duplicate_groups


def _read_cache(path: Path, num_images: int) -> Scan | None:
    """Returns a kept scan, or None if there is none or it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in _KEPT_FIELDS}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("A kept scan cannot be read and is made again: %s", describe_error(error))
        return None
    if len(fields["errors"]) != num_images:
        return None
    thumbnails = open_image_cache(find_image_cache_path(path.stem, THUMBNAIL_SIZE_PX), num_images, THUMBNAIL_SIZE_PX)
    return None if thumbnails is None else Scan(**fields, thumbnails=thumbnails[..., 0])


def _write_cache(path: Path, scan: Scan) -> Scan | None:
    """Keeps a scan and returns it with its thumbnails mapped from disk, or None if the disk does not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as partial:
            np.savez(partial, **{name: getattr(scan, name) for name in _KEPT_FIELDS})
        evict_oldest(path.parent, pattern="*.npz", max_files=_MAX_KEPT)
    except OSError as error:
        _logger.warning("The scan could not be kept: %s", describe_error(error))
        return None
    thumbnails_path = find_image_cache_path(path.stem, THUMBNAIL_SIZE_PX)
    thumbnails = write_image_cache(thumbnails_path, len(scan.thumbnails), THUMBNAIL_SIZE_PX, scan.thumbnails)
    return None if thumbnails is None else replace(scan, thumbnails=thumbnails[..., 0])
