"""Train a classification head on fixed features, in NumPy: what `quick` learns. Seconds, and no TensorFlow.

The features are standardised once, then dropped at random, then weighted and summed; softmax (or a sigmoid), cross-
entropy, AdamW, a rate that rises and falls along a cosine: what Keras would do with the same layers, without the
seconds that importing it takes.
"""

import dataclasses
import functools
import math
import time
from dataclasses import dataclass

import numpy as np

from facedep.errors import RunError
from facedep.evaluation.metrics import compute_accuracy, compute_roc_auc
from facedep.inference.stage_features import compute_stage_features
from facedep.networks.classifier import build_graph
from facedep.networks.graph import Graph
from facedep.networks.layers import HEAD_DROPOUT, HEAD_NORM, NORM_EPSILON, OUTPUT, list_layers, list_weight_shapes
from facedep.networks.predictions import sum_depressed
from facedep.networks.weights import Weights, write_weights
from facedep.runs import run_folder
from facedep.runs.writer import RunWriter
from facedep.training.inputs import ArrayDataset, FitPlan, FitSummary, FittedRun
from facedep.training.prepare import PreparedRun, report_progress

_WARM_UP_SHARE, _FIRST_RATE_SHARE = 0.1, 1 / 25
_MEAN_DECAY, _SQUARE_DECAY, _ADAM_EPSILON = 0.9, 0.999, 1e-7
_SMALLEST = 1e-7
_ROWS_AT_ONCE = 4096
_MAX_STANDARDISED_BYTES = 256 * 1024**2  # FER2013's take 200 MB


@dataclass(frozen=True)
class HeadSettings:
    """How a head is trained; the fields mean what those of `networks.recipes.Recipe` mean.

    Attributes:
        num_epochs: Passes over the features.
        batch_size: Pictures a step.
        learning_rate: The highest.
        weight_decay: Of the kernel.
        label_smoothing: Share of each label spread over all classes.
        logit_adjustment: See `training.losses`.
        seed: Of order and dropout.
    """

    num_epochs: int
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    logit_adjustment: float = 0.0
    seed: int = 0


