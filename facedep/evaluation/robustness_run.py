"""Run a model on corrupted pictures of a data set, and keep its predictions; `evaluation/robustness.py` reads it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.data.array_files import write_arrays
from facedep.data.scan import load_images, scan_dataset
from facedep.data.sources import Dataset
from facedep.evaluation.robustness import (
    build_robustness_table,
    choose_measured,
    corrupt_images,
    find_robustness_path,
    list_conditions,
)
from facedep.networks.classifier import load_classifier


def measure_robustness(
    run_dir: Path,
    dataset: Dataset,
    mask: np.ndarray,
    *,
    threshold: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Returns how accurate a model is on ever worse versions of some pictures, and keeps its predictions.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.
        mask: `bool` array of shape `(n,)`: the pictures, all readable; at most `robustness.MAX_IMAGES` are measured.
        threshold: P(depressed) at and above which the prediction is *depressed*; by default the one in force.
        on_progress: Called after each corruption with the number of corrupted pictures done and of all.

    Returns:
        The table that `robustness.read_robustness` describes.

    Raises:
        ModelError: The folder holds no usable model.
        DataError: The disk does not take the predictions.
        ImageError: A picture that could be read cannot be read any more.
    """
    path = find_robustness_path(run_dir, dataset, mask)
    indices = choose_measured(mask)
    is_measured = np.zeros(len(mask), bool)
    is_measured[indices] = True
    classifier = load_classifier(run_dir)
    images = np.asarray(load_images(dataset, scan_dataset(dataset), is_measured, classifier.input_size_px))
    conditions = list_conditions()
    probabilities = np.empty((len(conditions), len(indices)), np.float32)
    for i, (name, strength) in enumerate(conditions):
        corrupted = corrupt_images(images, name, strength) if name else images
        probabilities[i] = classifier.predict(corrupted).probabilities
        if on_progress:
            on_progress((i + 1) * len(indices), probabilities.size)
    write_arrays(path, {"probabilities": probabilities})
    is_depressed = (dataset.samples["label"] == emotions.DEPRESSED).to_numpy(bool)[indices]
    return build_robustness_table(is_depressed, probabilities, classifier.threshold if threshold is None else threshold)
