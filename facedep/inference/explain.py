"""Why a model predicts what it does: which parts of the face count, and how stable the prediction is.

The occlusion map and the stability come from predictions for changed pictures, so they hold for any network. The class
activation map reads the network's own last step, at once and exactly, if that step is an average over positions.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from facedep.networks.classifier import Classifier
from facedep.networks.graph import CLASS_MAPS

_PATCH_SHARE, _STEP_SHARE = 1 / 6, 1 / 12  # of the picture's side: 8 and 4 pixels of 48, about an eye and half an eye
_SHIFT_SHARE = 1 / 24
_LIGHTER, _DARKER = 1.25, 0.8
_FOR_COLOR, _AGAINST_COLOR = (0, 114, 178), (230, 159, 0)  # of the two groups, see `reporting/plots/theme.py`


@dataclass(frozen=True)
class Stability:
    """The predictions for slightly changed pictures.

    Attributes:
        probabilities: P(depressed), 0..1, by what was changed; "as it is" among them.
        has_flipped: Whether some of them lie on different sides of the decision threshold.
        has_wavered: Whether some of them lie in the abstention band and others not.
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
    """Returns how much each pixel speaks for *depressed*: `float32` array of shape `(size, size)`, about -1..1.

    A patch in the picture's mean gray is moved over the face; a pixel's value is how far P(depressed) falls, on average
    over all patches that cover it. Below 0 it speaks against.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.

    Reference: Zeiler & Fergus 2014, arXiv 1311.2901, section 4.2.
    """
    size = len(prepared)
    patch_px, step_px = max(1, round(_PATCH_SHARE * size)), max(1, round(_STEP_SHARE * size))
    starts = [*range(0, size - patch_px, step_px), size - patch_px]
    positions = [(top, left) for top in starts for left in starts]
    images = np.repeat(prepared[np.newaxis, :, :, np.newaxis], len(positions) + 1, axis=0)
    for image, (top, left) in zip(images[1:], positions, strict=True):
        image[top : top + patch_px, left : left + patch_px] = round(float(prepared.mean()))
    probabilities = classifier.predict(images).probabilities
    falls, counts = np.zeros((size, size)), np.zeros((size, size))
    for (top, left), probability in zip(positions, probabilities[1:], strict=True):
        falls[top : top + patch_px, left : left + patch_px] += probabilities[0] - probability
        counts[top : top + patch_px, left : left + patch_px] += 1
    return (falls / counts).astype(np.float32)


def compute_class_activation_map(classifier: Classifier, prepared: np.ndarray) -> np.ndarray | None:
    """Returns how much each pixel adds to the prediction *depressed*: `float32` array of shape `(size, size)`.

    The values are logits, see `compute_activations`: above 0 a pixel speaks for *depressed*, below 0 against. It is the
    network's own coarse map (6 x 6 for 48 pixels), smoothly enlarged.

    Args:
        classifier: The model.
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.

    Returns:
        None for a network whose last step is not an average over positions and one dense layer: only
        `compute_occlusion_map` works for it.

    Reference: Zhou et al. 2016, arXiv 1512.04150.
    """
    activations = compute_activations(classifier, prepared)
    if activations is None:
        return None
    return cv2.resize(activations[0], (len(prepared),) * 2, interpolation=cv2.INTER_CUBIC)


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
    uses_flip_tta = classifier.card.uses_flip_tta
    images = np.stack([prepared, prepared[:, ::-1]] if uses_flip_tta else [prepared])[..., np.newaxis]
    graph = classifier.graph
    if graph.class_biases is None:
        return None
    is_positive = np.isin(classifier.class_names, classifier.card.positive_classes)
    values = np.array(_subtract_means(graph.compute(images, CLASS_MAPS), is_positive))
    if uses_flip_tta:
        values[1] = values[1, :, ::-1]
    return values.mean(axis=0).astype(np.float32), float(_subtract_means(graph.class_biases, is_positive))


def _subtract_means(values: np.ndarray, is_positive: np.ndarray) -> np.ndarray | float:
    """Returns the mean over the positive classes minus that over the others, along the last axis; of none it is 0."""
    signs = [values[..., chosen].mean(axis=-1) if chosen.any() else 0.0 for chosen in (is_positive, ~is_positive)]
    return signs[0] - signs[1]


def overlay_map(prepared: np.ndarray, values: np.ndarray, *, size_px: int, strength: float) -> np.ndarray:
    """Returns the face with the map laid over it: `uint8` array of shape `(size_px, size_px, 3)`, RGB.

    Blue speaks for *depressed*, orange against it; what counts most has the full strength.

    Args:
        prepared: What the network sees: `uint8` array of shape `(size, size)`, 0-255.
        values: From `compute_occlusion_map`.
        size_px: The side of the result.
        strength: 0 shows the face alone, 1 what counts most in full colour.
    """
    face = cv2.resize(prepared, (size_px, size_px), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., np.newaxis]
    smooth = cv2.resize(values, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    share = strength * np.clip(np.abs(smooth) / max(float(np.abs(values).max()), 1e-6), 0, 1)[..., np.newaxis]
    color = np.where(smooth[..., np.newaxis] > 0, *(np.array(rgb, np.float32) for rgb in (_FOR_COLOR, _AGAINST_COLOR)))
    return np.round((1 - share) * face + share * color).astype(np.uint8)


def measure_stability(classifier: Classifier, prepared: np.ndarray) -> Stability:
    """Returns the predictions for the picture mirrored, shifted, lighter and darker: changes that no face would notice.

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
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(prepared, matrix, prepared.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
