"""Where a model is worst: its accuracy on slices, pictures that have something in common.

With some twenty slices, three in ten models that are equally good on all of them have by chance a slice whose 95 %
interval lies below the accuracy of all pictures. So a slice is called worse only by a test that is corrected for the
number of slices. Its interval, the same as on every other page, is not corrected.

Reference: slices and their intervals side by side are the "disaggregated evaluation" of Mitchell et al. 2019, "Model
Cards for Model Reporting", arXiv 1810.03993.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.evaluation.intervals import compute_wilson_interval

MIN_IMAGES = 30  # with fewer, the 95 % interval of a share of 0.8 is wider than 0.28
_SIGNIFICANCE = 0.05  # of all slices together
_QUARTILES = (0.25, 0.5, 0.75)
# Measure to: what its low and its high end are called, and how its numbers are written.
_MEASURE_NAMES = {
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
        low: Lower end of its own 95 % Wilson interval.
        high: Upper end.
        is_small: Whether there are too few to say anything.
        indices: `int` array of shape `(num_images,)`: their positions among the samples that were given.
        p_value: How likely so few right predictions are among as many pictures drawn by chance from all, 0..1,
            corrected for the number of slices; NaN if there are too few pictures.
    """

    measure: str
    name: str
    num_images: int
    accuracy: float
    low: float
    high: float
    is_small: bool
    indices: np.ndarray
    p_value: float = float("nan")

    @property
    def is_worse(self) -> bool:
        """Whether the model is surely worse here than on the other pictures."""
        return self.p_value < _SIGNIFICANCE


def find_slices(
    samples: pd.DataFrame, quality: pd.DataFrame, is_right: np.ndarray, probabilities: np.ndarray
) -> list[Slice]:
    """Returns the slices by emotion and by quarters of brightness, contrast, sharpness and size, in this order.

    The quarters are of the given pictures, with bounds rounded as they are written. Where many pictures have the same
    value there are fewer slices, and none if all have it. Pictures without a prediction or a measure are skipped.

    Args:
        samples: The pictures' rows of the samples table; column `emotion`.
        quality: `quality.measure_quality`'s rows of the same pictures in the same order; a picture's size is its
            shorter side.
        is_right: `bool` array of shape `(n,)`: whether the prediction is the label's group.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1; NaN without a prediction.

    Reference: Wilson 1927, J. Am. Stat. Assoc. 22(158), for the intervals: also right for few pictures. Fisher's exact
    test, one-sided, against all other pictures with a prediction (Fisher 1934, Statistical Methods for Research
    Workers, fifth edition, section 21.02), with the correction of Holm 1979, Scandinavian Journal of Statistics 6(2),
    for the slices that are not too small: it holds for slices that overlap.
    """
    is_predicted = ~np.isnan(probabilities)
    names = samples["emotion"].to_numpy(dtype=str)
    slices = [
        _build_slice("emotion", emotion, is_predicted & (names == emotion), is_right) for emotion in emotions.EMOTIONS
    ]
    measures = {name: quality[name] for name in ("brightness", "contrast", "sharpness")}
    measures["size"] = quality[["width", "height"]].min(axis=1)
    for measure, values in measures.items():
        slices += _cut_quarters(measure, np.where(is_predicted, values.to_numpy(dtype=float), np.nan), is_right)
    return _compare_with_others([item for item in slices if item.num_images], is_right, is_predicted)


def correct_for_number(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number by Holm's step-down procedure, 0..1, in the order given.

    Where those below 0.05 are called significant, the chance that any of them is so by chance is at most 5 %, however
    the tests depend on each other. Bonferroni's correction promises the same and finds less.

    Args:
        p_values: 0..1.

    Reference: Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
    6(2).
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)
    corrected = np.empty(len(values))
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(corrected, 1).tolist()


def find_worst(slices: list[Slice]) -> list[Slice]:
    """Returns the slices with the lowest accuracy first, and after all others those too small to say anything."""
    return sorted(slices, key=lambda item: (item.is_small, item.accuracy))


