"""One model's predictions for one data set, kept on disk: read here, computed in `dataset_predictions.py`.

A network takes seconds to load and half a minute for 28,000 pictures, so a page only ever reads a file that a process
of its own has written. Whatever makes the answers other ones makes another file: the weights, the temperature, what the
outputs mean, any picture. The file holds the answers to the pictures that were asked for so far.

A run whose network is not there may hold its answers to one data set beside its card: they can be scored, no more.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from facedep import emotions
from facedep.array_files import load_arrays, read_arrays, save_arrays, write_arrays
from facedep.data.scan import Scan, find_cache_path
from facedep.data.sources import Dataset
from facedep.errors import ModelError
from facedep.networks.card import FINGERPRINTS_FILE, MODEL_FILE, PREDICTIONS_FILE, read_card
from facedep.networks.predictions import Predictions, sum_depressed
from facedep.paths import cache_dir

_VERSION = "2"  # to be raised when what is stored or how it is computed changes


@dataclass(frozen=True)
class DatasetPredictions:
    """A model's answers, in the order of the data set's samples.

    Attributes:
        class_names: What each output means.
        positive_classes: Those of them that the model was trained to count as *depressed*.
        outputs: Calibrated class probabilities: `float32`, shape `(n, classes)`, 0..1; NaN without an answer.
        features: What the last layer decides on: `float16`, shape `(n, features)`; NaN without an answer, and of shape
            `(n, 0)` where only the answers were kept beside a card.
        is_predicted: `bool`, shape `(n,)`: False for damaged files and for pictures not asked about yet.
        is_complete: Whether every picture that can be read is answered.
    """

    class_names: list[str]
    positive_classes: list[str]
    outputs: np.ndarray
    features: np.ndarray
    is_predicted: np.ndarray
    is_complete: bool = True

    @property
    def probabilities(self) -> np.ndarray:
        """P(depressed) as the model was trained to mean it: `float64`, shape `(n,)`, 0..1; NaN without an answer."""
        return sum_depressed(self.outputs, self.class_names, self.positive_classes)

    def select(self, rows: np.ndarray) -> Predictions:
        """Returns the answers to some pictures, as `model.Classifier.predict` gives them.

        Args:
            rows: `bool` array of shape `(n,)`; all of them must be answered.

        Raises:
            ValueError: One is not.
        """
        if not self.is_predicted[rows].all():
            raise ValueError(f"{np.sum(rows & ~self.is_predicted)} of the pictures are not answered")
        probabilities = self.probabilities[rows]
        if not set(self.class_names) <= set(emotions.EMOTIONS):
            return Predictions(probabilities, None)
        answers = self.outputs[rows].astype(np.float64).tolist()
        return Predictions(probabilities, [dict(zip(self.class_names, answer, strict=True)) for answer in answers])


def find_predictions_path(run_dir: Path, dataset: Dataset) -> Path:
    """Returns where the answers of this very model to these very pictures are kept.

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
    """Returns 16 hex digits that name these answers: other ones, of a model or kept beside a card, have another name.

    Raises:
        ModelError: The folder holds neither a model of this project nor answers.
    """
    if (run_dir / MODEL_FILE).is_file() or not (run_dir / PREDICTIONS_FILE).is_file():
        return find_predictions_path(run_dir, dataset).stem
    with (run_dir / PREDICTIONS_FILE).open("rb") as file:
        return _compute_key(run_dir, dataset, hashlib.file_digest(file, "sha256").hexdigest())


def _compute_key(run_dir: Path, dataset: Dataset, content: str) -> str:
    card = read_card(run_dir)
    meaning = [card.recipe, card.class_names, card.positive_classes, card.uses_flip_tta]
    state = [_VERSION, content, *meaning, card.temperature, find_cache_path(dataset).stem]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def read_predictions(run_dir: Path, dataset: Dataset) -> DatasetPredictions | None:
    """Returns the kept answers, maybe to a part of the pictures only; None where there are none or they are damaged.

    `DatasetPredictions.is_complete` or `has_predictions` says whether those wanted are among them.

    Raises:
        ModelError: The folder holds no model of this project; or only answers to another data set.
    """
    if not (run_dir / MODEL_FILE).is_file() and (run_dir / PREDICTIONS_FILE).is_file():
        return _read_predictions_beside(run_dir, dataset)
    num_images = len(dataset.samples)
    kept = read_arrays(find_predictions_path(run_dir, dataset), list(DatasetPredictions.__dataclass_fields__))
    if kept is None or any(len(kept[name]) != num_images for name in ("outputs", "features", "is_predicted")):
        return None
    names = {name: kept.pop(name).tolist() for name in ("class_names", "positive_classes")}
    return DatasetPredictions(**names, is_complete=bool(kept.pop("is_complete")), **kept)


