"""Why a model answers as it does: where its answer comes from in the face, and how steady it is.

The occlusion map and the steadiness ask the model itself about changed pictures, so they hold for any network. The
class activation map reads the network's own last step, at once and exactly, where that step is an average over places.
"""

import functools
from dataclasses import dataclass

import cv2
import keras
import numpy as np
from keras import layers

from facedep.networks.classifier import Classifier

_PATCH_SHARE, _STEP_SHARE = 1 / 6, 1 / 12  # of the picture's side: 8 and 4 pixels of 48, about an eye and half an eye
_SHIFT_SHARE = 1 / 24
_LIGHTER, _DARKER = 1.25, 0.8
_FOR_COLOR, _AGAINST_COLOR = (
    (0, 114, 178),
    (230, 159, 0),
)  # the colours of the two groups, see `reporting/plots/theme.py`


@dataclass(frozen=True)
class Stability:
    """The answers to slightly changed pictures.

    Attributes:
        probabilities: P(depressed), 0..1, by what was changed; "as it is" among them.
        has_flipped: Whether some of them lie on different sides of the model's threshold.
        has_wavered: Whether some of them lie in the model's uncertain band and others not.
    """

    probabilities: dict[str, float]
    has_flipped: bool
    has_wavered: bool = False

    @property
    def lowest(self) -> float:
        """The lowest P(depressed)."""
        return min(self.probabilities.values())

    @property
    def highest(self) -> float:
        """The highest P(depressed)."""
        return max(self.probabilities.values())


def compute_occlusion_map(classifier: Classifier, prepared: np.ndarray) -> np.ndarray:
    """Returns how much each place speaks for *depressed*: `float32` array of shape `(size, size)`, about -1..1.

    A patch in the picture's mean gray is laid over one place after the other; a place's value is how far P(depressed)
    falls, on average over all patches that cover it. Below 0 it speaks against.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.

    Reference: Zeiler & Fergus 2014, arXiv 1311.2901, section 4.2.
    """
    size = len(prepared)
    patch_px, step_px = max(1, round(_PATCH_SHARE * size)), max(1, round(_STEP_SHARE * size))
    starts = [*range(0, size - patch_px, step_px), size - patch_px]
    places = [(top, left) for top in starts for left in starts]
    images = np.repeat(prepared[np.newaxis, :, :, np.newaxis], len(places) + 1, axis=0)
    for image, (top, left) in zip(images[1:], places, strict=True):
        image[top : top + patch_px, left : left + patch_px] = round(float(prepared.mean()))
    probabilities = classifier.predict(images).probabilities
    falls, counts = np.zeros((size, size)), np.zeros((size, size))
    for (top, left), probability in zip(places, probabilities[1:], strict=True):
        falls[top : top + patch_px, left : left + patch_px] += probabilities[0] - probability
        counts[top : top + patch_px, left : left + patch_px] += 1
    return (falls / counts).astype(np.float32)


def compute_class_activation_map(classifier: Classifier, prepared: np.ndarray) -> np.ndarray | None:
    """Returns how much each place adds to the answer *depressed*: `float32` array of shape `(size, size)`.

    The values are logits, see `compute_activations`: above 0 a place speaks for *depressed*, below 0 against. It is the
    network's own coarse map (6 x 6 places for 48 pixels), smoothly enlarged.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.

    Returns:
        None for a network whose last step is not an average over places and one dense layer: there is no such map then,
        and `compute_occlusion_map` answers the question.

    Reference: Zhou et al. 2016, arXiv 1512.04150.
    """
    found = compute_activations(classifier, prepared)
    if found is None:
        return None
    return cv2.resize(found[0], (len(prepared),) * 2, interpolation=cv2.INTER_CUBIC)


