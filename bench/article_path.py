"""The published article's code path, written from its description: the other side of the benchmark.

Two folders on disk, `ImageDataGenerator` and `flow_from_directory`, three convolutions on 128 x 128 pixels,
`model.fit`, `model.predict`. Nothing of `facedep` is used, and nothing is made better or worse than described, but for
one thing: what its output means. `flow_from_directory` numbers folders in name order, so the sigmoid is
P(non-depressed), which the article's own prediction code takes for P(depressed). Here it is turned the right way.

`python -m bench.article_path MODEL PICTURE` answers for one picture in a fresh process.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from tensorflow.keras.preprocessing.image import ImageDataGenerator  # Keras 3 has it nowhere else in public

IMAGE_SIZE = (128, 128)
BATCH_SIZE = 32


def build_generator(folder: Path, *, shuffle: bool = True) -> Any:
    """Returns batches of the pictures in `folder/depressed` and `folder/non_depressed`, read from disk as they come."""
    return ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(
        str(folder),
        target_size=IMAGE_SIZE,
        color_mode="grayscale",
        class_mode="binary",
        batch_size=BATCH_SIZE,
        shuffle=shuffle,
    )


def build_network() -> keras.Model:
    """Returns the published network, compiled."""
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((*IMAGE_SIZE, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D(2, 2),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D(2, 2),
            layers.Conv2D(128, (3, 3), activation="relu"),
            layers.MaxPooling2D(2, 2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return network


def predict_depressed(network: keras.Model, generator: Any) -> np.ndarray:
    """Returns P(depressed) of every picture of a generator that does not shuffle: `float` array of shape `(n,)`."""
    outputs = network.predict(generator, verbose=0)[:, 0]
    return outputs if generator.class_indices["depressed"] == 1 else 1 - outputs


def find_depressed(generator: Any) -> np.ndarray:
    """Returns which pictures of a generator that does not shuffle are labelled *depressed*: `bool`, shape `(n,)`."""
    return np.asarray(generator.classes) == generator.class_indices["depressed"]


class EpochClock(keras.callbacks.Callback):
    """Times the epochs, and scores each on the validation pictures while the clock stands still.

    Args:
        score: Called after each epoch with the network; returns the validation ROC AUC.

    Attributes:
        rows: One per epoch: `epoch`, `train_seconds`, `seconds` since the start of `fit` without any scoring, and
            `val_roc_auc`.
    """

    def __init__(self, score: Callable[[keras.Model], float]):
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._score = score
        self._scoring_seconds = 0.0
        self._started = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes when the epoch began."""
        self._epoch_started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Adds the epoch's row; the time that scoring takes is not the article's and does not count."""
        ended = time.perf_counter()
        row = {
            "epoch": epoch + 1,
            "train_seconds": ended - self._epoch_started,
            "seconds": ended - self._started - self._scoring_seconds,
        }
        self.rows.append({**row, "val_roc_auc": self._score(self.model)})
        self._scoring_seconds += time.perf_counter() - ended


def _predict_one(model_path: str, picture_path: str) -> None:
    network = keras.models.load_model(model_path)
    picture = keras.utils.load_img(picture_path, color_mode="grayscale", target_size=IMAGE_SIZE)
    pixels = keras.utils.img_to_array(picture)[np.newaxis] / 255.0
    print(f"P(depressed) = {1 - network.predict(pixels, verbose=0)[0, 0]:.3f}")


if __name__ == "__main__":
    _predict_one(*sys.argv[1:])
