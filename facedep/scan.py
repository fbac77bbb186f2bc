"""Look at every picture of a data set once: can it be read, what is its fingerprint, which others does it repeat.

The result is kept in the cache folder under the data set's state, so that the second time is instant.
"""

import contextlib
import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facedep.data import Dataset
from facedep.errors import ImageError
from facedep.images import compute_fingerprint, prepare_image, to_gray
from facedep.paths import cache_dir

THUMBNAIL_SIZE_PX = 48
_MAX_KEPT = 8  # scans in the cache; FER2013's takes 67 MB
_VERSION = "1"  # to be raised when what is stored or how duplicates are found changes


@dataclass(frozen=True)
class Scan:
    """What was measured of each picture, in the order of the data set's index.

    Attributes:
        fingerprints: 16 hex digits of each picture's gray pixels, "" where it cannot be read: `str`, shape `(n,)`.
        groups: Equal for pictures that show the same photograph, exactly or nearly: `int64`, shape `(n,)`; -1 where it
            cannot be read.
        sizes: Width and height in pixels: `int32`, shape `(n, 2)`; 0 where it cannot be read.
        thumbnails: Prepared gray pictures: `uint8`, shape `(n, 48, 48)`, 0-255; black where it cannot be read.
        errors: A sentence for each picture that cannot be read, else "": `str`, shape `(n,)`.
    """

    fingerprints: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray
    thumbnails: np.ndarray
    errors: np.ndarray

    @property
    def is_readable(self) -> np.ndarray:
        """`bool` array of shape `(n,)`: False for damaged files."""
        return self.errors == ""


def scan_dataset(dataset: Dataset, *, on_progress: Callable[[int, int], None] | None = None) -> Scan:
    """Returns the scan of a data set, from the cache where its files have not changed since.

    Args:
        dataset: The data set.
        on_progress: Called now and then with the number of pictures done and of all.
    """
    paths = dataset.index["path"].tolist()
    cache_path = find_cache_path(dataset)
    scan = _read_cache(cache_path, len(paths))
    if scan is None:
        scan = _measure(dataset, paths, on_progress)
        _write_cache(cache_path, scan)
    return scan


def is_scanned(dataset: Dataset) -> bool:
    """Returns whether the scan is in the cache, so that `scan_dataset` is quick."""
    return find_cache_path(dataset).exists()


def find_cache_path(dataset: Dataset) -> Path:
    """Returns where the scan of these very pictures is kept: another state or choice of files, another path."""
    paths = dataset.index["path"].tolist()
    key = hashlib.sha256("\n".join([_VERSION, dataset.store.state_key, *paths]).encode()).hexdigest()[:16]
    return cache_dir() / "scans" / f"{key}.npz"


def _measure(dataset: Dataset, paths: list[str], on_progress: Callable[[int, int], None] | None) -> Scan:
    cv2.setNumThreads(1)  # for pictures this small its threads cost more than they give, above all beside a training
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
    groups = _group(np.array(fingerprints, dtype=str), thumbnails)
    if on_progress:
        on_progress(num_images, num_images)
    return Scan(np.array(fingerprints, dtype=str), groups, sizes, thumbnails, np.array(errors, dtype=str))


def load_images(
    dataset: Dataset,
    scan: Scan,
    rows: np.ndarray,
    size_px: int,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns some pictures prepared for a network: `uint8` array of shape `(n, size_px, size_px, 1)`, 0-255.

    Args:
        dataset: The data set.
        scan: Its scan; where the network's input is as large as its thumbnails, these are used.
        rows: `bool` array of shape `(number of pictures,)`: which ones. All of them must be readable.
        size_px: Side of the network's input.
        on_progress: Called now and then with the number of pictures done and of all.
    """
    if size_px == THUMBNAIL_SIZE_PX:
        return scan.thumbnails[rows][..., np.newaxis]
    paths = dataset.index["path"][rows].tolist()
    images = np.empty((len(paths), size_px, size_px, 1), np.uint8)
    for number, path in enumerate(paths):
        if on_progress and number % 100 == 0:
            on_progress(number, len(paths))
        images[number] = prepare_image(to_gray(dataset.open(path)), size_px)
    return images


def _group(fingerprints: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """Returns near-duplicate groups, comparing only one of each set of identical pictures."""
    from facedep.duplicates import find_near_duplicate_groups  # brings SciPy, 0.25 s that the first page can do without

    groups = np.full(len(fingerprints), -1, np.int64)
    readable = np.nonzero(fingerprints != "")[0]
    _, first, inverse = np.unique(fingerprints[readable], return_index=True, return_inverse=True)
    groups[readable] = find_near_duplicate_groups(thumbnails[readable[first]])[inverse]
    return groups


def _read_cache(path: Path, num_images: int) -> Scan | None:
    """Returns a kept scan, or None where there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            scan = Scan(**{name: arrays[name] for name in Scan.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return scan if len(scan.errors) == num_images else None


def _write_cache(path: Path, scan: Scan) -> None:
    """Keeps a scan; a full disk only means that the next time is not instant."""
    partial = path.with_suffix(f".{np.random.default_rng().integers(2**32):08x}.part.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, **{name: getattr(scan, name) for name in Scan.__dataclass_fields__})
        partial.replace(path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda kept: kept.stat().st_mtime)[:-_MAX_KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
