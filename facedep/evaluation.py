"""Score a trained model on a part of a data set."""

from typing import Any

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.data import Dataset
from facedep.errors import DataError
from facedep.metrics import compute_intervals, compute_share_interval, score_predictions
from facedep.model import Classifier, Predictions
from facedep.scan import load_images, scan_dataset
from facedep.splits import LEAK_FREE, PARTS, PUBLISHED, count_leaks, split_dataset

ALL = "all"


def evaluate_model(
    classifier: Classifier, dataset: Dataset, *, split: str = LEAK_FREE, part: str = "test", seed: int | None = None
) -> dict[str, Any]:
    """Returns a model's scores on one part of a data set, each picture taken as one face. Undefined scores are NaN.

    Args:
        classifier: A loaded model.
        dataset: The data set.
        split: One of `splits.SPLIT_KINDS`.
        part: "train", "val", "test", or "all": every picture, pixel-identical ones once.
        seed: Of the leak-free split; by default the one that the model was trained with.

    Returns:
        All of `score_answers`, `num_seen_in_training`, and what was scored: `model`, `data`, `content_hash`, `split`,
        `part`, `num_unreadable`, `num_also_in_train`.

    Raises:
        DataError: The data set has no such split or part.
    """
    if split == PUBLISHED and part == "test":
        raise DataError("The published split has no test part. Ask for its val part, or for another split.")
    scan = scan_dataset(dataset)
    num_also_in_train = 0
    if part == ALL:
        rows = np.zeros(len(dataset.index), bool)
        readable = np.nonzero(scan.is_readable)[0]
        rows[readable[np.unique(scan.fingerprints[readable], return_index=True)[1]]] = True
    elif part in PARTS:
        seed = classifier.card.get("data", {}).get("seed", 0) if seed is None else seed
        parts = split_dataset(dataset.index, scan, split, seed=seed)
        rows = parts == part
        leaks = count_leaks(parts, scan)
        num_also_in_train = leaks[part].num_identical if part in leaks else 0
    else:
        raise ValueError(f"unknown part {part!r}")
    if not rows.any():
        raise DataError(f"{dataset.name} has no {part} pictures in the {split} split. Choose another part or split.")
    index = dataset.index[rows]
    predictions = classifier.predict(load_images(dataset, scan, rows, classifier.input_size_px))
    return {
        "model": classifier.name,
        "data": dataset.name,
        "content_hash": dataset.content_hash,
        "split": split,
        "part": part,
        **score_answers(index, predictions, threshold=classifier.threshold, band=classifier.uncertain_band),
        "num_seen_in_training": sum(f in classifier.fingerprints for f in scan.fingerprints[rows].tolist()),
        "num_also_in_train": num_also_in_train,
        "num_unreadable": int((~scan.is_readable).sum()),
    }


def score_answers(
    index: pd.DataFrame, predictions: Predictions, *, threshold: float, band: tuple[float, float] | None
) -> dict[str, Any]:
    """Returns everything a model card says of one set of pictures. Undefined values are NaN, also within intervals.

    Args:
        index: The pictures' rows of the index table.
        predictions: The model's answers to them, in the same order.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: The P(depressed) from which and below which the model calls itself uncertain, around the threshold; None
            where it never does.

    Returns:
        All of `metrics.score_predictions`, and

        - `intervals`: score to `[low, high]`, 95 % bootstrap intervals of `metrics.compute_intervals`.
        - `emotion_accuracy`, `emotion_accuracy_interval`: the share whose most probable emotion is the true one, over
          the pictures whose emotion the model knows.
        - `per_emotion`: for each true emotion `num_images`, `group_accuracy` (the share put into the right group),
          `emotion_accuracy` (NaN where the model does not know it), each with its `..._interval`, and
          `mean_probability`, of P(depressed).
        - `answered`, with a band only: `num_images` outside it, their `share` of all pictures, `accuracy` and
          `accuracy_interval` among them, and what always answering *non-depressed* would get there.

    Raises:
        ValueError: The threshold is not within the band.
    """
    is_depressed = (index["label"] == emotions.DEPRESSED).to_numpy(dtype=bool)
    probabilities = predictions.probabilities
    intervals = compute_intervals(is_depressed, probabilities, threshold)
    is_right = np.where(np.isnan(probabilities), np.nan, is_depressed == (probabilities >= threshold))
    true_emotions = index["emotion"].to_numpy(dtype=str)
    has_right_emotion = _find_right_emotions(true_emotions, predictions.emotions)
    scores = {
        **score_predictions(is_depressed, probabilities, threshold),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        **_score_share("emotion_accuracy", has_right_emotion[~np.isnan(has_right_emotion)]),
        "per_emotion": {},
    }
    for emotion in emotions.EMOTIONS:
        rows = true_emotions == emotion
        if rows.any():
            scores["per_emotion"][emotion] = {
                "num_images": int(rows.sum()),
                **_score_share("group_accuracy", is_right[rows]),
                **_score_share("emotion_accuracy", has_right_emotion[rows]),
                "mean_probability": float(probabilities[rows].mean()),
            }
    if band is not None:
        low, high = band
        if not low <= threshold <= high:
            raise ValueError(f"the threshold {threshold} is not within the band {low} to {high}")
        is_answered = ~((probabilities >= low) & (probabilities < high))
        scores["answered"] = {
            "num_images": int(is_answered.sum()),
            "share": _compute_mean(np.where(np.isnan(probabilities), np.nan, is_answered)),
            **_score_share("accuracy", is_right[is_answered]),
            "always_non_depressed_accuracy": _compute_mean(~is_depressed[is_answered]),
        }
    return scores


def _find_right_emotions(true_emotions: np.ndarray, answers: list[dict[str, float]] | None) -> np.ndarray:
    """Returns 1 where the most probable emotion is the true one, else 0; NaN where the model does not know that one."""
    if answers is None:
        return np.full(len(true_emotions), np.nan)
    return np.array(
        [
            max(answer, key=answer.get) == emotion if emotion in answer else np.nan
            for emotion, answer in zip(true_emotions, answers, strict=True)
        ],
        dtype=float,
    )


def _score_share(name: str, is_right: np.ndarray) -> dict[str, Any]:
    """Returns the share of right answers (0..1, high is good) and its interval; NaN without pictures or with a NaN."""
    if not len(is_right) or np.isnan(is_right).any():
        return {name: float("nan"), f"{name}_interval": [float("nan")] * 2}
    interval = compute_share_interval(int(is_right.sum()), len(is_right))
    return {name: float(is_right.mean()), f"{name}_interval": list(interval)}


def _compute_mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
