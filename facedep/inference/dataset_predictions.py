"""Compute a model's predictions for a data set and keep them; `prediction_cache.py` reads them without a network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from facedep.data.scan import load_images, scan_dataset
from facedep.data.sources import Dataset
from facedep.errors import ModelError
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_predictions_path,
    has_predictions,
    read_predictions,
    write_predictions,
)
from facedep.networks.calibration import apply_temperature
from facedep.networks.classifier import Classifier, load_classifier
from facedep.networks.graph import FEATURES, PROBABILITIES, Inputs

_LARGEST_FEATURE = float(np.finfo(np.float16).max)


def compute_predictions(
    run_dir: Path,
    dataset: Dataset,
    *,
    mask: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DatasetPredictions:
    """Returns a model's predictions and keeps them, with those for other pictures that were kept before.

    Identical pictures are predicted once, and what was predicted before is not predicted again.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.
        mask: `bool` array of shape `(n,)`: the pictures wanted, of which those that can be read are predicted; None
            for all.
        on_progress: Called after each batch with the number of pictures done and of all that are predicted.

    Raises:
        ModelError: The folder holds no usable model.
        DataError: The disk does not take the predictions.
        ImageError: A picture that could be read cannot be read any more.
    """
    path = find_predictions_path(run_dir, dataset)
    scan = scan_dataset(dataset)
    kept = read_predictions(run_dir, dataset)
    if kept is not None and has_predictions(kept, scan, mask):
        return kept
    classifier = load_classifier(run_dir)
    is_missing = scan.is_readable if mask is None else scan.is_readable & mask
    if kept is not None:
        is_missing = is_missing & ~kept.is_predicted
    missing = np.nonzero(is_missing)[0]
    fingerprints, first = np.unique(scan.fingerprints[missing], return_index=True)
    is_computed = np.zeros(len(dataset.samples), bool)
    is_computed[missing[first]] = True  # pictures are read in the order in which they lie on disk
    outputs, features = _run_network(
        classifier, load_images(dataset, scan, is_computed, classifier.input_size_px), on_progress
    )
    order = np.searchsorted(
        fingerprints, scan.fingerprints[is_computed]
    )  # of what was predicted, among the fingerprints
    positions = np.empty(len(order), np.int64)
    positions[order] = np.arange(len(order))
    is_new = np.isin(scan.fingerprints, fingerprints) & scan.is_readable
    source = positions[np.searchsorted(fingerprints, scan.fingerprints[is_new])]
    kept = read_predictions(run_dir, dataset)  # another process may have predicted other pictures meanwhile
    predictions = DatasetPredictions(
        class_names=list(classifier.class_names),
        positive_classes=list(classifier.card.positive_classes),
        outputs=_put(outputs[source], is_new, kept.outputs if kept else None),
        features=_put(features[source], is_new, kept.features if kept else None),
        is_predicted=is_new | kept.is_predicted if kept else is_new,
    )
    predictions = replace(predictions, is_complete=has_predictions(predictions, scan))
    write_predictions(path, predictions)
    return predictions


def _run_network(
    classifier: Classifier, images: Inputs, on_progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns calibrated outputs, `float32`, and features, `float16`, both averaged over the mirror image if it is.

    The outputs are those of `Classifier.predict`; computing both at once saves running the network twice.
    """
    num_images, num_done = len(images), 0
    if not num_images:
        return classifier.graph.compute(images), classifier.graph.compute(images, FEATURES).astype(np.float16)
    outputs, features = [], []
    batches = classifier.graph.run_batches(
        images, [PROBABILITIES, FEATURES], uses_flip_tta=classifier.card.uses_flip_tta
    )
    for output, feature in batches:
        if not np.isfinite(output).all():
            raise ModelError(
                f"The model {classifier.name!r} predicts values that are not numbers. Choose another model."
            )
        outputs.append(apply_temperature(output, classifier.temperature).astype(np.float32))
        features.append(np.clip(feature, -_LARGEST_FEATURE, _LARGEST_FEATURE).astype(np.float16))
        num_done += len(output)
        if on_progress:
            on_progress(num_done, num_images)
    return np.concatenate(outputs), np.concatenate(features)


def _put(values: np.ndarray, mask: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """Returns one row per picture: new values under the mask, else what is kept, NaN without a prediction."""
    whole = np.full((len(mask), values.shape[1]), np.nan, values.dtype) if kept is None else kept.copy()
    whole[mask] = values
    return whole
