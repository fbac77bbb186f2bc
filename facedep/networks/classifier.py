"""A trained network with the card that says what it is: load it, and predict with it.

The network comes from `networks/architecture.py`. What its outputs mean (class names, which of them count as
*depressed*) is in the `card.json` beside it.
"""

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facedep import emotions
from facedep.errors import ModelError
from facedep.networks.calibration import apply_temperature
from facedep.networks.card import FINGERPRINTS_FILE, MODEL_FILE, Card, read_card
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.networks.predictions import Predictions, sum_depressed
from facedep.networks.recipes import find_recipe

MAX_MODEL_BYTES = 512 * 1024**2
# Inputs for one call: 256 at most, and 32 of 128 x 128 pixels, of which the first layer alone makes 2 MB each.
_MAX_BATCH_SIZE, _MAX_BATCH_VALUES = 256, 2**19
# What zipfile, h5py and Keras are seen to raise on damaged files.
_READER_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, OverflowError,
                  MemoryError, zlib.error, zipfile.BadZipFile)  # fmt: skip


class Network(Protocol):
    """What a classifier needs of a network; those of Keras have it."""

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """Of a batch; the first length is None."""

    @property
    def output_shape(self) -> tuple[Any, ...]:
        """Of a batch; the first length is None."""

    def predict_on_batch(self, x: np.ndarray) -> Any:
        """Returns the outputs for one batch: a `float32` array of shape `(n, outputs)`."""

    def get_weights(self) -> list[np.ndarray]:
        """Returns all weights."""


class Inputs(Protocol):
    """An array of shape `(n, ...)`, or what is read like one batch by batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Classifier:
    """A trained network with the card that says what it is.

    Attributes:
        name: The run's name.
        network: The network.
        card: Its card.
        fingerprints: Of every picture it was trained on.
        chosen_threshold: The decision threshold in force, 0..1, if it is not the card's; None for the card's.
    """

    name: str
    network: Network
    card: Card
    fingerprints: frozenset[str]
    chosen_threshold: float | None = None

    @property
    def input_size_px(self) -> int:
        """Side of the square gray input."""
        return self.network.input_shape[1]

    @property
    def threshold(self) -> float:
        """The decision threshold: P(depressed) from which the label is *depressed*."""
        return self.card.decision_threshold if self.chosen_threshold is None else self.chosen_threshold

    @property
    def abstention_band(self) -> tuple[float, float] | None:
        """P(depressed) from the lower value up to, not with, the upper one counts as uncertain; None for never."""
        return find_band(self.card, self.threshold)

    @property
    def temperature(self) -> float:
        """What the logits are divided by, so that the probabilities are calibrated."""
        return self.card.temperature

    @property
    def class_names(self) -> list[str]:
        """What each output means."""
        return list(self.card.class_names)

    @property
    def knows_emotions(self) -> bool:
        """Whether it predicts emotions, and not only the two groups."""
        return set(self.class_names) <= set(emotions.EMOTIONS)

    def predict(self, images: Inputs) -> Predictions:
        """Returns the predictions for prepared faces.

        Args:
            images: `uint8` array of shape `(n, size, size, 1)`, 0-255, from `images.opening.prepare_image`.

        Raises:
            ModelError: Its outputs are not finite numbers.
        """
        outputs = compute_outputs(self.network, images, uses_flip_tta=self.card.uses_flip_tta)
        if not np.isfinite(outputs).all():
            raise ModelError(f"The model {self.name!r} predicts values that are not numbers. Choose another model.")
        outputs = apply_temperature(outputs, self.temperature)
        probabilities = sum_depressed(outputs, self.class_names, list(self.card.positive_classes))
        if not self.knows_emotions:
            return Predictions(probabilities, None)
        names = self.class_names
        return Predictions(probabilities, [dict(zip(names, map(float, row), strict=True)) for row in outputs])


def compute_outputs(network: Network, inputs: Inputs, *, uses_flip_tta: bool = False) -> np.ndarray:
    """Returns a network's outputs for any number of inputs: `float` array of shape `(n, outputs)`.

    Args:
        network: The network.
        inputs: Array of shape `(n, ...)`, read batch by batch.
        uses_flip_tta: Whether each output is the mean over the picture and its mirror image.
    """
    outputs = [np.zeros((0, network.output_shape[-1]), np.float32)]
    batch_size = find_batch_size(network)
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        if uses_flip_tta:
            both = np.asarray(network.predict_on_batch(np.concatenate([batch, batch[:, :, ::-1]])))
            outputs.append((both[: len(batch)] + both[len(batch) :]) / 2)
        else:
            outputs.append(np.asarray(network.predict_on_batch(batch)))
    return np.concatenate(outputs)


def find_batch_size(network: Network) -> int:
    """Returns how many inputs a network is given at once: as many as its first layer takes little memory for."""
    return max(1, min(_MAX_BATCH_SIZE, _MAX_BATCH_VALUES // math.prod(network.input_shape[1:])))


def fill_batch(batch: np.ndarray, size: int) -> np.ndarray:
    """Returns a batch repeated up to a size; the outputs for the copies are to be dropped.

    TensorFlow traces a network again for a batch of another size, which takes 0.8 s for the few inputs of a last one.

    Args:
        batch: Array of shape `(n, ...)`, 0 < n <= size.
        size: Inputs in every batch.
    """
    return np.resize(batch, (size, *batch.shape[1:])) if len(batch) < size else batch


def load_classifier(run_dir: Path) -> Classifier:
    """Returns the model that a run folder holds.

    Raises:
        ModelError: The folder holds no model of this project, or a file in it is missing, damaged or does not fit.
    """
    from facedep.networks.architecture import load_network  # brings Keras

    name = run_dir.name
    card = read_card(run_dir)
    recipe = find_recipe(card.recipe)
    model_path = run_dir / MODEL_FILE
    remedy = "Choose another model, or train it again."
    if not model_path.is_file():
        raise ModelError(f"The model {name!r} has no {MODEL_FILE}: only its scores are here. Choose another model.")
    try:
        with zipfile.ZipFile(model_path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_MODEL_BYTES:
                raise ModelError(f"{MODEL_FILE} of {name!r} is implausibly large and was not opened. {remedy}")
        network = load_network(recipe, len(card.class_names), model_path)
    except _READER_ERRORS as error:
        raise ModelError(f"{MODEL_FILE} of {name!r} is damaged or belongs to another network. {remedy}") from error
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        raise ModelError(f"{MODEL_FILE} of {name!r} holds weights that are not finite. {remedy}")
    fingerprints_path = run_dir / FINGERPRINTS_FILE
    fingerprints = fingerprints_path.read_text("ascii", "replace").split() if fingerprints_path.is_file() else []
    return Classifier(name, network, card, frozenset(fingerprints), read_threshold(run_dir, card))
