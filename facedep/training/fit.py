"""Fit a network to pictures (or to features of pictures), from the first epoch or from where a run broke off.

The same for every recipe: what goes in is an array and its targets, what comes out is the network with the weights
worth keeping.
"""

import dataclasses
import functools
import os
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported; see `architecture.py`
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
from keras import ops

from facedep.data.image_cache import ResizedImages
from facedep.errors import RunError
from facedep.networks.classifier import build_graph
from facedep.runs import run_folder
from facedep.runs.run_config import RunConfig
from facedep.runs.writer import RunWriter
from facedep.training.architecture import build_network, compute_outputs, list_weights, save_network
from facedep.training.augmentation import AUGMENTATIONS, Augmentation, mirror_images
from facedep.training.batches import Batches
from facedep.training.callbacks import TrainingMonitor
from facedep.training.checkpoint import has_checkpoint
from facedep.training.devices import ONE_DEVICE, Devices, find_devices, skip_graph_rewriting
from facedep.training.inputs import ArrayDataset, FitPlan, FitSummary, FittedRun
from facedep.training.losses import LogitAdjustedCrossentropy
from facedep.training.prepare import PreparedRun

_MAX_GRAPH_DIFFERENCE = 1e-4  # rounding makes some 1e-7
_MAX_CHECKED_IMAGES = 512


@dataclass(frozen=True)
class _Phase:
    """Epochs of a fit that see the pictures in the same way.

    Attributes:
        end: The last epoch.
        network: The network for pictures of this size.
        arrays: The subsets at this size.
        augment: How the training pictures are changed at random; None for not at all.
    """

    end: int
    network: keras.Model
    arrays: dict[str, ArrayDataset]
    augment: Augmentation | None


def set_up(config: RunConfig) -> Devices:
    """Returns the devices of a run; to be called before anything is computed.

    Args:
        config: The settings.

    Raises:
        RunError: There are not so many devices.
    """
    devices = find_devices(config.num_devices)
    skip_graph_rewriting()
    return devices


def fit_network_run(prepared: PreparedRun, writer: RunWriter, devices: Devices) -> FittedRun:
    """Trains the network of a run, from random weights or the run's checkpoint.

    Args:
        prepared: The run.
        writer: The run's writer.
        devices: From `set_up`.

    Raises:
        RunError: The learning rate was too high, the checkpoint does not fit, or Keras and ONNX Runtime disagree.
    """
    plan = prepared.plan
    writer.write_status(run_folder.RUNNING, stage="training")
    keras.utils.set_random_seed(plan.config.seed)
    network = build_network(plan.recipe, len(plan.class_spec.class_names))
    monitor = fit_network(network, prepared.arrays, plan=plan, writer=writer, devices=devices)
    graph = build_graph(plan.recipe, network.output_shape[-1], list_weights(network))
    images = prepared.arrays.get("val", prepared.arrays["train"]).images[:_MAX_CHECKED_IMAGES]
    difference = float(np.abs(graph.compute(images) - compute_outputs(network, images)).max())
    if difference > _MAX_GRAPH_DIFFERENCE:
        raise RunError(
            f"The trained network predicts otherwise in ONNX Runtime than in Keras (difference {difference:.2g}) and "
            "cannot be used. Install the versions of constraints.txt, then go on with this run."
        )
    summary = FitSummary(
        num_epochs_done=monitor.num_epochs_done,
        kept_epoch=monitor.kept_epoch,
        num_images_seen=monitor.num_images_seen,
        was_stopped=monitor.was_stopped,
        has_diverged=monitor.has_diverged,
    )
    return FittedRun(graph, difference, summary, functools.partial(save_network, network, plan.recipe))


