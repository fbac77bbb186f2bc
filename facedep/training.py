"""Train one run: pictures in, a model with its card out, measurements written while it goes on.

Everything here happens in the training process. The test part of the split is read only after the last epoch.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, or it has no effect

import keras
import numpy as np
import pandas as pd
from keras import ops

from facedep import __version__, emotions, runs
from facedep.augment import augment_images
from facedep.cards import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE
from facedep.data import Dataset, check_trainable, load_dataset
from facedep.errors import RunError
from facedep.metrics import score_predictions
from facedep.model import Classifier, build_network, save_network
from facedep.recipes import Recipe, find_recipe
from facedep.run_writer import RunWriter
from facedep.runs import RunConfig
from facedep.scan import Scan, load_images, scan_dataset
from facedep.splits import PARTS, count_leaks, split_dataset

_SECONDS_BETWEEN_POINTS = 0.3
_MAX_DENSITY = 400  # later the points come less often, so that a run of hours keeps some thousand


class StopRequestedError(Exception):
    """Somebody asked the run to end before there was anything to keep."""


@dataclass
class _Part:
    """One part of the split, ready for the network: prepared pictures `(n, size, size, 1)` and one-hot targets."""

    images: np.ndarray
    targets: np.ndarray
    is_depressed: np.ndarray
    fingerprints: list[str] = field(default_factory=list)


def train_run(config: RunConfig, source: str, writer: RunWriter) -> str:
    """Trains a network as the settings say, and writes the model, its card and its fingerprints into the run's folder.

    Args:
        config: The settings.
        source: The data source, as `data.load_dataset` takes it.
        writer: The run's writer, entered.

    Returns:
        The state it ended in: `runs.FINISHED`, or `runs.STOPPED` where it was asked to end early.

    Raises:
        FacedepError: The data cannot be used as it is, or the learning rate was too high.
        StopRequestedError: It was asked to end before the first step.
    """
    started = time.time()
    recipe = find_recipe(config.recipe)
    keras.utils.set_random_seed(config.seed)
    dataset = load_dataset(source, folder_choices=config.folder_choices, depressed_emotions=config.depressed_emotions)
    check_trainable(dataset)
    scan = scan_dataset(dataset, on_progress=_report_progress(writer, "Looking at the pictures"))
    split = split_dataset(dataset.index, scan, config.split, seed=config.seed)
    class_names = find_class_names(dataset.index[split == "train"], recipe)
    positive_classes = [n for n in class_names if n == emotions.DEPRESSED or n in config.depressed_emotions]
    parts = {
        part: _load_part(
            dataset,
            scan,
            split == part,
            recipe,
            class_names,
            on_progress=_report_progress(writer, f"Preparing the {part} pictures"),
        )
        for part in ("train", "val")
    }
    if writer.is_stop_requested:
        raise StopRequestedError
    network = build_network(recipe, len(class_names))
    num_steps = -(-len(parts["train"].images) // config.batch_size)
    _compile(network, recipe, config, num_steps, [name in positive_classes for name in class_names])

    leaks = count_leaks(split, scan)
    writer.write_metrics(
        kind="start",
        num_train=len(parts["train"].images),
        num_val=len(parts["val"].images),
        num_val_in_train=leaks["val"].num_similar,
        num_steps=num_steps,
        num_epochs=config.num_epochs,
        keeps=recipe.keeps,
        always_non_depressed=float(np.mean(~parts["val"].is_depressed)),
    )
    writer.write_status(runs.RUNNING, stage="training")
    progress = _Progress(writer, recipe, num_steps, config.batch_size)
    network.fit(
        _Batches(parts["train"], config.batch_size, augments=recipe.augments, seed=config.seed),
        validation_data=_Batches(parts["val"], 256),
        epochs=config.num_epochs,
        shuffle=False,  # the batches are shuffled already, the same way on every backend
        callbacks=[progress],
        verbose=0,
    )
    if progress.has_diverged and not progress.has_kept_weights:
        raise RunError(
            f"With the learning rate {config.learning_rate:g} the loss is no longer a number, and nothing was learned. "
            f"Start again with a lower one; this recipe's is {recipe.learning_rate:g}."
        )
    progress.restore_kept_weights()

    writer.write_status(runs.RUNNING, stage="scoring")
    del parts["train"].images
    if (split == "test").any():
        parts["test"] = _load_part(dataset, scan, split == "test", recipe, class_names)
    card = _build_card(recipe, config, dataset, class_names, positive_classes)
    card["data"]["num_images"] = {part: int((split == part).sum()) for part in PARTS}
    card["data"]["leaks"] = {part: vars(leak) for part, leak in leaks.items()}
    card["training"] = {
        "num_epochs": progress.num_epochs_done,
        "kept_epoch": progress.kept_epoch,
        "seconds": round(time.time() - started, 1),
        "was_stopped": progress.was_stopped,
        "num_images_seen": progress.num_images_seen,
        "has_diverged": progress.has_diverged,
    }
    classifier = Classifier(writer.run_dir.name, network, card, frozenset())
    card["scores"] = {part: _score(classifier, parts[part]) for part in parts if part != "train"}
    fingerprints = sorted(set(parts["train"].fingerprints))
    (writer.run_dir / FINGERPRINTS_FILE).write_text("\n".join(fingerprints) + "\n", "ascii")
    save_network(network, recipe, writer.run_dir / MODEL_FILE)
    runs.write_json(writer.run_dir / CARD_FILE, card)
    return runs.STOPPED if progress.was_stopped else runs.FINISHED


def _build_card(
    recipe: Recipe, config: RunConfig, dataset: Dataset, class_names: list[str], positive_classes: list[str]
) -> dict[str, Any]:
    """Returns the part of a model's card that is known before the training: what goes in and what the outputs mean."""
    return {
        "format": 1,
        "recipe": recipe.name,
        "input_size_px": recipe.input_size_px,
        "class_names": class_names,
        "positive_classes": positive_classes,
        "threshold": 0.5,
        "data": {
            "name": dataset.name,
            "content_hash": dataset.content_hash,
            "split": config.split,
            "seed": config.seed,
        },
        "versions": {
            "facedep": __version__,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
        },
    }


