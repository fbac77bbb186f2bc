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
from facedep.networks.architecture import expose_features
from facedep.networks.calibration import apply_temperature
from facedep.networks.classifier import Classifier, fill_batch, find_batch_size, load_classifier

_LARGEST_FEATURE = float(np.finfo(np.float16).max)


def compute_predictions(
    run_dir: Path,
    dataset: Dataset,
    *,
    mask: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DatasetPredictions:
    """Returns a model's answers and keeps them, with those to other pictures that were kept before.

    Identical pictures are asked about once, and what is answered already is not asked again.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.
        mask: `bool` array of shape `(n,)`: the pictures wanted, of which those that can be read are answered; None for
            all.
        on_progress: Called after each batch with the number of pictures done and of all that are asked about.

    Raises:
        ModelError: The folder holds no usable model.
        DataError: The disk does not take the answers.
        ImageError: A picture that could be read cannot be read any more.
    """
    path = find_predictions_path(run_dir, dataset)
    scan = scan_dataset(dataset)
    kept = read_predictions(run_dir, dataset)
    if has_predictions(kept, scan, mask):
        return kept
    classifier = load_classifier(run_dir)
    is_missing = scan.is_readable if mask is None else scan.is_readable & mask
    if kept is not None:
        is_missing = is_missing & ~kept.is_predicted
    missing = np.nonzero(is_missing)[0]
    fingerprints, first = np.unique(scan.fingerprints[missing], return_index=True)
    is_computed = np.zeros(len(dataset.samples), bool)
    is_computed[missing[first]] = True  # pictures are read in the order in which they lie on disk
    outputs, features = _ask(classifier, load_images(dataset, scan, is_computed, classifier.input_size_px), on_progress)
    order = np.searchsorted(fingerprints, scan.fingerprints[is_computed])  # of what was asked, among the fingerprints
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    is_new = np.isin(scan.fingerprints, fingerprints) & scan.is_readable
    source = places[np.searchsorted(fingerprints, scan.fingerprints[is_new])]
    kept = read_predictions(run_dir, dataset)  # another process may have asked about other pictures meanwhile
    answers = DatasetPredictions(
        class_names=list(classifier.class_names),
        positive_classes=list(classifier.card.positive_classes),
        outputs=_put(outputs[source], is_new, kept.outputs if kept else None),
        features=_put(features[source], is_new, kept.features if kept else None),
        is_predicted=is_new | kept.is_predicted if kept else is_new,
    )
    answers = replace(answers, is_complete=has_predictions(answers, scan))
    write_predictions(path, answers)
    return answers


def _ask(
    classifier: Classifier, images: np.ndarray, on_progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns calibrated outputs, `float32`, and features, `float16`, both averaged over the mirror image if it is.

    The answers are those of `Classifier.predict`; asking for both at once saves running the network twice.
    """
    network = classifier.network
    both = expose_features(network)
    uses_flip_tta = classifier.card.uses_flip_tta
    num_images = len(images)
    outputs = np.empty((num_images, network.output_shape[-1]), np.float32)
    features = np.empty((num_images, both.output_shape[1][-1]), np.float16)
    batch_size = find_batch_size(network)
    for start in range(0, num_images, batch_size):
        batch = np.asarray(images[start : start + batch_size])
        num_predicted = len(batch)
        rows = slice(start, start + num_predicted)
        batch = fill_batch(batch, min(batch_size, num_images))
        answer, seen = map(np.asarray, both.predict_on_batch(batch))
        if uses_flip_tta:
            mirrored_answer, mirrored_seen = map(np.asarray, both.predict_on_batch(batch[:, :, ::-1]))
            answer, seen = (answer + mirrored_answer) / 2, (seen + mirrored_seen) / 2
        answer, seen = answer[:num_predicted], seen[:num_predicted]
        if not np.isfinite(answer).all():
            raise ModelError(
                f"The model {classifier.name!r} answers with values that are no numbers. Choose another model."
            )
        outputs[rows] = apply_temperature(answer, classifier.temperature)
        features[rows] = np.clip(seen, -_LARGEST_FEATURE, _LARGEST_FEATURE)
        if on_progress:
            on_progress(start + num_predicted, num_images)
    return outputs, features


def _put(values: np.ndarray, rows: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """Returns one row per picture: new values in these rows, else what is kept, NaN where there is no answer."""
    whole = np.full((len(rows), values.shape[1]), np.nan, values.dtype) if kept is None else kept.copy()
    whole[rows] = values
    return whole
