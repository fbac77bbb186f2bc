"""One model's predictions for one data set, kept on disk: read here, computed in `dataset_predictions.py`.

A network takes seconds to load and half a minute for 28,000 pictures, so a page only ever reads a file that a process
of its own has written. A change of the weights, the temperature, the meaning of the outputs or any picture makes
another file. It holds the predictions for the pictures that were needed so far.

A run that comes without its network may hold its predictions for one data set beside its card: they can be scored, no
more.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facedep import emotions
from facedep.data.array_files import load_arrays, read_arrays, save_arrays, write_arrays
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import ModelError
from facedep.networks.card import FINGERPRINTS_FILE, MODEL_FILE, PREDICTIONS_FILE, Card, read_card
from facedep.networks.predictions import Predictions, sum_depressed
from facedep.paths import cache_dir

_OLD_FILE = "answers.npz"  # what `PREDICTIONS_FILE` was until version 0.1, with `is_answered` in it
_VERSION = "2"  # to be raised when what is stored or how it is computed changes


@dataclass(frozen=True)
class DatasetPredictions:
    """A model's predictions, in the order of the data set's samples.

    Attributes:
        class_names: What each output means.
        positive_classes: Those of them that the model was trained to count as *depressed*.
        outputs: Calibrated class probabilities: `float32`, shape `(n, classes)`, 0..1; NaN without a prediction.
        features: What the last layer decides on: `float16`, shape `(n, features)`; NaN without a prediction, and of
            shape `(n, 0)` if only the predictions were kept beside a card.
        is_predicted: `bool`, shape `(n,)`: False for damaged files and for pictures not predicted yet.
        is_complete: Whether every picture that can be read is predicted.
    """

    class_names: list[str]
    positive_classes: list[str]
    outputs: np.ndarray
    features: np.ndarray
    is_predicted: np.ndarray
    is_complete: bool = True

    @property
    def probabilities(self) -> np.ndarray:
        """P(depressed) as the model was trained to mean it: `float64`, shape `(n,)`, 0..1; NaN without one."""
        return sum_depressed(self.outputs, self.class_names, self.positive_classes)

    def select(self, mask: np.ndarray) -> Predictions:
        """Returns the predictions for some pictures, as `Classifier.predict` gives them.

        Args:
            mask: `bool` array of shape `(n,)`; all of them must be predicted.

        Raises:
            ValueError: One is not.
        """
        if not self.is_predicted[mask].all():
            raise ValueError(f"{np.sum(mask & ~self.is_predicted)} of the pictures are not predicted")
        probabilities = self.probabilities[mask]
        if not set(self.class_names) <= set(emotions.EMOTIONS):
            return Predictions(probabilities, None)
        outputs = self.outputs[mask].astype(np.float64).tolist()
        return Predictions(probabilities, [dict(zip(self.class_names, shares, strict=True)) for shares in outputs])


def find_predictions_path(run_dir: Path, dataset: Dataset) -> Path:
    """Returns where the predictions of this very model for these very pictures are kept.

    Raises:
        ModelError: The folder holds no model of this project.
    """
    try:
        with (run_dir / MODEL_FILE).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()  # 6 ms for the shipped model
    except OSError:
        read_card(run_dir)  # whether there is a run at all
        raise ModelError(
            f"The model {run_dir.name!r} has no {MODEL_FILE}: only its scores are here. Choose another model."
        ) from None
    return cache_dir() / "answers" / f"{_compute_key(run_dir, dataset, weights)}.npz"


def find_predictions_key(run_dir: Path, dataset: Dataset) -> str:
    """Returns 16 hex digits that name these predictions; those of another model or in another file get another name.

    Raises:
        ModelError: The folder holds neither a model of this project nor predictions.
    """
    beside = _find_predictions_beside(run_dir)
    if beside is None:
        return find_predictions_path(run_dir, dataset).stem
    with beside.open("rb") as file:
        return _compute_key(run_dir, dataset, hashlib.file_digest(file, "sha256").hexdigest())


def _find_predictions_beside(run_dir: Path) -> Path | None:
    """Returns the file with the predictions of a run without its network; None for any other run."""
    if (run_dir / MODEL_FILE).is_file():
        return None
    return next((path for name in (PREDICTIONS_FILE, _OLD_FILE) if (path := run_dir / name).is_file()), None)


def _compute_key(run_dir: Path, dataset: Dataset, content: str) -> str:
    card = read_card(run_dir)
    meaning = [card.recipe, card.class_names, card.positive_classes, card.uses_flip_tta]
    state = [_VERSION, content, *meaning, card.temperature, find_cache_path(dataset).stem]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def read_predictions(run_dir: Path, dataset: Dataset) -> DatasetPredictions | None:
    """Returns the kept predictions, maybe for some of the pictures only; None if there are none or they are damaged.

    `DatasetPredictions.is_complete` or `has_predictions` says whether those wanted are among them.

    Raises:
        ModelError: The folder holds no model of this project; or only predictions for another data set.
    """
    if beside := _find_predictions_beside(run_dir):
        return _read_predictions_beside(beside, dataset)
    num_images = len(dataset.samples)
    kept = read_arrays(find_predictions_path(run_dir, dataset), list(DatasetPredictions.__dataclass_fields__))
    if kept is None or any(len(kept[name]) != num_images for name in ("outputs", "features", "is_predicted")):
        return None
    return DatasetPredictions(
        class_names=kept["class_names"].tolist(),
        positive_classes=kept["positive_classes"].tolist(),
        outputs=kept["outputs"],
        features=kept["features"],
        is_predicted=kept["is_predicted"],
        is_complete=bool(kept["is_complete"]),
    )


def has_predictions(predictions: DatasetPredictions | None, scan: Scan, mask: np.ndarray | None = None) -> bool:
    """Returns whether all of the chosen pictures that can be read are predicted.

    Args:
        predictions: From `read_predictions`.
        scan: The data set's scan.
        mask: `bool` array of shape `(n,)`: the chosen ones; None for all.
    """
    wanted = scan.is_readable if mask is None else scan.is_readable & mask
    return predictions is not None and bool(predictions.is_predicted[wanted].all())


def save_predictions_beside(run_dir: Path, dataset: Dataset) -> Path:
    """Writes a model's kept predictions for a data set beside its card, so that it can be scored without its network.

    The pictures' content identifies them; the features, most of the size, are not written.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.

    Returns:
        The file.

    Raises:
        ModelError: The folder holds no model, or not all of the pictures are predicted yet.
        DataError: The disk does not take the predictions.
    """
    find_predictions_path(run_dir, dataset)  # raises for a run without its network
    predictions = read_predictions(run_dir, dataset)
    if predictions is None or not predictions.is_complete:
        raise ModelError(
            f"There are not yet predictions of {run_dir.name!r} for all pictures of {dataset.name}. Compute them first."
        )
    path = run_dir / PREDICTIONS_FILE
    arrays = {**asdict(predictions), "content_hash": dataset.content_hash, "paths": dataset.samples["path"].tolist()}
    del arrays["features"], arrays["is_complete"]
    save_arrays(path, {name: np.array(array) for name, array in arrays.items()}, compress=True)
    return path


def _read_predictions_beside(path: Path, dataset: Dataset) -> DatasetPredictions:
    run_name, card = path.parent.name, read_card(path.parent)
    mask_name = "is_answered" if path.name == _OLD_FILE else "is_predicted"
    names = ["class_names", "positive_classes", "outputs", mask_name, "content_hash", "paths"]
    arrays = load_arrays(path, names)
    if arrays is None or not _fits_card(arrays, arrays[mask_name], card):
        raise ModelError(f"The predictions of {run_name!r} in {path.name} are damaged. Choose another model.")
    index_of_path = {path: i for i, path in enumerate(arrays["paths"].tolist())}
    indices = [index_of_path.get(path, -1) for path in dataset.samples["path"]]
    if str(arrays["content_hash"]) != dataset.content_hash or -1 in indices:
        data_name = card.data.name or "another data set"
        raise ModelError(
            f"{run_name!r} has no {MODEL_FILE}, only its predictions for other pictures than {dataset.name}. Choose "
            f"those ({data_name}), or another model."
        )
    return DatasetPredictions(
        class_names=list(card.class_names),
        positive_classes=list(card.positive_classes),
        outputs=arrays["outputs"][indices],
        features=np.empty((len(indices), 0), np.float16),
        is_predicted=arrays[mask_name][indices],
    )


def _fits_card(arrays: dict[str, np.ndarray], is_predicted: np.ndarray, card: Card) -> bool:
    outputs, num_images = arrays["outputs"], len(arrays["paths"])
    return (
        outputs.shape == (num_images, len(arrays["class_names"]))
        and is_predicted.shape == (num_images,)
        and (outputs.dtype.kind, is_predicted.dtype.kind) == ("f", "b")
        and bool(np.isfinite(outputs[is_predicted]).all())
        and arrays["class_names"].tolist() == list(card.class_names)
        and arrays["positive_classes"].tolist() == list(card.positive_classes)
    )


def find_in_training_set(run_dir: Path, fingerprints: np.ndarray) -> np.ndarray:
    """Returns which pictures a model was trained on: `bool` array of shape `(n,)`.

    Args:
        run_dir: The model's run folder.
        fingerprints: Of the pictures, from their scan: `str` array of shape `(n,)`.
    """
    path = run_dir / FINGERPRINTS_FILE
    known = path.read_text("ascii", "replace").split() if path.is_file() else []
    return np.isin(fingerprints, np.array(known, dtype=str))


def write_predictions(path: Path, predictions: DatasetPredictions) -> None:
    """Keeps predictions.

    Args:
        path: From `find_predictions_path`.
        predictions: The predictions.

    Raises:
        DataError: The disk does not take them.
    """
    write_arrays(path, asdict(predictions))