class HeadTrainer:
    """Trains a head, an epoch at a call.

    Args:
        features: `float` array of shape `(n, length)`.
        targets: `float32` array of shape `(n, outputs)`, 0..1: the share of each class in the label; one column for
            P(depressed).
        settings: How.

    Reference: Loshchilov & Hutter 2017, arXiv 1711.05101 (AdamW); 1608.03983 (cosine).
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, settings: HeadSettings):
        self._features, self._settings = features, settings
        self._is_sigmoid = targets.shape[1] == 1
        self._targets = self._smooth(targets)
        self._mean, self._variance = _measure_columns(features)
        self._scale = 1 / np.sqrt(self._variance + np.float32(NORM_EPSILON))
        self._standardised = self._standardise(features) if features.size * 4 <= _MAX_STANDARDISED_BYTES else None
        rng = np.random.default_rng(settings.seed)
        limit = math.sqrt(6 / (features.shape[1] + targets.shape[1]))  # Glorot & Bengio 2010, as in Keras
        self._kernel = rng.uniform(-limit, limit, (features.shape[1], targets.shape[1])).astype(np.float32)
        self._bias = np.zeros(targets.shape[1], np.float32)
        self._moments = [[np.zeros_like(values) for _ in range(2)] for values in (self._kernel, self._bias)]
        self._offsets = np.zeros(targets.shape[1], np.float32)
        if settings.logit_adjustment:
            self._offsets = (settings.logit_adjustment * np.log(targets.mean(axis=0))).astype(np.float32)
        self._num_steps_in_epoch = -(-len(features) // settings.batch_size)
        self._step = self._epoch = 0

    @property
    def weights(self) -> Weights:
        """The head's weights, by the names of the layers of the recipe `quick`."""
        ones, zeros = np.ones_like(self._mean), np.zeros_like(self._mean)
        return {HEAD_NORM: [ones, zeros, self._mean, self._variance], OUTPUT: [self._kernel.copy(), self._bias.copy()]}

    def train_epoch(self) -> np.ndarray:
        """Trains for an epoch; returns what was predicted on the way, with dropout: `float32`, `(n, outputs)`."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, self._epoch])
        order = rng.permutation(len(self._features))
        predicted = np.empty_like(self._targets)
        for start in range(0, len(order), settings.batch_size):
            rows = order[start : start + settings.batch_size]
            known = self._standardised
            inputs = self._standardise(self._features[rows]) if known is None else known[rows]
            inputs *= (rng.random(inputs.shape, np.float32) >= HEAD_DROPOUT) / np.float32(1 - HEAD_DROPOUT)
            logits = inputs @ self._kernel + self._bias
            predicted[rows] = self._activate(logits)
            errors = (self._activate(logits + self._offsets) - self._targets[rows]) / len(rows)
            self._update(inputs.T @ errors, errors.sum(axis=0))
        self._epoch += 1
        return predicted

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns probabilities: `float32` array of shape `(n, outputs)`.

        Args:
            features: `float` array of shape `(n, length)`.
        """
        outputs = [np.zeros((0, self._kernel.shape[1]), np.float32)]
        for start in range(0, len(features), _ROWS_AT_ONCE):
            inputs = self._standardise(features[start : start + _ROWS_AT_ONCE])
            outputs.append(self._activate(inputs @ self._kernel + self._bias))
        return np.concatenate(outputs)

    def compute_loss(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """Returns the mean cross-entropy, at least 0, with the settings' smoothing and adjustment; low is good.

        Args:
            outputs: Probabilities, `float` array of shape `(n, outputs)`.
            targets: Labels, of the same shape.
        """
        targets, outputs = self._smooth(targets), np.clip(outputs, _SMALLEST, 1 - _SMALLEST)
        if self._is_sigmoid:
            return float(-(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)).mean())
        adjusted = self._activate(np.log(outputs) + self._offsets)
        return float(-(targets * np.log(np.clip(adjusted, _SMALLEST, 1))).sum(axis=1).mean())

    def _smooth(self, targets: np.ndarray) -> np.ndarray:
        share = self._settings.label_smoothing
        return ((1 - share) * targets + share / max(2, targets.shape[1])).astype(np.float32)

    def _standardise(self, features: np.ndarray) -> np.ndarray:
        return (features - self._mean) * self._scale

    def _activate(self, logits: np.ndarray) -> np.ndarray:
        if self._is_sigmoid:
            return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def _update(self, *gradients: np.ndarray) -> None:
        """Takes one step of AdamW; the bias does not decay."""
        rate = self._find_rate()
        self._step += 1
        self._kernel *= np.float32(1 - rate * self._settings.weight_decay)
        correction = math.sqrt(1 - _SQUARE_DECAY**self._step) / (1 - _MEAN_DECAY**self._step)
        for values, gradient, (mean, square) in zip((self._kernel, self._bias), gradients, self._moments, strict=True):
            mean += (1 - _MEAN_DECAY) * (gradient - mean)
            square += (1 - _SQUARE_DECAY) * (gradient**2 - square)
            values -= np.float32(rate * correction) * mean / (np.sqrt(square) + np.float32(_ADAM_EPSILON))

    def _find_rate(self) -> float:
        """Returns the learning rate of this step: it rises over the first tenth, then falls to nothing."""
        highest, num_steps = self._settings.learning_rate, self._num_steps_in_epoch * self._settings.num_epochs
        num_warm_up = max(1, int(num_steps * _WARM_UP_SHARE))
        if self._step < num_warm_up:
            return highest * (_FIRST_RATE_SHARE + (1 - _FIRST_RATE_SHARE) * self._step / num_warm_up)
        return highest / 2 * (1 + math.cos(math.pi * (self._step - num_warm_up) / max(1, num_steps - num_warm_up)))


