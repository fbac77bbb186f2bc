"""What a fit takes (pictures with their targets, what the outputs mean, how to train), and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facedep.data.image_cache import ImageSubset, ResizedImages
from facedep.networks.graph import Graph
from facedep.networks.recipes import Recipe
from facedep.runs.run_config import RunConfig


@dataclass(frozen=True)
class ArrayDataset:
    """One subset, ready for the network.

    Attributes:
        images: Pictures, `uint8` of shape `(n, size, size, 1)`, 0-255, or features, `float32` of shape `(n, length)`;
            read batch by batch.
        targets: `float32` array of shape `(n, outputs)`, 0..1: the share of each class in the label.
        is_depressed: `bool` array of shape `(n,)`.
        fingerprints: Of the pictures.
    """

    images: np.ndarray | ImageSubset | ResizedImages
    targets: np.ndarray
    is_depressed: np.ndarray
    fingerprints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ClassSpec:
    """What a network's outputs mean.

    Attributes:
        class_names: What each output stands for.
        positive_classes: The names that count as *depressed*.
    """

    class_names: list[str]
    positive_classes: list[str]

    @property
    def is_positive(self) -> np.ndarray:
        """`bool` array of shape `(outputs,)`."""
        return np.isin(self.class_names, self.positive_classes)


@dataclass(frozen=True)
class FitPlan:
    """How a network is fitted.

    Attributes:
        class_spec: What its outputs mean.
        recipe: How to train.
        config: Epochs, early ones, batch size, learning rate, averaging and seed.
        last_epoch: Of a refit: the fit ends after this epoch of the schedule; None for `config.num_epochs`.
        data_hash: Of the data set, so that a run is resumed on the pictures it began with.
    """

    class_spec: ClassSpec
    recipe: Recipe
    config: RunConfig
    last_epoch: int | None = None
    data_hash: str = ""

    @property
    def num_epochs(self) -> int:
        """After how many epochs the fit ends at the latest."""
        return self.last_epoch or self.config.num_epochs

    @property
    def num_progressive_resizing_epochs(self) -> int:
        """How many of them show smaller pictures; at least the last one shows whole ones."""
        return min(self.config.num_progressive_resizing_epochs, self.num_epochs - 1)

    def count_steps(self, train: ArrayDataset) -> int:
        """Returns the steps in an epoch."""
        return -(-len(train.images) // self.config.batch_size)


@dataclass(frozen=True)
class FitSummary:
    """How a fit went.

    Attributes:
        num_epochs_done: Whole epochs.
        kept_epoch: Whose weights are kept; 0 for those of a first, unfinished one.
        num_images_seen: Pictures trained on, counted again in every epoch; the last batch of an epoch counts as full.
        was_stopped: Whether it was asked to end.
        has_diverged: Whether the loss was no longer a number.
    """

    num_epochs_done: int
    kept_epoch: int
    num_images_seen: int
    was_stopped: bool
    has_diverged: bool


@dataclass(frozen=True)
class FittedRun:
    """A trained network, ready to be scored and saved.

    Attributes:
        graph: The network as it will predict.
        graph_difference: See `networks.card.TrainingSummary`; None where Keras had no part in it.
        summary: How the fit went.
        write: Writes the model's file.
    """

    graph: Graph
    graph_difference: float | None
    summary: FitSummary
    write: Callable[[Path], None]
