"""Score a trained model on a part of a data set."""

from typing import Any

import numpy as np

from facedep import emotions
from facedep.data import Dataset
from facedep.errors import DataError
from facedep.metrics import score_predictions
from facedep.model import Classifier
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
        `num_images`, `accuracy`, `always_non_depressed_accuracy`, `balanced_accuracy`, `roc_auc`, `ece`,
        `emotion_accuracy` (over the pictures whose emotion the model knows), `num_seen_in_training`, and what was
        scored: `model`, `data`, `content_hash`, `split`, `part`, `num_unreadable`, `num_also_in_train`.

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
    is_depressed = (index["label"] == emotions.DEPRESSED).to_numpy()
    return {
        "model": classifier.name,
        "data": dataset.name,
        "content_hash": dataset.content_hash,
        "split": split,
        "part": part,
        **score_predictions(is_depressed, predictions.probabilities, classifier.threshold),
        "emotion_accuracy": _score_emotions(index["emotion"].tolist(), predictions.emotions),
        "num_seen_in_training": sum(f in classifier.fingerprints for f in scan.fingerprints[rows].tolist()),
        "num_also_in_train": num_also_in_train,
        "num_unreadable": int((~scan.is_readable).sum()),
    }


def _score_emotions(true_emotions: list[str], predicted: list[dict[str, float]] | None) -> float:
    """Returns the share of right emotions over the pictures whose emotion the model knows; NaN without any."""
    if not predicted:
        return float("nan")
    hits = [
        max(answer, key=answer.get) == emotion
        for emotion, answer in zip(true_emotions, predicted, strict=True)
        if emotion in answer
    ]
    return float(np.mean(hits)) if hits else float("nan")