def _measure_columns(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance of each column, `float32`; computed in parts, since the features may be half floats."""
    total, squares = np.zeros((2, features.shape[1]))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        part = features[start : start + _ROWS_AT_ONCE].astype(np.float64)
        total += part.sum(axis=0)
        squares += (part**2).sum(axis=0)
    mean = total / len(features)
    return mean.astype(np.float32), np.maximum(0, squares / len(features) - mean**2).astype(np.float32)


def fit_head(arrays: dict[str, ArrayDataset], *, plan: FitPlan, writer: RunWriter) -> tuple[Weights, FitSummary]:
    """Trains a head, writes a measurement after every epoch, and returns the weights worth keeping.

    Args:
        arrays: "train", and "val" if there is one to choose the best epoch on; features instead of pictures.
        plan: How to train, and what the outputs mean.
        writer: The run's writer.

    Returns:
        The head's weights, and how it went.

    Raises:
        RunError: The learning rate was too high.
    """
    train, val = arrays["train"], arrays.get("val")
    trainer = HeadTrainer(np.asarray(train.images), train.targets, _read_settings(plan))
    kept_weights, kept_epoch, best_loss = trainer.weights, 0, math.inf
    has_diverged = was_stopped = False
    epoch, started = 0, time.monotonic()
    while epoch < plan.num_epochs and not (has_diverged or was_stopped):
        epoch, epoch_started = epoch + 1, time.monotonic()
        measured, _ = _measure(trainer, trainer.train_epoch(), train, plan)
        train_seconds = time.monotonic() - epoch_started
        if val is not None:
            scored, probabilities = _measure(trainer, trainer.predict(np.asarray(val.images)), val, plan)
            measured |= {f"val_{name}": value for name, value in scored.items()}
            measured["val_roc_auc"] = compute_roc_auc(val.is_depressed, probabilities)
        has_diverged = not all(math.isfinite(measured.get(name, 0.0)) for name in ("loss", "val_loss"))
        if not has_diverged and measured.get("val_loss", -math.inf) < best_loss:
            kept_weights, kept_epoch, best_loss = trainer.weights, epoch, measured.get("val_loss", math.inf)
        seconds = {"seconds": round(time.monotonic() - started, 2), "train_seconds": round(train_seconds, 3)}
        writer.write_metrics(kind="epoch", epoch=epoch, **measured, **seconds)
        was_stopped = writer.is_stop_requested
        if val is not None and epoch - kept_epoch >= plan.recipe.patience:
            break
    if has_diverged and not kept_epoch:
        raise RunError(
            f"With the learning rate {plan.config.learning_rate:g} the loss is no longer a number, and nothing was "
            f"learned. Start again with a lower one; this recipe's is {plan.recipe.learning_rate:g}."
        )
    num_images_seen = epoch * plan.count_steps(train) * plan.config.batch_size
    return kept_weights, FitSummary(epoch, kept_epoch, num_images_seen, was_stopped, has_diverged)


def fit_head_run(prepared: PreparedRun, writer: RunWriter) -> FittedRun:
    """Trains the head of a `quick` run; its stages are those of the model that it starts from.

    Args:
        prepared: The run; it has a pretrained model.
        writer: The run's writer.

    Raises:
        RunError: The learning rate was too high.
        StopRequestedError: It was asked to end before the first epoch.
    """
    if prepared.pretrained is None:
        raise ValueError("a head needs stages")
    stages = prepared.pretrained.graph
    arrays = compute_features(prepared, stages, writer)
    writer.write_status(run_folder.RUNNING, stage="training")
    head, summary = fit_head(arrays, plan=prepared.plan, writer=writer)
    recipe, num_outputs = prepared.plan.recipe, len(prepared.plan.class_spec.class_names)
    shapes = list_weight_shapes(list_layers(recipe, num_outputs), recipe.input_size_px)
    weights = {name: head.get(name) or stages.weights[name] for name in shapes}
    graph = build_graph(recipe, num_outputs, weights)
    return FittedRun(graph, None, summary, functools.partial(write_weights, weights=weights))


def compute_features(prepared: PreparedRun, stages: Graph, writer: RunWriter) -> dict[str, ArrayDataset]:
    """Returns the subsets with what the stages see instead of pictures; train has each picture mirrored too.

    Args:
        prepared: The run.
        stages: The pretrained network.
        writer: The run's writer.
    """
    report = report_progress(writer, "Looking at each picture once")
    found = {}
    for subset, dataset in prepared.arrays.items():
        content_hash = prepared.data.dataset.content_hash
        features = compute_stage_features(stages, dataset.images, content_hash=content_hash, on_progress=report)
        if subset == "train":
            both = np.concatenate([features[:, 0], features[:, 1]])
            found[subset] = ArrayDataset(both, np.tile(dataset.targets, (2, 1)), np.tile(dataset.is_depressed, 2))
        else:
            found[subset] = dataclasses.replace(dataset, images=features[:, 0])
    return found


def _read_settings(plan: FitPlan) -> HeadSettings:
    config, recipe = plan.config, plan.recipe
    return HeadSettings(
        num_epochs=config.num_epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        logit_adjustment=config.logit_adjustment,
        seed=config.seed,
    )


def _measure(
    trainer: HeadTrainer, outputs: np.ndarray, dataset: ArrayDataset, plan: FitPlan
) -> tuple[dict[str, float], np.ndarray]:
    """Returns loss and accuracy of some outputs, and P(depressed)."""
    class_spec = plan.class_spec
    probabilities = sum_depressed(outputs, class_spec.class_names, class_spec.positive_classes)
    loss = trainer.compute_loss(outputs, dataset.targets)
    return {"loss": loss, "accuracy": compute_accuracy(dataset.is_depressed, probabilities)}, probabilities
