"""What each network consists of, as plain data: layer after layer, from the picture to the probabilities.

`training/architecture.py` makes a Keras network of it, to train; `networks/graph.py` makes a graph for ONNX Runtime of
it, to predict. So the two cannot differ in their layers, and a saved model has to hold nothing but numbers.
"""

from dataclasses import dataclass

from facedep.networks.recipes import Recipe

INPUT = "face"  # the picture: `(size, size, 1)`, 0-255
OUTPUT = "probabilities"
STAGE_FEATURES = "features"  # what the head of `quick` is trained on
HEAD_NORM, HEAD_DROPOUT = "head_norm", 0.6  # of that head
NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Layer:
    """One step of a network. Pictures and maps have the shape `(rows, columns, channels)`.

    Attributes:
        kind: "scale" (0-255 to 0..1), "conv", "norm" (batch normalization), "relu", "max_pool", "average_pool",
            "global_average" (over rows and columns), "flatten" (in the order of rows, columns, channels), "dense",
            "dropout", "multiply", "add" or "concatenate".
        name: The layer's own, by which its weights are found.
        inputs: The names of the layers, or of the picture, that it takes.
        width: Channels that come out of a convolution, values that come out of a dense layer.
        size: Side of a convolution's kernel, or of a pooling's window and stride.
        stride: Of a convolution.
        is_padded: Whether a convolution keeps the size (divided by the stride, rounded up).
        uses_bias: Of a convolution.
        activation: "relu", "sigmoid" or "softmax" at the end of a convolution or a dense layer; "" for none.
        rate: Share that a dropout drops while training.
        keeps_dims: Whether a global average stays `(1, 1, channels)`.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    width: int = 0
    size: int = 1
    stride: int = 1
    is_padded: bool = True
    uses_bias: bool = True
    activation: str = ""
    rate: float = 0.0
    keeps_dims: bool = False


def list_layers(recipe: Recipe, num_outputs: int) -> list[Layer]:
    """Returns a recipe's layers in an order in which each comes after its inputs; the last one is `OUTPUT`.

    Args:
        recipe: The recipe.
        num_outputs: 1 for P(depressed) from a sigmoid; more for one probability per class from a softmax.
    """
    bodies = {"article": _list_article_body, "compact": _list_compact_body, "quick": _list_quick_body}
    layers = [Layer("scale", "scale", (INPUT,)), *bodies[recipe.name]()]
    activation = "sigmoid" if num_outputs == 1 else "softmax"
    return [*layers, Layer("dense", OUTPUT, (layers[-1].name,), width=num_outputs, activation=activation)]


def list_stage_features() -> list[Layer]:
    """Returns the layers that make `STAGE_FEATURES` of a `compact` network's stages.

    The last stage's average says which expression; the second one's 4 x 4 grid says what is where, which helps on faces
    unlike those that the stages were trained on (validation AUC on the drawn faces 0.90 instead of 0.85, measured).
    """
    _, (_, middle, last) = list_compact_stages()
    return [
        Layer("average_pool", "grid", (middle,), size=3),
        Layer("flatten", "grid_values", ("grid",)),
        Layer("global_average", "pool", (last,)),
        Layer("concatenate", STAGE_FEATURES, ("pool", "grid_values")),
    ]


def _list_article_body() -> list[Layer]:
    """The published layers: 3 x (convolution, max pooling), dropout, dense, dropout."""
    layers, below = [], "scale"
    for number, width in enumerate((32, 64, 128), start=1):
        conv, pool = f"conv_{number}", f"pool_{number}"
        layers.append(Layer("conv", conv, (below,), width=width, size=3, is_padded=False, activation="relu"))
        layers.append(Layer("max_pool", pool, (conv,), size=2))
        below = pool
    return [
        *layers,
        Layer("flatten", "flatten", (below,)),
        Layer("dropout", "dropout_1", ("flatten",), rate=0.5),
        Layer("dense", "dense", ("dropout_1",), width=128, activation="relu"),
        Layer("dropout", "dropout_2", ("dense",), rate=0.3),
    ]


def list_compact_stages() -> tuple[list[Layer], list[str]]:
    """A stem that halves the picture and three stages of two residual blocks; with the last layer of each stage.

    Reference: He et al. 2015, arXiv 1512.03385; Hu et al. 2017, arXiv 1709.01507.
    """
    layers = [*list_convolution("scale", 32, size=3, stride=2, name="stem"), Layer("relu", "stem_relu", ("stem_norm",))]
    ends = []
    num_channels = 32
    for stage, (width, first_stride) in enumerate(((32, 1), (64, 2), (128, 2)), start=1):
        for letter, stride in (("a", first_stride), ("b", 1)):
            has_shortcut = stride != 1 or num_channels != width
            name, below = f"block_{stage}{letter}", layers[-1].name
            layers += _list_residual_block(below, width, stride=stride, has_shortcut=has_shortcut, name=name)
            num_channels = width
        ends.append(layers[-1].name)
    return layers, ends


def _list_compact_body() -> list[Layer]:
    """The three stages, global average pooling, dropout."""
    layers, (_, _, last) = list_compact_stages()
    return [*layers, Layer("global_average", "pool", (last,)), Layer("dropout", "dropout", ("pool",), rate=0.3)]


def _list_quick_body() -> list[Layer]:
    """The stages of `compact`, which stay as they are, and a small head on what the last two of them see."""
    layers, _ = list_compact_stages()
    return [
        *layers,
        *list_stage_features(),
        Layer("norm", HEAD_NORM, (STAGE_FEATURES,)),
        Layer("dropout", "head_dropout", (HEAD_NORM,), rate=HEAD_DROPOUT),
    ]


def _list_residual_block(below: str, width: int, *, stride: int, has_shortcut: bool, name: str) -> list[Layer]:
    """Two convolutions whose channels are weighted by squeeze-and-excitation, added to their input."""
    layers, shortcut = [], below
    if has_shortcut:
        layers += list_convolution(below, width, size=1, stride=stride, name=f"{name}_shortcut")
        shortcut = layers[-1].name
    first, second = f"{name}_first", f"{name}_second"
    squeeze, reduce, gate = f"{name}_squeeze", f"{name}_reduce", f"{name}_gate"
    return [
        *layers,
        *list_convolution(below, width, size=3, stride=stride, name=first),
        Layer("relu", f"{first}_relu", (f"{first}_norm",)),
        *list_convolution(f"{first}_relu", width, size=3, stride=1, name=second),
        Layer("global_average", squeeze, (f"{second}_norm",), keeps_dims=True),
        Layer("conv", reduce, (squeeze,), width=width // 4, activation="relu"),
        Layer("conv", gate, (reduce,), width=width, activation="sigmoid"),
        Layer("multiply", f"{name}_excite", (f"{second}_norm", gate)),
        Layer("add", f"{name}_add", (f"{name}_excite", shortcut)),
        Layer("relu", f"{name}_relu", (f"{name}_add",)),
    ]


def list_convolution(below: str, width: int, *, size: int, stride: int, name: str) -> list[Layer]:
    """A convolution and its batch normalization, which makes a bias needless."""
    return [
        Layer("conv", f"{name}_conv", (below,), width=width, size=size, stride=stride, uses_bias=False),
        Layer("norm", f"{name}_norm", (f"{name}_conv",)),
    ]


def infer_shapes(layers: list[Layer], input_size_px: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of what comes out of each layer for one picture, by the layer's name; the picture's too."""
    shapes: dict[str, tuple[int, ...]] = {INPUT: (input_size_px, input_size_px, 1)}
    for layer in layers:
        shapes[layer.name] = _infer_shape(layer, [shapes[name] for name in layer.inputs])
    return shapes


