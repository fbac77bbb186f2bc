"""Build a network from its recipe, save it, load it again with its card, and ask it for probabilities.

A model file can bring no code with it: the network is always built here, by name, and only numbers are read from the
file. What its outputs mean (class names, which of them count as *depressed*) stands in the `card.json` beside it.
"""

import math
import os
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from facedep import emotions
from facedep.errors import ModelError
from facedep.files import write_atomically
from facedep.networks.calibration import apply_temperature
from facedep.networks.card import FINGERPRINTS_FILE, MODEL_FILE, Card, read_card
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.networks.predictions import Predictions, sum_depressed
from facedep.networks.recipes import Recipe, find_recipe

MAX_MODEL_BYTES = 512 * 1024**2
FEATURES_LAYER = "features"
# Inputs for one call: 256 at most, and 32 of 128 x 128 pixels, of which the first layer alone makes 2 MB each.
_MAX_BATCH_SIZE, _MAX_BATCH_VALUES = 256, 2**19
# What zipfile, h5py and Keras are seen to raise on damaged files.
_READER_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, OverflowError,
                  MemoryError, zlib.error, zipfile.BadZipFile)  # fmt: skip


def build_network(recipe: Recipe, num_outputs: int) -> keras.Model:
    """Returns an untrained network: `uint8`-valued pictures `(n, size, size, 1)`, 0-255, to probabilities.

    Args:
        recipe: The architecture.
        num_outputs: 1 for P(depressed) from a sigmoid; more for one probability per class from a softmax.
    """
    inputs = keras.Input((recipe.input_size_px, recipe.input_size_px, 1), name="face")
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    bodies = {"article": _build_article_body, "compact": _build_compact_body, "quick": _build_quick_body}
    x = bodies[recipe.name](x)
    activation = "sigmoid" if num_outputs == 1 else "softmax"
    outputs = layers.Dense(num_outputs, activation=activation, dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=recipe.name)


def _build_article_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The published layers: 3 x (convolution, max pooling), dropout, dense, dropout."""
    for number, width in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(width, 3, activation="relu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="dropout_1")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    return layers.Dropout(0.3, name="dropout_2")(x)


def _build_compact_stages(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    """A stem that halves the picture and three stages of two residual blocks; returns what each stage gives.

    Reference: He et al. 2015, arXiv 1512.03385; Hu et al. 2017, arXiv 1709.01507.
    """
    x = _convolve(x, 32, kernel=3, stride=2, name="stem")
    x = layers.Activation("relu", name="stem_relu")(x)
    stages = []
    for stage, (width, first_stride) in enumerate(((32, 1), (64, 2), (128, 2)), start=1):
        for letter, stride in (("a", first_stride), ("b", 1)):
            x = _add_residual_block(x, width, stride=stride, name=f"block_{stage}{letter}")
        stages.append(x)
    return stages


def _build_compact_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The three stages, global average pooling, dropout."""
    x = layers.GlobalAveragePooling2D(name="pool")(_build_compact_stages(x)[-1])
    return layers.Dropout(0.3, name="dropout")(x)


def _build_quick_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The stages of `compact`, which stay as they are, and a small head on what the last two of them see.

    The last stage's average says which expression; the second one's 4 x 4 grid says what is where, which helps on faces
    unlike those that the stages were trained on (validation AUC on the drawn faces 0.90 instead of 0.85, measured).
    """
    _, middle, last = _build_compact_stages(x)
    grid = layers.Flatten(name="grid_values")(layers.AveragePooling2D(3, name="grid")(middle))
    x = layers.Concatenate(name=FEATURES_LAYER)([layers.GlobalAveragePooling2D(name="pool")(last), grid])
    x = layers.BatchNormalization(momentum=0.9, name="head_norm")(x)
    return layers.Dropout(0.6, name="head_dropout")(x)


def cut_at_features(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Returns a `quick` network as two: pictures to features, and features to probabilities; they share its weights."""
    features = network.get_layer(FEATURES_LAYER).output
    return keras.Model(network.input, features), keras.Model(features, network.output)


def expose_features(network: keras.Model) -> keras.Model:
    """Returns the network with two outputs: its own, and what its last layer decides on."""
    return keras.Model(network.input, [network.output, network.layers[-1].input])