def has_predictions(answers: DatasetPredictions | None, scan: Scan, rows: np.ndarray | None = None) -> bool:
    """Returns whether all of the chosen pictures that can be read are answered.

    Args:
        answers: From `read_predictions`.
        scan: The data set's scan.
        rows: `bool` array of shape `(n,)`: the chosen ones; None for all.
    """
    wanted = scan.is_readable if rows is None else scan.is_readable & rows
    return answers is not None and bool(answers.is_predicted[wanted].all())


def save_predictions_beside(run_dir: Path, dataset: Dataset) -> Path:
    """Writes a model's kept answers to a data set beside its card, so that it can be scored without its network.

    They are told from others by the pictures' content; the features, most of the size, are left out.

    Args:
        run_dir: The run folder that holds the model.
        dataset: The data set.

    Returns:
        The file.

    Raises:
        ModelError: The folder holds no model, or not all of the pictures are answered yet.
        DataError: The disk does not take the answers.
    """
    find_predictions_path(run_dir, dataset)  # a run without its network has nothing to keep anew
    answers = read_predictions(run_dir, dataset)
    if answers is None or not answers.is_complete:
        raise ModelError(f"{run_dir.name!r} has not answered all pictures of {dataset.name} yet. Ask it first.")
    path = run_dir / PREDICTIONS_FILE
    arrays = {**asdict(answers), "content_hash": dataset.content_hash, "paths": dataset.samples["path"].tolist()}
    del arrays["features"], arrays["is_complete"]
    save_arrays(path, {name: np.array(array) for name, array in arrays.items()}, compress=True)
    return path


def _read_predictions_beside(run_dir: Path, dataset: Dataset) -> DatasetPredictions:
    card = read_card(run_dir)
    names = ["class_names", "positive_classes", "outputs", "is_predicted", "content_hash", "paths"]
    kept = load_arrays(run_dir / PREDICTIONS_FILE, names)
    fits = kept is not None and (
        kept["outputs"].shape == (len(kept["paths"]), len(kept["class_names"]))
        and kept["is_predicted"].shape == (len(kept["paths"]),)
        and (kept["outputs"].dtype.kind, kept["is_predicted"].dtype.kind) == ("f", "b")
        and np.isfinite(kept["outputs"][kept["is_predicted"]]).all()
        and all(kept[name].tolist() == list(getattr(card, name)) for name in ("class_names", "positive_classes"))
    )
    if not fits:
        raise ModelError(f"The answers of {run_dir.name!r} in {PREDICTIONS_FILE} are damaged. Choose another model.")
    place_of_path = {path: place for place, path in enumerate(kept["paths"].tolist())}
    places = [place_of_path.get(path) for path in dataset.samples["path"]]
    if str(kept["content_hash"]) != dataset.content_hash or None in places:
        data_name = card.data.name or "another data set"
        raise ModelError(
            f"{run_dir.name!r} has no {MODEL_FILE}, only its answers to other pictures than {dataset.name}. Choose "
            f"those ({data_name}), or another model."
        )
    return DatasetPredictions(
        class_names=list(card.class_names),
        positive_classes=list(card.positive_classes),
        outputs=kept["outputs"][places],
        features=np.empty((len(places), 0), np.float16),
        is_predicted=kept["is_predicted"][places],
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


def write_predictions(path: Path, answers: DatasetPredictions) -> None:
    """Keeps answers.

    Args:
        path: From `find_predictions_path`.
        answers: The answers.

    Raises:
        DataError: The disk does not take them.
    """
    write_arrays(path, asdict(answers))