def find_class_names(index: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Returns what the network's outputs stand for: the emotions present, or `["depressed"]` for a two-group network.

    Args:
        index: The training pictures' rows of the index table.
        recipe: The recipe; where it learns emotions but some pictures name none, the groups are learned instead.
    """
    present = [emotion for emotion in emotions.EMOTIONS if (index["emotion"] == emotion).any()]
    learns_emotions = recipe.learns == "emotions" and len(present) > 1 and not (index["emotion"] == "").any()
    return present if learns_emotions else [emotions.DEPRESSED]


def _load_part(
    dataset: Dataset,
    scan: Scan,
    rows: np.ndarray,
    recipe: Recipe,
    class_names: list[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> _Part:
    index = dataset.index[rows]
    is_depressed = (index["label"] == emotions.DEPRESSED).to_numpy()
    if class_names == [emotions.DEPRESSED]:
        targets = is_depressed[:, np.newaxis].astype(np.float32)
    else:
        targets = (index["emotion"].to_numpy()[:, np.newaxis] == np.array(class_names)).astype(np.float32)
    images = load_images(dataset, scan, rows, recipe.input_size_px, on_progress=on_progress)
    return _Part(images, targets, is_depressed, scan.fingerprints[rows].tolist())


def _report_progress(writer: RunWriter, what: str) -> Callable[[int, int], None]:
    def report(num_done: int, num_all: int) -> None:
        if writer.is_stop_requested:
            raise StopRequestedError
        writer.write_status(runs.RUNNING, stage="loading", message=f"{what}: {num_done:,} of {num_all:,}")

    return report


def _compile(network: keras.Model, recipe: Recipe, config: RunConfig, num_steps: int, is_positive: list[bool]) -> None:
    rate: Any = config.learning_rate
    if recipe.schedule == "cosine":
        total = num_steps * config.num_epochs
        warmup = max(1, total // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            config.learning_rate / 25, max(1, total - warmup), warmup_target=config.learning_rate, warmup_steps=warmup
        )
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        optimizer = keras.optimizers.Adam(rate)
    if len(is_positive) == 1:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    columns = np.array(is_positive, np.float32)

    def accuracy(targets: Any, outputs: Any) -> Any:
        """Share of pictures put into the right group, the same measure for every recipe."""
        truth = ops.sum(ops.multiply(ops.cast(targets, "float32"), columns), axis=-1) >= 0.5
        answer = ops.sum(ops.multiply(outputs, columns), axis=-1) >= 0.5
        return ops.cast(truth == answer, "float32")

    network.compile(optimizer=optimizer, loss=loss, metrics=[accuracy])


class _Batches(keras.utils.PyDataset):
    """Batches of one part; training batches are shuffled anew each epoch and changed at random, all from the seed."""

    def __init__(self, part: _Part, batch_size: int, *, augments: bool = False, seed: int | None = None):
        super().__init__()  # one worker: with more, Keras 3.15 on JAX repeats batches that it drew to build the model
        self._part, self._batch_size, self._augments, self._seed = part, batch_size, augments, seed
        self._epoch = 0
        self._order = self._shuffle()

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images = self._part.images[rows]
        if self._augments:
            images = augment_images(images, np.random.default_rng([self._seed or 0, self._epoch, number]))
        return images, self._part.targets[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffle()

    def _shuffle(self) -> np.ndarray:
        order = np.arange(len(self._part.targets))
        return order if self._seed is None else np.random.default_rng([self._seed, self._epoch]).permutation(order)


class _Progress(keras.callbacks.Callback):
    """Writes the measurements, remembers the weights worth keeping, and ends the training when asked to."""

    def __init__(self, writer: RunWriter, recipe: Recipe, num_steps: int, batch_size: int):
        super().__init__()
        self._writer, self._recipe, self._num_steps, self._batch_size = writer, recipe, num_steps, batch_size
        self._best_loss, self._best_weights = np.inf, None
        self._last_point = 0.0
        self._epoch, self._num_steps_done = 1, 0
        self._started = self._epoch_started = time.monotonic()
        self.num_epochs_done, self.kept_epoch, self.was_stopped, self.has_diverged = 0, 0, False, False

    @property
    def num_images_seen(self) -> int:
        """Pictures trained on so far, counted again in every epoch; the last batch of an epoch counts as full."""
        return ((self._epoch - 1) * self._num_steps + self._num_steps_done) * self._batch_size

    @property
    def has_kept_weights(self) -> bool:
        """Whether `restore_kept_weights` will put back an epoch that was better than the last."""
        return self._best_weights is not None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch, self._num_steps_done = epoch + 1, 0
        self._epoch_started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        self._num_steps_done = batch + 1
        if now - self._last_point >= max(_SECONDS_BETWEEN_POINTS, (now - self._started) / _MAX_DENSITY):
            self._last_point = now
            self._check_loss(logs["loss"])
            self._writer.write_metrics(
                kind="step",
                epoch=self._epoch,
                step=batch + 1,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                seconds=round(now - self._started, 2),
            )
        if self._writer.is_stop_requested:
            self.was_stopped = True
            self.model.stop_training = True

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._train_seconds = time.monotonic() - self._epoch_started

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.was_stopped and self._num_steps_done < self._num_steps:
            return  # an epoch broken off is no point on the curve, and not the best one
        self.num_epochs_done = epoch + 1
        self._check_loss(logs["loss"])
        self._check_loss(logs["val_loss"])
        if logs["val_loss"] < self._best_loss:
            self._best_loss = logs["val_loss"]
            if self._recipe.keeps == "best":
                self._best_weights, self.kept_epoch = self.model.get_weights(), epoch + 1
        if self._best_weights is None:
            self.kept_epoch = epoch + 1
        self._writer.write_metrics(
            kind="epoch",
            epoch=epoch + 1,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=float(logs["val_loss"]),
            val_accuracy=float(logs["val_accuracy"]),
            seconds=round(time.monotonic() - self._started, 2),
            train_seconds=round(self._train_seconds, 2),
        )

    def _check_loss(self, loss: Any) -> None:
        """Ends the training once the loss is no number: it never becomes one again."""
        if not np.isfinite(float(loss)):
            self.has_diverged = True
            self.model.stop_training = True

    def restore_kept_weights(self) -> None:
        """Puts the best epoch's weights back where the recipe keeps the best; else the last ones stay."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)


def _score(classifier: Classifier, part: _Part) -> dict[str, Any]:
    predictions = classifier.predict(part.images)
    scores = score_predictions(part.is_depressed, predictions.probabilities, classifier.threshold)
    return {name: None if isinstance(v, float) and np.isnan(v) else v for name, v in scores.items()}
