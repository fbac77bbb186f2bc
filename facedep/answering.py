"""Ask a model about every picture of a data set, and keep what it answers; `answers.py` reads it without a network."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from facedep.answers import Answers, find_answers_path, write_answers
from facedep.calibration import apply_temperature
from facedep.data import Dataset
from facedep.errors import ModelError
from facedep.model import Classifier, load_classifier
from facedep.scan import load_images, scan_dataset

_BATCH_SIZE = 256
_LARGEST_FEATURE = float(np.finfo(np.float16).max)


def compute_answers(
    run_dir: Path, dataset: Dataset, *, on_progress: Callable[[int, int], None] | None = None
) -> Answers:
    """Returns a model's answers to every readable picture and keeps them. Identical pictures are asked about once.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.
        on_progress: Called after each batch with the number of pictures done and of all.

    Raises:
        ModelError: The folder holds no usable model.
        DataError: The disk does not take the answers.
        ImageError: A picture that could be read cannot be read any more.
    """
    path = find_answers_path(run_dir, dataset)
    classifier = load_classifier(run_dir)
    scan = scan_dataset(dataset)
    readable = np.nonzero(scan.is_readable)[0]
    _, first, inverse = np.unique(scan.fingerprints[readable], return_index=True, return_inverse=True)
    asked = np.sort(readable[first])  # pictures are read in the order in which they lie on disk
    rows = np.zeros(len(dataset.index), bool)
    rows[asked] = True
    images = load_images(dataset, scan, rows, classifier.input_size_px)
    outputs, features = _ask(classifier, images, on_progress)
    source = np.searchsorted(asked, readable[first])[inverse]
    answers = Answers(
        class_names=list(classifier.class_names),
        positive_classes=list(classifier.card["positive_classes"]),
        outputs=_spread(outputs[source], scan.is_readable),
        features=_spread(features[source], scan.is_readable),
        is_answered=scan.is_readable,
    )
    write_answers(path, answers)
    return answers


def _ask(
    classifier: Classifier, images: np.ndarray, on_progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns calibrated outputs, `float32`, and features, `float16`, both averaged over the mirror image if it is.

    The answers are those of `Classifier.predict`; asking for both at once saves running the network twice.
    """
    network = classifier.network
    both = keras.Model(network.input, [network.output, network.layers[-1].input])
    averages_mirror = bool(classifier.card.get("averages_mirror"))
    num_images = len(images)
    outputs = np.empty((num_images, network.output_shape[-1]), np.float32)
    features = np.empty((num_images, both.output_shape[1][-1]), np.float16)
    for start in range(0, num_images, _BATCH_SIZE):
        batch = images[start : start + _BATCH_SIZE]
        rows = slice(start, start + len(batch))
        answer, seen = map(np.asarray, both.predict_on_batch(batch))
        if averages_mirror:
            mirrored_answer, mirrored_seen = map(np.asarray, both.predict_on_batch(batch[:, :, ::-1]))
            answer, seen = (answer + mirrored_answer) / 2, (seen + mirrored_seen) / 2
        if not np.isfinite(answer).all():
            raise ModelError(
                f"The model {classifier.name!r} answers with values that are no numbers. Choose another model."
            )
        outputs[rows] = apply_temperature(answer, classifier.temperature)
        features[rows] = np.clip(seen, -_LARGEST_FEATURE, _LARGEST_FEATURE)
        if on_progress:
            on_progress(start + len(batch), num_images)
    return outputs, features


def _spread(values: np.ndarray, is_answered: np.ndarray) -> np.ndarray:
    """Returns one row per picture, NaN where there is no answer."""
    spread = np.full((len(is_answered), values.shape[1]), np.nan, values.dtype)
    spread[is_answered] = values
    return spread
