"""What happens after each step and each epoch of a fit: measurements, the best epoch, the checkpoint, the end."""

import contextlib
import math
import time
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from facedep.evaluation.metrics import compute_accuracy, compute_roc_auc
from facedep.networks.predictions import sum_depressed
from facedep.runs.writer import RunWriter
from facedep.training.architecture import compute_outputs
from facedep.training.checkpoint import (
    Checkpoint,
    build_damage_error,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from facedep.training.inputs import ArrayDataset, FitPlan

_SECONDS_BETWEEN_POINTS = 0.3
_MAX_DENSITY = 400  # later the points come less often, so that a run of hours keeps some thousand


class TrainingMonitor(keras.callbacks.Callback):
    """Measures after each epoch, writes it down, remembers the weights worth keeping, and ends the fit in time.

    Which epoch is the best, and when to wait no longer, is Keras' own `EarlyStopping`. It is called from here rather
    than by Keras, because it has to see the averaged weights, and because Keras' `on_train_begin` would make it forget
    what a resumed run knows. The end for a loss that is no number is not Keras' `TerminateOnNaN`, which does not see
    the validation loss, does not say that it ended the fit, and prints to standard output.

    Args:
        writer: The run's writer.
        network: The network to predict with, on one device; Keras' `self.model` may lie on several.
        val: The val subset; None if there is none.
        plan: How the network is fitted.
        num_steps: In an epoch.

    Attributes:
        num_epochs_done: Whole epochs.
        was_stopped: Whether the fit was asked to end.
        has_diverged: Whether the loss is no longer a number.
    """

    def __init__(
        self, writer: RunWriter, network: keras.Model, val: ArrayDataset | None, *, plan: FitPlan, num_steps: int
    ):
        super().__init__()
        self._writer, self._network, self._val, self._plan, self._num_steps = writer, network, val, plan, num_steps
        self._early_stopping = keras.callbacks.EarlyStopping(
            monitor="val_loss",
            mode="min",
            patience=plan.recipe.patience or math.inf,
            restore_best_weights=plan.recipe.checkpoint_policy == "best",
            start_from_epoch=plan.num_progressive_resizing_epochs,
        )
        self._early_stopping.on_train_begin()
        self._last_point = 0.0
        self._epoch, self._num_steps_done = 1, 0
        self._seconds_before = 0.0
        self._started = self._epoch_started = time.monotonic()
        self.num_epochs_done = 0
        self.was_stopped = self.has_diverged = False

    @property
    def num_images_seen(self) -> int:
        """Pictures trained on so far, counted again in every epoch; the last batch of an epoch counts as full."""
        num_steps = (self._epoch - 1) * self._num_steps + self._num_steps_done
        return num_steps * self._plan.config.batch_size

    @property
    def has_kept_weights(self) -> bool:
        """Whether `restore_kept_weights` puts back the weights of a best epoch."""
        return self._early_stopping.best_weights is not None

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the network has in the end; 0 for none whole."""
        return self._best_epoch if self.has_kept_weights else self.num_epochs_done

    @property
    def is_past_patience(self) -> bool:
        """Whether no better epoch came for as long as the recipe waits."""
        return self._early_stopping.wait >= self._early_stopping.patience

    @property
    def _best_epoch(self) -> int:
        """The epoch with the lowest validation loss, counted from 1; 0 before there is one."""
        return 0 if self._early_stopping.best is None else self._early_stopping.best_epoch + 1

    def set_model(self, model: keras.Model) -> None:
        """Takes the network that is fitted; Keras calls it too."""
        super().set_model(model)
        self._early_stopping.set_model(model)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Starts the clock where an earlier part of the run stopped it."""
        self._started = time.monotonic() - self._seconds_before

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the epoch's clock."""
        self._epoch, self._num_steps_done = epoch + 1, 0
        self._epoch_started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Writes a point of the curve now and then, and ends the fit on request."""
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

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Measures a whole epoch, compares it with the best one, and keeps what the next one depends on."""
        if self.was_stopped and self._num_steps_done < self._num_steps:
            return  # an epoch broken off is no point on the curve, and not the best one
        train_seconds = time.monotonic() - self._epoch_started
        self.num_epochs_done = epoch + 1
        self._check_loss(logs["loss"])
        with self._average_weights():
            measured = self._measure_val()
            if measured and not self.has_diverged:
                self._early_stopping.on_epoch_end(epoch, measured)
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
        """Inside, the network has the running mean of its weights, where the run keeps one.

        Not Keras' `SwapEMAWeights` (3.15): on TensorFlow it swaps by adding and subtracting, which rounds the weights
        that the training goes on with, so that a run would depend on how often it is measured; and where a fit ends
        before its last epoch, it leaves the network without the mean.
        """
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            yield
            return
        weights = self.model.get_weights()
        optimizer.finalize_variable_values(self.model.trainable_variables)
        yield
        self.model.set_weights(weights)

    def _measure_val(self) -> dict[str, float]:
        """Returns loss, accuracy and ROC AUC on the val subset; nothing without one."""
        if self._val is None:
            return {}
        if self._network is not self.model:
            self._network.set_weights(self.model.get_weights())
        outputs = compute_outputs(self._network, self._val.images)
        class_spec = self._plan.class_spec
        probabilities = sum_depressed(outputs, class_spec.class_names, class_spec.positive_classes)
        loss = float(self.model.loss(ops.convert_to_tensor(self._val.targets), ops.convert_to_tensor(outputs)))
        self._check_loss(loss)
        return {
            "val_loss": loss,
            "val_accuracy": compute_accuracy(self._val.is_depressed, probabilities),
            "val_roc_auc": compute_roc_auc(self._val.is_depressed, probabilities),
        }

    def _check_loss(self, loss: float) -> None:
        """Ends the training once the loss is no number: it never becomes one again."""
        if not np.isfinite(float(loss)):
            self.has_diverged = True
            self.model.stop_training = True

    def restore_kept_weights(self) -> None:
        """Puts the best epoch's weights back where the recipe keeps the best; else the last ones stay."""
        self._early_stopping.on_train_end()

    def _list_variables(self) -> list[keras.Variable]:
        """Everything that the next epoch depends on, random states and the optimizer's position among it."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _write_checkpoint(self) -> None:
        best_loss = self._early_stopping.best
        checkpoint = Checkpoint(
            data_hash=self._plan.data_hash,
            num_epochs_done=self.num_epochs_done,
            best_epoch=self._best_epoch,
            best_loss=math.inf if best_loss is None else best_loss,
            seconds=time.monotonic() - self._started,
            variables=[ops.convert_to_numpy(variable) for variable in self._list_variables()],
            best_weights=self._early_stopping.best_weights or [],
        )
        write_checkpoint(self._writer.run_dir, checkpoint)

    def restore_checkpoint(self) -> int:
        """Puts everything back as it was after the run's last whole epoch; returns that epoch's number, 0 for none.

        Raises:
            RunError: The checkpoint is damaged or does not fit, or the run began with other pictures.
        """
        run_dir = self._writer.run_dir
        if not has_checkpoint(run_dir):
            return 0
        checkpoint = read_checkpoint(run_dir, data_hash=self._plan.data_hash)
        try:
            for variable, values in zip(self._list_variables(), checkpoint.variables, strict=True):
                variable.assign(values)
        except ValueError as error:
            raise build_damage_error(run_dir) from error
        self.num_epochs_done = self._epoch = checkpoint.num_epochs_done
        self._num_steps_done, self._seconds_before = self._num_steps, checkpoint.seconds
        if checkpoint.best_epoch:
            self._early_stopping.best = checkpoint.best_loss
            self._early_stopping.best_epoch = checkpoint.best_epoch - 1
        self._early_stopping.best_weights = checkpoint.best_weights or None
        first_judged = max(checkpoint.best_epoch, self._plan.num_progressive_resizing_epochs)
        if self._val is not None:
            self._early_stopping.wait = max(0, self.num_epochs_done - first_judged)
        return self.num_epochs_done
