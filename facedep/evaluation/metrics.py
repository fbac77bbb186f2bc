"""Scores of a two-group classifier, in NumPy.

The positive class is *depressed*, always. Undefined scores are NaN, those of a network that predicts NaN among them.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facedep.evaluation.reliability import compute_calibration_error
from facedep.networks.majority_baseline import find_majority_baseline


@dataclass(frozen=True)
class Confusion:
    """How many pictures of each group got which prediction. Accuracy is the share of the two that are true.

    Attributes:
        num_true_depressed: *Depressed* by the label and the prediction.
        num_false_alarms: *Non-depressed* by the label, called *depressed*.
        num_missed: *Depressed* by the label, called *non-depressed*.
        num_true_non_depressed: *Non-depressed* by the label and the prediction.
    """

    num_true_depressed: int
    num_false_alarms: int
    num_missed: int
    num_true_non_depressed: int

    @property
    def num_images(self) -> int:
        """All pictures."""
        return self.num_true_depressed + self.num_false_alarms + self.num_missed + self.num_true_non_depressed

    @property
    def false_alarm_rate(self) -> float:
        """Share of the *non-depressed* pictures that are called *depressed*: 0..1, low is good; NaN without any."""
        return _divide(self.num_false_alarms, self.num_false_alarms + self.num_true_non_depressed)

    @property
    def miss_rate(self) -> float:
        """Share of the *depressed* pictures that are called *non-depressed*: 0..1, low is good; NaN without any."""
        return _divide(self.num_missed, self.num_missed + self.num_true_depressed)


def compute_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the share of pictures on the right side of the threshold: 0..1, high is good; NaN without pictures.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the prediction is *depressed*.
    """
    if not len(is_depressed) or np.isnan(probabilities).any():
        return float("nan")
    return float(np.mean(is_depressed == (probabilities >= threshold)))


def compute_balanced_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the mean of the two groups' own accuracies: 0..1, 0.5 is guessing; NaN unless there are both groups."""
    correct = is_depressed == (probabilities >= threshold)
    if is_depressed.all() or not is_depressed.any() or np.isnan(probabilities).any():
        return float("nan")
    return float((correct[is_depressed].mean() + correct[~is_depressed].mean()) / 2)


def count_confusion(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> Confusion:
    """Returns how many pictures of each group are on which side of the threshold.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the prediction is *depressed*.

    Raises:
        ValueError: A probability is NaN, which is on neither side.
    """
    if np.isnan(probabilities).any():
        raise ValueError("a probability is NaN")
    called_depressed = probabilities >= threshold
    return Confusion(
        num_true_depressed=int(np.sum(is_depressed & called_depressed)),
        num_false_alarms=int(np.sum(~is_depressed & called_depressed)),
        num_missed=int(np.sum(is_depressed & ~called_depressed)),
        num_true_non_depressed=int(np.sum(~is_depressed & ~called_depressed)),
    )


def count_emotion_confusion(true_emotions: np.ndarray, predicted_emotions: np.ndarray, names: list[str]) -> np.ndarray:
    """Returns how many pictures of each emotion (row) got which prediction (column): `int64`, shape `(names, names)`.

    Args:
        true_emotions: `str` array of shape `(n,)`; a picture of another emotion, or of none, is not counted.
        predicted_emotions: `str` array of shape `(n,)`, the most probable one for each picture; likewise.
        names: The emotions of rows and columns.
    """
    columns = {name: column for column, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for truth, prediction in zip(true_emotions, predicted_emotions, strict=True):
        if truth in columns and prediction in columns:
            counts[columns[truth], columns[prediction]] += 1
    return counts


def compute_roc_auc(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the chance that a *depressed* picture gets the higher P(depressed) of two, ties counting half.

    0..1, 0.5 is guessing, high is good; NaN unless there are both groups.

    Reference: the Mann-Whitney form of the area under the ROC curve, Hanley & McNeil 1982, Radiology 143(1).
    """
    num_positive = int(is_depressed.sum())
    num_negative = len(is_depressed) - num_positive
    if not num_positive or not num_negative or np.isnan(probabilities).any():
        return float("nan")
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = mean_ranks[inverse][is_depressed].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def compute_brier_score(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean squared distance of P(depressed) from the label: 0..1, low is good; NaN without pictures.

    Always answering 0.5 gets 0.25.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.

    Reference: Brier 1950, Monthly Weather Review 78(1), in the form for two classes.
    """
    if not len(is_depressed):
        return float("nan")
    return float(np.mean((np.asarray(probabilities, np.float64) - is_depressed) ** 2))


def compute_metrics(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, Any]:
    """Returns all scores of one set of pictures, with what always answering the larger group would get.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the prediction is *depressed*.
    """
    return {
        "num_images": len(is_depressed),
        "accuracy": compute_accuracy(is_depressed, probabilities, threshold),
        "majority_baseline": asdict(find_majority_baseline(is_depressed)),
        "balanced_accuracy": compute_balanced_accuracy(is_depressed, probabilities, threshold),
        "roc_auc": compute_roc_auc(is_depressed, probabilities),
        "ece": compute_calibration_error(is_depressed, probabilities),
    }


def _divide(number: float, by: float) -> float:
    return number / by if by else float("nan")
