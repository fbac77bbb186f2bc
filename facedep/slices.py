"""Where a model is worst: its accuracy on parts of the pictures that have something in common.

Reference: slices and their intervals side by side are the "disaggregated evaluation" of Mitchell et al. 2019, "Model
Cards for Model Reporting", arXiv 1810.03993.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.metrics import compute_wilson_interval

MIN_IMAGES = 30  # with fewer, the 95 % interval of a share of 0.8 is wider than 0.28
_QUARTILES = (0.25, 0.5, 0.75)
# Measure to: what its low and its high part are called, and how its numbers are written.
_WORDS = {
    "brightness": ("dark", "bright", "{:.2f}"),
    "contrast": ("low-contrast", "high-contrast", "{:.2f}"),
    "sharpness": ("blurred", "sharp", "{:.2f}"),
    "size": ("small", "large", "{:.0f} px"),
}


@dataclass(frozen=True, eq=False)
class Slice:
    """Some of the pictures and how the model does on them.

    Attributes:
        measure: What they have in common: "emotion", "brightness", "contrast", "sharpness" or "size".
        name: The same in words, like "happy" or "dark quarter: below 0.31".
        num_images: Pictures in it.
        accuracy: Share put into the right group, 0..1, high is good.
        low: Lower end of its 95 % interval.
        high: Upper end.
        is_small: Whether there are too few to say anything.
        rows: `int` array of shape `(num_images,)`: their places in the index that was given.
    """

    measure: str
    name: str
    num_images: int
    accuracy: float
    low: float
    high: float
    is_small: bool
    rows: np.ndarray


def find_slices(
    index: pd.DataFrame, table: pd.DataFrame, is_right: np.ndarray, probabilities: np.ndarray
) -> list[Slice]:
    """Returns the slices by emotion and by quarters of brightness, contrast, sharpness and size, in this order.

    The quarters are of the given pictures, with bounds rounded as they are written. Where many pictures have the same
    value there are fewer parts, and none where all have it. Pictures without an answer or a measure are left out.

    Args:
        index: The pictures' rows of the index table; column `emotion`.
        table: `quality.measure_quality`'s rows of the same pictures in the same order; a picture's size is its shorter
            side.
        is_right: `bool` array of shape `(n,)`: whether the answer is the label's group.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1; NaN where there is no answer.

    Reference: Wilson 1927, J. Am. Stat. Assoc. 22(158), for the intervals: also right for few pictures.
    """
    is_answered = ~np.isnan(probabilities)
    names = index["emotion"].to_numpy(dtype=str)
    slices = [
        _build_slice("emotion", emotion, is_answered & (names == emotion), is_right) for emotion in emotions.EMOTIONS
    ]
    measures = {name: table[name] for name in ("brightness", "contrast", "sharpness")}
    measures["size"] = table[["width", "height"]].min(axis=1)
    for measure, values in measures.items():
        slices += _cut_quarters(measure, np.where(is_answered, values.to_numpy(dtype=float), np.nan), is_right)
    return [found for found in slices if found.num_images]


def find_worst(slices: list[Slice]) -> list[Slice]:
    """Returns the slices with the lowest accuracy first, and after all others those too small to say anything."""
    return sorted(slices, key=lambda one: (one.is_small, one.accuracy))


def find_confident_mistakes(
    is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float, num: int
) -> np.ndarray:
    """Returns the places of wrong answers, those first that gave the label's group the lowest probability.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1; NaN, no answer, is no mistake.
        threshold: P(depressed) at and above which the answer is *depressed*.
        num: How many are wanted.

    Returns:
        `int` array of shape `(num,)`, shorter where there are fewer mistakes; equal ones in the order given.
    """
    given_to_label = np.where(is_depressed, probabilities, 1 - probabilities)
    wrong = np.nonzero(~np.isnan(probabilities) & (is_depressed != (probabilities >= threshold)))[0]
    return wrong[np.argsort(given_to_label[wrong], kind="stable")][:num]


def _cut_quarters(measure: str, values: np.ndarray, is_right: np.ndarray) -> list[Slice]:
    """Returns the parts of one measure, the lowest first; none where there would be only one."""
    is_known = ~np.isnan(values)
    if not is_known.any():
        return []
    low_word, high_word, form = _WORDS[measure]
    decimals = 0 if measure == "size" else 2
    bounds = np.unique(np.quantile(values[is_known], _QUARTILES).round(decimals))
    parts = np.where(is_known, np.searchsorted(bounds, values, side="right"), -1)
    numbers = np.unique(parts[is_known])
    if len(numbers) < 2:
        return []
    starts = [form.format(bounds[number - 1]) if number else "" for number in numbers]
    slices = []
    for place, (number, word) in enumerate(zip(numbers, _name_parts(low_word, high_word, len(numbers)), strict=True)):
        start, end = starts[place], starts[place + 1] if place + 1 < len(numbers) else ""
        extent = f"from {start}" if not end else f"{start} to {end}" if place else f"below {end}"
        slices.append(_build_slice(measure, f"{word}: {extent}", parts == number, is_right))
    return slices


def _name_parts(low_word: str, high_word: str, num_parts: int) -> list[str]:
    """Returns what the parts of a measure are called; only four of them are quarters."""
    if num_parts == 4:
        return [f"{word} quarter" for word in (low_word, f"rather {low_word}", f"rather {high_word}", high_word)]
    return [low_word, *(["medium"] if num_parts == 3 else []), high_word]


def _build_slice(measure: str, name: str, is_in: np.ndarray, is_right: np.ndarray) -> Slice:
    rows = np.nonzero(is_in)[0]
    num_right = int(is_right[rows].sum())
    accuracy = num_right / len(rows) if len(rows) else float("nan")
    low, high = compute_wilson_interval(num_right, len(rows))
    return Slice(measure, name, len(rows), accuracy, low, high, len(rows) < MIN_IMAGES, rows)
