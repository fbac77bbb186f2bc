"""Prepared pictures on disk, mapped into memory: each is decoded once, and only the batch at hand is in RAM.

One file holds all pictures of one state of a data set at one size. It is an ordinary `.npy` with its checksum behind
it. Any failure here only means that pictures are decoded again: nothing in this module raises for it.
"""

import contextlib
import io
import logging
import mmap
import shutil
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facedep.files import evict_oldest, write_atomically
from facedep.logs import describe_error
from facedep.paths import cache_dir

_logger = logging.getLogger(__name__)

MAX_KEPT_BYTES = 2 * 1024**3  # FER2013 takes 65 MB at 48 pixels, 460 MB at 128
_IN_USE_SECONDS = 3600  # a file that was opened or written to within the last hour counts as in use
_SPARE_BYTES = 100 * 1024**2  # left free on the disk, for the run's model and its measurements
_BLOCK_BYTES = 1024**2


class ImageSubset:
    """Some pictures of a larger array, read when they are asked for: `uint8`, shape `(n, size, size, 1)`, 0-255.

    `len`, `shape`, `dtype`, indexing, iterating and `np.asarray` work as on an array. What they give is a copy of the
    pictures asked for, so `images[:, :, ::-1]` and `np.asarray(images)` bring all of them into RAM.

    Args:
        images: All pictures: `uint8` array of shape `(number of pictures, size, size, 1)`, mapped or not.
        indices: Which of them, and in which order: `int` array of shape `(n,)`.
    """

    def __init__(self, images: np.ndarray, indices: np.ndarray):
        self._images, self._indices = images, indices
        self.shape, self.dtype = (len(indices), *images.shape[1:]), images.dtype

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *others = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis or first is None:
            return np.asarray(self)[key]
        indices = self._indices[first]
        selected = np.array(self._images[indices]) if np.ndim(indices) == 0 else np.asarray(self._images[indices])
        _release_pages(self._images)
        return selected[(*[slice(None)] * np.ndim(indices), *others)]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("these pictures lie on disk: they cannot become an array without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)


class ResizedImages:
    """Pictures made smaller when they are asked for: `uint8`, shape `(n, size_px, size_px, 1)`, 0-255.

    Args:
        images: Array (or `ImageSubset`) of shape `(n, size, size, 1)`, 0-255.
        size_px: The side that they get.
    """

    def __init__(self, images: "np.ndarray | ImageSubset | ResizedImages", size_px: int):
        self._images, self._size_px = images, size_px
        self.shape, self.dtype = (len(images), size_px, size_px, 1), np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: slice | np.ndarray) -> np.ndarray:
        size = (self._size_px, self._size_px)
        small = [cv2.resize(image[:, :, 0], size, interpolation=cv2.INTER_AREA) for image in self._images[indices]]
        return np.array(small, self.dtype).reshape(-1, *self.shape[1:])


def _release_pages(images: np.ndarray) -> None:
    """Takes a map's pages out of this process's memory; they stay in the system's cache as long as there is room.

    Otherwise the process is seen to grow by the whole file in the first epoch: 474 MB with FER2013 at 128 pixels, and
    46 MB with this. It costs 0.3 s of computing for each epoch of these 28,000 pictures.

    `_mmap` is private in NumPy (read in 2.4): `np.memmap` gives no other way to its map. Without it the pictures stay
    right and the process grows as said.
    """
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which trims on its own
        mapped.madvise(mmap.MADV_DONTNEED)


def find_image_cache_path(key: str, size_px: int) -> Path:
    """Returns where the prepared pictures of one state of a data set are kept.

    Args:
        key: Names the pictures and how they are prepared.
        size_px: Their side.
    """
    return cache_dir() / "decoded" / f"{key}-{size_px}.npy"


def open_image_cache(path: Path, num_images: int, size_px: int) -> np.ndarray | None:
    """Returns kept pictures as a read-only map: `uint8`, shape `(num_images, size_px, size_px, 1)`, 0-255.

    Args:
        path: From `find_image_cache_path`.
        num_images: How many there must be.
        size_px: Their side.

    Returns:
        The map, or None where there is no such file or it is cut off, damaged or of another shape.
    """
    header = _build_header(num_images, size_px)
    num_left = num_images * size_px**2
    checksum = zlib.adler32(b"")  # three times as fast as a CRC-32
    try:
        with path.open("rb") as file:
            is_whole = file.read(len(header)) == header
            while is_whole and (block := file.read(min(_BLOCK_BYTES, num_left))):
                checksum = zlib.adler32(block, checksum)
                num_left -= len(block)
            if not is_whole or num_left or file.read(5) != checksum.to_bytes(4, "little"):
                return None
        with contextlib.suppress(OSError):  # a folder that may only be read
            path.touch()  # the files used longest ago are deleted first
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None


def write_image_cache(path: Path, num_images: int, size_px: int, images: Iterable[np.ndarray]) -> np.ndarray | None:
    """Writes prepared pictures and returns them as `open_image_cache` does, or None where the disk does not take them.

    Several processes may write the same file at once: each writes its own, and the last one stays.

    Args:
        path: From `find_image_cache_path`.
        num_images: How many there are.
        size_px: Their side.
        images: The pictures one by one: `uint8` arrays of shape `(size_px, size_px)`, with or without a last 1. None
            is asked for where there is no room.
    """
    num_bytes = num_images * size_px**2
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        evict_oldest(path.parent, max_bytes=MAX_KEPT_BYTES - num_bytes, min_age_seconds=_IN_USE_SECONDS)
        if shutil.disk_usage(path.parent).free < num_bytes + _SPARE_BYTES:
            _logger.warning("No room to keep prepared pictures: %d MB are needed", num_bytes // 1_000_000)
            return None
        checksum = zlib.adler32(b"")
        # Not through a map: a full disk would end the process.
        with write_atomically(path) as partial, partial.open("wb") as file:
            file.write(_build_header(num_images, size_px))
            for image in images:
                pixels = image.tobytes()
                checksum = zlib.adler32(pixels, checksum)
                file.write(pixels)
            file.write(checksum.to_bytes(4, "little"))
    except OSError as error:  # on Windows also where another process has written and opened the same file meanwhile
        _logger.warning("Prepared pictures could not be kept: %s", describe_error(error))
    return open_image_cache(path, num_images, size_px)


def _build_header(num_images: int, size_px: int) -> bytes:
    header = io.BytesIO()
    shape = (num_images, size_px, size_px, 1)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()