def _infer_shape(layer: Layer, inputs: list[tuple[int, ...]]) -> tuple[int, ...]:
    shape = inputs[0]
    if layer.kind == "conv":
        reach = 0 if layer.is_padded else layer.size - 1
        return (*(-(-(side - reach) // layer.stride) for side in shape[:2]), layer.width)
    if layer.kind in ("max_pool", "average_pool"):
        return (*(side // layer.size for side in shape[:2]), shape[2])
    if layer.kind == "global_average":
        return (1, 1, shape[2]) if layer.keeps_dims else (shape[2],)
    if layer.kind == "flatten":
        num_values = 1
        for side in shape:
            num_values *= side
        return (num_values,)
    if layer.kind == "dense":
        return (layer.width,)
    if layer.kind == "concatenate":
        return (sum(values for (values,) in inputs),)
    return shape


def list_weight_shapes(layers: list[Layer], input_size_px: int) -> dict[str, list[tuple[int, ...]]]:
    """Returns the shapes of each layer's weights, in Keras' order, by the layer's name.

    A convolution has a kernel `(rows, columns, channels in, channels out)` and maybe biases; a dense layer a kernel
    `(values in, values out)` and biases; a normalization scale, offset, mean and variance, one of each a channel.
    """
    shapes = infer_shapes(layers, input_size_px)
    found: dict[str, list[tuple[int, ...]]] = {}
    for layer in layers:
        num_inputs = shapes[layer.inputs[0]][-1]
        if layer.kind == "conv":
            kernel = (layer.size, layer.size, num_inputs, layer.width)
            found[layer.name] = [kernel, (layer.width,)] if layer.uses_bias else [kernel]
        elif layer.kind == "dense":
            found[layer.name] = [(num_inputs, layer.width), (layer.width,)]
        elif layer.kind == "norm":
            found[layer.name] = [(num_inputs,)] * 4
    return found
