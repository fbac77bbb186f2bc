"""The one way to write a file, to read and write JSON, and to keep a folder from growing for ever.

A file appears whole or not at all: it is written beside its place and then moved there, so that no reader sees half of
it and two writers do not disturb each other.
"""

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 16 * 1024**2  # the largest card of the project takes 10 kB
LEFTOVER_SECONDS = 3600  # a partial file that nobody has written to for this long belongs to a writer that was killed
_PARTIAL_NAME = re.compile(r"\.facedep-[0-9a-f]{16}\.part(\..*)?")
_NUM_TRIES, _WAIT_SECONDS = 20, 0.05


@contextlib.contextmanager
def write_atomically(path: Path, *, partial_dir: Path | None = None) -> Iterator[Path]:
    """Gives the path to write to; it takes the place of `path` at the end of the block, or vanishes at an error.

    The given path is new for every writer and ends as `path` does, since `np.savez` and Keras go by the ending. A link
    stays one. What is neither a file nor missing, like /dev/stdout, is written to as it is.

    Args:
        path: Where the file goes. Its folder must exist at the end of the block.
        partial_dir: Where it lies until then, on the same disk; by default in the same folder.

    Raises:
        OSError: It cannot be written or moved. An error of the block goes on upwards.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    partial = _name_partial(partial_dir or target.parent, path.suffix)
    try:
        yield partial
        _replace(partial, target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def write_folder_atomically(path: Path) -> Iterator[Path]:
    """Gives an empty folder; it takes the place of `path` at the end of the block, or vanishes with all in it.

    Args:
        path: Where the folder goes: a place that is free, or an empty folder.

    Raises:
        OSError: It cannot be made or moved. An error of the block goes on upwards.
    """
    partial = _name_partial(path.parent, "")
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.rmdir()
        _replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_writable(path: Path) -> None:
    """Raises `OSError` where `write_atomically` could not make the file; an existing one stays as it is."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not path.exists() or path.is_file():
        partial = _name_partial(Path(os.path.realpath(path)).parent, path.suffix)
        partial.touch()
        partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, in one step and with its line ends as they are."""
    with write_atomically(path) as partial:
        partial.write_bytes(text.encode())


def write_json(path: Path, content: Any) -> None:
    """Writes JSON in one step. What is no number must have become null before, see `nan_to_null`."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False))


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Returns the content of a JSON file, or None where it is missing, unreadable, damaged or implausibly large."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        return json.loads(content.decode()) if len(content) <= max_bytes else None
    except (OSError, ValueError, RecursionError):
        return None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the objects of a file with one JSON object per line, without lines that are torn or something else."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def nan_to_null(value: Any) -> Any:
    """Returns the same tables and lists with None for NaN and the infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: nan_to_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def null_to_nan(value: Any) -> Any:
    """Returns the same tables and lists with NaN for None."""
    if isinstance(value, dict):
        return {key: null_to_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [null_to_nan(item) for item in value]
    return float("nan") if value is None else value


def evict_oldest(
    folder: Path,
    *,
    pattern: str = "*",
    max_files: int | None = None,
    max_bytes: int | None = None,
    max_age_seconds: float | None = None,
    min_age_seconds: float = 0.0,
) -> None:
    """Deletes the files used longest ago until the others keep within every limit that is given.

    "Used" is the time of last change, so a reader that wants a file to stay touches it. Hidden files (locks, partial
    ones) neither count nor go. A file that cannot be deleted stays: Windows deletes none that is open.

    Args:
        folder: The folder; what lies deeper is left alone.
        pattern: Which of its files, as for `Path.glob`.
        max_files: How many may stay.
        max_bytes: How large they may be together.
        max_age_seconds: How long ago they may have been used.
        min_age_seconds: What was used within this time stays, past any limit.
    """
    _delete_leftovers(folder)
    files = []
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # another process may delete it first
                if path.is_file() and not path.name.startswith("."):
                    info = path.stat()
                    files.append((info.st_mtime, path, info.st_size))
    num_files, num_bytes, now = len(files), sum(size for *_, size in files), time.time()
    for used, path, size in sorted(files):
        is_over = (
            (max_files is not None and num_files > max_files)
            or (max_bytes is not None and num_bytes > max_bytes)
            or (max_age_seconds is not None and used < now - max_age_seconds)
        )
        is_in_use = min_age_seconds > 0 and used > now - min_age_seconds
        if is_over and not is_in_use:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                num_files, num_bytes = num_files - 1, num_bytes - size


def _name_partial(folder: Path, suffix: str) -> Path:
    _delete_leftovers(folder)
    return folder / f".facedep-{secrets.token_hex(8)}.part{suffix}"


def _replace(partial: Path, target: Path) -> None:
    for _ in range(_NUM_TRIES - 1):
        try:
            os.replace(partial, target)
            return
        except PermissionError:  # on Windows while a reader has the file open, for some milliseconds
            time.sleep(_WAIT_SECONDS)
    os.replace(partial, target)


def _delete_leftovers(folder: Path) -> None:
    """Deletes what writers that were killed have left in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        leftovers = [Path(entry) for entry in entries if _PARTIAL_NAME.fullmatch(entry.name)]
        for partial in leftovers:
            with contextlib.suppress(OSError):
                last_change = max(path.stat().st_mtime for path in (partial, *_list_folder(partial)))
                if last_change >= time.time() - LEFTOVER_SECONDS:
                    continue
                if partial.is_dir():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink()


def _list_folder(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []
