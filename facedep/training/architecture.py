"""The networks in Keras: built from their list of layers, and saved; they are read again without Keras."""

import os
from pathlib import Path

# Before TensorFlow is imported, or they have no effect. By itself it uses oneDNN only where the processor has AVX-512;
# with AVX2 alone an epoch of `compact` on 2,554 small pictures takes 9 instead of 20 s.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
from keras import layers

from facedep.files import write_atomically
from facedep.networks.graph import Inputs
from facedep.networks.layers import INPUT, NORM_EPSILON, OUTPUT, Layer, list_layers
from facedep.networks.recipes import Recipe
from facedep.networks.weights import Weights

_BATCH_SIZE = 256


def build_network(recipe: Recipe, num_outputs: int) -> keras.Model:
    """Returns an untrained network: `uint8`-valued pictures `(n, size, size, 1)`, 0-255, to probabilities.

    Args:
        recipe: The architecture.
        num_outputs: 1 for P(depressed) from a sigmoid; more for one probability per class from a softmax.
    """
    tensors = {INPUT: keras.Input((recipe.input_size_px, recipe.input_size_px, 1), name=INPUT)}
    for layer in list_layers(recipe, num_outputs):
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _build_layer(layer)(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(tensors[INPUT], tensors[OUTPUT], name=recipe.name)


def _build_layer(layer: Layer) -> layers.Layer:
    name, activation = layer.name, layer.activation or None
    if layer.kind == "conv":
        padding = "same" if layer.is_padded else "valid"
        return layers.Conv2D(
            layer.width, layer.size, strides=layer.stride, padding=padding, use_bias=layer.uses_bias,
            activation=activation, name=name,
        )  # fmt: skip
    if layer.kind == "dense":
        return layers.Dense(layer.width, activation=activation, dtype="float32", name=name)
    if layer.kind in ("max_pool", "average_pool"):
        pooling = layers.MaxPooling2D if layer.kind == "max_pool" else layers.AveragePooling2D
        return pooling(layer.size, name=name)
    if layer.kind == "global_average":
        return layers.GlobalAveragePooling2D(keepdims=layer.keeps_dims, name=name)
    if layer.kind == "dropout":
        return layers.Dropout(layer.rate, name=name)
    if layer.kind == "norm":
        return layers.BatchNormalization(momentum=0.9, epsilon=NORM_EPSILON, name=name)
    if layer.kind == "scale":
        return layers.Rescaling(1 / 255, name=name)
    if layer.kind == "relu":
        return layers.Activation("relu", name=name)
    plain = {
        "flatten": layers.Flatten,
        "multiply": layers.Multiply,
        "add": layers.Add,
        "concatenate": layers.Concatenate,
    }
    return plain[layer.kind](name=name)


def compute_outputs(network: keras.Model, inputs: Inputs) -> np.ndarray:
    """Returns a Keras network's outputs for any number of inputs: `float32` array of shape `(n, outputs)`.

    Args:
        network: The network.
        inputs: Array of shape `(n, ...)`, read batch by batch.
    """
    outputs = [np.zeros((0, network.output_shape[-1]), np.float32)]
    for start in range(0, len(inputs), _BATCH_SIZE):
        outputs.append(np.asarray(network.predict_on_batch(inputs[start : start + _BATCH_SIZE])))
    return np.concatenate(outputs)


def list_weights(network: keras.Model) -> Weights:
    """Returns a network's weights, by the names of its layers."""
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def save_network(network: keras.Model, recipe: Recipe, path: Path) -> None:
    """Writes a network's weights without its optimizer's state, which would triple the file, in one step."""
    bare = build_network(recipe, network.output_shape[-1])
    bare.set_weights(network.get_weights())
    with write_atomically(path) as partial:
        bare.save(partial)
