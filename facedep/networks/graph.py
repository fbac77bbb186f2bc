"""A trained network that only predicts: run by ONNX Runtime, without Keras and TensorFlow.

The graph is built here whenever a model is loaded, from the recipe's list of layers and the weights alone. No graph is
ever read from a file, so none can come from elsewhere.

ONNX Runtime and not OpenCV's `dnn`, which reads the same graphs: one face takes it a third of the time, and it frees
Python's lock meanwhile (docs/benchmark.md has today's figures).
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

# Since 1.29 ONNX Runtime reports on models and runs to its maker. Read once, when it is imported; see its Privacy.md.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from facedep.networks.layers import INPUT, NORM_EPSILON, OUTPUT, Layer, infer_shapes, list_stage_features
from facedep.networks.weights import Weights

# What can be asked of a network.
PROBABILITIES = "probabilities"  # `(n, classes)`, 0..1, before any temperature
FEATURES = "features"  # `(n, features)`: what the last layer decides on
CLASS_MAPS = "class_maps"  # `(n, rows, columns, classes)`: what each place adds to each logit
STAGE_FEATURES = "stage_features"  # `(n, features)`: what the head of `quick` is trained on

# Inputs for one call: 64 at most, and 32 of 128 x 128 pixels, of which the first layer alone makes 2 MB each.
_MAX_BATCH_SIZE, _MAX_BATCH_VALUES = 64, 2**19
_FEW_IMAGES = 8  # so many take one thread no longer than several, and leave the other cores to other visitors
_OPSET, _IR_VERSION = 17, 8  # of 2022: old enough for any ONNX Runtime that Python 3.11 can have


class Inputs(Protocol):
    """An array of shape `(n, ...)`, or what is read like one batch by batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: slice, /) -> np.ndarray: ...


