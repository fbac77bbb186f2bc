"""Scores of a two-group classifier, in NumPy. The positive class is *depressed*, always. Undefined scores are NaN,
those of a network that answers NaN among them.
"""

import numpy as np

NUM_CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599


def compute_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the share of pictures on the right side of the threshold: 0..1, high is good; NaN without pictures.

    Args:
        is_depressed: `bool` array of shape `(n,)`, the data set's label.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
    """
    if not len(is_depressed) or np.isnan(probabilities).any():
        return float("nan")
    return float(np.mean(is_depressed == (probabilities >= threshold)))


def compute_balanced_accuracy(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> float:
    """Returns the mean of the two groups' own accuracies: 0..1, 0.5 is guessing; NaN unless both groups are there."""
    correct = is_depressed == (probabilities >= threshold)
    if is_depressed.all() or not is_depressed.any() or np.isnan(probabilities).any():
        return float("nan")
    return float((correct[is_depressed].mean() + correct[~is_depressed].mean()) / 2)


def compute_roc_auc(is_depressed: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the chance that a *depressed* picture gets the higher P(depressed) of two, ties counting half.

    0..1, 0.5 is guessing, high is good; NaN unless both groups are there.

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


def compute_calibration_error(
    is_depressed: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_CALIBRATION_BINS
) -> float:
    """Returns the expected calibration error of P(depressed): 0..1, low is good; NaN without pictures.

    Equal-width bins over 0..1; in each, the distance between the mean P(depressed) and the share of *depressed*
    pictures, weighted by the bin's share of all pictures.

    Reference: Naeini et al. 2015 (AAAI), in the form for one class.
    """
    if not len(is_depressed) or np.isnan(probabilities).any():
        return float("nan")
    bins = np.minimum((probabilities * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bins, weights=probabilities - is_depressed, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(is_depressed))


def score_predictions(is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Returns all scores of one set of pictures, with what always answering *non-depressed* would get.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
    """
    return {
        "num_images": len(is_depressed),
        "accuracy": compute_accuracy(is_depressed, probabilities, threshold),
        "always_non_depressed_accuracy": float(np.mean(~is_depressed)) if len(is_depressed) else float("nan"),
        "balanced_accuracy": compute_balanced_accuracy(is_depressed, probabilities, threshold),
        "roc_auc": compute_roc_auc(is_depressed, probabilities),
        "ece": compute_calibration_error(is_depressed, probabilities),
    }
