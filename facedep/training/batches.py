"""The batches that Keras fits a network to: shuffled, and changed at random, the same way on every backend."""

import keras
import numpy as np

from facedep.runs.run_config import RunConfig
from facedep.training.augmentation import Augmentation
from facedep.training.inputs import ArrayDataset


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