class Graph:
    """A network that predicts. May be used by several threads at once.

    Args:
        layers: From `layers.list_layers`.
        weights: As `list_weight_shapes` describes them.
        input_size_px: Side of the square gray input.
        has_stages: Whether it has the stages of `compact`, and so `STAGE_FEATURES`.

    Attributes:
        input_size_px: Side of the square gray input.
        num_outputs: Of `PROBABILITIES`.
        class_biases: What is added to the mean of each of `CLASS_MAPS` to make the logit: `float32` array of shape
            `(classes,)`; None for a network that has no such maps, because more than an average lies between its last
            maps and its probabilities.
        weights: All weights, by the names of the layers.
    """

    def __init__(self, layers: list[Layer], weights: Weights, input_size_px: int, *, has_stages: bool = False):
        builder = _Builder(layers, weights, input_size_px)
        builder.add_output(PROBABILITIES, OUTPUT)
        builder.add_output(FEATURES, layers[-1].inputs[0])
        self.class_biases = builder.add_class_maps()
        if has_stages:
            builder.add_stage_features()
        self.input_size_px = input_size_px
        self.num_outputs = layers[-1].width
        self.weights = weights
        self._content = builder.build()
        self._names = builder.output_names
        self._lock = threading.Lock()
        self._one_thread = _open_session(self._content, num_threads=1)
        self._all_threads: onnxruntime.InferenceSession | None = None

    @property
    def batch_size(self) -> int:
        """How many inputs are given to it at once: as many as its first layer takes little memory for."""
        return max(1, min(_MAX_BATCH_SIZE, _MAX_BATCH_VALUES // self.input_size_px**2))

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of all weights: the same network has the same one."""
        digest = hashlib.sha256()
        for name, of_layer in self.weights.items():
            digest.update(name.encode())
            for values in of_layer:
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def count(self, name: str) -> int:
        """Returns the length of an output: how many classes, or features."""
        return int(self.compute(np.zeros((1, self.input_size_px, self.input_size_px, 1), np.uint8), name).shape[-1])

    def has(self, name: str) -> bool:
        """Whether the network has an output, like `CLASS_MAPS`."""
        return name in self._names

    def run(self, images: np.ndarray, names: Sequence[str] = (PROBABILITIES,)) -> list[np.ndarray]:
        """Returns some outputs for one batch, `float32` arrays.

        Args:
            images: `uint8` array of shape `(n, size, size, 1)`, 0-255.
            names: Which outputs.
        """
        return self._find_session(len(images)).run(list(names), {INPUT: images})

    def _find_session(self, num_images: int) -> onnxruntime.InferenceSession:
        """Returns the session for a batch of this size; the one with all threads is opened when it is first needed."""
        if num_images <= _FEW_IMAGES:
            return self._one_thread
        with self._lock:
            if self._all_threads is None:
                self._all_threads = _open_session(self._content, num_threads=0)
            return self._all_threads

    def run_batches(
        self, images: Inputs, names: Sequence[str] = (PROBABILITIES,), *, uses_flip_tta: bool = False
    ) -> Iterator[list[np.ndarray]]:
        """Yields some outputs batch by batch, for any number of pictures.

        Args:
            images: `uint8` array of shape `(n, size, size, 1)`, 0-255, or what is read like one.
            names: Which outputs; maps cannot be averaged over mirror images here.
            uses_flip_tta: Whether each output is the mean over the picture and its mirror image.
        """
        for start in range(0, len(images), self.batch_size):
            batch = np.ascontiguousarray(images[start : start + self.batch_size])
            if not uses_flip_tta:
                yield self.run(batch, names)
                continue
            both = self.run(np.concatenate([batch, batch[:, :, ::-1]]), names)
            yield [(output[: len(batch)] + output[len(batch) :]) / 2 for output in both]

    def compute(self, images: Inputs, name: str = PROBABILITIES, *, uses_flip_tta: bool = False) -> np.ndarray:
        """Returns one output for any number of pictures: `float32` array of shape `(n, ...)`.

        Args:
            images: `uint8` array of shape `(n, size, size, 1)`, 0-255, or what is read like one.
            name: Which output.
            uses_flip_tta: Whether each output is the mean over the picture and its mirror image.
        """
        if not len(images):
            size = self.input_size_px
            return self.run(np.zeros((1, size, size, 1), np.uint8), [name])[0][:0]
        return np.concatenate([output for (output,) in self.run_batches(images, [name], uses_flip_tta=uses_flip_tta)])


def _open_session(content: bytes, *, num_threads: int) -> onnxruntime.InferenceSession:
    """Opens a graph; 0 threads mean one for each core."""
    onnxruntime.disable_telemetry_events()  # of builds that use Windows' own tracing, which the variable does not reach
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the core to others
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class _Builder:
    """Builds an ONNX graph, whose pictures and maps have the shape `(n, channels, rows, columns)` inside.

    Args:
        layers: The network's layers.
        weights: Their weights.
        input_size_px: Side of the square gray input.
    """

    def __init__(self, layers: list[Layer], weights: Weights, input_size_px: int):
        self._layers = {layer.name: layer for layer in layers}
        self._weights, self._input_size_px = weights, input_size_px
        self._shapes = infer_shapes(layers, input_size_px)
        self._last = layers[-1]
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self.output_names: list[str] = []
        # The picture has one channel, so another order of its axes is another shape only.
        self._add("Cast", [INPUT], "as_float", to=TensorProto.FLOAT)
        shape = self._add_constant("shape", np.array([-1, 1, input_size_px, input_size_px], np.int64))
        self._add("Reshape", ["as_float", shape], _name(INPUT))
        for layer in layers:
            self._add_layer(layer)

    def add_output(self, name: str, layer_name: str) -> None:
        """Gives the graph an output that is what a layer gives, a vector for each picture."""
        self._add("Identity", [_name(layer_name)], name)
        self.output_names.append(name)

    def add_class_maps(self) -> np.ndarray | None:
        """Gives the graph the class maps, where only an average lies before the last layer; returns the biases."""
        layer = self._layers[self._last.inputs[0]]
        while layer.kind == "dropout":
            layer = self._layers[layer.inputs[0]]
        if layer.kind != "global_average":
            return None
        kernel, biases = self._weights[self._last.name]
        as_convolution = self._add_constant("class_kernel", kernel.T[:, :, np.newaxis, np.newaxis])
        self._add("Conv", [_name(layer.inputs[0]), as_convolution], "class_maps_of_channels")
        self._add("Transpose", ["class_maps_of_channels"], CLASS_MAPS, perm=[0, 2, 3, 1])
        self.output_names.append(CLASS_MAPS)
        return biases

    def add_stage_features(self) -> None:
        """Gives the graph what the head of `quick` is trained on; a `quick` network has it anyway."""
        layers = list_stage_features()
        new = [layer for layer in layers if layer.name not in self._layers]
        self._shapes |= infer_shapes([*self._layers.values(), *new], self._input_size_px)
        for layer in new:
            self._add_layer(layer)
        self.add_output(STAGE_FEATURES, layers[-1].name)

    def build(self) -> bytes:
        """Returns the graph as ONNX Runtime reads it."""
        size = self._input_size_px
        picture = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", size, size, 1])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.output_names]
        graph = helper.make_graph(self._nodes, "facedep", [picture], outputs, self._constants)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION).SerializeToString()

    def _add_layer(self, layer: Layer) -> None:
        inputs, output = [_name(name) for name in layer.inputs], _name(layer.name)
        if layer.kind in ("conv", "dense"):
            self._add_weighted(layer, inputs[0], output)
        elif layer.kind == "norm":
            constants = [self._add_constant(f"{layer.name}_{i}", w) for i, w in enumerate(self._weights[layer.name])]
            self._add("BatchNormalization", [*inputs, *constants], output, epsilon=NORM_EPSILON)
        elif layer.kind == "scale":
            self._add("Mul", [*inputs, self._add_constant("factor", np.float32(1 / 255))], output)
        elif layer.kind in ("max_pool", "average_pool"):
            window = [layer.size] * 2
            kind = "MaxPool" if layer.kind == "max_pool" else "AveragePool"
            self._add(kind, inputs, output, kernel_shape=window, strides=window)
        elif layer.kind == "global_average":
            if layer.keeps_dims:
                self._add("GlobalAveragePool", inputs, output)
            else:
                self._add("GlobalAveragePool", inputs, f"{output}_as_map")
                self._add("Flatten", [f"{output}_as_map"], output)
        elif layer.kind == "flatten":
            self._add("Transpose", inputs, f"{output}_channels_last", perm=[0, 2, 3, 1])
            self._add("Flatten", [f"{output}_channels_last"], output)
        else:
            attributes = {"axis": 1} if layer.kind == "concatenate" else {}
            kinds = {"relu": "Relu", "multiply": "Mul", "add": "Add", "concatenate": "Concat", "dropout": "Identity"}
            self._add(kinds[layer.kind], inputs, output, **attributes)

    def _add_weighted(self, layer: Layer, below: str, output: str) -> None:
        """Adds a convolution or a dense layer, and its activation."""
        kernel, *biases = self._weights[layer.name]
        constants = [self._add_constant(f"{layer.name}_bias", bias) for bias in biases]
        before = f"{output}_linear" if layer.activation else output
        if layer.kind == "dense":
            self._add("Gemm", [below, self._add_constant(f"{layer.name}_kernel", kernel), *constants], before)
        else:
            kernel_name = self._add_constant(f"{layer.name}_kernel", kernel.transpose(3, 2, 0, 1))
            stride = [layer.stride] * 2
            pads = self._find_padding(layer)
            self._add("Conv", [below, kernel_name, *constants], before, strides=stride, pads=pads)
        if layer.activation:
            kinds = {"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}
            self._add(kinds[layer.activation], [before], output)

    def _find_padding(self, layer: Layer) -> list[int]:
        """Returns how much is added above, left, below and right: of an odd number the larger part below and right."""
        if not layer.is_padded:
            return [0, 0, 0, 0]
        sides = zip(self._shapes[layer.inputs[0]][:2], self._shapes[layer.name][:2], strict=True)
        totals = [max(0, (after - 1) * layer.stride + layer.size - before) for before, after in sides]
        return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _add_constant(self, name: str, values: np.ndarray | np.generic) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), f"constant_{name}"))
        return f"constant_{name}"


def _name(layer_name: str) -> str:
    """Returns the name in the graph of what a layer gives; `OUTPUT` and others are names of outputs too."""
    return f"layer_{layer_name}"
