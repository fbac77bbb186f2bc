"""Scores of a two-group classifier, in NumPy. The positive class is *depressed*, always. Undefined scores are NaN,
those of a network that answers NaN among them.
"""

import numpy as np

NUM_CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599
NUM_RESAMPLES = 1000  # from seed to seed the ends of a 0.03 wide interval then move by 0.0007 (3,649 pictures)
_INTERVAL_PERCENTILES = (2.5, 97.5)
_UNDEFINED = (float("nan"), float("nan"))


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


def compute_intervals(
    is_depressed: np.ndarray,
    probabilities: np.ndarray,
    threshold: float = 0.5,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns the 95 % bootstrap intervals of `accuracy`, `balanced_accuracy` and `roc_auc`: low and high end, 0..1.

    They say how far the scores would move with other pictures of the same kind, not with another training. Resamples
    with an undefined score (one group only) are left out; (NaN, NaN) where the score itself is undefined. The same
    pictures and seed give the same intervals.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`, P(depressed), 0..1.
        threshold: P(depressed) at and above which the answer is *depressed*.
        num_resamples: How often the pictures are drawn anew, with replacement.
        seed: Of the resampling.

    Reference: percentile bootstrap, Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    num_images = len(is_depressed)
    if not num_images or np.isnan(probabilities).any():
        return dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), _UNDEFINED)
    # All three scores follow from how often each value was drawn in either group: no resample is sorted again.
    values, places = np.unique(probabilities, return_inverse=True)
    first_depressed_answer = np.count_nonzero(values < threshold)
    codes = 2 * places + is_depressed
    rng = np.random.default_rng(seed)
    accuracies, true_negative_rates, true_positive_rates, areas = np.full((4, num_resamples), np.nan)
    for number in range(num_resamples):
        drawn = codes[rng.integers(0, num_images, num_images)]
        negatives, positives = np.bincount(drawn, minlength=2 * len(values)).reshape(-1, 2).T
        num_negative, num_positive = negatives.sum(), positives.sum()
        num_right_negative = negatives[:first_depressed_answer].sum()
        num_right_positive = positives[first_depressed_answer:].sum()
        accuracies[number] = (num_right_negative + num_right_positive) / num_images
        if num_negative and num_positive:
            true_negative_rates[number] = num_right_negative / num_negative
            true_positive_rates[number] = num_right_positive / num_positive
            num_won_twice = positives @ (2 * np.cumsum(negatives) - negatives)  # a win counts 2, a tie 1
            areas[number] = num_won_twice / (2 * num_negative * num_positive)
    return {
        "accuracy": _find_interval(accuracies),
        "balanced_accuracy": _find_interval((true_negative_rates + true_positive_rates) / 2),
        "roc_auc": _find_interval(areas),
    }


def compute_share_interval(
    num_right: int, num_all: int, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval of a share of pictures: low and high end, 0..1; (NaN, NaN) without pictures.

    The number right among `num_all` pictures drawn anew is binomial, so it is drawn directly. With few pictures the
    interval is too narrow, and where all or none are right it has no width.

    Args:
        num_right: Pictures that count.
        num_all: Pictures in all.
        num_resamples: How often they are drawn anew, with replacement.
        seed: Of the resampling.

    Reference: percentile bootstrap, Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    if not num_all:
        return _UNDEFINED
    return _find_interval(np.random.default_rng(seed).binomial(num_all, num_right / num_all, num_resamples) / num_all)


def _find_interval(scores: np.ndarray) -> tuple[float, float]:
    defined = scores[~np.isnan(scores)]
    if not len(defined):
        return _UNDEFINED
    low, high = np.percentile(defined, _INTERVAL_PERCENTILES)
    return float(low), float(high)
