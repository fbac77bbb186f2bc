"""What the shipped model's stages see in pictures, kept by content: `quick` learns from it, and so starts at once.

A picture is looked at once on this computer, as it is and mirrored, however often its set is trained on or split.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from facedep.data.array_files import read_arrays, write_arrays
from facedep.errors import DataError
from facedep.logs import describe_error
from facedep.networks.graph import STAGE_FEATURES, Graph, Inputs
from facedep.paths import cache_dir

_logger = logging.getLogger(__name__)
_KEY_BYTES, _IMAGES_AT_ONCE = 16, 1024
_SECONDS_BETWEEN_LOOKS = 0.2


def find_stage_features_path(graph: Graph, content_hash: str) -> Path:
    """Returns where what a network sees in a data set is kept.

    Args:
        graph: The network.
        content_hash: Of the data set.
    """
    key = hashlib.sha256(f"{graph.weights_hash} {content_hash}".encode()).hexdigest()[:16]
    return cache_dir() / "stage_features" / f"{key}.npz"


def compute_stage_features(
    graph: Graph, images: Inputs, *, content_hash: str, on_progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Returns what a network's stages give for each picture and for its mirror image: `float16`, `(n, 2, length)`.

    Args:
        graph: A network that has stages.
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255, or what is read like one.
        content_hash: Of the data set that they come from, or most of them.
        on_progress: Called with the number of pictures done and of all that were not known before.
    """
    keys = np.array([_hash(image) for image in _iterate(images)], dtype=f"S{_KEY_BYTES * 2}")
    path = find_stage_features_path(graph, content_hash)
    with _take_turns(path, lambda: on_progress(0, len(images)) if on_progress else None):
        return _complete(graph, images, keys, path, on_progress)


@contextlib.contextmanager
def _take_turns(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Waits while another process looks at the same pictures: what it finds is then known here too."""
    lock = FileLock(path.with_name(f".{path.stem}.lock"))  # hidden, so that it is not evicted as a file of the cache
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=_SECONDS_BETWEEN_LOOKS)
                break
            on_wait()
    except OSError as error:  # a folder that may only be read: both look
        _logger.warning("No turns can be taken: %s", describe_error(error))
    try:
        yield
    finally:
        lock.release()


def _complete(
    graph: Graph, images: Inputs, keys: np.ndarray, path: Path, on_progress: Callable[[int, int], None] | None
) -> np.ndarray:
    """Returns the features of pictures with these keys, those of new ones computed and kept."""
    kept = read_arrays(path, ["keys", "features"])
    known_keys = kept["keys"] if kept is not None else np.array([], keys.dtype)
    new_keys, first = np.unique(keys, return_index=True)
    is_new = ~np.isin(new_keys, known_keys)
    new = _run(graph, images, np.sort(first[is_new]), on_progress)
    all_keys = np.concatenate([known_keys, keys[np.sort(first[is_new])]])
    all_features = np.concatenate([kept["features"], new]) if kept is not None else new
    if len(new):
        try:
            write_arrays(path, {"keys": all_keys, "features": all_features})
        except DataError as error:
            _logger.warning("What the stages see could not be kept: %s", describe_error(error))
    order = np.argsort(all_keys)
    return all_features[order[np.searchsorted(all_keys, keys, sorter=order)]]


def _run(
    graph: Graph, images: Inputs, indices: np.ndarray, on_progress: Callable[[int, int], None] | None
) -> np.ndarray:
    parts = []
    for start in range(0, len(indices), graph.batch_size):
        if on_progress:
            on_progress(start, len(indices))
        chosen = indices[start : start + graph.batch_size]
        batch = np.concatenate([images[i : i + 1] for i in chosen])
        (both,) = graph.run(np.concatenate([batch, batch[:, :, ::-1]]), [STAGE_FEATURES])
        parts.append(np.stack([both[: len(batch)], both[len(batch) :]], axis=1).astype(np.float16))
    if not parts:
        return np.empty((0, 2, graph.count(STAGE_FEATURES)), np.float16)
    return np.concatenate(parts)


def _iterate(images: Inputs) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        yield from images[start : start + _IMAGES_AT_ONCE]


def _hash(image: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=_KEY_BYTES).hexdigest()
