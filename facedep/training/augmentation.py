"""Random changes that keep what a face expresses.

`augment_images` mirrors, shifts, rotates, scales, lightens and partly covers. `augment_like_cameras` goes on with what
webcams, phones and messengers do to a face: weak or one-sided light, blur, few pixels, sensor noise, JPEG, glasses and
masks.

OpenCV outside the Keras graph: one affine warp does shift, rotation and scale at once, at 7 ms a batch of 128 faces
where Keras' layers take 123 ms.
"""

from collections.abc import Callable

import cv2
import numpy as np

from facedep.images.alignment import EYE_HEIGHT

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# Ranges for a face of any size; the usual ones for FER2013, e.g. Khaireddin & Chen 2021, arXiv 2105.03588.
MAX_TURN_DEGREES = 12.0
MAX_SHIFT_SHARE = 0.08
MAX_SCALE_CHANGE = 0.12
MAX_GAIN_CHANGE = 0.25
MAX_OFFSET = 25.0
COVER_CHANCE = 0.4
MAX_COVER_SHARE = 0.35

# What cameras do: a chance for each, so that about one face in five stays as `augment_images` leaves it. The ranges
# reach as far as a person can still read the expression on a face of 48 pixels.
STRONG_TURN_CHANCE, MAX_STRONG_TURN_DEGREES, STRONG_SCALES = 0.2, 40.0, (0.85, 1.2)
DARK_CHANCE, MIN_LIGHT_SHARE = 0.25, 0.08
SIDE_LIGHT_CHANCE, MAX_SIDE_LIGHT = 0.25, 0.7
BLUR_CHANCE, MAX_BLUR_SHARE = 0.2, 3.0 / 48  # of the side
COARSE_CHANCE, MAX_COARSENESS = 0.2, 5.0
NOISE_CHANCE, MAX_NOISE = 0.35, 40.0  # gray levels of spread
JPEG_CHANCE, JPEG_QUALITIES = 0.2, (12, 70)
BAR_CHANCE = 0.12
_PHOTOGRAPHIC_CHANCES = (
    STRONG_TURN_CHANCE,
    BAR_CHANCE,
    DARK_CHANCE,
    SIDE_LIGHT_CHANCE,
    BLUR_CHANCE,
    COARSE_CHANCE,
    NOISE_CHANCE,
    JPEG_CHANCE,
)
_MOUTH_HEIGHT = 0.78  # of the side, as in `evaluation/robustness.py`


def augment_images(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns randomly changed copies: `uint8` array of the same shape `(n, size, size, 1)`, 0-255.

    Args:
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255.
        rng: The source of chance; the same state gives the same pictures.
    """
    return np.stack([_augment(image[:, :, 0], rng) for image in images])[..., np.newaxis]


def augment_like_cameras(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns copies changed as by `augment_images` and then as cameras do: `uint8` array of the same shape, 0-255.

    Args:
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255.
        rng: The source of chance; the same state gives the same pictures.
    """
    return np.stack([_photograph(_augment(image[:, :, 0], rng), rng) for image in images])[..., np.newaxis]


def mirror_images(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns copies of which every second one, at random, is mirrored: `uint8` array of the same shape.

    Args:
        images: `uint8` array of shape `(n, size, size, 1)`, 0-255.
        rng: The source of chance.
    """
    is_mirrored = rng.random(len(images)) < 0.5
    return np.where(is_mirrored[:, np.newaxis, np.newaxis, np.newaxis], images[:, :, ::-1], images)


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "standard": augment_images,
    "camera": augment_like_cameras,
}


def _augment(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = image.shape[0]
    turn = rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES)
    scale = 1 + rng.uniform(-MAX_SCALE_CHANGE, MAX_SCALE_CHANGE)
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn, scale)
    matrix[:, 2] += rng.uniform(-MAX_SHIFT_SHARE, MAX_SHIFT_SHARE, 2) * size
    if rng.random() < 0.5:
        image = image[:, ::-1]
    image = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    gain = 1 + rng.uniform(-MAX_GAIN_CHANGE, MAX_GAIN_CHANGE)
    image = cv2.convertScaleAbs(np.maximum(image * gain + rng.uniform(-MAX_OFFSET, MAX_OFFSET), 0))
    if rng.random() < COVER_CHANCE:
        height, width = (rng.uniform(0.1, MAX_COVER_SHARE, 2) * size).astype(int)
        top, left = rng.integers(0, size - height), rng.integers(0, size - width)
        image[top : top + height, left : left + width] = rng.integers(0, 256)
    return image


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a face as a camera takes it: the scene first, then lens, sensor and file."""
    chances = rng.random(len(_PHOTOGRAPHIC_CHANCES)) < _PHOTOGRAPHIC_CHANCES
    is_turned, is_barred, is_dark, is_lit_from_one_side, is_blurred, is_coarse, is_noisy, is_compressed = chances
    if is_turned:
        degrees = rng.uniform(-MAX_STRONG_TURN_DEGREES, MAX_STRONG_TURN_DEGREES)
        image = _turn(image, degrees, scale=rng.uniform(*STRONG_SCALES))
    if is_barred:
        image = _lay_bar(image, rng)
    pixels: np.ndarray = image.astype(np.float32)
    if is_dark:
        pixels *= rng.uniform(MIN_LIGHT_SHARE, 1.0)
    if is_lit_from_one_side:
        pixels *= _draw_side_light(len(image), rng)
    if is_blurred:
        spread = rng.uniform(0.3 / 48, MAX_BLUR_SHARE) * len(image)
        pixels = cv2.GaussianBlur(pixels, (0, 0), spread, borderType=cv2.BORDER_REPLICATE)
    if is_coarse:
        pixels = _coarsen(pixels, rng.uniform(1.5, MAX_COARSENESS))
    if is_noisy:
        pixels += rng.normal(0, rng.uniform(0, MAX_NOISE), image.shape)
    image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return _compress(image, int(rng.integers(*JPEG_QUALITIES))) if is_compressed else image


def _turn(image: np.ndarray, degrees: float, *, scale: float) -> np.ndarray:
    size = len(image)
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), degrees, scale)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _lay_bar(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the face with a bar over its eyes or its mouth, as dark glasses or a mask are."""
    size, is_over_eyes = len(image), rng.random() < 0.5
    middle = (EYE_HEIGHT if is_over_eyes else _MOUTH_HEIGHT) * size
    half_height = rng.uniform(0.04, 0.14) * size
    left, right = (rng.uniform(0.0, 0.35) * size, rng.uniform(0.65, 1.0) * size)
    covered = image.copy()
    gray = image.mean() if rng.random() < 0.5 else rng.integers(0, 256)
    covered[max(0, round(middle - half_height)) : round(middle + half_height), round(left) : round(right)] = round(gray)
    return covered


def _draw_side_light(size: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the share of light at each pixel, falling from one side: `float32` array of shape `(size, size)`."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, MAX_SIDE_LIGHT)
    steps = np.linspace(-1, 1, size, dtype=np.float32)
    slope = np.cos(angle) * steps[np.newaxis, :] + np.sin(angle) * steps[:, np.newaxis]
    return (1 + strength * np.clip(slope, -1, 1)).astype(np.float32)


def _coarsen(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = len(pixels)
    small = cv2.resize(pixels, (max(4, round(size / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE))
