"""Spread a training over several devices of this machine: each takes an equal share of every batch.

Keras' own data parallelism, which differs by backend: `keras.distribution.DataParallel` on JAX and
`tf.distribute.MirroredStrategy` on TensorFlow (https://keras.io/guides/distribution,
https://keras.io/guides/distributed_training_with_tensorflow). Gradients are averaged over the devices in every step, so
the number of devices changes how long a step takes, not what it learns: nine steps of `compact` on two devices and on
one gave the same losses to 1e-15 in double precision. In single precision Adam enlarges the rounding (3e-3 after nine
steps). Only dropout differs on TensorFlow, where each device draws the same pattern for its own share.

A machine without a GPU shows its processor as so many devices; that proves the way it works and saves no time.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import keras

from facedep.errors import RunError


@dataclass(frozen=True)
class Devices:
    """The devices of one training.

    Attributes:
        num_devices: How many there are.
        hold: `with devices.hold():` a network, its optimizer and whatever else a fit changes lie on every device.
        share: `with devices.share():` a fit cuts each batch into equal shares. Predict outside of it.
    """

    num_devices: int
    hold: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
    share: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext

    def copy_network(self, network: keras.Model) -> keras.Model:
        """Returns a copy of a network with its weights that lies on every device; the same network where there is one.

        Fit the copy, then give its weights back: a network that lies on several devices answers a batch of n pictures
        with n rows from each of them (TensorFlow).
        """
        if self.num_devices == 1:
            return network
        with self.hold():
            copy = keras.models.clone_model(network)
            for variable, source in zip(copy.variables, network.variables, strict=True):  # random states among them
                variable.assign(keras.ops.convert_to_numpy(source))
        if keras.backend.backend() == "tensorflow":  # on JAX a batch has one mean and variance however it is cut
            for layer in copy.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.synchronized = True
        return copy


ONE_DEVICE = Devices(1)


def skip_graph_rewriting() -> None:
    """Makes TensorFlow run its graphs on a processor as they are traced: rewriting them first gains nothing there.

    The first step of `compact` comes after 3.8 instead of 5.3 to 6.5 s. Pictures a second on two cores, two runs each
    beside other work: `compact` 594 and 454, rewritten 513 and 498; `article` 219 and 222, rewritten 244 and 198.
    Read in TensorFlow 2.21, which calls this way of setting it experimental; without it a training only starts later.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def find_devices(num_devices: int) -> Devices:
    """Returns so many devices of this machine: GPUs if it has one, else its processor divided.

    Call it before anything is computed: the processor can be divided only then.

    Args:
        num_devices: How many are to share the work; 1 leaves everything as it is.

    Raises:
        RunError: There are fewer, or the backend has no data parallelism in Keras.
    """
    if num_devices == 1:
        return ONE_DEVICE
    backend = keras.backend.backend()
    if backend not in _FINDERS:
        raise RunError(
            f"Training on {num_devices} devices needs TensorFlow or JAX; this is {backend}. "
            "Set KERAS_BACKEND to tensorflow or jax, or train on one device."
        )
    return _FINDERS[backend](num_devices)


def _find_in_tensorflow(num_devices: int) -> Devices:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        processor = tf.config.list_physical_devices("CPU")[0]
        with contextlib.suppress(RuntimeError):  # TensorFlow has computed something already: see what there is
            logical_devices = [tf.config.LogicalDeviceConfiguration()] * num_devices
            tf.config.set_logical_device_configuration(processor, logical_devices)
    names = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    _check_number(num_devices, names)
    strategy = tf.distribute.MirroredStrategy(names[:num_devices])
    # The fit itself finds the strategy by the network. Inside of the scope a callback's losses would be divided by the
    # number of devices, and every prediction would come once from each.
    return Devices(num_devices, hold=strategy.scope)


def _find_in_jax(num_devices: int) -> Devices:
    import jax

    with contextlib.suppress(RuntimeError):  # JAX has computed something already: see what there is
        jax.config.update("jax_num_cpu_devices", num_devices)
    names = keras.distribution.list_devices()
    _check_number(num_devices, names)
    distribution = keras.distribution.DataParallel(devices=names[:num_devices])
    return Devices(num_devices, hold=distribution.scope, share=distribution.scope)


_FINDERS = {"tensorflow": _find_in_tensorflow, "jax": _find_in_jax}


def _check_number(num_devices: int, names: list[str]) -> None:
    if len(names) < num_devices:
        kind = "GPU" if "gpu" in names[0].lower() else "processor"
        available = f"{len(names)} {kind}" + ("s" if len(names) > 1 else "")
        raise RunError(
            f"{num_devices} devices were asked for, and this machine has {available}. "
            f"Choose --devices {len(names)}" + (" or fewer." if len(names) > 1 else ".")
        )