def compute_activations(classifier: Classifier, prepared: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Returns the class activation map before it is enlarged, and the bias that belongs to it.

    The map's mean plus the bias is what the network itself says: the mean logit of the classes that count as
    *depressed* minus that of the others (of one sigmoid: its logit), averaged over the picture and its mirror image
    where the model does so; before the card's temperature.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.

    Returns:
        `float32` array of shape `(rows, columns)` and the bias; None where the network allows no such map.
    """
    cut = _cut_at_maps(classifier.network)
    if cut is None:
        return None
    features, dense = cut
    uses_flip_tta = classifier.card.uses_flip_tta
    images = np.stack([prepared, prepared[:, ::-1]] if uses_flip_tta else [prepared])[..., np.newaxis]
    # Called directly: `predict` would be traced anew for each such network, which takes seconds.
    maps = keras.ops.convert_to_numpy(features(images.astype(np.float32), training=False))
    weights, biases = dense.get_weights()
    is_positive = np.isin(classifier.class_names, classifier.card.positive_classes)
    direction = _subtract_means(weights, is_positive)
    values = maps @ direction
    if uses_flip_tta:
        values[1] = values[1, :, ::-1]
    return values.mean(axis=0).astype(np.float32), float(_subtract_means(biases, is_positive))


def _subtract_means(values: np.ndarray, is_positive: np.ndarray) -> np.ndarray:
    """Returns the mean over the positive classes minus that over the others, along the last axis; of none it is 0."""
    signs = [values[..., chosen].mean(axis=-1) if chosen.any() else 0.0 for chosen in (is_positive, ~is_positive)]
    return signs[0] - signs[1]


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


def overlay_map(prepared: np.ndarray, values: np.ndarray, *, size_px: int, strength: float) -> np.ndarray:
    """Returns the face with the map laid over it: `uint8` array of shape `(size_px, size_px, 3)`, RGB.

    Blue speaks for *depressed*, orange against it; the place that counts most has the full strength.

    Args:
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.
        values: From `compute_occlusion_map`.
        size_px: The side of the result.
        strength: 0 shows the face alone, 1 the strongest places in full colour.
    """
    face = cv2.resize(prepared, (size_px, size_px), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., np.newaxis]
    smooth = cv2.resize(values, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    share = strength * np.clip(np.abs(smooth) / max(float(np.abs(values).max()), 1e-6), 0, 1)[..., np.newaxis]
    color = np.where(smooth[..., np.newaxis] > 0, np.float32(_FOR_COLOR), np.float32(_AGAINST_COLOR))
    return np.round((1 - share) * face + share * color).astype(np.uint8)


def measure_stability(classifier: Classifier, prepared: np.ndarray) -> Stability:
    """Returns the answers to the picture mirrored, shifted, lighter and darker: changes that no face would notice.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.
    """
    shift = max(1, round(_SHIFT_SHARE * len(prepared)))
    changed = {
        "as it is": prepared,
        "mirrored": prepared[:, ::-1],
        "shifted left": _shift(prepared, -shift, 0),
        "shifted right": _shift(prepared, shift, 0),
        "shifted up": _shift(prepared, 0, -shift),
        "shifted down": _shift(prepared, 0, shift),
        "lighter": np.clip(prepared * _LIGHTER, 0, 255).astype(np.uint8),
        "darker": (prepared * _DARKER).astype(np.uint8),
    }
    probabilities = classifier.predict(np.stack(list(changed.values()))[..., np.newaxis]).probabilities
    sides = probabilities >= classifier.threshold
    named = dict(zip(changed, map(float, probabilities), strict=True))
    low, high = classifier.abstention_band or (2.0, 2.0)
    is_unsure = (probabilities >= low) & (probabilities < high)
    return Stability(
        named, bool(sides.any() and not sides.all()), has_wavered=bool(is_unsure.any() and not is_unsure.all())
    )


def _shift(prepared: np.ndarray, right: int, down: int) -> np.ndarray:
    matrix = np.float32([[1, 0, right], [0, 1, down]])
    return cv2.warpAffine(prepared, matrix, prepared.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
