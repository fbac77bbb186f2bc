"""How well a model copes with worse pictures than it is tested on: corruptions, and what was measured with them.

The same faces are predicted again and again: blurred, noisy, dark, turned, coarse, with covered eyes or mouth, each a
little more. What is kept are the predictions, so that another threshold or grouping of the emotions costs nothing;
`evaluation/robustness_run.py` asks for them.

Reference: Hendrycks & Dietterich 2019, arXiv 1903.12261, for the idea and for blur, noise and brightness; the strengths
here are for tight faces of 48 pixels.
"""

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from facedep import emotions
from facedep.data.array_files import read_arrays
from facedep.data.sources import Dataset
from facedep.evaluation.intervals import compute_wilson_interval
from facedep.evaluation.metrics import compute_accuracy, compute_roc_auc
from facedep.images.alignment import EYE_DISTANCE, EYE_HEIGHT
from facedep.inference.prediction_cache import find_predictions_path
from facedep.networks.card import read_card
from facedep.networks.decision_threshold import read_threshold
from facedep.paths import cache_dir

MAX_IMAGES = 600  # an accuracy of 80 % is then known to within 3.2 points; 17,400 predictions take half a minute
COLUMNS = ("corruption", "strength", "num_images", "accuracy", "low", "high", "roc_auc")
_VERSION = "2"  # to be raised when a corruption changes
_REFERENCE_SIZE_PX = 48  # the training faces' side, in which blur is given

# Shares of the side. The middle 80 % of the Kaggle set's eyes (211 faces found) lie 0.29 to 0.46 from the top, of the
# mouths 0.69 to 0.85 around a median of 0.78 and 0.40 to 0.58 from the left: so much is covered at full strength.
_MOUTH_HEIGHT = 0.78
_EYE_COVER = (EYE_DISTANCE / 2, 0.12)  # half the width and height; both covers meet above the nose
_MOUTH_COVER = (0.2, 0.13)


@dataclass(frozen=True)
class Corruption:
    """One way in which pictures get worse.

    Attributes:
        title: Its name for readers.
        unit: What its strength is measured in.
        strengths: What is measured, rising; the first one changes nothing.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]


CORRUPTIONS = {
    "blur": Corruption("Blur", "pixels of spread, on a face of 48", (0.0, 0.5, 1.0, 2.0, 3.0)),
    "noise": Corruption("Noise", "gray levels of spread, of 255", (0.0, 5.0, 10.0, 20.0, 40.0)),
    "darkness": Corruption("Darkness", "share of the light taken away", (0.0, 0.3, 0.6, 0.8, 0.9)),
    "rotation": Corruption("Rotation", "degrees to either side", (0.0, 10.0, 20.0, 30.0, 45.0)),
    "resolution": Corruption("Lower resolution", "times fewer pixels a side", (1.0, 2.0, 3.0, 4.0, 6.0)),
    "eyes": Corruption("Eyes covered", "share of their width and height", (0.0, 0.25, 0.5, 0.75, 1.0)),
    "mouth": Corruption("Mouth covered", "share of its width and height", (0.0, 0.25, 0.5, 0.75, 1.0)),
}


def corrupt_images(images: np.ndarray, name: str, strength: float) -> np.ndarray:
    """Returns corrupted copies: `uint8` array of the same shape, 0-255.

    The same picture is always corrupted in the same way, whichever others are beside it.

    Args:
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255, prepared for a network.
        name: A key of `CORRUPTIONS`.
        strength: In its unit; the first of its strengths, and only that, changes nothing.

    Raises:
        ValueError: There is no such corruption.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}, expected one of {', '.join(CORRUPTIONS)}")
    if strength == CORRUPTIONS[name].strengths[0]:
        return np.array(images)
    corrupted = [_FUNCTIONS[name](np.ascontiguousarray(image[:, :, 0]), strength) for image in images]
    return np.array(corrupted, np.uint8).reshape(images.shape)


def _blur(image: np.ndarray, strength: float) -> np.ndarray:
    spread = strength * len(image) / _REFERENCE_SIZE_PX
    return cv2.GaussianBlur(image, (0, 0), spread, borderType=cv2.BORDER_REPLICATE)