def find_confident_mistakes(
    is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float, num: int
) -> np.ndarray:
    """Returns the positions of wrong predictions, those first that gave the label's group the lowest probability.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1; NaN, no prediction, does not count.
        threshold: P(depressed) at and above which the prediction is *depressed*.
        num: How many are wanted.

    Returns:
        `int` array of shape `(num,)`, shorter where there are fewer mistakes; equal ones in the order given.
    """
    given_to_label = np.where(is_depressed, probabilities, 1 - probabilities)
    wrong = np.nonzero(~np.isnan(probabilities) & (is_depressed != (probabilities >= threshold)))[0]
    return wrong[np.argsort(given_to_label[wrong], kind="stable")][:num]


def _cut_quarters(measure: str, values: np.ndarray, is_right: np.ndarray) -> list[Slice]:
    """Returns the slices by one measure, the lowest first; none if there would be only one."""
    is_known = ~np.isnan(values)
    if not is_known.any():
        return []
    low_name, high_name, form = _MEASURE_NAMES[measure]
    decimals = 0 if measure == "size" else 2
    bounds = np.unique(np.quantile(values[is_known], _QUARTILES).round(decimals))
    bins = np.where(is_known, np.searchsorted(bounds, values, side="right"), -1)
    numbers = np.unique(bins[is_known])
    if len(numbers) < 2:
        return []
    starts = [form.format(bounds[number - 1]) if number else "" for number in numbers]
    slices = []
    for i, (number, name) in enumerate(zip(numbers, _name_bins(low_name, high_name, len(numbers)), strict=True)):
        start, end = starts[i], starts[i + 1] if i + 1 < len(numbers) else ""
        extent = f"from {start}" if not end else f"{start} to {end}" if i else f"below {end}"
        slices.append(_build_slice(measure, f"{name}: {extent}", bins == number, is_right))
    return slices


def _name_bins(low_name: str, high_name: str, num_bins: int) -> list[str]:
    """Returns what the slices by a measure are called; only four of them are quarters."""
    if num_bins == 4:
        return [f"{name} quarter" for name in (low_name, f"rather {low_name}", f"rather {high_name}", high_name)]
    return [low_name, *(["medium"] if num_bins == 3 else []), high_name]


def _compare_with_others(slices: list[Slice], is_right: np.ndarray, is_predicted: np.ndarray) -> list[Slice]:
    """Returns the slices with their p-values."""
    indices = [i for i, item in enumerate(slices) if not item.is_small]
    num_all, num_all_right = int(is_predicted.sum()), int(is_right[is_predicted].sum())
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, num_all + 1)))])
    p_values = [
        _test_share(int(is_right[slices[i].indices].sum()), slices[i].num_images, num_all_right, log_factorials)
        for i in indices
    ]
    tested = list(slices)
    for i, p_value in zip(indices, correct_for_number(p_values), strict=True):
        tested[i] = dataclasses.replace(slices[i], p_value=p_value)
    return tested


def _test_share(num_right: int, num_images: int, num_all_right: int, log_factorials: np.ndarray) -> float:
    """Returns the chance of at most so many right predictions among pictures drawn from all without replacement.

    The lower tail of the hypergeometric distribution, in logarithms, as the numbers of ways overflow.

    Args:
        num_right: Right predictions in the slice.
        num_images: Pictures in it.
        num_all_right: Right predictions among all pictures.
        log_factorials: `float64` array of shape `(all + 1,)`: log n! for n from 0 to the number of all pictures.
    """

    def count_ways(num: int, chosen: np.ndarray) -> np.ndarray:
        return log_factorials[num] - log_factorials[chosen] - log_factorials[num - chosen]

    num_all = len(log_factorials) - 1
    fewest = max(0, num_images - (num_all - num_all_right))
    rights = np.arange(fewest, num_right + 1)
    ways = count_ways(num_all_right, rights) + count_ways(num_all - num_all_right, num_images - rights)
    return min(1.0, float(np.exp(ways - count_ways(num_all, np.array(num_images))).sum()))


def _build_slice(measure: str, name: str, is_in: np.ndarray, is_right: np.ndarray) -> Slice:
    indices = np.nonzero(is_in)[0]
    num_images, num_right = len(indices), int(is_right[indices].sum())
    accuracy = num_right / num_images if num_images else float("nan")
    low, high = compute_wilson_interval(num_right, num_images)
    return Slice(measure, name, num_images, accuracy, low, high, num_images < MIN_IMAGES, indices)
