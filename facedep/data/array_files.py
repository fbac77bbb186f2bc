"""Computed arrays kept on disk as `.npz` files: written whole, read back only if undamaged, the oldest evicted."""

import contextlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from facedep.errors import DataError
from facedep.files import evict_oldest, write_atomically

_MAX_KEPT = 8  # FER2013's with the shipped model take 8 MB


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray] | None:
    """Returns the arrays of those names from a file of `write_arrays`, or None where it is missing or damaged."""
    arrays = load_arrays(path, names)
    if arrays is not None:
        with contextlib.suppress(OSError):  # a folder that may only be read
            path.touch()  # the files used longest ago are deleted first
    return arrays


def write_arrays(path: Path, arrays: dict[str, np.ndarray | list[str]]) -> None:
    """Keeps arrays in one step, and of the files in that folder only those used last.

    Args:
        path: An `.npz` file in a folder that holds nothing else.
        arrays: Name to array.

    Raises:
        DataError: The disk does not take them.
    """
    save_arrays(path, arrays)
    evict_oldest(path.parent, max_files=_MAX_KEPT)


def load_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray] | None:
    """Returns the arrays of those names from an `.npz` file, or None where it is missing or damaged."""
    try:
        # Given a path, `np.load` leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}  # reading checks each array's CRC-32
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile):
        return None


def save_arrays(path: Path, arrays: dict[str, Any], *, compress: bool = False) -> None:
    """Writes arrays as one `.npz` file in one step; raises `DataError` where the disk does not take them."""
    save = np.savez_compressed if compress else np.savez
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as partial:
            save(partial, **arrays)
    except OSError as error:
        raise DataError(
            f"What was computed could not be kept in {path.parent} ({error.strerror}). Free some space there, or see "
            "that you may write to it."
        ) from None