def copy_stages(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of every layer that both networks have, but for the last one."""
    names = {layer.name for layer in source.layers[:-1]}
    for layer in target.layers[:-1]:
        if layer.name in names:
            layer.set_weights(source.get_layer(layer.name).get_weights())


def _add_residual_block(x: keras.KerasTensor, width: int, *, stride: int, name: str) -> keras.KerasTensor:
    """Two convolutions whose channels are weighted by squeeze-and-excitation, added to their input."""
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = _convolve(x, width, kernel=1, stride=stride, name=f"{name}_shortcut")
    x = _convolve(x, width, kernel=3, stride=stride, name=f"{name}_first")
    x = layers.Activation("relu", name=f"{name}_first_relu")(x)
    x = _convolve(x, width, kernel=3, stride=1, name=f"{name}_second")
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    squeezed = layers.Conv2D(width // 4, 1, activation="relu", name=f"{name}_reduce")(squeezed)
    gate = layers.Conv2D(width, 1, activation="sigmoid", name=f"{name}_gate")(squeezed)
    x = layers.Multiply(name=f"{name}_excite")([x, gate])
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _convolve(x: keras.KerasTensor, width: int, *, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


@dataclass(frozen=True)
class Classifier:
    """A trained network with the card that says what it is.

    Attributes:
        name: The run's name.
        network: The Keras network.
        card: Its card.
        fingerprints: Of every picture it was trained on.
        chosen_threshold: The threshold in force, 0..1, where it is another one than the card's; None for the card's.
    """

    name: str
    network: keras.Model
    card: Card
    fingerprints: frozenset[str]
    chosen_threshold: float | None = None

    @property
    def input_size_px(self) -> int:
        """Side of the square gray input."""
        return self.network.input_shape[1]

    @property
    def threshold(self) -> float:
        """P(depressed) at and above which the answer is *depressed*."""
        return self.card.decision_threshold if self.chosen_threshold is None else self.chosen_threshold

    @property
    def abstention_band(self) -> tuple[float, float] | None:
        """From the lower value up to, not with, the upper one, P(depressed) is no answer; None for always answering."""
        return find_band(self.card, self.threshold)

    @property
    def temperature(self) -> float:
        """What the outputs are cooled (below 1) or warmed (above 1) by, so that they mean what they say."""
        return self.card.temperature

    @property
    def class_names(self) -> list[str]:
        """What each output means."""
        return list(self.card.class_names)

    @property
    def knows_emotions(self) -> bool:
        """Whether it answers with emotions, and not only with the two groups."""
        return set(self.class_names) <= set(emotions.EMOTIONS)

    def predict(self, images: np.ndarray) -> Predictions:
        """Returns the answers for prepared faces.

        Args:
            images: `uint8` array of shape `(n, size, size, 1)`, 0-255, from `images.prepare_image`.

        Raises:
            ModelError: Its weights are such that it answers with no numbers.
        """
        outputs = compute_outputs(self.network, images, uses_flip_tta=self.card.uses_flip_tta)
        if not np.isfinite(outputs).all():
            raise ModelError(f"The model {self.name!r} answers with values that are no numbers. Choose another model.")
        outputs = apply_temperature(outputs, self.temperature)
        probabilities = sum_depressed(outputs, self.class_names, list(self.card.positive_classes))
        if not self.knows_emotions:
            return Predictions(probabilities, None)
        names = self.class_names
        return Predictions(probabilities, [dict(zip(names, map(float, row), strict=True)) for row in outputs])


def compute_outputs(network: keras.Model, inputs: Any, *, uses_flip_tta: bool = False) -> np.ndarray:
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


def find_batch_size(network: keras.Model) -> int:
    """Returns how many inputs a network is given at once: as many as its first layer takes little memory for."""
    return max(1, min(_MAX_BATCH_SIZE, _MAX_BATCH_VALUES // math.prod(network.input_shape[1:])))


def fill_batch(batch: np.ndarray, size: int) -> np.ndarray:
    """Returns a batch repeated up to a size; what is answered to the copies is to be thrown away.

    TensorFlow traces a network anew for a batch of another size, which for the few inputs of a last one takes 0.8 s.

    Args:
        batch: Array of shape `(n, ...)`, 0 < n <= size.
        size: Inputs in every batch.
    """
    return np.resize(batch, (size, *batch.shape[1:])) if len(batch) < size else batch


def save_network(network: keras.Model, recipe: Recipe, path: Path) -> None:
    """Writes a network's weights without its optimizer's state, which would triple the file, in one step."""
    bare = build_network(recipe, network.output_shape[-1])
    bare.set_weights(network.get_weights())
    with write_atomically(path) as partial:
        bare.save(partial)


def load_classifier(run_dir: Path) -> Classifier:
    """Returns the model that a run folder holds.

    Raises:
        ModelError: The folder holds no model of this project, or a file in it is missing, damaged or does not fit.
    """
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
        network = build_network(recipe, len(card.class_names))
        with warnings.catch_warnings(action="ignore"):  # Keras warns of each missing group, then refuses the file
            network.load_weights(model_path)
    except _READER_ERRORS as error:
        raise ModelError(f"{MODEL_FILE} of {name!r} is damaged or belongs to another network. {remedy}") from error
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        raise ModelError(f"{MODEL_FILE} of {name!r} holds values that are no numbers. {remedy}")
    fingerprints_path = run_dir / FINGERPRINTS_FILE
    fingerprints = fingerprints_path.read_text("ascii", "replace").split() if fingerprints_path.is_file() else []
    return Classifier(name, network, card, frozenset(fingerprints), read_threshold(run_dir, card))
