"""Fit a network to pictures (or to features of pictures): steps, measurements, the best epoch, and a place to resume.

The same for every recipe: what goes in is an array and its targets, what comes out is the network with the weights
worth keeping. After each epoch everything that the next one depends on is kept in `checkpoint.npz`.
"""

import contextlib
import dataclasses
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, or it has no effect

import keras
import numpy as np
from keras import ops

from facedep.augment import augment_images, mirror_images
from facedep.decoded import SmallerImages
from facedep.devices import ONE_DEVICE, Devices
from facedep.errors import RunError
from facedep.files import write_atomically
from facedep.metrics import compute_accuracy, compute_roc_auc
from facedep.model import build_network, compute_outputs, sum_depressed
from facedep.recipes import Recipe
from facedep.run_writer import RunWriter
from facedep.runs import CHECKPOINT_FILE, RunConfig

_Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_SECONDS_BETWEEN_POINTS = 0.3
_MAX_DENSITY = 400  # later the points come less often, so that a run of hours keeps some thousand


@dataclass
class Part:
    """One part of the split, ready for the network.

    Attributes:
        images: Array (or `decoded.SelectedImages`) of shape `(n, ...)`: pictures or features; read batch by batch.
        targets: `float32` array of shape `(n, outputs)`: what the network should answer.
        is_depressed: `bool` array of shape `(n,)`.
        fingerprints: Of the pictures.
    """

    images: Any
    targets: np.ndarray
    is_depressed: np.ndarray
    fingerprints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Goal:
    """What a network's outputs mean.

    Attributes:
        class_names: What each output stands for.
        positive_classes: The names that count as *depressed*.
    """

    class_names: list[str]
    positive_classes: list[str]


def fit_network(
    network: keras.Model,
    parts: dict[str, Part],
    goal: Goal,
    *,
    recipe: Recipe,
    config: RunConfig,
    writer: RunWriter,
    devices: Devices = ONE_DEVICE,
    last_epoch: int | None = None,
    data_hash: str = "",
) -> "FitProgress":
    """Trains a network in place, from the run's checkpoint where there is one, and leaves the weights worth keeping.

    Args:
        network: The untrained network.
        parts: "train", and "val" where there is one to choose the best epoch on.
        goal: What its outputs mean.
        recipe: How to train.
        config: Epochs, early ones, batch size, learning rate, averaging and seed.
        writer: The run's writer.
        devices: What shares the work.
        last_epoch: Ends after this epoch of the schedule; None for `config.num_epochs`.
        data_hash: Of the data set, so that a run is resumed on the pictures it began with.

    Returns:
        How it went.

    Raises:
        RunError: The learning rate was too high, or the checkpoint does not fit.
    """
    num_epochs = last_epoch or config.num_epochs
    num_early = min(config.num_early_epochs, num_epochs - 1)
    phases = [(num_epochs, recipe, network, parts, augment_images if recipe.augments else None)]
    if num_early:
        phases.insert(0, (num_early, *_plan_early_phase(network, parts, recipe), mirror_images))
    is_resumed = (writer.run_dir / CHECKPOINT_FILE).is_file()
    for end, phase_recipe, phase_network, phase_parts, change in phases:
        learner = devices.copy_network(phase_network)
        num_steps = -(-len(parts["train"].images) // config.batch_size)
        progress = FitProgress(
            writer,
            phase_network,
            phase_parts,
            goal,
            recipe=phase_recipe,
            config=config,
            num_steps=num_steps,
            data_hash=data_hash,
        )
        progress.set_model(learner)
        with devices.hold():
            _compile(learner, goal, recipe=recipe, config=config, num_steps=num_steps)
            num_epochs_done = progress.restore_checkpoint()  # the early phase hands over by it too
        if is_resumed:
            writer.forget_metrics_after(num_epochs_done)
            is_resumed = False
        if num_epochs_done < end and not progress.is_past_patience:
            with devices.share():
                learner.fit(
                    _Batches(phase_parts["train"], config, change=change, first_epoch=num_epochs_done),
                    initial_epoch=num_epochs_done,
                    epochs=end,
                    shuffle=False,  # the batches are shuffled already, the same way on every backend
                    callbacks=[progress],
                    verbose=0,
                )
        if progress.was_stopped or progress.has_diverged:
            break
    if progress.has_diverged and not progress.has_kept_weights:
        raise RunError(
            f"With the learning rate {config.learning_rate:g} the loss is no longer a number, and nothing was learned. "
            f"Start again with a lower one; this recipe's is {recipe.learning_rate:g}."
        )
    progress.restore_kept_weights()
    if learner is not network:
        network.set_weights(learner.get_weights())
    return progress


def _plan_early_phase(
    network: keras.Model, parts: dict[str, Part], recipe: Recipe
) -> tuple[Recipe, keras.Model, dict[str, Part]]:
    """Returns what the early epochs take: no choice among them, the same weights, smaller pictures."""
    size_px = recipe.early_size_px
    early = dataclasses.replace(recipe, input_size_px=size_px, keeps="last", patience=0)
    small_network = build_network(early, network.output_shape[-1])
    small_network.set_weights(network.get_weights())
    small_parts = {
        name: dataclasses.replace(part, images=SmallerImages(part.images, size_px)) for name, part in parts.items()
    }
    return early, small_network, small_parts


def _compile(network: keras.Model, goal: Goal, *, recipe: Recipe, config: RunConfig, num_steps: int) -> None:
    rate: Any = config.learning_rate
    if recipe.schedule == "cosine":
        total = num_steps * config.num_epochs
        warmup = num_steps if config.num_early_epochs else max(1, total // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            config.learning_rate / 25, max(1, total - warmup), warmup_target=config.learning_rate, warmup_steps=warmup
        )
    average: dict[str, Any] = {"use_ema": True, "ema_momentum": config.ema_momentum} if config.ema_momentum else {}
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **average)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        optimizer = keras.optimizers.Adam(rate, **average)
    if len(goal.class_names) == 1:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    columns = np.array([name in goal.positive_classes for name in goal.class_names], np.float32)

    def accuracy(targets: Any, outputs: Any) -> Any:
        """Share of pictures put into the right group, the same measure for every recipe."""
        truth = ops.sum(ops.multiply(ops.cast(targets, "float32"), columns), axis=-1) >= 0.5
        answer = ops.sum(ops.multiply(outputs, columns), axis=-1) >= 0.5
        return ops.cast(truth == answer, "float32")

    # Whatever makes its variables only in the first step has that step traced twice, 3 s for `compact`.
    optimizer.build(network.trainable_variables)
    metric = keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")
    network.compile(optimizer=optimizer, loss=loss, metrics=[metric])


