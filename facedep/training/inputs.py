"""What a fit takes: pictures with their targets, what the outputs mean, how to train, and the batches of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from facedep.data.image_cache import ImageSubset, ResizedImages
from facedep.networks.recipes import Recipe
from facedep.runs.run_config import RunConfig

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


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


class Batches(keras.utils.PyDataset):
    """Batches of the train subset, shuffled for each epoch and changed at random, all from the seed.

    Args:
        train: The train subset.
        config: Batch size, seed and number of devices.
        augment: Changes the pictures of a batch at random; None for none.
        first_epoch: The number of epochs done before, so that a resumed run sees what an unbroken one would have seen.
    """

    def __init__(self, train: ArrayDataset, config: RunConfig, *, augment: Augmentation | None, first_epoch: int):
        super().__init__()  # one worker: with more, Keras 3.15 on JAX repeats batches that it drew to build the model
        self._train, self._batch_size, self._seed, self._augment = train, config.batch_size, config.seed, augment
        self._num_devices, self._epoch = config.num_devices, first_epoch
        self._order = self._shuffle()

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        indices = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images = self._train.images[indices]
        if self._augment:
            images = self._augment(images, np.random.default_rng([self._seed, self._epoch, number]))
        return images, self._train.targets[indices]

    def on_epoch_end(self) -> None:
        """Shuffles for the next epoch."""
        self._epoch += 1
        self._order = self._shuffle()

    def _shuffle(self) -> np.ndarray:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._train.targets))
        num_devices = self._num_devices  # the last batch too must give every device as much: some pictures come twice
        return np.resize(order, -(-len(order) // num_devices) * num_devices)
