"""What a two-group classifier can do at each threshold: ROC curve, precision-recall curve, average precision."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """What a classifier can do at each threshold.

    Attributes:
        x: `float64` array of shape `(points,)`, 0..1; NaN where it is undefined.
        y: Likewise.
        thresholds: P(depressed) at and above which the prediction is *depressed* there: `float64`, shape `(points,)`;
            inf if no picture is called *depressed*.
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray


def compute_roc_curve(is_depressed: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Returns the share of each group that is called *depressed*, from no picture to all, a point for each value.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Returns:
        `x`: the false positive rate, of the *non-depressed* pictures; `y`: the true positive rate, of the *depressed*
        ones. From (0, 0) at threshold inf to (1, 1). NaN for a group without pictures, and throughout with a NaN.

    Reference: Fawcett 2006, Pattern Recognition Letters 27(8), algorithm 1, with all points kept.
    """
    thresholds, num_alarms, num_found = _count_called_depressed(is_depressed, probabilities)
    start = np.zeros(1)
    return Curve(
        x=_divide_by_last(np.concatenate([start, num_alarms])),
        y=_divide_by_last(np.concatenate([start, num_found])),
        thresholds=np.concatenate([[np.inf], thresholds]),
    )


def compute_precision_recall_curve(is_depressed: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Returns how many are found and how many alarms are true, from the lowest threshold to one that calls none.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Returns:
        `x`: recall, the share of the *depressed* pictures that are called so; `y`: precision, the share of those called
        *depressed* that are. The last point is (0, 1) at threshold inf, by convention. `x` is NaN without *depressed*
        pictures, both are with a NaN.

    Reference: Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4.
    """
    thresholds, num_alarms, num_found = _count_called_depressed(is_depressed, probabilities)
    recall = _divide_by_last(num_found) if len(num_found) else np.zeros(0)
    return Curve(
        x=np.concatenate([recall[::-1], [0.0]]),
        y=np.concatenate([(num_found / (num_found + num_alarms))[::-1], [1.0]]),
        thresholds=np.concatenate([thresholds[::-1], [np.inf]]),
    )


def compute_average_precision(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the precision, averaged over the *depressed* pictures in the order in which they are found: 0..1.

    High is good; guessing gets the share of *depressed* pictures. NaN without any.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Reference: Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4; without
    interpolation.
    """
    if not is_depressed.any() or np.isnan(probabilities).any():
        return float("nan")
    curve = compute_precision_recall_curve(is_depressed, probabilities)
    return float(-np.sum(np.diff(curve.x) * curve.y[:-1]))


def _count_called_depressed(
    is_depressed: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the different values, the highest first, and how many of each group are at or above each one.

    *Non-depressed* pictures first. All NaN where a probability is.
    """
    probabilities = np.asarray(probabilities, np.float64)
    values, inverse = np.unique(probabilities, return_inverse=True)
    num_alarms = np.bincount(inverse[~is_depressed], minlength=len(values))[::-1].cumsum()
    num_found = np.bincount(inverse[is_depressed], minlength=len(values))[::-1].cumsum()
    if np.isnan(values).any():
        nothing = np.full(len(values), np.nan)
        return nothing, nothing, nothing
    return values[::-1], num_alarms.astype(np.float64), num_found.astype(np.float64)


def _divide_by_last(counts: np.ndarray) -> np.ndarray:
    return counts / (counts[-1] or np.nan)
