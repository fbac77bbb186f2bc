"""A trained network with the card that says what it is: load it, and predict with it.

The network comes from `networks/graph.py`. What its outputs mean (class names, which of them count as
*depressed*) is in the `card.json` beside it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facedep import emotions
from facedep.errors import ModelError
from facedep.networks.calibration import apply_temperature
from facedep.networks.card import FINGERPRINTS_FILE, MODEL_FILE, Card, read_card
from facedep.networks.decision_threshold import find_band, read_threshold
from facedep.networks.graph import Graph, Inputs
from facedep.networks.layers import list_layers, list_weight_shapes
from facedep.networks.predictions import Predictions, sum_depressed
from facedep.networks.recipes import Recipe, find_recipe
from facedep.networks.weights import READER_ERRORS, Weights, read_weights


@dataclass(frozen=True)
class Classifier:
    """A trained network with the card that says what it is.

    Attributes:
        name: The run's name.
        graph: The network.
        card: Its card.
        fingerprints: Of every picture it was trained on.
        chosen_threshold: The decision threshold in force, 0..1, if it is not the card's; None for the card's.
    """

    name: str
    graph: Graph
    card: Card
    fingerprints: frozenset[str]
    chosen_threshold: float | None = None

    @property
    def input_size_px(self) -> int:
        """Side of the square gray input."""
        return self.graph.input_size_px

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
        return self.interpret(self.compute_outputs(images))

    def compute_outputs(self, images: Inputs) -> np.ndarray:
        """Returns what the network gives for prepared faces, averaged over mirror images if the card says so.

        Args:
            images: As for `predict`.

        Returns:
            `float32` array of shape `(n, classes)`, 0..1, before the temperature.
        """
        return self.graph.compute(images, uses_flip_tta=self.card.uses_flip_tta)

    def interpret(self, outputs: np.ndarray) -> Predictions:
        """Returns the predictions that a network's outputs mean.

        Args:
            outputs: From `compute_outputs`.

        Raises:
            ModelError: They are not finite numbers.
        """
        if not np.isfinite(outputs).all():
            raise ModelError(f"The model {self.name!r} predicts values that are not numbers. Choose another model.")
        outputs = apply_temperature(outputs, self.temperature)
        probabilities = sum_depressed(outputs, self.class_names, list(self.card.positive_classes))
        if not self.knows_emotions:
            return Predictions(probabilities, None)
        names = self.class_names
        return Predictions(probabilities, [dict(zip(names, map(float, row), strict=True)) for row in outputs])


def build_graph(recipe: Recipe, num_outputs: int, weights: Weights) -> Graph:
    """Returns a recipe's network with these weights.

    Args:
        recipe: The recipe.
        num_outputs: 1 for P(depressed) from a sigmoid; more for one probability per class from a softmax.
        weights: As `layers.list_weight_shapes` describes them.
    """
    layers = list_layers(recipe, num_outputs)
    return Graph(layers, weights, recipe.input_size_px, has_stages=recipe.name in ("compact", "quick"))


def load_classifier(run_dir: Path) -> Classifier:
    """Returns the model that a run folder holds.

    Raises:
        ModelError: The folder holds no model of this project, or a file in it is missing, damaged or does not fit.
    """
    name = run_dir.name
    card = read_card(run_dir)
    graph = load_graph(run_dir, card)
    fingerprints_path = run_dir / FINGERPRINTS_FILE
    fingerprints = fingerprints_path.read_text("ascii", "replace").split() if fingerprints_path.is_file() else []
    return Classifier(name, graph, card, frozenset(fingerprints), read_threshold(run_dir, card))


def load_graph(run_dir: Path, card: Card) -> Graph:
    """Returns the network that a run folder holds, as its card describes it.

    Raises:
        ModelError: Its file is missing, damaged or does not fit.
    """
    name, recipe, num_outputs = run_dir.name, find_recipe(card.recipe), len(card.class_names)
    model_path = run_dir / MODEL_FILE
    remedy = "Choose another model, or train it again."
    if not model_path.is_file():
        raise ModelError(f"The model {name!r} has no {MODEL_FILE}: only its scores are here. Choose another model.")
    try:
        shapes = list_weight_shapes(list_layers(recipe, num_outputs), recipe.input_size_px)
        weights = read_weights(model_path, shapes)
    except READER_ERRORS as error:
        raise ModelError(f"{MODEL_FILE} of {name!r} is damaged or belongs to another network. {remedy}") from error
    if not all(np.isfinite(values).all() for of_layer in weights.values() for values in of_layer):
        raise ModelError(f"{MODEL_FILE} of {name!r} holds weights that are not finite. {remedy}")
    return build_graph(recipe, num_outputs, weights)
