"""The networks themselves, in Keras: how each recipe's layers are built, cut in two, saved and loaded.

A model file can bring no code with it: a network is always built here, by its recipe's name, and only numbers are read
from the file.
"""

import functools
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, or it has no effect

import keras
import numpy as np
from keras import layers

from facedep.files import write_atomically
from facedep.networks.recipes import Recipe

FEATURES_LAYER = "features"


def build_network(recipe: Recipe, num_outputs: int) -> keras.Model:
    """Returns an untrained network: `uint8`-valued pictures `(n, size, size, 1)`, 0-255, to probabilities.

    Args:
        recipe: The architecture.
        num_outputs: 1 for P(depressed) from a sigmoid; more for one probability per class from a softmax.
    """
    inputs = keras.Input((recipe.input_size_px, recipe.input_size_px, 1), name="face")
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    bodies = {"article": _build_article_body, "compact": _build_compact_body, "quick": _build_quick_body}
    x = bodies[recipe.name](x)
    activation = "sigmoid" if num_outputs == 1 else "softmax"
    outputs = layers.Dense(num_outputs, activation=activation, dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=recipe.name)


def _build_article_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The published layers: 3 x (convolution, max pooling), dropout, dense, dropout."""
    for number, width in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(width, 3, activation="relu", name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="dropout_1")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    return layers.Dropout(0.3, name="dropout_2")(x)


def _build_compact_stages(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    """A stem that halves the picture and three stages of two residual blocks; returns what each stage gives.

    Reference: He et al. 2015, arXiv 1512.03385; Hu et al. 2017, arXiv 1709.01507.
    """
    x = _convolve(x, 32, kernel=3, stride=2, name="stem")
    x = layers.Activation("relu", name="stem_relu")(x)
    stages = []
    for stage, (width, first_stride) in enumerate(((32, 1), (64, 2), (128, 2)), start=1):
        for letter, stride in (("a", first_stride), ("b", 1)):
            x = _add_residual_block(x, width, stride=stride, name=f"block_{stage}{letter}")
        stages.append(x)
    return stages


def _build_compact_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The three stages, global average pooling, dropout."""
    x = layers.GlobalAveragePooling2D(name="pool")(_build_compact_stages(x)[-1])
    return layers.Dropout(0.3, name="dropout")(x)


def _build_quick_body(x: keras.KerasTensor) -> keras.KerasTensor:
    """The stages of `compact`, which stay as they are, and a small head on what the last two of them see.

    The last stage's average says which expression; the second one's 4 x 4 grid says what is where, which helps on faces
    unlike those that the stages were trained on (validation AUC on the drawn faces 0.90 instead of 0.85, measured).
    """
    _, middle, last = _build_compact_stages(x)
    grid = layers.Flatten(name="grid_values")(layers.AveragePooling2D(3, name="grid")(middle))
    x = layers.Concatenate(name=FEATURES_LAYER)([layers.GlobalAveragePooling2D(name="pool")(last), grid])
    x = layers.BatchNormalization(momentum=0.9, name="head_norm")(x)
    return layers.Dropout(0.6, name="head_dropout")(x)


def _add_residual_block(x: keras.KerasTensor, width: int, *, stride: int, name: str) -> keras.KerasTensor:
    """Two convolutions whose channels are weighted by squeeze-and-excitation, added to their input."""
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = _convolve(x, width, kernel=1, stride=stride, name=f"{name}_shortcut")
    x = _convolve(x, width, kernel=3, stride=stride, name=f"{name}_first")
    x = layers.Activation("relu", name=f"{name}_first_relu")(x)
    x = _convolve(x, width, kernel=3, stride=1, name=f"{name}_second")
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    squeezed = layers.Conv2D(width // 4, 1, activation="relu", name=f"{name}_reduce")(squeezed)
    gate = layers.Conv2D(width, 1, activation="sigmoid", name=f"{name}_gate")(squeezed)
    x = layers.Multiply(name=f"{name}_excite")([x, gate])
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _convolve(x: keras.KerasTensor, width: int, *, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def cut_at_features(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Returns a `quick` network as two: pictures to features, and features to probabilities; they share its weights."""
    features = network.get_layer(FEATURES_LAYER).output
    return keras.Model(network.input, features), keras.Model(features, network.output)


def expose_features(network: keras.Model) -> keras.Model:
    """Returns the network with two outputs: its own, and what its last layer decides on."""
    return keras.Model(network.input, [network.output, network.layers[-1].input])


def compute_feature_maps(network: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns a network's last feature maps, and the weights and biases that make outputs of their mean.

    Args:
        network: The network.
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255.

    Returns:
        Maps, `float32` of shape `(n, height, width, channels)`; weights, `(channels, outputs)`; biases, `(outputs,)`.
        None if more than the mean over each map lies between the maps and the last dense layer.
    """
    body_and_dense = _cut_at_maps(network)
    if body_and_dense is None:
        return None
    body, dense = body_and_dense
    # Called directly: `predict` would trace each such network, which takes seconds.
    maps = keras.ops.convert_to_numpy(body(images.astype(np.float32), training=False))
    weights, biases = dense.get_weights()
    return maps, weights, biases


@functools.lru_cache(maxsize=4)
def _cut_at_maps(network: keras.Model) -> tuple[keras.Model, layers.Dense] | None:
    """Returns the network up to its last feature maps, and its dense layer, where only their mean lies between them."""
    makers = {id(layer.output): layer for layer in network.layers}
    dense = layer = makers[id(network.output)]
    if not isinstance(dense, layers.Dense) or not dense.use_bias:
        return None
    while isinstance(layer := makers.get(id(layer.input)), layers.Dropout):
        pass
    if not isinstance(layer, layers.GlobalAveragePooling2D):
        return None
    return keras.Model(network.input, layer.input), dense


def copy_stages(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of every layer that both networks have, but for the last one."""
    names = {layer.name for layer in source.layers[:-1]}
    for layer in target.layers[:-1]:
        if layer.name in names:
            layer.set_weights(source.get_layer(layer.name).get_weights())


def save_network(network: keras.Model, recipe: Recipe, path: Path) -> None:
    """Writes a network's weights without its optimizer's state, which would triple the file, in one step."""
    bare = build_network(recipe, network.output_shape[-1])
    bare.set_weights(network.get_weights())
    with write_atomically(path) as partial:
        bare.save(partial)


def load_network(recipe: Recipe, num_outputs: int, path: Path) -> keras.Model:
    """Returns a network with the weights that `save_network` has written; the rest of the file is not read.

    A file that is damaged or of another network raises what zipfile, h5py and Keras raise on it.

    Args:
        recipe: The architecture.
        num_outputs: As for `build_network`.
        path: The file.
    """
    network = build_network(recipe, num_outputs)
    with warnings.catch_warnings(action="ignore"):  # Keras warns of each missing group, then refuses the file
        network.load_weights(path)
    return network
