"""The P(depressed) at and above which a model's answer is *depressed*: the card's, or the one chosen on this computer.

A chosen one lies in `threshold.json` beside the model (`paths.additions_dir`), written by the app alone. The card stays
as the training wrote it, so forgetting the choice brings the model's own threshold back.
"""

import math
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from facedep.errors import DataError, RunError
from facedep.files import read_json, write_json
from facedep.networks.card import Card
from facedep.paths import additions_dir, make_additions_dir

THRESHOLD_FILE = "threshold.json"
_DEFAULT = 0.5


def read_threshold(run_dir: Path, card: Card) -> float:
    """Returns the threshold in force: the chosen one, else the card's, else 0.5. A damaged file counts as none.

    Args:
        run_dir: The run folder.
        card: Its card.
    """
    threshold = _read_choice_file(run_dir).get("threshold")
    return float(threshold) if _is_threshold(threshold) else card.decision_threshold


def write_threshold(run_dir: Path, threshold: float, *, chosen_on: str = "") -> None:
    """Keeps a chosen threshold beside the model.

    Args:
        run_dir: The run folder.
        threshold: P(depressed) at and above which the answer is to be *depressed*, 0..1.
        chosen_on: The pictures that it was chosen on, in words.

    Raises:
        RunError: The run is gone, or the disk does not take it.
        ValueError: It is no number from 0 to 1.
    """
    if not _is_threshold(threshold):
        raise ValueError(f"a threshold of {threshold!r}, expected a number from 0 to 1")
    try:
        write_json(
            make_additions_dir(run_dir) / THRESHOLD_FILE, {"threshold": float(threshold), "chosen_on": chosen_on}
        )
    except OSError as error:
        raise RunError(
            f"The threshold of {run_dir.name!r} could not be kept ({error.strerror}). Free some space there, or see "
            "that you may write to it."
        ) from None


def read_choice(run_dir: Path) -> str:
    """Returns the pictures that the threshold in force was chosen on, in words; "" for the model's own threshold."""
    content = _read_choice_file(run_dir)
    return str(content.get("chosen_on", "")) if _is_threshold(content.get("threshold")) else ""


def forget_threshold(run_dir: Path) -> None:
    """Brings a model's own threshold back.

    Raises:
        RunError: The chosen one cannot be deleted.
    """
    try:
        (additions_dir(run_dir) / THRESHOLD_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"The threshold of {run_dir.name!r} could not be taken back ({error.strerror}).") from None


def find_band(card: Card, threshold: float) -> tuple[float, float] | None:
    """Returns where a model calls itself uncertain: from the lower value up to, not with, the upper one.

    None where it always answers. The band was found around the card's threshold: around one outside of it, it says
    nothing, so such a threshold has none.

    Args:
        card: The card.
        threshold: The threshold in force, from `read_threshold`.
    """
    band = card.abstention_band
    if not band or not band.low <= threshold <= band.high:
        return None
    return band.low, band.high


def choose_threshold(
    is_depressed: np.ndarray,
    probabilities: np.ndarray,
    *,
    aim: Literal["accuracy", "balanced_accuracy"] = "accuracy",
) -> float:
    """Returns the threshold with the best score, in the middle between two answers; of equal ones the nearest to 0.5.

    To be chosen on val: a threshold that was chosen on the test pictures makes their score too good.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        aim: "accuracy" counts every picture the same, "balanced_accuracy" both groups.

    Raises:
        DataError: One of the groups has no pictures.
        ValueError: A probability is NaN, or the aim is unknown.

    Reference: the threshold that maximises Youden's index (1950, Cancer 3) maximises balanced accuracy.
    """
    if aim not in ("accuracy", "balanced_accuracy"):
        raise ValueError(f"unknown aim {aim!r}, expected 'accuracy' or 'balanced_accuracy'")
    if np.isnan(probabilities).any():
        raise ValueError("a probability is NaN")
    num_positive = int(is_depressed.sum())
    num_negative = len(is_depressed) - num_positive
    if not num_positive or not num_negative:
        raise DataError("A threshold is chosen on pictures of both groups. Choose a part that has both.")
    values, indices = np.unique(probabilities.astype(np.float64), return_inverse=True)
    positives = np.bincount(indices[is_depressed], minlength=len(values))
    negatives = np.bincount(indices[~is_depressed], minlength=len(values))
    # Cut i calls the values from index i on depressed; cut 0 all of them, the last one none.
    num_right_negative = np.concatenate([[0], np.cumsum(negatives)])
    num_right_positive = num_positive - np.concatenate([[0], np.cumsum(positives)])
    # Whole numbers, so that equal scores are equal: the balanced accuracy times twice both groups' sizes.
    weights = (1, 1) if aim == "accuracy" else (num_positive, num_negative)
    scores = weights[0] * num_right_negative + weights[1] * num_right_positive
    lows, highs = np.concatenate([[0.0], values]), np.concatenate([values, [1.0]])
    is_possible = np.append(np.ones(len(values), bool), values[-1] < 1)  # no threshold calls a P(depressed) of 1 none
    middles = (lows + highs) / 2
    middles = np.where(middles > lows, middles, highs)  # two neighbouring numbers have no middle
    middles[0] = values[0] / 2
    middles[(lows < _DEFAULT) & (highs >= _DEFAULT)] = _DEFAULT
    best = np.nonzero(is_possible & (scores == scores[is_possible].max()))[0]
    return float(middles[best[np.argmin(np.abs(middles[best] - _DEFAULT))]])


def _is_threshold(value: Any) -> TypeGuard[float]:
    is_number = isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 1


def _read_choice_file(run_dir: Path) -> dict[str, Any]:
    content = read_json(additions_dir(run_dir) / THRESHOLD_FILE)
    return content if isinstance(content, dict) else {}
