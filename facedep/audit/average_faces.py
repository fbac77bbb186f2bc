"""Average faces: the mean and the variation of each emotion's or group's pictures, and what two of them differ in."""

from dataclasses import dataclass

import numpy as np

_IMAGES_AT_ONCE = 1000  # 18 MB as float64
_REGIONS = ("the forehead and brows", "the eyes and nose", "the mouth and chin")  # thirds of a tight crop, downwards
_EDGE_SHARE = 1 / 8  # of the side: outside it a tight crop shows hair and background
_SHARE_WORTH_A_WORD = 1 / 4  # of the largest difference: an even change below it is not spoken of
# Cohen 1988, "Statistical power analysis for the behavioral sciences", 2.2: 0.5 standard deviations, a medium effect.
_MEDIUM_EFFECT = 0.5
# Standard errors that the largest of 2,304 pixels passes by chance in one of twenty cases (Bonferroni, normal).
_CHANCE_STANDARD_ERRORS = 4.25


@dataclass(frozen=True)
class AverageFace:
    """What the pictures of one emotion or group have in common, and how they vary.

    Attributes:
        mean: `float32` array of shape `(height, width)`, 0-255.
        standard_deviation: The same shape and unit, 0-127.5, over the pictures at each place.
        num_images: Pictures in it.
    """

    mean: np.ndarray
    standard_deviation: np.ndarray
    num_images: int

    @property
    def mean_picture(self) -> np.ndarray:
        """The mean to be looked at: `uint8` array of shape `(height, width)`, 0-255."""
        return np.round(self.mean).astype(np.uint8)

    @property
    def variation_picture(self) -> np.ndarray:
        """The variation to be looked at, twice the standard deviation: `uint8`, shape `(height, width)`, 0-255."""
        return np.round(2 * self.standard_deviation).astype(np.uint8)


def compute_average_faces(
    thumbnails: np.ndarray, keys: np.ndarray, *, is_readable: np.ndarray | None = None
) -> dict[str, AverageFace]:
    """Returns the average face of each key, in alphabetical order. The pictures are read some at a time.

    Args:
        thumbnails: `uint8` array of shape `(n, height, width)`, 0-255, mapped from disk or not.
        keys: Each picture's emotion or group: `str`, shape `(n,)`; pictures with "" are left out.
        is_readable: `bool` array of shape `(n,)`: False for damaged pictures, to be left out; None if there are none.
    """
    keys = np.where(np.ones(len(keys), bool) if is_readable is None else is_readable, np.asarray(keys, dtype=str), "")
    names = [str(name) for name in np.unique(keys) if name]
    if not names:
        return {}
    shape = thumbnails.shape[1:]
    sums, squares = np.zeros((2, len(names), shape[0] * shape[1]))
    for start in range(0, len(keys), _IMAGES_AT_ONCE):
        indices = start + np.nonzero(keys[start : start + _IMAGES_AT_ONCE])[0]
        pixels = thumbnails[indices].reshape(len(indices), shape[0] * shape[1]).astype(np.float64)
        # Whole numbers below 2**53 in float64: the sums are exact.
        is_member = (keys[indices] == np.array(names)[:, np.newaxis]).astype(np.float64)
        sums += is_member @ pixels
        squares += is_member @ np.square(pixels)
    counts = np.array([(keys == name).sum() for name in names])[:, np.newaxis]
    means = sums / counts
    deviations = np.sqrt(np.maximum(squares - sums**2 / counts, 0) / counts)
    return {
        name: AverageFace(
            means[number].reshape(shape).astype(np.float32),
            deviations[number].reshape(shape).astype(np.float32),
            int(counts[number, 0]),
        )
        for number, name in enumerate(names)
    }