def _add_noise(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(zlib.crc32(image.tobytes())).normal(0, strength, image.shape)
    return np.clip(np.rint(image + noise), 0, 255)


def _darken(image: np.ndarray, strength: float) -> np.ndarray:
    return np.rint(image * (1 - strength))


def _rotate(image: np.ndarray, strength: float) -> np.ndarray:
    size = len(image)
    degrees = strength if zlib.crc32(image.tobytes()) % 2 else -strength
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _coarsen(image: np.ndarray, strength: float) -> np.ndarray:
    size = len(image)
    small_size = max(1, round(size / strength))
    small = cv2.resize(image, (small_size, small_size), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def _cover_eyes(image: np.ndarray, strength: float) -> np.ndarray:
    middles = [(0.5 - EYE_DISTANCE / 2, EYE_HEIGHT), (0.5 + EYE_DISTANCE / 2, EYE_HEIGHT)]
    return _cover(image, middles, _EYE_COVER, strength)


def _cover_mouth(image: np.ndarray, strength: float) -> np.ndarray:
    return _cover(image, [(0.5, _MOUTH_HEIGHT)], _MOUTH_COVER, strength)


def _cover(
    image: np.ndarray, middles: list[tuple[float, float]], half_sides: tuple[float, float], strength: float
) -> np.ndarray:
    """Returns a picture with rectangles of its own mean gray, which adds neither light nor contrast."""
    covered, gray = image.copy(), round(float(image.mean()))
    for x, y in middles:
        left, right = (round((x + sign * strength * half_sides[0]) * len(image)) for sign in (-1, 1))
        top, bottom = (round((y + sign * strength * half_sides[1]) * len(image)) for sign in (-1, 1))
        covered[top:bottom, left:right] = gray
    return covered


_FUNCTIONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "blur": _blur,
    "noise": _add_noise,
    "darkness": _darken,
    "rotation": _rotate,
    "resolution": _coarsen,
    "eyes": _cover_eyes,
    "mouth": _cover_mouth,
}


def list_conditions() -> list[tuple[str, float]]:
    """Returns what is measured, in order: `("", 0)` for the pictures as they are, then each corruption and strength."""
    changes = [(name, strength) for name, kind in CORRUPTIONS.items() for strength in kind.strengths[1:]]
    return [("", 0.0), *changes]


def choose_measured(mask: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Returns the pictures that are measured: at most `MAX_IMAGES` of those wanted, drawn by chance.

    Args:
        mask: `bool` array of shape `(n,)`: the pictures wanted, all readable.
        seed: Of the choice; the same one gives the same pictures, so that models can be compared.

    Returns:
        `int` array of at most `MAX_IMAGES` positions, rising.
    """
    indices = np.nonzero(mask)[0]
    if len(indices) > MAX_IMAGES:
        indices = np.sort(np.random.default_rng(seed).choice(indices, MAX_IMAGES, replace=False))
    return indices


def find_robustness_path(run_dir: Path, dataset: Dataset, mask: np.ndarray) -> Path:
    """Returns where this very model's predictions for these very pictures, corrupted, are kept.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    state = [_VERSION, find_predictions_path(run_dir, dataset).stem, choose_measured(mask).tolist(), list_conditions()]
    return cache_dir() / "robustness" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]}.npz"


def read_robustness(
    run_dir: Path, dataset: Dataset, mask: np.ndarray, *, threshold: float | None = None
) -> pd.DataFrame | None:
    """Returns what was measured of a model on some pictures, or None if nothing was or the file is damaged.

    Args:
        run_dir: The run folder.
        dataset: The data set; its grouping of the emotions counts.
        mask: `bool` array of shape `(n,)`: the pictures, as `subset_selection.select_pictures` gives them.
        threshold: P(depressed) at and above which the prediction is *depressed*; by default the one in force.

    Returns:
        A row for each corruption and strength, the first of each with the uncorrupted pictures, with the columns
        `corruption`, a key of `CORRUPTIONS`; `strength` in its unit; `num_images`; `accuracy`, 0..1, with the ends of
        its 95 % Wilson interval, `low` and `high`; and `roc_auc`, 0..1, `nan` if there is only one group.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    kept = read_arrays(find_robustness_path(run_dir, dataset, mask), ["probabilities"])
    indices = choose_measured(mask)
    if kept is None or kept["probabilities"].shape != (len(list_conditions()), len(indices)):
        return None
    threshold = read_threshold(run_dir, read_card(run_dir)) if threshold is None else threshold
    is_depressed = (dataset.samples["label"] == emotions.DEPRESSED).to_numpy(bool)[indices]
    return build_robustness_table(is_depressed, kept["probabilities"], threshold)


def build_robustness_table(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float) -> pd.DataFrame:
    """Returns the table that `read_robustness` describes.

    Args:
        is_depressed: `bool` array of shape `(n,)`: the pictures' own group.
        probabilities: P(depressed), 0..1, one row for each of `list_conditions`: `float` array `(conditions, n)`.
        threshold: P(depressed) at and above which the prediction is *depressed*.
    """
    scores = {}
    for condition, outputs in zip(list_conditions(), probabilities.astype(np.float64), strict=True):
        num_right = int(np.sum(is_depressed == (outputs >= threshold)))
        low, high = compute_wilson_interval(num_right, len(outputs))
        accuracy = compute_accuracy(is_depressed, outputs, threshold)
        scores[condition] = (len(outputs), accuracy, low, high, compute_roc_auc(is_depressed, outputs))
    unchanged = scores.pop(("", 0.0))
    table = []
    for name, kind in CORRUPTIONS.items():
        table.append((name, kind.strengths[0], *unchanged))
        table += [(name, strength, *scores[name, strength]) for strength in kind.strengths[1:]]
    return pd.DataFrame(table, columns=list(COLUMNS))