class _Batches(keras.utils.PyDataset):
    """Batches of the training part, shuffled anew each epoch and changed at random, all from the seed."""

    def __init__(self, part: Part, config: RunConfig, *, change: _Change | None, first_epoch: int):
        super().__init__()  # one worker: with more, Keras 3.15 on JAX repeats batches that it drew to build the model
        self._part, self._batch_size, self._seed, self._change = part, config.batch_size, config.seed, change
        self._num_devices, self._epoch = config.num_devices, first_epoch
        self._order = self._shuffle()

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images = self._part.images[rows]
        if self._change:
            images = self._change(images, np.random.default_rng([self._seed, self._epoch, number]))
        return images, self._part.targets[rows]

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._order = self._shuffle()

    def _shuffle(self) -> np.ndarray:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._part.targets))
        num_devices = self._num_devices  # the last batch too must give every device as much: some pictures come twice
        return np.resize(order, -(-len(order) // num_devices) * num_devices)


class FitProgress(keras.callbacks.Callback):
    """Measures after each epoch, writes it down, remembers the weights worth keeping, and ends the fit when it is time.

    Attributes:
        num_epochs_done: Whole epochs.
        kept_epoch: The one whose weights the network has in the end; 0 for none whole.
        was_stopped: Somebody asked for the end.
        has_diverged: The loss became something that is no number.
        is_past_patience: No better epoch came for as long as the recipe waits.
    """

    def __init__(
        self,
        writer: RunWriter,
        network: keras.Model,
        parts: dict[str, Part],
        goal: Goal,
        *,
        recipe: Recipe,
        config: RunConfig,
        num_steps: int,
        data_hash: str,
    ):
        super().__init__()
        self._network = network  # the one to predict with, on one device; Keras' `self.model` may lie on several
        self._writer, self._val, self._goal, self._recipe = writer, parts.get("val"), goal, recipe
        self._num_steps, self._batch_size, self._data_hash = num_steps, config.batch_size, data_hash
        self._best_loss, self._best_weights = np.inf, None
        self._last_point = 0.0
        self._epoch, self._num_steps_done = 1, 0
        self._seconds_before = 0.0
        self._started = self._epoch_started = time.monotonic()
        self.num_epochs_done, self.kept_epoch, self._best_epoch = 0, 0, 0
        self.was_stopped = self.has_diverged = self.is_past_patience = False

    @property
    def num_images_seen(self) -> int:
        """Pictures trained on so far, counted again in every epoch; the last batch of an epoch counts as full."""
        return ((self._epoch - 1) * self._num_steps + self._num_steps_done) * self._batch_size

    @property
    def has_kept_weights(self) -> bool:
        """Whether `restore_kept_weights` will put back an epoch that was better than the last."""
        return self._best_weights is not None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._started = time.monotonic() - self._seconds_before

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

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.was_stopped and self._num_steps_done < self._num_steps:
            return  # an epoch broken off is no point on the curve, and not the best one
        train_seconds = time.monotonic() - self._epoch_started
        self.num_epochs_done = epoch + 1
        self._check_loss(logs["loss"])
        with self._average_weights():
            measured = self._measure_val()
            self._choose_epoch(measured.get("val_loss", float("nan")))
        self._writer.write_metrics(
            kind="epoch",
            epoch=epoch + 1,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            **measured,
            seconds=round(time.monotonic() - self._started, 2),
            train_seconds=round(train_seconds, 2),
        )
        if not self.has_diverged:
            self._write_checkpoint()

    @contextlib.contextmanager
    def _average_weights(self) -> Iterator[None]:
        """Inside, the network has the running mean of its weights, where the run keeps one."""
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            yield
            return
        weights = self.model.get_weights()
        optimizer.finalize_variable_values(self.model.trainable_variables)
        yield
        self.model.set_weights(weights)

    def _measure_val(self) -> dict[str, float]:
        """Returns loss, accuracy and ROC AUC on the validation part; nothing where there is none."""
        if self._val is None:
            return {}
        if self._network is not self.model:
            self._network.set_weights(self.model.get_weights())
        outputs = compute_outputs(self._network, self._val.images)
        probabilities = sum_depressed(outputs, self._goal.class_names, self._goal.positive_classes)
        loss = float(self.model.loss(ops.convert_to_tensor(self._val.targets), ops.convert_to_tensor(outputs)))
        self._check_loss(loss)
        return {
            "val_loss": loss,
            "val_accuracy": compute_accuracy(self._val.is_depressed, probabilities),
            "val_roc_auc": compute_roc_auc(self._val.is_depressed, probabilities),
        }

    def _choose_epoch(self, val_loss: float) -> None:
        """Keeps this epoch's weights where they are the best, and ends the fit after too many that were not."""
        if self._recipe.keeps == "best" and val_loss < self._best_loss:
            self._best_loss, self._best_epoch = val_loss, self.num_epochs_done
            self._best_weights, self.kept_epoch = self.model.get_weights(), self.num_epochs_done
        if self._best_weights is None:
            self.kept_epoch = self.num_epochs_done
        self._check_patience()
        if self.is_past_patience:
            self.model.stop_training = True

    def _check_patience(self) -> None:
        can_wait = self._val is None or not self._recipe.patience
        self.is_past_patience = not can_wait and self.num_epochs_done - self._best_epoch >= self._recipe.patience

    def _check_loss(self, loss: Any) -> None:
        """Ends the training once the loss is no number: it never becomes one again."""
        if not np.isfinite(float(loss)):
            self.has_diverged = True
            self.model.stop_training = True

    def restore_kept_weights(self) -> None:
        """Puts the best epoch's weights back where the recipe keeps the best; else the last ones stay."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)

    def _list_variables(self) -> list[Any]:
        """Everything that the next epoch depends on, random states and the optimizer's position among it."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _write_checkpoint(self) -> None:
        path = self._writer.run_dir / CHECKPOINT_FILE
        best = self._best_weights or []
        with write_atomically(path) as partial:
            np.savez(
                partial,
                data_hash=self._data_hash,
                num_epochs_done=self.num_epochs_done,
                kept_epoch=self.kept_epoch,
                best_epoch=self._best_epoch,
                best_loss=self._best_loss,
                seconds=time.monotonic() - self._started,
                num_best=len(best),
                **{f"variable_{n}": ops.convert_to_numpy(v) for n, v in enumerate(self._list_variables())},
                **{f"best_{n}": weights for n, weights in enumerate(best)},
            )

    def restore_checkpoint(self) -> int:
        """Puts everything back as it was after the run's last whole epoch; returns that epoch's number, 0 for none.

        Raises:
            RunError: The checkpoint is damaged, or the run began with other pictures.
        """
        path = self._writer.run_dir / CHECKPOINT_FILE
        if not path.is_file():
            return 0
        variables = self._list_variables()
        try:
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["data_hash"]) != self._data_hash:
                    raise RunError(
                        f"The run {self._writer.run_dir.name!r} began with other pictures than these. "
                        "Give it the data that it was started with."
                    )
                for number, variable in enumerate(variables):
                    variable.assign(kept[f"variable_{number}"])
                self._best_weights = [kept[f"best_{n}"] for n in range(int(kept["num_best"]))] or None
                self._best_loss, self._best_epoch = float(kept["best_loss"]), int(kept["best_epoch"])
                self._seconds_before = float(kept["seconds"])
                self.num_epochs_done, self.kept_epoch = int(kept["num_epochs_done"]), int(kept["kept_epoch"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{CHECKPOINT_FILE} of {self._writer.run_dir.name!r} is damaged. Start a new training."
            ) from error
        self._epoch, self._num_steps_done = self.num_epochs_done, self._num_steps
        self._check_patience()
        return self.num_epochs_done