def compute_difference(first: AverageFace, second: AverageFace, *, is_brightness_removed: bool = False) -> np.ndarray:
    """Returns the first mean less the second: `float32` array of shape `(height, width)`, -255..255.

    It is above 0 where the first is brighter.

    Args:
        first: The average face of one group.
        second: That of the other.
        is_brightness_removed: Whether the difference's own median is taken off: what is left is where the faces differ,
            not how they were lit. A mean would follow a large mouth.
    """
    difference = first.mean - second.mean
    return difference - np.median(difference) if is_brightness_removed else difference


def describe_difference(
    first: AverageFace, second: AverageFace, *, first_name: str = "depressed", second_name: str = "non-depressed"
) -> str:
    """Returns in plain words what the difference picture shows and how little or much it says about a single face.

    An even change of brightness is distinguished from what differs in one area. Areas are named by the thirds of the
    picture, which fits faces that are cropped as tightly as FER2013's.

    Args:
        first: The average face of one group.
        second: That of the other.
        first_name: What the first group is called.
        second_name: What the second group is called.
    """
    difference = compute_difference(first, second)
    if np.abs(difference).max() < 1:
        return f"The average “{first_name}” and “{second_name}” faces are the same to within one gray level."
    overall, local = float(np.median(difference)), compute_difference(first, second, is_brightness_removed=True)
    opening, versus = f"On average, “{first_name}” faces are", f"than “{second_name}” ones"
    if abs(overall) < _SHARE_WORTH_A_WORD * np.abs(difference).max():
        where, gray_levels = _find_largest(difference)
        shown = f"{opening} most different {where}, {_compare(gray_levels)} {versus}."
    else:
        cause = "an even change, more likely light, camera or skin than expression"
        shown = f"{opening} {_compare(overall)} {versus} all over: {cause}."
        where, gray_levels = _find_largest(local)
        if abs(gray_levels) >= 1:
            shown += f" Measured against that, they differ most {where} ({_compare(gray_levels)})."
    return f"{shown} {_describe_size(first, second)}"


def _find_largest(difference: np.ndarray) -> tuple[str, float]:
    """Returns where a difference is largest, and how many gray levels it has there."""
    height, width = difference.shape
    row, column = (int(number) for number in np.unravel_index(np.abs(difference).argmax(), difference.shape))
    top, left = _EDGE_SHARE * height, _EDGE_SHARE * width
    is_inside = top <= row < height - top and left <= column < width - left
    where = f"around {_REGIONS[3 * row // height]}" if is_inside else "at the edge of the picture"
    return where, float(difference[row, column])


def _compare(gray_levels: float) -> str:
    number = max(1, round(abs(gray_levels)))
    return f"{number} gray {'level' if number == 1 else 'levels'} {'brighter' if gray_levels > 0 else 'darker'}"


def _describe_size(first: AverageFace, second: AverageFace) -> str:
    """Returns a sentence that compares the difference with the variation within the groups (Cohen's d)."""
    counts = np.array([first.num_images, second.num_images])
    if counts.min() < 2:
        return "One picture is no average: this says nothing about a group."
    variances = np.stack([first.standard_deviation, second.standard_deviation]).astype(np.float64) ** 2
    within = np.sqrt(np.tensordot(counts / counts.sum(), variances, axes=1))
    difference = np.abs(compute_difference(first, second))
    differs = difference > 0
    if (within[differs] == 0).any():
        return "In places the pictures within a group do not vary at all, so they are too few or too alike to judge."
    effect = float((difference[differs] / within[differs]).max())
    spread = "the usual spread (standard deviation) among faces of one group"
    size = f"At its largest the difference is {effect:.2f} times {spread}"
    if effect < _CHANCE_STANDARD_ERRORS * np.sqrt((1 / counts).sum()):
        return f"{size}, which with {counts[0]:,} and {counts[1]:,} pictures can be chance."
    if effect <= _MEDIUM_EFFECT:
        return f"{size}: it shows in averages of many faces and says little about a single one."
    return f"{size}, so single faces can show it too."