def fit_network(
    network: keras.Model,
    arrays: dict[str, ArrayDataset],
    *,
    plan: FitPlan,
    writer: RunWriter,
    devices: Devices = ONE_DEVICE,
) -> TrainingMonitor:
    """Trains a network in place, from the run's checkpoint where there is one, and leaves the weights worth keeping.

    Args:
        network: The untrained network.
        arrays: "train", and "val" if there is one to choose the best epoch on.
        plan: How to train, and what the outputs mean.
        writer: The run's writer.
        devices: What shares the work.

    Returns:
        How it went.

    Raises:
        RunError: The learning rate was too high, or the checkpoint does not fit.
    """
    is_resumed = has_checkpoint(writer.run_dir)
    num_steps = plan.count_steps(arrays["train"])
    class_shares = arrays["train"].targets.mean(axis=0)
    for phase in _plan_phases(network, arrays, plan):
        learner = devices.copy_network(phase.network)
        monitor = TrainingMonitor(writer, phase.network, phase.arrays.get("val"), plan=plan, num_steps=num_steps)
        monitor.set_model(learner)
        with devices.hold():
            _compile(learner, plan, num_steps=num_steps, class_shares=class_shares)
            num_epochs_done = monitor.restore_checkpoint()  # the early phase hands over by it too
        if is_resumed:
            writer.forget_metrics_after(num_epochs_done)
            is_resumed = False
        if num_epochs_done < phase.end and not monitor.is_past_patience:
            with devices.share():
                learner.fit(
                    Batches(phase.arrays["train"], plan.config, augment=phase.augment, first_epoch=num_epochs_done),
                    initial_epoch=num_epochs_done,
                    epochs=phase.end,
                    shuffle=False,  # the batches are shuffled already, the same way on every backend
                    callbacks=[monitor],
                    verbose=0,
                )
        if monitor.was_stopped or monitor.has_diverged:
            break
    if monitor.has_diverged and not monitor.has_kept_weights:
        raise RunError(
            f"With the learning rate {plan.config.learning_rate:g} the loss is no longer a number, and nothing was "
            f"learned. Start again with a lower one; this recipe's is {plan.recipe.learning_rate:g}."
        )
    monitor.restore_kept_weights()
    if learner is not network:
        network.set_weights(learner.get_weights())
    return monitor


def _plan_phases(network: keras.Model, arrays: dict[str, ArrayDataset], plan: FitPlan) -> list[_Phase]:
    """Returns the epochs on smaller pictures, if there are any, with the same weights, and all others."""
    recipe = plan.recipe
    whole = _Phase(plan.num_epochs, network, arrays, AUGMENTATIONS[plan.config.augmentation or recipe.augmentation])
    if not plan.num_progressive_resizing_epochs:
        return [whole]
    size_px = recipe.progressive_resizing_size_px
    small_network = build_network(dataclasses.replace(recipe, input_size_px=size_px), network.output_shape[-1])
    small_network.set_weights(network.get_weights())
    small_arrays = {
        subset: dataclasses.replace(array, images=ResizedImages(array.images, size_px))
        for subset, array in arrays.items()
    }
    return [_Phase(plan.num_progressive_resizing_epochs, small_network, small_arrays, mirror_images), whole]


def _compile(network: keras.Model, plan: FitPlan, *, num_steps: int, class_shares: np.ndarray) -> None:
    """Gives a network its optimizer, its loss and its measure, and builds the optimizer's variables."""
    recipe, class_spec = plan.recipe, plan.class_spec
    optimizer = _build_optimizer(plan, num_steps=num_steps)
    if len(class_spec.class_names) == 1:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing)
    elif strength := plan.config.logit_adjustment:
        loss = LogitAdjustedCrossentropy(class_shares, strength, label_smoothing=recipe.label_smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    columns = class_spec.is_positive.astype(np.float32)

    def accuracy(targets: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
        """Share of pictures put into the right group, the same measure for every recipe."""
        truth = ops.sum(ops.multiply(ops.cast(targets, "float32"), columns), axis=-1) >= 0.5
        predicted = ops.sum(ops.multiply(outputs, columns), axis=-1) >= 0.5
        return ops.cast(truth == predicted, "float32")

    # Variables made only in the first step would have that step traced twice, 3 s for `compact`.
    optimizer.build(network.trainable_variables)
    metric = keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")
    network.compile(optimizer=optimizer, loss=loss, metrics=[metric])


def _build_optimizer(plan: FitPlan, *, num_steps: int) -> keras.optimizers.Optimizer:
    recipe, config = plan.recipe, plan.config
    rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    if recipe.schedule == "cosine":
        total = num_steps * config.num_epochs
        warmup = num_steps if config.num_progressive_resizing_epochs else max(1, total // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            config.learning_rate / 25, max(1, total - warmup), warmup_target=config.learning_rate, warmup_steps=warmup
        )
    average = {"use_ema": True, "ema_momentum": config.ema_momentum} if config.ema_momentum else {}
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **average)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        optimizer = keras.optimizers.Adam(rate, **average)
    return optimizer
