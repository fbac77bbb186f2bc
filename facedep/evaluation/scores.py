"""Everything that is said of a model's predictions for one set of pictures, in numbers."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.evaluation.intervals import compute_intervals, compute_wilson_interval
from facedep.evaluation.metrics import compute_metrics
from facedep.networks.majority_baseline import find_majority_baseline
from facedep.networks.predictions import Predictions

SELECTIVE_SCORES = (
    "num_covered",
    "coverage",
    "selective_accuracy",
    "selective_accuracy_interval",
    "selective_majority_baseline",
)


def find_depressed(samples: pd.DataFrame) -> np.ndarray:
    """Returns which pictures are labelled *depressed*: `bool` array of shape `(n,)`.

    Args:
        samples: The pictures' rows of the samples table.
    """
    return (samples["label"] == emotions.DEPRESSED).to_numpy(dtype=bool)


def score_predictions(
    samples: pd.DataFrame, predictions: Predictions, *, threshold: float, band: tuple[float, float] | None
) -> dict[str, Any]:
    """Returns everything a model card says of one set of pictures. Undefined values are NaN, also within intervals.

    Args:
        samples: The pictures' rows of the samples table.
        predictions: The model's predictions for them, in the same order.
        threshold: P(depressed) at and above which the prediction is *depressed*.
        band: The abstention band: the P(depressed) from which and below which the model makes no prediction, around the
            threshold; None for a model without one.

    Returns:
        All of `metrics.compute_metrics`, and

        - `intervals`: score to `[low, high]`, the 95 % intervals of `intervals.compute_intervals`.
        - `emotion_accuracy`, `emotion_accuracy_interval`: the share whose most probable emotion is the true one, over
          the pictures whose emotion the model knows.
        - `per_emotion`: for each true emotion `num_images`, `group_accuracy` (the share put into the right group),
          `emotion_accuracy` (NaN where the model does not know it), each with its `..._interval`, and
          `mean_probability`, of P(depressed). The interval of every share is Wilson's.
        - with a band only: `num_covered`, the pictures outside it, `coverage`, their share of all, and among them
          `selective_accuracy`, `selective_accuracy_interval` and `selective_majority_baseline`.

    Reference:
        Geifman & El-Yaniv 2017, arXiv 1705.08500, for coverage and selective accuracy.

    Raises:
        ValueError: The threshold is not within the band.
    """
    is_depressed = find_depressed(samples)
    probabilities = predictions.probabilities
    intervals = compute_intervals(is_depressed, probabilities, threshold)
    is_right = np.where(np.isnan(probabilities), np.nan, is_depressed == (probabilities >= threshold))
    true_emotions = samples["emotion"].to_numpy(dtype=str)
    has_right_emotion = _find_right_emotions(true_emotions, predictions.emotions)
    scores = {
        **compute_metrics(is_depressed, probabilities, threshold),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        **_score_share("emotion_accuracy", has_right_emotion[~np.isnan(has_right_emotion)]),
        "per_emotion": {},
    }
    for emotion in emotions.EMOTIONS:
        mask = true_emotions == emotion
        if mask.any():
            scores["per_emotion"][emotion] = {
                "num_images": int(mask.sum()),
                **_score_share("group_accuracy", is_right[mask]),
                **_score_share("emotion_accuracy", has_right_emotion[mask]),
                "mean_probability": float(probabilities[mask].mean()),
            }
    if band is not None:
        low, high = band
        if not low <= threshold <= high:
            raise ValueError(f"the threshold {threshold} is not within the band {low} to {high}")
        scores |= _score_selectively(is_depressed, probabilities, is_right, band)
    return scores


def find_emotion_recall(scores: dict[str, Any]) -> dict[str, float]:
    """Returns for each emotion the share of its pictures, 0..1, whose most probable emotion it is.

    Args:
        scores: From `score_predictions`; emotions that the model does not know are left out.
    """
    recall = {name: row["emotion_accuracy"] for name, row in scores["per_emotion"].items()}
    return {name: share for name, share in recall.items() if share is not None and not np.isnan(share)}


def _score_selectively(
    is_depressed: np.ndarray, probabilities: np.ndarray, is_right: np.ndarray, band: tuple[float, float]
) -> dict[str, Any]:
    """Returns `SELECTIVE_SCORES`: how many pictures lie outside the abstention band, and the scores on these."""
    low, high = band
    is_covered = ~((probabilities >= low) & (probabilities < high))
    return {
        "num_covered": int(is_covered.sum()),
        "coverage": _compute_mean(np.where(np.isnan(probabilities), np.nan, is_covered)),
        **_score_share("selective_accuracy", is_right[is_covered]),
        "selective_majority_baseline": dataclasses.asdict(find_majority_baseline(is_depressed[is_covered])),
    }


def _find_right_emotions(true_emotions: np.ndarray, predicted: list[dict[str, float]] | None) -> np.ndarray:
    """Returns 1 where the most probable emotion is the true one, else 0; NaN where the model does not know that one."""
    if predicted is None:
        return np.full(len(true_emotions), np.nan)
    return np.array(
        [
            max(outputs, key=lambda name: outputs[name]) == emotion if emotion in outputs else np.nan
            for emotion, outputs in zip(true_emotions, predicted, strict=True)
        ],
        dtype=float,
    )


def _score_share(name: str, is_right: np.ndarray) -> dict[str, Any]:
    """Returns the share of right predictions, 0..1, and its interval; NaN without pictures or with a NaN."""
    if not len(is_right) or np.isnan(is_right).any():
        return {name: float("nan"), f"{name}_interval": [float("nan")] * 2}
    interval = compute_wilson_interval(int(is_right.sum()), len(is_right))
    return {name: float(is_right.mean()), f"{name}_interval": list(interval)}


def _compute_mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
