"""Which pictures of a data set show a face at all: a second pass over its thumbnails, slower than the scan.

The pictures of such data sets are cut more tightly than any face detector expects. Each gets a border that repeats its
edge and is enlarged, and BlazeFace's two networks (`images/faces.py`) score it: one look suffices for nine of ten
faces, the others get up to five more, closer and mirrored, and the mean of all counts.

Measured on real sets, each picture once. Of FER2013's 27,070 it passes 99.3 %; of the 193 others, seen one by one,
some 45 are without a face (signs, texts, hands, black), the rest are faces from the side, behind hands or glasses,
crying, or drawn. So it finds 99.5 % of the real faces. Some 14 pictures without a face are among the 320 that pass most
narrowly. Of the Kaggle set's 3,649 it passes 99.5 %; one of the 20 others, a blank one, is without a face. Of 400
patches of photographs of things it passes 16, of 100 of noise and flat gray 4. All 2,100 drawn sample faces pass.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facedep.data.array_files import read_arrays, write_arrays
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import DataError
from facedep.images.detector import score_squares
from facedep.paths import cache_dir

_logger = logging.getLogger(__name__)

_VERSION = "1"  # to be raised when other pictures may be found
_SECONDS_PER_IMAGE = 0.004  # FER2013 took 90 to 110 s of one core, on a busy machine
# Side of the enlarged picture, border as a share of the thumbnail, whether mirrored.
_FIRST_LOOK = (128, 0.5, False)
_CLOSER_LOOKS = ((128, 0.25, False), (128, 0.5, True), (128, 0.25, True))
_WIDER_LOOKS = ((256, 0.75, False), (256, 1.0, False))
_SURE_SCORE = 0.65  # at the first look: 90.5 % of FER2013, one of 475 things; only 12 of the former score low in others
_LIKELY_SCORE = 0.5  # mean of the first four looks, from which the slow ones could hardly change anything
_MIN_SCORE = 0.33  # mean of all six; with 0.37 FER2013 loses 83 more faces for 5 more pictures without one
_IMAGES_AT_ONCE = 256


def check_faces(dataset: Dataset, scan: Scan, *, on_progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Returns which pictures show a face, as a network sees them: the centred square at 48 pixels.

    It is computed once for these very files and then read from the cache; a full disk only means that the next time is
    not instant. A face that takes up less than about a third of the picture's width may count as none.

    Args:
        dataset: The data set.
        scan: Its scan. Identical pictures are looked at once.
        on_progress: Called now and then with the number of different pictures looked at and of all.

    Returns:
        `bool` array of shape `(n,)`, in the order of the samples; False for damaged files.

    Raises:
        ModelError: The face detector is not installed.
    """
    has_face = read_face_check(dataset)
    if has_face is not None:
        return has_face
    readable = np.nonzero(scan.is_readable)[0]
    _, first, inverse = np.unique(scan.fingerprints[readable], return_index=True, return_inverse=True)
    has_face = np.zeros(len(scan.fingerprints), bool)
    has_face[readable] = detect_faces(scan.thumbnails, readable[first], on_progress=on_progress)[inverse]
    try:
        write_arrays(_find_path(dataset), {"has_face": has_face})
    except DataError:
        _logger.warning("What the search for faces found could not be kept, the next one starts over")
    return has_face


def read_face_check(dataset: Dataset) -> np.ndarray | None:
    """Returns what `check_faces` found, `bool` of shape `(n,)`; None if it was not kept or is damaged."""
    arrays = read_arrays(_find_path(dataset), ["has_face"])
    if arrays is None:
        return None
    has_face = arrays["has_face"]
    return has_face if has_face.shape == (len(dataset.samples),) and has_face.dtype == bool else None


def estimate_seconds(num_images: int) -> float:
    """Returns about how long `check_faces` takes for so many different pictures, on one core."""
    return num_images * _SECONDS_PER_IMAGE


def detect_faces(
    thumbnails: np.ndarray, indices: np.ndarray, *, on_progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Returns which of some pictures show a face: `bool` array of shape `(len(indices),)`.

    Args:
        thumbnails: `uint8` array of shape `(n, side, side)`, gray, 0-255.
        indices: Which of them, in the order of the result.
        on_progress: Called now and then with the number of pictures done and of all.

    Raises:
        ModelError: The face detector is not installed.
    """
    has_face = np.zeros(len(indices), bool)
    for start in range(0, len(indices), _IMAGES_AT_ONCE):
        if on_progress:
            on_progress(start, len(indices))
        images = np.asarray(thumbnails[indices[start : start + _IMAGES_AT_ONCE]])
        has_face[start : start + _IMAGES_AT_ONCE] = _detect_faces(images)
    if on_progress:
        on_progress(len(indices), len(indices))
    return has_face


def _detect_faces(images: np.ndarray) -> np.ndarray:
    """Looks at some pictures, `(n, side, side)`, as often as each needs."""
    scores = _score_view(images, *_FIRST_LOOK)
    has_face = scores >= _SURE_SCORE
    rest = np.nonzero(~has_face)[0]
    closer = [scores[rest], *(_score_view(images[rest], *look) for look in _CLOSER_LOOKS)]
    has_face[rest] = is_likely = np.mean(closer, axis=0) >= _LIKELY_SCORE
    rest, closer = rest[~is_likely], [scores[~is_likely] for scores in closer]
    wider = [_score_view(images[rest], *look) for look in _WIDER_LOOKS]
    has_face[rest] = np.mean([*closer, *wider], axis=0) >= _MIN_SCORE
    return has_face


def _score_view(images: np.ndarray, side_px: int, border_share: float, is_mirrored: bool) -> np.ndarray:
    """Returns the score of each picture, `(n,)`, 0..1, framed and enlarged."""
    border = round(border_share * images.shape[1])
    squares = np.empty((len(images), side_px, side_px), np.uint8)
    for i, image in enumerate(images[:, :, ::-1] if is_mirrored else images):
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        squares[i] = cv2.resize(framed, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    return score_squares(squares)


def _find_path(dataset: Dataset) -> Path:
    return cache_dir() / "face_checks" / f"{find_cache_path(dataset).stem}-{_VERSION}.npz"
